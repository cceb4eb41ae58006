//! `cargo xtask tidy`: the project's invariants, checked.
//!
//! A rule is a function from one file to its findings. Each has a test that shows it failing on a
//! bad sample and passing on a good one. ARCHITECTURE.md tells which rule keeps which invariant.

mod code;
mod edges;
mod floors;
mod form;
mod machine;
mod manifest;
mod promises;
mod source;
mod unfinished;

use std::io;
use std::path::Path;
use std::process::Command;

use source::{Finding, Source};

type Rule = fn(&Source) -> Vec<Finding>;

const RULES: &[Rule] = &[
    edges::engine_stays_in_its_room,
    edges::proto_has_no_io,
    edges::arrows_point_one_way,
    floors::rooms_import_downwards,
    form::file_says_what_it_is_for,
    form::file_is_short,
    form::name_says_something,
    machine::nothing_of_a_machine,
    promises::crate_takes_the_lints,
    promises::cancelling_is_described,
    unfinished::rust_is_finished,
    unfinished::tests_are_not_skipped_silently,
];

/// Shows every broken rule as `file:line: [rule] what`; says whether there was none.
pub(crate) fn run(root: &Path) -> io::Result<bool> {
    let sources = read_all(root)?;
    let mut found: Vec<Finding> = sources
        .iter()
        .flat_map(|source| RULES.iter().flat_map(|rule| rule(source)))
        .collect();
    if let Some(place) = place_of_this_checkout(root) {
        found.extend(
            sources
                .iter()
                .flat_map(|s| machine::nothing_below(s, &place)),
        );
    }
    found.sort();
    found.dedup();
    for f in &found {
        println!("{}:{}: [{}] {}", f.path, f.line, f.rule, f.message);
    }
    println!(
        "tidy: {} files, {} rules broken",
        sources.len(),
        found.len()
    );
    Ok(found.is_empty())
}

/// Tracked files, and new ones that git would track: text only.
fn read_all(root: &Path) -> io::Result<Vec<Source>> {
    let listed = Command::new("git")
        .args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ])
        .current_dir(root)
        .output()?;
    if !listed.status.success() {
        return Err(io::Error::other(
            "git ls-files failed: tidy needs a git checkout",
        ));
    }
    let mut paths: Vec<String> = listed
        .stdout
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty())
        .map(|path| String::from_utf8_lossy(path).into_owned())
        .collect();
    paths.sort();
    paths.dedup();
    let mut sources = Vec::new();
    for path in paths {
        match std::fs::read(root.join(&path)) {
            Ok(bytes) => {
                if let Ok(text) = String::from_utf8(bytes) {
                    sources.push(Source::new(&path, &text));
                }
            }
            // Deleted but still in the index, or a submodule's folder.
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::IsADirectory
                ) => {}
            Err(e) => return Err(io::Error::new(e.kind(), format!("{path}: {e}"))),
        }
    }
    Ok(sources)
}

/// The checkout's own path, where it is long enough to mean one machine.
fn place_of_this_checkout(root: &Path) -> Option<String> {
    let parts = root.components().count();
    (parts > 2).then(|| root.to_string_lossy().into_owned())
}

/// The lines on which a rule objects to a sample.
#[cfg(test)]
fn probe(rule: Rule, path: &str, text: &str) -> Vec<usize> {
    let mut lines: Vec<usize> = rule(&Source::new(path, text))
        .iter()
        .map(|f| f.line)
        .collect();
    lines.sort_unstable();
    lines
}
