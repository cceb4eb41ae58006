//! `cargo xtask test`: the tests of every language, and one summary.
//!
//! A language that cannot be tested has failed: nothing is passed over in silence.

mod counts;

use std::process::Command;

use crate::project::{Project, TestServers};
use crate::run::{Failure, Ran, run_and_keep};
use crate::{node, python, tools};
use counts::Counts;

/// A language whose tests can be asked for by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Rust,
    Python,
    Node,
}

impl Language {
    pub(crate) const ALL: [Self; 3] = [Self::Rust, Self::Python, Self::Node];

    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|language| language.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Node => "node",
        }
    }

    fn test(self, project: &Project, servers: &TestServers) -> Result<Ran, Failure> {
        match self {
            Self::Rust => rust(project),
            Self::Python => python::test(project, servers),
            Self::Node => node::test(project, servers),
        }
    }

    fn count(self, stdout: &str) -> Counts {
        match self {
            Self::Rust => counts::rust(stdout),
            Self::Python => counts::pytest(stdout),
            Self::Node => counts::node(stdout),
        }
    }
}

/// Runs the tests of these languages, all of them even when one fails; says whether all passed.
pub(crate) fn run(project: &Project, languages: &[Language]) -> Result<bool, Failure> {
    tools::ready()?;
    let mut verdicts = Vec::new();
    let mut servers = TestServers::new();
    for language in languages {
        eprintln!("== {} ==", language.name());
        let verdict = match language.test(project, &servers) {
            Ok(ran) => judge(language.count(&ran.stdout), ran.success),
            Err(e) => {
                eprintln!("xtask: {e}");
                Verdict::not_run(e.to_string())
            }
        };
        if *language == Language::Rust {
            servers = project.test_servers();
        }
        verdicts.push((*language, verdict));
    }
    println!();
    for (language, verdict) in &verdicts {
        println!("{}", verdict.line(*language));
    }
    Ok(verdicts
        .iter()
        .all(|(_, verdict)| verdict.problem.is_none()))
}

fn rust(project: &Project) -> Result<Ran, Failure> {
    run_and_keep(
        Command::new("cargo")
            .args(["test", "--workspace", "--no-fail-fast"])
            .current_dir(&project.root),
    )
}

/// What came of one language.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    counts: Counts,
    /// Why it has failed, if it has.
    problem: Option<String>,
}

fn judge(mut counts: Counts, success: bool) -> Verdict {
    let problem = if counts.failed > 0 {
        Some("tests failed".to_owned())
    } else if !success {
        // The build broke, or a program died before it could count.
        counts.failed = 1;
        Some("a step failed outside the tests".to_owned())
    } else if counts.passed == 0 {
        counts.failed = 1;
        Some("no test ran".to_owned())
    } else {
        None
    };
    Verdict { counts, problem }
}

impl Verdict {
    fn not_run(problem: String) -> Self {
        let counts = Counts {
            failed: 1,
            ..Counts::default()
        };
        Self {
            counts,
            problem: Some(problem),
        }
    }

    fn line(&self, language: Language) -> String {
        let Counts {
            passed,
            failed,
            skipped,
        } = self.counts;
        let mut line = format!(
            "summary {:<6} {passed} passed, {failed} failed, {skipped} skipped",
            language.name()
        );
        if let Some(problem) = &self.problem {
            let first = problem.lines().next().unwrap_or_default();
            line.push_str(&format!(" ({first})"));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: u64, failed: u64) -> Counts {
        Counts {
            passed,
            failed,
            skipped: 0,
        }
    }

    #[test]
    fn a_run_without_tests_has_failed() {
        assert!(judge(counts(0, 0), true).problem.is_some());
        assert!(judge(counts(3, 0), true).problem.is_none());
    }

    #[test]
    fn a_failed_runner_counts_as_a_failure_even_when_its_tests_passed() {
        let verdict = judge(counts(3, 0), false);
        assert_eq!(verdict.counts.failed, 1);
        assert!(verdict.problem.is_some());
        assert!(judge(counts(3, 2), true).problem.is_some());
    }

    #[test]
    fn the_summary_line_holds_counts_and_reason() {
        let line = Verdict::not_run("rmux-py/pyproject.toml is missing\nmore".to_owned())
            .line(Language::Python);
        assert_eq!(
            line,
            "summary python 0 passed, 1 failed, 0 skipped (rmux-py/pyproject.toml is missing)"
        );
    }
}
