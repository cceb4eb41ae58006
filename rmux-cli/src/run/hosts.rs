//! Which hosts: those of the command line, then those of the file.

use std::path::Path;

/// The longest file of hosts.
const LONGEST: u64 = 16 << 20;

/// All of them, in order.
pub(super) fn all(given: &[String], file: Option<&Path>) -> Result<Vec<String>, String> {
    let mut hosts: Vec<String> = given
        .iter()
        .map(|host| host.trim().to_owned())
        .filter(|host| !host.is_empty())
        .collect();
    if let Some(path) = file {
        let read = || {
            use std::io::Read as _;
            let mut text = String::new();
            let file = std::fs::File::open(path)?;
            file.take(LONGEST).read_to_string(&mut text).map(|_| text)
        };
        let text = read().map_err(|error| {
            format!(
                "the file of hosts {} cannot be read: {error}",
                path.display()
            )
        })?;
        hosts.extend(in_file(&text).map(str::to_owned));
    }
    match hosts.is_empty() {
        true => Err("no host is named".into()),
        false => Ok(hosts),
    }
}

/// A host a line. Where a line holds more, as lists for other programs do, the rest is not read.
fn in_file(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .filter_map(|line| line.split_whitespace().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_a_host_a_line() {
        let text = "# all\nweb1\n\n  me@web2  # the second\nssh://web3:2222\r\nweb1 slots=4\n";
        let hosts: Vec<&str> = in_file(text).collect();
        assert_eq!(hosts, ["web1", "me@web2", "ssh://web3:2222", "web1"]);
    }

    #[test]
    fn no_host_is_a_refusal() {
        assert!(all(&[" ".into(), String::new()], None).is_err());
        let refusal = all(&[], Some(Path::new("/nowhere/hosts"))).unwrap_err();
        assert!(refusal.contains("/nowhere/hosts"), "{refusal}");
        assert_eq!(all(&[" a ".into(), "a".into()], None).unwrap(), ["a", "a"]);
    }
}
