//! The agent that the remote may use: channels that the server opens lead to its socket.
//!
//! Whoever has power on the remote machine can sign with the agent's keys meanwhile, so a server is
//! given it only where the user said so. The agent is told which server it is (`session-bind`), and
//! one that hangs holds up nobody but who asks it.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use russh::ChannelOpenFailure;
use russh::client::{ChannelOpenHandle, Msg};
use russh::keys::agent::AgentSessionBinding;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Lost;
use super::agent::{Agent, Socket};
use super::channel::Channel;
use super::counters::Counters;
use super::inbox::{Inbox, Limits};
use super::service::Service;
use super::transport::Tunnel;
use crate::host::{ForwardAgent, Host};

/// How many connections to the agent one server may have at a time.
const MAX_CONNECTIONS: usize = 32;
/// How much of requests may wait for an agent that does not read them. The longest is 256 KiB.
const UNREAD: Limits = Limits {
    memory: 1 << 20,
    spill: 0,
    wait: false,
};
/// How long an agent may take to answer when no more requests can come: as long as a person may
/// take to confirm one.
const LAST_ANSWER: Duration = Duration::from_secs(60);

/// The socket of the agent to forward, where the user wants it and there is one.
pub(crate) fn forwarded_agent(host: &Host) -> Option<PathBuf> {
    let socket = match &host.forward_agent {
        ForwardAgent::No => None,
        ForwardAgent::Yes => host.agent_socket.clone(),
        ForwardAgent::Socket(socket) => Some(socket.clone()),
    };
    // Without an agent the remote is better told so by finding none.
    socket.filter(|socket| socket.exists())
}

/// What one link forwards.
#[derive(Clone)]
pub(super) struct AgentForward(Arc<Shared>);

struct Shared {
    host: Arc<str>,
    socket: Option<PathBuf>,
    begun: OnceLock<Begun>,
    room: Arc<Semaphore>,
}

/// What is known once the user is let in.
struct Begun {
    binding: Option<AgentSessionBinding>,
    lost: Lost,
    service: Arc<Service>,
    counters: Arc<Counters>,
}

impl AgentForward {
    pub(super) fn of(host: &Host) -> Self {
        Self(Arc::new(Shared {
            host: host.name.as_str().into(),
            socket: forwarded_agent(host),
            begun: OnceLock::new(),
            room: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        }))
    }

    /// Channels are taken from now on.
    pub(super) fn begin(
        &self,
        binding: Option<AgentSessionBinding>,
        lost: Lost,
        service: Arc<Service>,
        counters: Arc<Counters>,
    ) {
        let begun = Begun {
            binding,
            lost,
            service,
            counters,
        };
        // Once a link.
        let _ = self.0.begun.set(begun);
    }

    /// The server opens a channel. Called from the engine's task, which nothing here holds up.
    pub(super) async fn open(&self, channel: russh::Channel<Msg>, reply: ChannelOpenHandle) {
        let shared = &self.0;
        let host = &*shared.host;
        if shared.socket.is_none() || shared.begun.get().is_none() {
            tracing::warn!(
                host,
                "the server wants to use the agent, which is not forwarded: refused"
            );
            let why = ChannelOpenFailure::AdministrativelyProhibited;
            return reply.reject(why).await;
        }
        let Ok(place) = Arc::clone(&shared.room).try_acquire_owned() else {
            tracing::warn!(host, "too many connections to the forwarded agent at once");
            return reply.reject(ChannelOpenFailure::ResourceShortage).await;
        };
        tokio::spawn(Arc::clone(shared).serve(channel, reply, place));
    }
}

impl Shared {
    async fn serve(
        self: Arc<Self>,
        channel: russh::Channel<Msg>,
        reply: ChannelOpenHandle,
        _place: OwnedSemaphorePermit,
    ) {
        let (Some(path), Some(begun)) = (&self.socket, self.begun.get()) else {
            return;
        };
        let mut lost = begun.lost.clone();
        let connecting = Agent::forwarded(path, begun.binding.as_ref());
        let connected = tokio::select! {
            connected = connecting => connected,
            _ = lost.wait() => return,
        };
        let socket = match connected {
            Ok(socket) => socket,
            Err(why) => {
                tracing::debug!(host = &*self.host, why, "no agent to forward");
                return reply.reject(ChannelOpenFailure::ConnectFailed).await;
            }
        };
        reply.accept().await;
        let inbox = Inbox::new(Arc::clone(&self.host), UNREAD, Arc::clone(&begun.counters));
        let service = Arc::clone(&begun.service);
        let (channel, _) = Channel::start(channel, inbox, begun.lost.clone(), service, true);
        tokio::select! {
            () = pump(channel, socket) => {}
            _ = lost.wait() => {}
        }
    }
}

/// Carries requests and answers until the agent hangs up, or no more requests come and the last
/// answer has been given.
async fn pump(channel: Channel, socket: Socket) {
    let (mut requests, mut answers_out) = tokio::io::split(Tunnel::new(Arc::new(channel)));
    let (mut answers, mut requests_out) = tokio::io::split(socket);
    let asking = async {
        // However it ended: the agent learns that no more will come.
        let _ = tokio::io::copy(&mut requests, &mut requests_out).await;
        let _ = requests_out.shutdown().await;
    };
    let answering = async {
        let _ = tokio::io::copy(&mut answers, &mut answers_out).await;
        let _ = answers_out.shutdown().await;
    };
    let mut answering = std::pin::pin!(answering);
    tokio::select! {
        () = &mut answering => {}
        () = asking => {
            let _ = tokio::time::timeout(LAST_ANSWER, answering).await;
        }
    }
}
