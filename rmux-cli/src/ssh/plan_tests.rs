//! Tests of what is done once connected. What ssh does was seen on OpenSSH 9.2.

use rmux_core::{Config, ConfigFile, HostSpec};

use super::*;

async fn plan(
    options: &[(&str, &str)],
    command: Option<&str>,
    stdin_is_terminal: bool,
) -> Result<Plan, String> {
    let mut config = Config::new().config_file(ConfigFile::None);
    for (key, value) in options {
        config = config.option(*key, *value);
    }
    if let Some(command) = command {
        config = config.for_command(command);
    }
    let spec = HostSpec::parse("host").unwrap();
    let host = Host::resolve(&spec, &config)
        .await
        .map_err(|error| error.to_string())?;
    Plan::new(
        &host,
        command.map(OsString::from).as_ref(),
        None,
        stdin_is_terminal,
    )
}

#[tokio::test]
async fn standard_input_and_output_go_elsewhere_where_nothing_is_run() {
    let config = Config::new().config_file(ConfigFile::None);
    let config = config.flag_with('W', "h:1");
    let spec = HostSpec::parse("host").unwrap();
    let host = Host::resolve(&spec, &config).await.unwrap();
    let to = Endpoint::tcp("h", 1);
    let plan = Plan::new(&host, None, Some(to.clone()), true).unwrap();
    assert_eq!(plan.work, Work::Stdio(to.clone()));
    assert!(!plan.terminal && host.exit_on_forward_failure);
    let command = OsString::from("ls");
    assert!(Plan::new(&host, Some(&command), Some(to), true).is_err());
}

#[tokio::test]
async fn a_terminal_is_for_shells_and_for_who_insists() {
    let with = async |options: &[(&str, &str)], command, stdin_is_terminal| {
        let plan = plan(options, command, stdin_is_terminal).await.unwrap();
        (plan.terminal, plan.terminal_missed)
    };
    let (yes, no, missed) = ((true, false), (false, false), (false, true));
    assert_eq!(with(&[], None, true).await, yes);
    assert_eq!(with(&[], None, false).await, missed);
    assert_eq!(with(&[], Some("ls"), true).await, no);
    let wanted = [("RequestTTY", "yes")];
    assert_eq!(with(&wanted, Some("ls"), true).await, yes);
    assert_eq!(with(&wanted, Some("ls"), false).await, missed);
    let forced = [("RequestTTY", "force")];
    assert_eq!(with(&forced, Some("ls"), false).await, yes);
    assert_eq!(with(&[("RequestTTY", "no")], None, true).await, no);
    let silent = [("StdinNull", "yes")];
    assert_eq!(with(&silent, None, true).await, missed);
    assert_eq!(with(&[("RemoteCommand", "ls")], None, true).await, no);
    assert_eq!(with(&[("SessionType", "none")], None, true).await, no);
}

#[tokio::test]
async fn the_command_comes_from_one_place() {
    let line = |text: &str| Work::Line(text.into());
    let work = async |options: &[(&str, &str)], command| {
        plan(options, command, false).await.map(|plan| plan.work)
    };
    assert_eq!(work(&[], Some("ls")).await, Ok(line("ls")));
    assert_eq!(work(&[], None).await, Ok(Work::Shell));
    let remote = [("RemoteCommand", "echo %n")];
    assert_eq!(work(&remote, None).await, Ok(line("echo host")));
    let error = work(&remote, Some("ls")).await.unwrap_err();
    assert!(error.contains("RemoteCommand"), "{error}");
    let subsystem = [("SessionType", "subsystem")];
    assert_eq!(
        work(&subsystem, Some("sftp")).await,
        Ok(Work::Subsystem("sftp".into()))
    );
    assert!(work(&subsystem, None).await.is_err());
    assert_eq!(
        work(&[("SessionType", "none")], None).await,
        Ok(Work::Nothing)
    );
}

#[tokio::test]
async fn the_background_is_for_commands_and_takes_the_input_away() {
    let fork = ("ForkAfterAuthentication", "yes");
    let there = plan(&[fork], Some("ls"), true).await.unwrap();
    assert!(there.background && there.no_input);
    let there = plan(&[fork, ("SessionType", "none")], None, true)
        .await
        .unwrap();
    assert!(there.background);
    assert!(plan(&[fork], None, true).await.is_err());
}

#[tokio::test]
async fn escapes_are_for_terminals() {
    let escape = async |options: &[(&str, &str)]| plan(options, None, true).await.unwrap().escape;
    assert_eq!(escape(&[]).await, Some(b'~'));
    assert_eq!(escape(&[("EscapeChar", "^B")]).await, Some(2));
    assert_eq!(escape(&[("EscapeChar", "none")]).await, None);
    assert_eq!(escape(&[("RequestTTY", "no")]).await, None);
}
