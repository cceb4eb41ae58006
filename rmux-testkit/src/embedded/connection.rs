//! One connection: who may log in, and what its channels ask for. Answers the engine's
//! questions at once and leaves all that takes time to the channels' own tasks.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use russh::keys::PublicKey;
use russh::server::{
    Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Response, Session, VerifiedPublicKey,
};
use russh::{
    Channel, ChannelId, ChannelOpenFailure, ChannelWriteHalf, MethodKind, MethodSet, Pty, Sig,
};
use tokio::sync::mpsc;

use super::builder::Settings;
use super::channel::{self, INBOX, Input};
use super::program::{Surroundings, Work, signal_named};
use super::terminal::{Size, TerminalRequest};
use super::{Count, Counts, sftp};

/// Variables of one channel; more are refused.
const MAX_ENV: usize = 1000;

pub(super) struct Connection {
    settings: Arc<Settings>,
    counts: Arc<Counts>,
    alive: mpsc::Sender<()>,
    local: SocketAddr,
    peer: SocketAddr,
    /// The round of a keyboard-interactive login whose answers are awaited.
    round: usize,
    /// Methods that have succeeded, where several must.
    steps: usize,
    channels: Channels,
}

/// The open session channels. Shared, because the engine does not say when a channel has ended
/// that the server closed: its task does.
#[derive(Default)]
struct Channels(Arc<Mutex<HashMap<ChannelId, State>>>);

enum State {
    /// Nothing runs yet.
    Open(Preparation),
    Running(mpsc::Sender<Input>),
}

struct Preparation {
    channel: ChannelWriteHalf<Msg>,
    env: Vec<(String, String)>,
    terminal: Option<TerminalRequest>,
}

impl Connection {
    pub(super) fn new(
        settings: Arc<Settings>,
        counts: Arc<Counts>,
        alive: mpsc::Sender<()>,
        local: SocketAddr,
        peer: SocketAddr,
    ) -> Self {
        Self {
            settings,
            counts,
            alive,
            local,
            peer,
            round: 0,
            steps: 0,
            channels: Channels::default(),
        }
    }

    fn knows(&self, user: &str, key: &PublicKey) -> bool {
        user == self.settings.user
            && self
                .settings
                .keys
                .iter()
                .any(|known| known.key_data() == key.key_data())
    }

    fn answer(
        &self,
        session: &mut Session,
        id: ChannelId,
        success: bool,
    ) -> Result<(), russh::Error> {
        match success {
            _ if self.settings.mute => Ok(()),
            true => session.channel_success(id),
            false => session.channel_failure(id),
        }
    }

    /// Starts something on a channel, at most once. False if that is not possible.
    fn start(&mut self, id: ChannelId, work: &Work, session: &Session) -> bool {
        if self.settings.mute {
            return false;
        }
        let mut channels = self.channels.lock();
        let Some(State::Open(_)) = channels.get(&id) else {
            return false;
        };
        let Some(State::Open(preparation)) = channels.remove(&id) else {
            return false;
        };
        let Preparation {
            channel,
            env,
            terminal,
        } = preparation;
        let started = match work {
            Work::Sftp => Ok(sftp::start(&self.settings.home)),
            Work::Shell | Work::Command(_) => Surroundings {
                settings: &self.settings,
                local: self.local,
                peer: self.peer,
                env: &env,
                terminal: terminal.as_ref(),
            }
            .start(work),
        };
        let program = match started {
            Ok(program) => program,
            Err(error) => {
                tracing::warn!(%error, "embedded server: cannot start a program");
                channels.insert(
                    id,
                    State::Open(Preparation {
                        channel,
                        env,
                        terminal,
                    }),
                );
                return false;
            }
        };
        let (sender, inbox) = mpsc::channel(INBOX);
        channels.insert(id, State::Running(sender));
        drop(channels);
        let handle = session.handle();
        let alive = self.alive.clone();
        let count = Count::program(self.counts.clone());
        // Weak: the inboxes in there must close with the connection.
        let open = Arc::downgrade(&self.channels.0);
        tokio::spawn(async move {
            channel::run(program, channel, handle, inbox).await;
            if let Some(open) = open.upgrade() {
                Channels(open).lock().remove(&id);
            }
            drop((count, alive));
        });
        true
    }

    async fn pass(&self, id: ChannelId, input: Input) {
        let inbox = match self.channels.lock().get(&id) {
            Some(State::Running(inbox)) => inbox.clone(),
            // Input before there is a program, which no client has reason to send.
            Some(State::Open(_)) | None => return,
        };
        let _ = inbox.send(input).await;
    }

    fn accept_if(&mut self, condition: bool) -> Auth {
        let all = self.settings.all_methods();
        if condition && self.settings.in_steps {
            self.steps += 1;
        }
        if condition && (!self.settings.in_steps || self.steps >= all.len()) {
            return Auth::Accept;
        }
        let next = match self.settings.in_steps {
            true => MethodSet::from(&all[self.steps..][..1]),
            false => all,
        };
        Auth::Reject {
            // By default the engine allows each method once.
            proceed_with_methods: Some(next),
            partial_success: condition,
        }
    }

    /// Whether it is this method's turn.
    fn is_due(&self, method: MethodKind) -> bool {
        let all = self.settings.all_methods();
        !self.settings.in_steps || all.get(self.steps) == Some(&method)
    }

    /// The question after `self.round` rounds were answered.
    fn ask(&mut self) -> Auth {
        match self.settings.rounds.get(self.round) {
            Some(round) => Auth::Partial {
                name: Cow::Owned(round.name.clone()),
                instructions: Cow::Owned(round.instructions.clone()),
                prompts: Cow::Owned(round.prompts.clone()),
            },
            None => self.accept_if(true),
        }
    }
}

impl Channels {
    fn lock(&self) -> MutexGuard<'_, HashMap<ChannelId, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prepare<T>(&self, id: ChannelId, change: impl FnOnce(&mut Preparation) -> T) -> Option<T> {
        match self.lock().get_mut(&id) {
            Some(State::Open(preparation)) => Some(change(preparation)),
            Some(State::Running(_)) | None => None,
        }
    }
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn authentication_banner(&mut self) -> Result<Option<String>, Self::Error> {
        Ok(self.settings.banner.clone())
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        let right = self.settings.password.as_deref() == Some(password)
            && self.is_due(MethodKind::Password);
        Ok(self.accept_if(right && user == self.settings.user))
    }

    async fn auth_publickey_offered(
        &mut self,
        user: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        match self.knows(user, offer.public_key) && self.is_due(MethodKind::PublicKey) {
            true => Ok(Auth::Accept),
            false => Ok(self.accept_if(false)),
        }
    }

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        let known = self.knows(user, key.public_key) && self.is_due(MethodKind::PublicKey);
        Ok(self.accept_if(known))
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, Self::Error> {
        let due = self.is_due(MethodKind::KeyboardInteractive);
        if !due || self.settings.rounds.is_empty() || user != self.settings.user {
            return Ok(self.accept_if(false));
        }
        let Some(answers) = response else {
            self.round = 0;
            return Ok(self.ask());
        };
        let answers: Vec<Bytes> = answers.collect();
        let right = self.settings.rounds.get(self.round).is_some_and(|round| {
            answers
                .iter()
                .map(|answer| &answer[..])
                .eq(round.answers.iter().map(String::as_bytes))
        });
        if !right {
            self.round = 0;
            return Ok(self.accept_if(false));
        }
        self.round += 1;
        Ok(self.ask())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let is_full = self.channels.lock().len() >= self.settings.max_sessions;
        if is_full {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        let id = channel.id();
        // All input comes through this handler: a half that nobody reads would hold up the
        // whole connection.
        let (_, channel) = channel.split();
        let preparation = Preparation {
            channel,
            env: Vec::new(),
            terminal: None,
        };
        self.channels.lock().insert(id, State::Open(preparation));
        let late = self.settings.opens_late;
        if late.is_zero() {
            reply.accept().await;
        } else {
            tokio::spawn(async move {
                tokio::time::sleep(late).await;
                reply.accept().await;
            });
        }
        Ok(())
    }

    async fn channel_close(&mut self, id: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        // Its task sees the end of its inbox.
        self.channels.lock().remove(&id);
        Ok(())
    }

    async fn channel_eof(&mut self, id: ChannelId, _: &mut Session) -> Result<(), Self::Error> {
        self.pass(id, Input::Eof).await;
        Ok(())
    }

    async fn data(
        &mut self,
        id: ChannelId,
        data: &[u8],
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        self.pass(id, Input::Data(Bytes::copy_from_slice(data)))
            .await;
        Ok(())
    }

    async fn env_request(
        &mut self,
        id: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        // A name with "=" or NUL, and a value with NUL, cannot be in an environment.
        let is_valid = !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0');
        let success = is_valid
            && self.settings.accepts_env(name)
            && self.channels.prepare(id, |preparation| {
                let has_room = preparation.env.len() < MAX_ENV;
                if has_room {
                    preparation.env.push((name.to_owned(), value.to_owned()));
                }
                has_room
            }) == Some(true);
        self.answer(session, id, success)
    }

    async fn pty_request(
        &mut self,
        id: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let size = Size {
            columns,
            rows,
            width,
            height,
        };
        let is_valid = !term.contains('\0');
        let success = is_valid
            && self.channels.prepare(id, |preparation| {
                let request = TerminalRequest {
                    term: term.to_owned(),
                    size,
                    modes: modes.to_vec(),
                };
                preparation.terminal = Some(request);
            }) == Some(());
        self.answer(session, id, success)
    }

    async fn window_change_request(
        &mut self,
        id: ChannelId,
        columns: u32,
        rows: u32,
        width: u32,
        height: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let size = Size {
            columns,
            rows,
            width,
            height,
        };
        self.channels.prepare(id, |preparation| {
            if let Some(terminal) = &mut preparation.terminal {
                terminal.size = size;
            }
        });
        self.pass(id, Input::Resize(size)).await;
        self.answer(session, id, true)
    }

    async fn shell_request(
        &mut self,
        id: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let success = self.start(id, &Work::Shell, session);
        self.answer(session, id, success)
    }

    async fn exec_request(
        &mut self,
        id: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.settings.asks_agent {
            let (counts, handle) = (self.counts.clone(), session.handle());
            tokio::spawn(async move {
                let opened = handle.channel_open_agent().await;
                counts.agent_channel(opened.is_ok());
                let here = "127.0.0.1";
                let others = [
                    handle.channel_open_session().await,
                    handle.channel_open_x11(here, 1).await,
                    handle.channel_open_direct_tcpip(here, 1, here, 1).await,
                    handle.channel_open_direct_streamlocal("/socket").await,
                    handle.channel_open_forwarded_tcpip(here, 1, here, 1).await,
                    handle.channel_open_forwarded_streamlocal("/socket").await,
                ];
                for opened in others {
                    counts.other_channel(opened.is_ok());
                }
            });
        }
        let success = self.start(id, &Work::Command(command.to_vec()), session);
        self.answer(session, id, success)
    }

    async fn subsystem_request(
        &mut self,
        id: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let success = name == "sftp" && self.start(id, &Work::Sftp, session);
        self.answer(session, id, success)
    }

    async fn x11_request(
        &mut self,
        id: ChannelId,
        _: bool,
        _: &str,
        _: &str,
        _: u32,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        self.answer(session, id, false)
    }

    async fn signal(
        &mut self,
        id: ChannelId,
        signal: Sig,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        let name = match signal {
            Sig::Custom(name) => name,
            // The engine's names are those of the RFC.
            known => format!("{known:?}"),
        };
        if let Some(signal) = signal_named(&name) {
            self.pass(id, Input::Signal(signal)).await;
        }
        Ok(())
    }
}
