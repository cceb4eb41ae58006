//! What each crate and each public call promises: the project's lints, and what cancelling does.

use super::manifest;
use super::source::{Finding, Source};

/// The crates that state their own lints: their macros expand to unsafe code, or they are a workspace of
/// their own.
const OWN_LINTS: &[&str] = &[
    "benches/compare/Cargo.toml",
    "fuzz/Cargo.toml",
    "rmux-node/Cargo.toml",
    "rmux-py/Cargo.toml",
];

/// Each crate takes the workspace's lints, which forbid unsafe code; the two that cannot say why.
pub(crate) fn crate_takes_the_lints(source: &Source) -> Vec<Finding> {
    const RULE: &str = "lints";
    let text = &source.text;
    if !source.is_manifest() {
        return Vec::new();
    }
    let mut out = Vec::new();
    let mut object = |message: &str| out.push(source.finding(1, RULE, message.to_owned()));
    if source.path == "Cargo.toml" {
        let level = manifest::value(text, "workspace.lints.rust", "unsafe_code");
        if level.as_deref() != Some("\"forbid\"") {
            object("[workspace.lints.rust] must hold unsafe_code = \"forbid\"");
        }
    }
    if manifest::package_name(text).is_none()
        || manifest::value(text, "lints", "workspace").as_deref() == Some("true")
    {
        return out;
    }
    if !OWN_LINTS.contains(&source.path.as_str()) {
        object("[lints] workspace = true is missing");
    } else if manifest::value(text, "lints.rust", "unsafe_code").is_none() {
        object("[lints.rust] must hold a level for unsafe_code");
    } else if !is_commented(text, "lints.rust") {
        object("[lints.rust] must say in a comment why the workspace's lints are not taken");
    }
    out
}

/// Every public async function of the library says what cancelling it does.
pub(crate) fn cancelling_is_described(source: &Source) -> Vec<Finding> {
    if !source.is_rust() || !source.path.starts_with("rmux-core/src/") {
        return Vec::new();
    }
    let lines: Vec<&str> = source.text.lines().collect();
    source
        .code
        .lines()
        .enumerate()
        .filter(|(_, code)| code.trim_start().starts_with("pub async fn "))
        .filter(|(i, _)| !describes_cancelling(&lines[..*i]))
        .map(|(i, code)| {
            let name = code.trim_start().trim_start_matches("pub async fn ");
            let name = name.split(['(', '<']).next().unwrap_or(name);
            let message = format!("`{name}` has no `# Cancel safety` in its documentation");
            source.finding(i + 1, "cancel-safety", message)
        })
        .collect()
}

/// Whether the doc comment that ends these lines has the section.
fn describes_cancelling(before: &[&str]) -> bool {
    before
        .iter()
        .rev()
        .map(|line| line.trim())
        .take_while(|line| {
            !line.is_empty() && !line.ends_with(['{', '}', ';']) || line.starts_with("///")
        })
        .any(|line| line == "/// # Cancel safety")
}

/// Whether a comment stands in the table or right above its header.
fn is_commented(text: &str, table: &str) -> bool {
    let Some(header) = manifest::table_line(text, table) else {
        return false;
    };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let above = header >= 2 && lines[header - 2].starts_with('#');
    let inside = lines[header..]
        .iter()
        .take_while(|line| !line.starts_with('['))
        .any(|line| line.contains('#'));
    above || inside
}

#[cfg(test)]
mod tests {
    use super::super::probe;
    use super::*;

    #[test]
    fn a_crate_without_the_lints_is_found() {
        let rule = crate_takes_the_lints;
        let bare = "[package]\nname = \"a\"\n";
        let taken = format!("{bare}[lints]\nworkspace = true\n");
        assert_eq!(probe(rule, "rmux-core/Cargo.toml", bare), [1]);
        assert_eq!(probe(rule, "rmux-core/Cargo.toml", &taken), []);

        let own = format!("{bare}[lints.rust]\nunsafe_code = \"deny\"\n");
        let said = format!(
            "{bare}# The macros expand to unsafe code.\n[lints.rust]\nunsafe_code = \"deny\"\n"
        );
        assert_eq!(probe(rule, "rmux-py/Cargo.toml", &own), [1]);
        assert_eq!(probe(rule, "rmux-py/Cargo.toml", &said), []);
        assert_eq!(probe(rule, "rmux-py/Cargo.toml", bare), [1]);
        assert_eq!(probe(rule, "rmux-core/Cargo.toml", &said), [1]);
    }

    #[test]
    fn a_workspace_that_allows_unsafe_code_is_found() {
        let rule = crate_takes_the_lints;
        let weak = "[workspace]\n[workspace.lints.rust]\nunsafe_code = \"deny\"\n";
        assert_eq!(probe(rule, "Cargo.toml", weak), [1]);
        let strong = weak.replace("deny", "forbid");
        assert_eq!(probe(rule, "Cargo.toml", &strong), []);
    }

    #[test]
    fn an_async_function_silent_on_cancelling_is_found() {
        let rule = cancelling_is_described;
        let path = "rmux-core/src/session/mod.rs";
        let silent = "//! x\n\n/// Closes.\npub async fn close(self) {}\n";
        assert_eq!(probe(rule, path, silent), [4]);
        let told = "/// Closes.\n///\n/// # Cancel safety\n///\n/// Safe.\n#[must_use]\npub async fn close(self) {}\n";
        assert_eq!(probe(rule, path, told), []);
        let of_another = format!("{told}\n/// Waits.\npub async fn wait(self) {{}}\n");
        assert_eq!(probe(rule, path, &of_another), [10]);
        let hidden = "pub(crate) async fn close(self) {}\n// pub async fn a() {}\n";
        assert_eq!(probe(rule, path, hidden), []);
        assert_eq!(probe(rule, "rmux-cli/src/main.rs", silent), []);
    }
}
