//! Holds the resolver against the installed `ssh -G`: the same keys, in the same order, with the
//! same values, for each generated configuration and command line; and the same refusals.

mod conformance;

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::process::{Command, Stdio};

use conformance::json::Json;
use rmux_proto::ssh_config::{
    AddressFamily, AlgorithmList, Algorithms, Environment, FileAnswer, Local, NameAnswer, Origin,
    Query, Sources, resolve,
};

const NSS_WRAPPER: &str = "/usr/lib/x86_64-linux-gnu/libnss_wrapper.so";

#[test]
fn plain_configurations() {
    compare("plain", 400, &[]);
}

#[test]
fn configurations_with_an_invalid_line() {
    compare("invalid", 400, &["--invalid=0.6".to_owned()]);
}

#[test]
fn configurations_in_a_home_of_their_own() {
    if !std::path::Path::new(NSS_WRAPPER).exists() {
        conformance::say(&format!(
            "*** SKIPPED the comparison in a home of its own: no {NSS_WRAPPER} ***"
        ));
        return;
    }
    compare(
        "nss-wrapper",
        400,
        &[format!("--nss-wrapper={NSS_WRAPPER}")],
    );
}

fn compare(mode: &str, default_count: usize, extra: &[String]) {
    let Some(folder) = conformance::folder(&format!("the comparison with ssh -G ({mode})")) else {
        return;
    };
    let (count, seed) = (conformance::cases(default_count), conformance::seed());
    conformance::say(&format!("ssh_config {mode}: {count} cases, seed {seed}"));
    let scratch = conformance::Scratch::new(&format!("ssh-config-{mode}"));
    let mut arguments = vec![
        count.to_string(),
        format!("--seed={seed}"),
        format!("--base={}", scratch.0.join("base").display()),
    ];
    arguments.extend_from_slice(extra);
    let (meta, cases) = conformance::generate(&folder.join("gen_sshconfig.py"), &arguments);
    assert_eq!(cases.len(), count);
    let commands = RefCell::new(HashMap::new());
    let mut wrong = String::new();
    let (mut different, mut unanswered) = (0, 0);
    for case in &cases {
        if oracle_misreads_address(&meta, case) {
            unanswered += 1;
            continue;
        }
        if let Some(difference) = difference(&meta, case, &commands) {
            different += 1;
            writeln!(wrong, "=== {}\n{difference}", case["id"].text()).unwrap();
        }
    }
    let asked = count - unanswered;
    conformance::say(&format!(
        "ssh_config {mode}: {} of {asked} cases agree (seed {seed})",
        asked - different
    ));
    if unanswered > 0 {
        conformance::say(&format!(
            "ssh_config {mode}: {unanswered} cases left out: libnss_wrapper cannot read 127.1"
        ));
    }
    assert!(wrong.is_empty(), "ssh_config {mode}, seed {seed}:\n{wrong}");
}

/// libnss_wrapper replaces getaddrinfo by its own, which takes `127.1` for a name. Without it, in
/// the other modes, `ssh` reads it as the address it is, and so must we.
fn oracle_misreads_address(meta: &Json, case: &Json) -> bool {
    let hostname = &case["expected"]["hostname"];
    meta["nss_wrapper"] == Json::Bool(true)
        && !hostname.is_null()
        && hostname.list()[0].bytes() == b"127.1"
}

fn difference(
    meta: &Json,
    case: &Json,
    commands: &RefCell<HashMap<Vec<u8>, bool>>,
) -> Option<String> {
    let local = Local {
        user: meta["user"].bytes().to_vec(),
        uid: meta["uid"].number() as u32,
        home: meta["home"].bytes().to_vec(),
        hostname: meta["hostname"].bytes().to_vec(),
    };
    let mut environment = CaseFiles {
        meta,
        case,
        commands,
    };
    let ours = query(meta, case)
        .and_then(|query| resolve(&query, &local, &mut environment).map_err(|e| e.to_string()));
    let expected = &case["expected"];
    let (ours, theirs) = match (ours, expected.is_null()) {
        (Err(_), true) => return None,
        (Err(error), false) => (format!("refused: {error}"), "accepted".to_owned()),
        (Ok(_), true) => (
            "accepted".to_owned(),
            format!("refused: {}", case["stderr"].text()),
        ),
        (Ok(resolved), false) => {
            let mut ours: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
            for setting in resolved.settings() {
                let value = setting.bytes().to_vec();
                match ours.iter_mut().find(|(key, _)| key == setting.key()) {
                    Some((_, values)) => values.push(value),
                    None => ours.push((setting.key().to_owned(), vec![value])),
                }
            }
            let theirs: Vec<(String, Vec<Vec<u8>>)> = expected
                .map()
                .iter()
                .map(|(key, values)| {
                    (
                        key.clone(),
                        values.list().iter().map(|v| v.bytes().to_vec()).collect(),
                    )
                })
                .collect();
            if ours == theirs {
                return None;
            }
            let show = |a: &[(String, Vec<Vec<u8>>)], b: &[(String, Vec<Vec<u8>>)]| {
                let only = a.iter().filter(|line| !b.contains(line));
                only.map(|(key, values)| {
                    let values: Vec<_> =
                        values.iter().map(|v| String::from_utf8_lossy(v)).collect();
                    format!("  {key} {values:?}\n")
                })
                .collect::<String>()
            };
            (show(&ours, &theirs), show(&theirs, &ours))
        }
    };
    let mut out = format!("ours:\n{ours}theirs:\n{theirs}");
    let arguments: Vec<String> = case["args"].list().iter().map(Json::text).collect();
    write!(
        out,
        "\nssh -G {arguments:?} {} {:?}",
        case["host"].text(),
        case["cmd"]
    )
    .unwrap();
    for (path, content) in case["files"].map() {
        write!(out, "\n--- {path}\n{}", content.text()).unwrap();
    }
    Some(out)
}

/// The flags of `ssh` that take an argument.
const WITH_ARGUMENT: &str = "bBcDeEFiIJlLmoOpQRSwW";

fn query(meta: &Json, case: &Json) -> Result<Query, String> {
    let mut query = Query::destination(case["host"].bytes()).ok_or("a malformed destination")?;
    let mut arguments = case["args"].list().iter().map(Json::text);
    while let Some(argument) = arguments.next() {
        let mut flags = argument.strip_prefix('-').expect("a flag").chars();
        while let Some(flag) = flags.next() {
            if !WITH_ARGUMENT.contains(flag) {
                query = query.flag(flag);
                continue;
            }
            let attached: String = flags.by_ref().collect();
            let text = match attached.is_empty() {
                true => arguments.next().ok_or("a flag without its argument")?,
                false => attached,
            };
            query = match flag {
                'F' => query.sources(Sources::File(text.into_bytes())),
                flag => query.flag_with(flag, text),
            };
        }
    }
    let command: Vec<String> = case["cmd"].list().iter().map(Json::text).collect();
    Ok(query
        .command(command.join(" "))
        .algorithms(algorithms(meta)))
}

fn algorithms(meta: &Json) -> Algorithms {
    let list = |supported: &str, default: &str| {
        let supported = meta["supported"][supported].list().iter().map(Json::text);
        let default = meta["defaults"][default].text();
        let default: Vec<String> = default.trim().split(',').map(str::to_owned).collect();
        AlgorithmList::new(supported.collect::<Vec<_>>(), default)
    };
    let mut algorithms = Algorithms::openssh();
    algorithms.ciphers = list("Ciphers", "ciphers");
    algorithms.macs = list("MACs", "macs");
    algorithms.kex = list("KexAlgorithms", "kexalgorithms");
    algorithms.keys = list("HostKeyAlgorithms", "hostkeyalgorithms");
    algorithms.signatures = list("sig", "casignaturealgorithms");
    algorithms
}

/// The files, variables and names of one case, as the oracle saw them.
struct CaseFiles<'a> {
    meta: &'a Json,
    case: &'a Json,
    commands: &'a RefCell<HashMap<Vec<u8>, bool>>,
}

impl CaseFiles<'_> {
    fn paths(&self) -> impl Iterator<Item = &str> {
        self.case["files"]
            .map()
            .iter()
            .map(|(path, _)| path.as_str())
    }

    fn is_inside(&self, path: &[u8]) -> bool {
        let folder = [path.strip_suffix(b"/").unwrap_or(path), b"/"].concat();
        self.paths().any(|p| p.as_bytes().starts_with(&folder))
    }
}

impl Environment for CaseFiles<'_> {
    fn read_file(&mut self, path: &[u8]) -> FileAnswer {
        let path = std::str::from_utf8(path).expect("the paths of the generator are text");
        let content = [&self.case["files"][path], &self.meta["system_config"][path]];
        match content.into_iter().find(|c| !c.is_null()) {
            Some(content) => FileAnswer::Content {
                bytes: content.bytes().to_vec(),
                safe: true,
            },
            None if self.is_inside(path.as_bytes()) => FileAnswer::Content {
                bytes: Vec::new(),
                safe: true,
            },
            None => FileAnswer::Missing,
        }
    }

    fn list_directory(&mut self, path: &[u8]) -> Vec<Vec<u8>> {
        let folder = [path.strip_suffix(b"/").unwrap_or(path), b"/"].concat();
        let mut names: Vec<Vec<u8>> = self
            .paths()
            .filter_map(|p| p.as_bytes().strip_prefix(&folder[..]))
            .map(|rest| {
                rest.split(|&c| c == b'/')
                    .next()
                    .unwrap_or_default()
                    .to_vec()
            })
            .collect();
        names.sort();
        names.dedup();
        names
    }

    fn exists(&mut self, path: &[u8]) -> bool {
        self.paths().any(|p| p.as_bytes() == path) || self.is_inside(path)
    }

    fn variable(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        let (_, value) = self.case["env"]
            .map()
            .iter()
            .find(|(k, _)| k.as_bytes() == name)?;
        Some(value.bytes().to_vec())
    }

    fn home_of(&mut self, user: &[u8]) -> Option<Vec<u8>> {
        (user == self.meta["user"].bytes()).then(|| self.meta["home"].bytes().to_vec())
    }

    fn match_exec(&mut self, command: &[u8], _: &Origin) -> Result<bool, String> {
        if let Some(known) = self.commands.borrow().get(command) {
            return Ok(*known);
        }
        let variables = self.case["env"]
            .map()
            .iter()
            .map(|(k, v)| (k.clone(), v.text()));
        let status = Command::new("/bin/sh")
            .arg("-c")
            .arg(String::from_utf8_lossy(command).into_owned())
            .env_clear()
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .map_err(|e| e.to_string())?;
        self.commands
            .borrow_mut()
            .insert(command.to_vec(), status.success());
        Ok(status.success())
    }

    fn look_up(&mut self, name: &[u8], family: AddressFamily) -> Option<NameAnswer> {
        let name = name.strip_suffix(b".").unwrap_or(name);
        let hosts = &self.meta["hosts_file"];
        let known = !hosts.is_null() && hosts.map().iter().any(|(k, _)| k.as_bytes() == name);
        (known && family != AddressFamily::Inet6).then(|| NameAnswer::new(Some(name.to_vec())))
    }

    fn interface_index(&mut self, name: &[u8]) -> Option<u32> {
        (name == b"lo").then_some(1)
    }
}
