//! `cargo xtask`: test, build, tidy and bench for all languages of the project.
//!
//! Knows how to call the tools of each language; knows nothing of what is inside the crates.

mod bench;
mod compare;
mod node;
mod project;
mod python;
mod release;
mod run;
mod soak;
mod test;
mod tidy;
mod tools;

use std::process::ExitCode;

use project::Project;

const USAGE: &str = "\
usage: cargo xtask <task>

  test [rust|python|node]  all tests, or those of one language; installs what they need
  build                    release builds: command line, Python wheel, Node addon
  tidy                     the project's invariants
  soak [percent]           long use: 100 percent takes a quarter of an hour or more
  bench [argument…]        benches; arguments go to the bench program
  bench --compare [--quick] [section…]
                           rmux beside other SSH software; sets up all of it
  ci-deps                  only the tools the tests need: checks, and installs on Debian as root";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let project = Project::find();
    let done = match args.as_slice() {
        ["test"] => test::run(&project, &test::Language::ALL),
        ["test", name] => match test::Language::parse(name) {
            Some(language) => test::run(&project, &[language]),
            None => Err(format!("no such language: {name} (rust, python or node)").into()),
        },
        ["build"] => release::run(&project),
        ["tidy"] => tidy::run(&project.root).map_err(Into::into),
        ["soak"] => soak::run(&project, "100"),
        ["soak", percent] => soak::run(&project, percent),
        ["bench", "--compare", rest @ ..] => compare::run(&project, rest),
        ["bench", rest @ ..] => bench::run(&project, rest),
        ["ci-deps"] => tools::ready().map(|()| true),
        ["help" | "-h" | "--help"] => {
            println!("{USAGE}");
            Ok(true)
        }
        _ => Err(USAGE.into()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("xtask: {e}");
            ExitCode::FAILURE
        }
    }
}
