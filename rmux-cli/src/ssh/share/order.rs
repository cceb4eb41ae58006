//! `-O`: an order to the master at a control path.

use std::path::Path;

use rmux_core::ControlClient;

use super::super::FAILED;
use super::super::run::Outcome;
use super::{refusal, say};
use crate::message;

/// What a master is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Check,
    Exit,
    Stop,
}

impl Order {
    /// The order of this name; the error is one line.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        match name {
            "check" => Ok(Self::Check),
            "exit" => Ok(Self::Exit),
            "stop" => Ok(Self::Stop),
            "forward" | "cancel" | "proxy" => Err(format!("-O {name} is not supported yet")),
            _ => Err(format!("-O: there is no order {name:?}")),
        }
    }
}

/// Gives the order to the master at `path`.
pub(in crate::ssh) async fn obey(order: Order, path: Option<&Path>) -> Outcome {
    let Some(path) = path else {
        message::usage("-O: no ControlPath is set");
        return Outcome::Exit(FAILED);
    };
    let client = match ControlClient::connect(path).await {
        Ok(client) => client,
        Err(error) => {
            say(refusal(path, &error));
            return Outcome::Exit(FAILED);
        }
    };
    let done = match order {
        Order::Check => {
            say(format_args!("Master running (pid={})", client.pid()));
            return Outcome::Exit(0);
        }
        Order::Exit => client.terminate().await.map(|()| "Exit"),
        Order::Stop => client.stop_listening().await.map(|()| "Stop listening"),
    };
    match done {
        Ok(what) => {
            say(format_args!("{what} request sent."));
            Outcome::Exit(0)
        }
        Err(error) => {
            message::error(error);
            Outcome::Exit(FAILED)
        }
    }
}
