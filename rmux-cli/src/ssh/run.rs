//! Resolves, connects, does what was asked for, and tells how it ended.
//!
//! Must not know how arguments are written or how a command's streams are passed on.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rmux_core::{
    CloseReason, Config, ControlMaster, ControlPersist, Error, ErrorKind, ExitStatus, Host,
    Session, SessionEvent, WhenFull,
};
use rustix::termios::isatty;
use tokio::signal::unix::SignalKind;

use super::FAILED;
use super::args::Args;
use super::background::{self, Parent, Role, Started};
use super::converse::{Broken, Ended, converse};
use super::forwards::{self, Forwards};
use super::plan::{Plan, Work};
use super::share::{self, Sharing};
use super::stdio;
use super::streams::Writer;
use crate::log::{self, Level};
use crate::prompt::Asking;
use crate::signals::Endings;
use crate::{message, prompt, terminal};

/// How long the server is given to hear that the connection is closed. As with `ssh`, what runs there is
/// told by that alone: there is no kill to see through.
const GOODBYE: Duration = Duration::from_millis(500);

/// Settings that are acted on here and not in the library.
const CONTROL: [&str; 3] = ["controlmaster", "controlpath", "controlpersist"];

/// How rmux shall end.
#[derive(Debug)]
pub(crate) enum Outcome {
    Exit(u8),
    /// By this signal, as if rmux had not listened to it.
    DieBy(SignalKind),
}

/// Does all that `args` ask for. Every message has been printed when it returns. `parent` is who
/// waits for this process to go to the background, if anybody does.
pub(crate) async fn run(args: &Args, mut parent: Option<Parent>) -> Outcome {
    let config = args.config();
    if args.print_settings {
        return print_settings(args, &config).await;
    }
    if let Some(refusal) = &args.refusal {
        return failed(refusal);
    }
    let mut endings = match Endings::listen() {
        Ok(endings) => endings,
        Err(error) => return failed(format_args!("cannot listen to signals: {error}")),
    };
    // What the configuration says is for the child to find out.
    let order = match args.order() {
        Ok(order) => order,
        Err(refusal) => return failed(refusal),
    };
    if args.has(b'f') && parent.is_none() && order.is_none() {
        return background::start(Role::Command, &mut endings)
            .await
            .outcome();
    }
    let host = tokio::select! {
        host = Host::resolve(&args.destination, &config) => host,
        kind = endings.next() => return Outcome::DieBy(kind),
    };
    let host = match host {
        Ok(host) => host,
        Err(error) => return unresolved(error),
    };
    log::set_level(host.log_level.into());
    log::set_facility(&host.syslog_facility);
    if let Some(order) = order {
        return share::obey(order, host.control_path.as_deref()).await;
    }
    let stdin_is_terminal = isatty(rustix::stdio::stdin());
    let plan = Plan::new(
        &host,
        args.command.as_ref(),
        args.stdio(),
        stdin_is_terminal,
    );
    let mut plan = match plan {
        Ok(plan) => plan,
        Err(refusal) => return failed(refusal),
    };
    let mut sharing = match Sharing::of(&host) {
        Ok(sharing) => sharing,
        Err(error) => return failed(error),
    };
    let apart = parent.as_ref().is_some_and(|p| p.role() == Role::Master);
    if apart {
        plan.work = Work::Nothing;
    } else if plan.background && parent.is_none() {
        return background::start(Role::Command, &mut endings)
            .await
            .outcome();
    } else if let Some(shared) = &sharing {
        let shared = shared.clone();
        let through = through(&shared, &host, &plan, &mut endings, &mut parent).await;
        if let Some(outcome) = through {
            return outcome;
        }
        if shared.is_apart() {
            // There is one, or there can be none for this process to make.
            sharing = None;
        }
    }
    if let Some(refusal) = warn_of_tunnel(&host) {
        return failed(refusal);
    }
    if plan.terminal_missed {
        message::remark("no terminal is allocated because standard input is not one (-tt insists)");
    }
    let session = tokio::select! {
        session = connect(host, config, &plan) => session,
        // Nothing runs yet: whoever started rmux sees the signal.
        kind = endings.next() => return Outcome::DieBy(kind),
    };
    let session = match session {
        Ok(session) => session,
        Err(error) => return failed(error),
    };
    let making = tokio::select! {
        made = Forwards::make(&session) => made,
        kind = endings.next() => return Outcome::DieBy(kind),
    };
    let mut forwards = match making {
        Ok(forwards) => forwards,
        Err(refusal) => {
            message::error(refusal);
            let _ = tokio::time::timeout(GOODBYE, session.close()).await;
            return Outcome::Exit(FAILED);
        }
    };
    let serves = sharing.as_ref().filter(|sharing| sharing.serves);
    let master = serves.and_then(|sharing| share::begin(sharing, &session));
    if apart && master.is_none() {
        parent.into_iter().for_each(Parent::not_shared);
        let _ = tokio::time::timeout(GOODBYE, session.close()).await;
        return Outcome::Exit(FAILED);
    }
    if let Some(parent) = parent
        && let Err(error) = parent.let_go()
    {
        return failed(format_args!("cannot go to the background: {error}"));
    }
    let persist = match &sharing {
        Some(sharing) if apart => sharing.persist,
        _ => ControlPersist::Forever,
    };
    let outcome = match &master {
        Some(master) => {
            use_and_share(
                &session,
                &plan,
                &mut forwards,
                (master, persist),
                &mut endings,
            )
            .await
        }
        None => use_session(&session, &plan, &mut forwards, None, &mut endings).await,
    };
    drop(master);
    let lost = session.is_closed();
    let _ = tokio::time::timeout(GOODBYE, session.close()).await;
    if !lost {
        message::note("the connection is closed");
    }
    if plan.terminal && outcome.in_order && log::shows(Level::Info) {
        let host = &session.host().hostname;
        message::line(format_args!("Connection to {host} closed."));
    }
    outcome.outcome
}

/// Does the work over a connection that is shared, which may be made for it. `None` where there is
/// none.
async fn through(
    sharing: &Sharing,
    host: &Host,
    plan: &Plan,
    endings: &mut Endings,
    parent: &mut Option<Parent>,
) -> Option<Outcome> {
    if matches!(plan.work, Work::Stdio(_)) {
        return None;
    }
    // Forwards are asked of no master.
    let alone = forwards::wanted(host);
    if sharing.uses
        && !alone
        && let Some(client) = sharing.master().await
        && let Some(outcome) = share::run_through(client, host, plan, endings, parent).await
    {
        return Some(outcome);
    }
    if !sharing.is_apart() {
        return None;
    }
    match background::start(Role::Master, endings).await {
        Started::Ended(outcome) => Some(outcome),
        Started::NotShared if alone => None,
        Started::There | Started::NotShared => {
            let client = sharing.master().await?;
            share::run_through(client, host, plan, endings, parent).await
        }
    }
}

async fn print_settings(args: &Args, config: &Config) -> Outcome {
    let resolved = match rmux_core::resolve(&args.destination, config).await {
        Ok(resolved) => resolved,
        Err(error) => return unresolved(error),
    };
    let writer = Writer::stdout();
    writer.write(resolved.render().into()).await;
    match writer.finish().await {
        Ok(()) => Outcome::Exit(0),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Outcome::Exit(FAILED),
        Err(error) => failed(format_args!("cannot write standard output: {error}")),
    }
}

/// Says that there will be no tunnel device. That is the refusal if the settings want all or nothing.
fn warn_of_tunnel(host: &Host) -> Option<String> {
    let setting = host
        .ignored
        .iter()
        .find(|setting| setting.key == "tunnel")?;
    let text = format!("{}: Tunnel is not supported yet", setting.origin);
    if host.exit_on_forward_failure {
        return Some(text);
    }
    message::warning(text);
    None
}

async fn connect(host: Host, config: Config, plan: &Plan) -> Result<Session, Error> {
    // One command has the connection for itself, so the server may be made to wait; a slow reader of
    // the output then costs no room here. Not where forwards would wait with it.
    let typed = plan.escape.is_some() && host.enable_escape_commandline;
    let when_full = match forwards::wanted(&host) || typed {
        true => WhenFull::Spill,
        false => WhenFull::Wait,
    };
    let mut config = config.when_full(when_full).on_event(|event| tell(&event));
    if let Some(asking) = Asking::new() {
        config = config.prompter(Arc::new(asking));
    }
    Session::connect_host(host, config).await
}

/// Tells a person of an event of the session.
fn tell(event: &SessionEvent) {
    match event {
        SessionEvent::Banner { text } if log::shows(Level::Info) => message::text(text),
        SessionEvent::Connecting { host } => {
            message::note(format_args!(
                "connecting to {}: {}@{} port {}",
                host.name, host.user, host.hostname, host.port
            ));
            for note in &host.notes {
                message::note(note);
            }
            let shared = |key: &str| CONTROL.contains(&key);
            for setting in host.ignored.iter().filter(|setting| !shared(&setting.key)) {
                message::note(setting);
            }
        }
        SessionEvent::Connected { address } => {
            message::note(format_args!("connected to {address}"));
        }
        SessionEvent::Authenticated { user, method } => {
            message::result(format_args!("logged in as {user} by {method}"));
        }
        SessionEvent::Ready => message::note("ready"),
        _ => {}
    }
}

/// How the session was used.
struct Used {
    outcome: Outcome,
    /// Nothing went wrong.
    in_order: bool,
}

/// Uses the session, and serves others as long as they are there; where there is nothing else to do,
/// as long as `persist` says.
async fn use_and_share(
    session: &Session,
    plan: &Plan,
    forwards: &mut Forwards,
    (master, persist): (&ControlMaster, ControlPersist),
    endings: &mut Endings,
) -> Used {
    if plan.work == Work::Nothing {
        return Used {
            outcome: share::stay(master, persist, endings).await,
            in_order: true,
        };
    }
    let used = use_session(session, plan, forwards, Some(master), endings).await;
    if used.in_order {
        let _ = share::stay(master, ControlPersist::No, endings).await;
    }
    used
}

async fn use_session(
    session: &Session,
    plan: &Plan,
    forwards: &mut Forwards,
    master: Option<&ControlMaster>,
    endings: &mut Endings,
) -> Used {
    let ended = async {
        match &plan.work {
            Work::Stdio(to) => stdio::carry(session, to).await,
            Work::Nothing => match session.closed().await {
                CloseReason::Lost(error) => Err(Broken::Remote(error)),
                _ => Ok(Ended::ByEscape),
            },
            _ => {
                let ended = converse(session, plan, forwards).await;
                if let Ok(Ended::Status(_)) = ended {
                    outlast(session, forwards).await;
                }
                ended
            }
        }
    };
    let ended = tokio::select! {
        ended = ended => ended,
        () = share::until_told(master) => Ok(Ended::ByEscape),
        kind = endings.next() => {
            terminal::restore();
            message::note(format_args!("ended by signal {}", kind.as_raw_value()));
            let outcome = Outcome::Exit(FAILED);
            return Used { outcome, in_order: false };
        }
    };
    terminal::restore();
    let in_order = ended.is_ok();
    let outcome = match ended {
        Ok(Ended::Status(status)) => Outcome::Exit(exit_code(&status)),
        Ok(Ended::Carried) => Outcome::Exit(0),
        Err(Broken::Unreached(error)) => {
            let why = forwards::refusal(&error);
            message::remark(format_args!("channel 0: open failed: {why}"));
            message::error("stdio forwarding failed");
            Outcome::Exit(FAILED)
        }
        Ok(Ended::ByEscape) | Err(Broken::NoReader) => Outcome::Exit(FAILED),
        Err(Broken::Remote(error)) => failed(error),
        Err(Broken::Local(what, error)) => failed(format_args!("cannot write {what}: {error}")),
    };
    Used { outcome, in_order }
}

/// As ssh, stays while connections that came in by forwards go on.
async fn outlast(session: &Session, forwards: &Forwards) {
    if !forwards.are_busy() {
        return;
    }
    terminal::restore();
    message::note("waiting for forwarded connections to end");
    tokio::select! {
        () = forwards.idle() => {}
        _ = session.closed() => {}
    }
}

fn exit_code(status: &ExitStatus) -> u8 {
    match status.code() {
        // As exit(3) does.
        Some(code) => (code & 0xff) as u8,
        None => {
            message::note(format_args!("the command was {status}"));
            FAILED
        }
    }
}

/// What is wrong with the settings is told to whoever wrote them, whatever they say of the log.
fn unresolved(error: Error) -> Outcome {
    if error.kind() == ErrorKind::ConfigInvalid {
        message::usage(error);
        return Outcome::Exit(FAILED);
    }
    failed(error)
}

fn failed(why: impl std::fmt::Display) -> Outcome {
    prompt::end();
    message::error(why);
    Outcome::Exit(FAILED)
}
