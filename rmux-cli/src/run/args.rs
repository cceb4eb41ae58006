//! The arguments of `rmux run`. Must not connect, print or read files.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use rmux_core::{Command, Config, ConfigFile, MatchExec, Session};

use crate::log::Level;

const AFTER_HELP: &str = "\
A command of one word is a line for the remote shell; one of several is a program and its
arguments, which arrive as they are.

What the hosts write comes line by line, each line behind the name of its host where there are
several: standard output on standard output, standard error on standard error. With --group it
comes host by host.

Exit status: 0 where all went well, 1 where a command failed or ran out of time, 255 where a host
could not be reached or was lost, or rmux itself fails. What failed is told on standard error.

Ctrl-C ends the remote commands; once more, and rmux does not wait for their end.";

/// Run a command on many hosts
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The hosts, separated by commas; may be given several times
    #[arg(
        short = 'H',
        long,
        value_name = "HOSTS",
        value_delimiter = ',',
        required_unless_present = "hosts_file"
    )]
    pub(crate) hosts: Vec<String>,
    /// A file with a host a line; "#" begins a comment
    #[arg(long, value_name = "FILE")]
    pub(crate) hosts_file: Option<PathBuf>,
    /// How many hosts are at work at a time
    #[arg(short, long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    /// End all when the first host fails; those that were given up are told as cancelled
    #[arg(long)]
    pub(crate) fail_fast: bool,
    /// With --group and --json: tell hosts as they are done, not in the order given
    #[arg(long)]
    pub(crate) as_finished: bool,
    /// How long each host may take, connecting included; then its command is killed
    #[arg(long, value_name = "SECS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    /// How long all may take together
    #[arg(long, value_name = "SECS", value_parser = seconds)]
    pub(crate) deadline: Option<Duration>,
    /// Tell what a host wrote when it is done, all of it together
    #[arg(long)]
    pub(crate) group: bool,
    /// Write one line of JSON for each host: index, host, exit_code, signal, stdout, stderr, and
    /// error with code and message. Bytes that are no UTF-8 are {"base64": "..."}
    #[arg(long, conflicts_with_all = ["group", "no_prefix"])]
    pub(crate) json: bool,
    /// No names of hosts before their output
    #[arg(long)]
    pub(crate) no_prefix: bool,
    /// Read standard input once, and give it to every host; at most 64 MiB
    #[arg(long)]
    pub(crate) stdin: bool,
    /// Read this configuration instead of ~/.ssh/config; "none" reads none
    #[arg(short = 'F', value_name = "FILE")]
    config_file: Option<PathBuf>,
    /// A setting as in ssh_config(5), which wins over the files
    #[arg(short, value_name = "KEY=VALUE")]
    option: Vec<OsString>,
    /// Try this private key; may be given several times
    #[arg(short, value_name = "FILE")]
    identity: Vec<PathBuf>,
    /// Connect to this port
    #[arg(short, value_name = "PORT")]
    port: Option<OsString>,
    /// Go through these hosts, separated by commas
    #[arg(short = 'J', value_name = "HOSTS")]
    jump: Option<OsString>,
    /// Print no warnings and no errors but the exit status
    #[arg(short)]
    quiet: bool,
    /// Tell what happens; -vv and -vvv tell more
    #[arg(short, action = clap::ArgAction::Count)]
    verbose: u8,
    /// The command
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    words: Vec<OsString>,
}

impl Args {
    /// The settings of the connections that they ask for.
    pub(crate) fn config(&self) -> Config {
        let file = match &self.config_file {
            None => ConfigFile::Default,
            Some(path) if path.as_os_str().eq_ignore_ascii_case("none") => ConfigFile::None,
            Some(path) => ConfigFile::Path(path.clone()),
        };
        let mut config = Config::new()
            .config_file(file)
            // As ssh: who names a file with -F vouches for it.
            .match_exec(MatchExec::Always)
            .for_command(self.words.join(OsStr::new(" ")));
        for option in &self.option {
            config = config.flag_with('o', option);
        }
        for key in &self.identity {
            config = config.flag_with('i', key);
        }
        for (letter, value) in [('p', &self.port), ('J', &self.jump)] {
            if let Some(value) = value {
                config = config.flag_with(letter, value);
            }
        }
        config
    }

    /// The command on one host.
    pub(crate) fn command(
        &self,
        input: Vec<u8>,
    ) -> impl Fn(&Session) -> Command + Send + Sync + 'static + use<> {
        let (words, input) = (self.words.clone(), bytes::Bytes::from(input));
        move |session| {
            let mut command = match &words[..] {
                [line] => session.shell(line),
                [program, args @ ..] => session.command(program).args(args).clone(),
                [] => session.shell(""),
            };
            command.input(input.clone()).clone()
        }
    }

    /// How many hosts are at work at a time.
    pub(crate) fn limit(&self) -> usize {
        self.limit as usize
    }

    pub(crate) fn level(&self) -> Level {
        match (self.quiet, self.verbose) {
            (true, _) => Level::Quiet,
            (_, 0) => Level::Info,
            (_, 1) => Level::Debug1,
            (_, 2) => Level::Debug2,
            _ => Level::Debug3,
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "no number of seconds")?;
    let time = Duration::try_from_secs_f64(seconds).map_err(|_| "no length of time")?;
    match time {
        Duration::ZERO => Err("no time at all".into()),
        // Times are added to the clock.
        time => Ok(time.min(Duration::from_secs(365 * 24 * 3600))),
    }
}
