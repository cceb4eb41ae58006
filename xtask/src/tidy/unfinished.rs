//! Nothing unfinished: no placeholder code, and no test switched off without a reason.

use super::code::tokens;
use super::source::{Finding, Source};

const RULE: &str = "unfinished";

/// No placeholder macros in Rust, and no `#[ignore]` without a reason.
pub(crate) fn rust_is_finished(source: &Source) -> Vec<Finding> {
    if !source.is_rust() {
        return Vec::new();
    }
    let tokens = tokens(&source.code);
    let texts: Vec<&str> = tokens.iter().map(|t| t.text).collect();
    (0..texts.len())
        .filter_map(|at| {
            let message = match texts[at..] {
                [name @ ("todo" | "unimplemented"), "!", ..] => format!("`{name}!` is left in"),
                ["#", "[", "ignore", "]", ..] => "`#[ignore]` without a reason".to_owned(),
                _ => return None,
            };
            Some(source.finding(tokens[at].line, RULE, message))
        })
        .collect()
}

/// No Python or Node test is skipped without a reason.
pub(crate) fn tests_are_not_skipped_silently(source: &Source) -> Vec<Finding> {
    let objection: fn(&str) -> Option<&'static str> = if source.is_python() {
        python_objection
    } else if source.is_script() {
        node_objection
    } else {
        return Vec::new();
    };
    source
        .text
        .lines()
        .enumerate()
        .filter_map(|(i, line)| {
            let message = objection(line.trim())?;
            Some(source.finding(i + 1, RULE, message.to_owned()))
        })
        .collect()
}

fn python_objection(line: &str) -> Option<&'static str> {
    if line.starts_with('#') {
        return None;
    }
    let marked = |mark: &str| line.split_once(mark).map(|(_, rest)| rest.trim());
    if let Some(rest) = marked("mark.skipif(").or_else(|| marked("mark.xfail(")) {
        // A call over several lines carries its reason further down.
        let one_line = rest.ends_with(')');
        return (one_line && !rest.contains("reason="))
            .then_some("a test is skipped without `reason=`");
    }
    if let Some(rest) = marked("mark.skip").or_else(|| marked("mark.xfail")) {
        return (!rest.contains(['"', '\''])).then_some("a test is skipped without a reason");
    }
    marked("pytest.skip(").and_then(|rest| {
        rest.starts_with(')')
            .then_some("a test is skipped without a reason")
    })
}

fn node_objection(line: &str) -> Option<&'static str> {
    if line.starts_with("//") || line.starts_with('*') {
        return None;
    }
    let flat: String = line.chars().filter(|c| !c.is_whitespace()).collect();
    const SWITCHED_OFF: &[&str] = &[
        "test.skip(",
        "it.skip(",
        "describe.skip(",
        "suite.skip(",
        "test.todo(",
        "it.todo(",
        "skip:true",
        "todo:true",
        ".skip()",
        ".todo()",
    ];
    SWITCHED_OFF
        .iter()
        .any(|form| flat.contains(form))
        .then_some("a test is switched off without a reason (use `{ skip: 'why' }`)")
}

#[cfg(test)]
mod tests {
    use super::super::probe;
    use super::*;

    #[test]
    fn placeholders_in_rust_are_found() {
        let rule = rust_is_finished;
        assert_eq!(
            probe(
                rule,
                "a.rs",
                "fn a() { todo!() }\nfn b() { unimplemented!(\"x\") }"
            ),
            [1, 2]
        );
        assert_eq!(
            probe(
                rule,
                "a.rs",
                "// todo!()\nlet a = \"todo!()\"; let todo = 1;"
            ),
            []
        );
        assert_eq!(probe(rule, "a.rs", "#[test]\n#[ignore]\nfn a() {}"), [2]);
        assert_eq!(probe(rule, "a.rs", "#[ignore = \"needs an hour\"]"), []);
    }

    #[test]
    fn skipped_python_tests_are_found() {
        let rule = tests_are_not_skipped_silently;
        let bad = "@pytest.mark.skip\n@pytest.mark.skip()\npytest.skip()\n@pytest.mark.skipif(a)\n@pytest.mark.xfail";
        assert_eq!(probe(rule, "a.py", bad), [1, 2, 3, 4, 5]);
        let good = "@pytest.mark.skip('why')\npytest.skip(\"why\")\n@pytest.mark.skipif(a, reason='why')\n@pytest.mark.skipif(";
        assert_eq!(probe(rule, "a.py", good), []);
    }

    #[test]
    fn skipped_node_tests_are_found() {
        let rule = tests_are_not_skipped_silently;
        let bad = "test.skip('a', () => {})\ntest('a', { skip: true }, f)\nt.skip()\nit.todo('a')";
        assert_eq!(probe(rule, "a.mjs", bad), [1, 2, 3, 4]);
        let good = "test('a', { skip: 'why' }, f)\nt.skip('why')\n// test.skip(";
        assert_eq!(probe(rule, "a.mjs", good), []);
    }
}
