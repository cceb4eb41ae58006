//! Reads how many tests passed and failed from what the runners print.

/// The counts of one language.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

/// The sum of libtest's `test result:` lines, one for each test program.
pub(crate) fn rust(stdout: &str) -> Counts {
    let mut sum = Counts::default();
    for line in stdout.lines() {
        if let Some(rest) = line.strip_prefix("test result: ") {
            sum.add_words(rest);
        }
    }
    sum
}

/// pytest's last line, as in `== 12 passed, 1 failed, 2 skipped in 3.21s ==`.
pub(crate) fn pytest(stdout: &str) -> Counts {
    let mut sum = Counts::default();
    let last = stdout
        .lines()
        .rev()
        .map(|line| line.trim_matches(['=', ' ']))
        .find(|line| line.contains(" in ") && line.starts_with(|c: char| c.is_ascii_digit()));
    sum.add_words(last.unwrap_or_default());
    sum
}

/// The closing lines of `node --test`: `# pass 5` or, on a terminal, `ℹ pass 5`.
pub(crate) fn node(stdout: &str) -> Counts {
    let mut sum = Counts::default();
    for line in stdout.lines() {
        let Some(rest) = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ ")) else {
            continue;
        };
        if let Some((word, number)) = rest.trim().split_once(' ')
            && let Ok(number) = number.parse()
        {
            sum.add(word, number);
        }
    }
    sum
}

impl Counts {
    /// Adds up `12 passed; 1 failed` and the like.
    fn add_words(&mut self, text: &str) {
        let words: Vec<&str> = text
            .split([' ', ';', ','])
            .filter(|w| !w.is_empty())
            .collect();
        for pair in words.windows(2) {
            if let Ok(number) = pair[0].parse() {
                self.add(pair[1], number);
            }
        }
    }

    fn add(&mut self, word: &str, number: u64) {
        match word {
            "passed" | "pass" | "xpassed" => self.passed += number,
            "failed" | "fail" | "error" | "errors" | "cancelled" => self.failed += number,
            "ignored" | "skipped" | "todo" | "xfailed" => self.skipped += number,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtest_lines_are_added_up() {
        let text = "test a ... ok\ntest result: ok. 12 passed; 0 failed; 3 ignored; 0 measured; 0 filtered out; finished in 0.1s\n\
            noise 9 passed\ntest result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 4 filtered out; finished in 0.1s\n";
        let expected = Counts {
            passed: 13,
            failed: 2,
            skipped: 3,
        };
        assert_eq!(rust(text), expected);
    }

    #[test]
    fn the_last_line_of_pytest_counts_errors_as_failures() {
        let text = "collected 9 items\n5 passed in the middle\n\
            ==== 1 failed, 6 passed, 2 skipped, 1 error in 3.21s ====\n";
        let expected = Counts {
            passed: 6,
            failed: 2,
            skipped: 2,
        };
        assert_eq!(pytest(text), expected);
        assert_eq!(pytest("no tests ran in 0.01s"), Counts::default());
    }

    #[test]
    fn both_forms_of_nodes_summary_are_read() {
        let expected = Counts {
            passed: 5,
            failed: 3,
            skipped: 3,
        };
        let tap = "# Subtest: pass 9\nok 1\n# tests 9\n# suites 0\n# pass 5\n# fail 1\n# cancelled 2\n# skipped 3\n# todo 0\n# duration_ms 80.1\n";
        assert_eq!(node(tap), expected);
        assert_eq!(node(&tap.replace("# ", "ℹ ")), expected);
    }
}
