//! The shared cases of resolving a destination, in Rust.

use std::path::Path;

use rmux_core::ssh_config::Resolved;
use rmux_core::{Config, ConfigFile, Error, HostSpec, resolve};
use rmux_testkit::cases::resolving::{self, Case, Expect};

#[tokio::test]
async fn shared_cases_of_resolving_hold() {
    let mut failures = Vec::new();
    let cases = resolving::all();
    for case in &cases {
        let folder = tempfile::tempdir().unwrap();
        let result = resolved(case, folder.path()).await;
        if let Err(why) = check(case, folder.path(), result) {
            failures.push(format!("{}: {why}", case.name));
        }
    }
    assert!(cases.len() > 30, "only {} cases", cases.len());
    assert!(
        failures.is_empty(),
        "of {} cases\n{}",
        cases.len(),
        failures.join("\n")
    );
}

async fn resolved(case: &Case, folder: &Path) -> Result<Resolved, Error> {
    let mut config = Config::new().config_file(match case.write(folder).unwrap() {
        Some(file) => ConfigFile::Path(file),
        None => ConfigFile::None,
    });
    if let Some(user) = &case.user {
        config = config.user(user);
    }
    if let Some(port) = case.port {
        config = config.port(port);
    }
    for file in &case.identity_files {
        config = config.identity_file(case.text(file, folder));
    }
    for (key, value) in &case.options {
        config = config.option(key, case.text(value, folder));
    }
    resolve(&HostSpec::parse(&case.host)?, &config).await
}

fn check(case: &Case, folder: &Path, result: Result<Resolved, Error>) -> Result<(), String> {
    match (result, &case.expect) {
        (Ok(resolved), Expect::Settings(settings)) => {
            for (key, wanted) in settings {
                let values: Vec<&[u8]> = resolved
                    .settings()
                    .iter()
                    .filter(|setting| setting.key().eq_ignore_ascii_case(key))
                    .map(|setting| setting.bytes())
                    .collect();
                wanted
                    .check(&values, folder)
                    .map_err(|why| format!("{key}: {why}"))?;
            }
            Ok(())
        }
        (Err(error), Expect::Error(kind, texts)) => {
            let message = error.to_string();
            let missing = texts
                .iter()
                .map(|text| case.text(text, folder))
                .find(|text| !message.contains(text));
            match missing {
                None if error.kind().code() == kind && !message.contains('\n') => Ok(()),
                None => Err(format!("{error:?} instead of {kind}")),
                Some(text) => Err(format!("{message:?} does not say {text:?}")),
            }
        }
        (Ok(_), Expect::Error(kind, _)) => Err(format!("no error instead of {kind}")),
        (Err(error), Expect::Settings(_)) => Err(error.to_string()),
    }
}
