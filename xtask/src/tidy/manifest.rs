//! Reads the dependency names out of a Cargo.toml.
//!
//! Understands the ways Cargo lets a dependency be written, no more of TOML than that.

/// Which table a dependency stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Normal,
    Dev,
    Build,
    /// `[workspace.dependencies]`: a version that members may ask for, not yet an edge.
    Workspace,
}

/// One dependency of a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    /// The package's name, also where the manifest renames it.
    pub(crate) package: String,
    pub(crate) kind: Kind,
    /// Counted from 1.
    pub(crate) line: usize,
}

/// The `name` of `[package]`, if the manifest has one.
pub(crate) fn package_name(text: &str) -> Option<String> {
    lines(text)
        .find(|(_, table, line)| table == "package" && key(line) == Some("name"))
        .and_then(|(_, _, line)| quoted(line.split_once('=')?.1))
}

/// Every dependency of the manifest, in the order written.
pub(crate) fn dependencies(text: &str) -> Vec<Dependency> {
    let mut out: Vec<Dependency> = Vec::new();
    for (number, table, line) in lines(text) {
        let Some((kind, own_table)) = dependency_table(&table) else {
            continue;
        };
        match own_table {
            // [dependencies.name]: the header is the dependency, `package` inside renames it.
            Some(name) if line.starts_with('[') => out.push(Dependency {
                package: name,
                kind,
                line: number,
            }),
            Some(_) => {
                if key(line) == Some("package")
                    && let Some(real) = line.split_once('=').and_then(|(_, v)| quoted(v))
                    && let Some(last) = out.last_mut()
                {
                    last.package = real;
                }
            }
            None => {
                if let Some(name) = key(line) {
                    // `name.workspace = true` and `name = { … }` alike.
                    let name = name.split('.').next().unwrap_or(name).trim_matches('"');
                    out.push(Dependency {
                        package: renamed(line).unwrap_or_else(|| name.to_owned()),
                        kind,
                        line: number,
                    });
                }
            }
        }
    }
    out
}

/// Whether the manifest has this table, and the line of its header.
pub(crate) fn table_line(text: &str, wanted: &str) -> Option<usize> {
    lines(text)
        .find(|(_, table, line)| table == wanted && line.starts_with('['))
        .map(|(number, _, _)| number)
}

/// The value of a key of a table, as written.
pub(crate) fn value(text: &str, table: &str, wanted: &str) -> Option<String> {
    lines(text)
        .find(|(_, t, line)| t == table && key(line) == Some(wanted))
        .and_then(|(_, _, line)| Some(line.split_once('=')?.1.trim().to_owned()))
}

/// The lines that say something, each with its number and the table it stands in.
fn lines(text: &str) -> impl Iterator<Item = (usize, String, &str)> {
    let mut table = String::new();
    text.lines().enumerate().filter_map(move |(i, line)| {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        if line.starts_with('[') {
            let header = line.split('#').next().unwrap_or(line).trim();
            table = header
                .trim_matches(|c| c == '[' || c == ']')
                .trim()
                .to_owned();
        }
        Some((i + 1, table.clone(), line))
    })
}

/// The kind of a dependency table, and the name when the table is of one dependency.
fn dependency_table(table: &str) -> Option<(Kind, Option<String>)> {
    // [target.'cfg(unix)'.dependencies]: what stands before the last part says only where it holds.
    let table = match table.strip_prefix("target.") {
        Some(rest) => &rest[rest.find("dependencies").map(|at| prefix_start(rest, at))?..],
        None => table,
    };
    for (name, kind) in [
        ("workspace.dependencies", Kind::Workspace),
        ("dev-dependencies", Kind::Dev),
        ("build-dependencies", Kind::Build),
        ("dependencies", Kind::Normal),
    ] {
        if table == name {
            return Some((kind, None));
        }
        if let Some(one) = table.strip_prefix(name).and_then(|t| t.strip_prefix('.')) {
            return Some((kind, Some(one.trim_matches('"').to_owned())));
        }
    }
    None
}

fn prefix_start(rest: &str, at: usize) -> usize {
    ["dev-", "build-"]
        .iter()
        .find(|prefix| rest[..at].ends_with(**prefix))
        .map_or(at, |prefix| at - prefix.len())
}

fn key(line: &str) -> Option<&str> {
    if line.starts_with('[') {
        return None;
    }
    let key = line.split_once('=')?.0.trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '"');
    (!key.is_empty() && key.chars().all(plain)).then_some(key)
}

fn renamed(line: &str) -> Option<String> {
    let after = line.split_once("package")?.1.trim_start();
    quoted(after.strip_prefix('=')?)
}

fn quoted(text: &str) -> Option<String> {
    let inside = text.split_once('"')?.1;
    Some(inside.split_once('"')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_dependency_is_read() {
        let text = r#"
[package]
name = "sample"
[dependencies]
plain = "1"
shared.workspace = true
# gone = "1"
other = { version = "1", package = "real-name" }
[target.'cfg(unix)'.dev-dependencies]
unix-only = "1"
[build-dependencies.own-table]
version = "1"
[dependencies.alias]
version = "2"
package = "behind-alias"
[workspace.dependencies]
listed = "1"
[features]
default = ["dep:plain"]
"#;
        let found: Vec<(String, Kind)> = dependencies(text)
            .into_iter()
            .map(|d| (d.package, d.kind))
            .collect();
        let expected = [
            ("plain", Kind::Normal),
            ("shared", Kind::Normal),
            ("real-name", Kind::Normal),
            ("unix-only", Kind::Dev),
            ("own-table", Kind::Build),
            ("behind-alias", Kind::Normal),
            ("listed", Kind::Workspace),
        ];
        assert_eq!(
            found,
            expected
                .map(|(name, kind)| (name.to_owned(), kind))
                .to_vec()
        );
        assert_eq!(package_name(text).as_deref(), Some("sample"));
        assert_eq!(dependencies(text)[0].line, 5);
    }

    #[test]
    fn values_and_tables_are_found() {
        let text = "[lints]\nworkspace = true\n";
        assert_eq!(value(text, "lints", "workspace").as_deref(), Some("true"));
        assert_eq!(table_line(text, "lints"), Some(1));
        assert_eq!(table_line(text, "lints.rust"), None);
    }
}
