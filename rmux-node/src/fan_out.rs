//! One command on many hosts, as the JavaScript layer holds it.

use std::sync::{Arc, Mutex};

use futures_util::StreamExt as _;
use napi_derive::napi;
use rmux_core::{HostOutputs, Pool, Result};

use crate::command::CommandSpec;
use crate::completed::Ran;
use crate::connect::milliseconds;
use crate::delivery::Outcome;
use crate::mailbox::Mailbox;

/// Which hosts, how many at a time, and when to give up.
#[napi(object, object_to_js = false)]
pub struct ManySpec {
    pub hosts: Vec<String>,
    pub limit: Option<u32>,
    /// Whether results come in the order of the hosts. Default: yes.
    pub ordered: Option<bool>,
    pub fail_fast: Option<bool>,
    /// Milliseconds, for each host.
    pub timeout: Option<f64>,
    /// Milliseconds, for all together.
    pub deadline: Option<f64>,
}

/// The results. Letting go of it ends all.
#[napi]
pub struct NativeHostOutputs {
    /// None when all was ended.
    stream: Arc<Mutex<Option<HostOutputs>>>,
    turn: Arc<tokio::sync::Mutex<()>>,
    mailbox: Mailbox,
}

impl NativeHostOutputs {
    pub(crate) fn new(
        pool: &Pool,
        many: ManySpec,
        command: CommandSpec,
        mailbox: Mailbox,
    ) -> Result<Self> {
        let recipe = command.into_recipe()?;
        let mut fan_out = pool
            .fan_out(many.hosts)
            .as_finished(many.ordered == Some(false))
            .fail_fast(many.fail_fast == Some(true));
        if let Some(limit) = many.limit {
            fan_out = fan_out.limit(limit as usize);
        }
        if let Some(timeout) = many.timeout {
            fan_out = fan_out.timeout(milliseconds(timeout)?);
        }
        if let Some(deadline) = many.deadline {
            fan_out = fan_out.deadline(milliseconds(deadline)?);
        }
        let stream = fan_out.run(move |session| recipe.command(session));
        Ok(Self {
            stream: Arc::new(Mutex::new(Some(stream))),
            turn: Arc::default(),
            mailbox,
        })
    }
}

#[napi]
impl NativeHostOutputs {
    /// Waits for the next one; settled with a `HostOutcome`, or with null at the end.
    #[napi]
    pub fn next(&self, operation: u32) {
        let (stream, turn) = (Arc::clone(&self.stream), Arc::clone(&self.turn));
        self.mailbox.start(operation, async move {
            let _turn = turn.lock().await;
            let next = std::future::poll_fn(|context| {
                let mut stream = stream.lock().unwrap_or_else(|p| p.into_inner());
                match stream.as_mut() {
                    Some(stream) => stream.poll_next_unpin(context),
                    None => std::task::Poll::Ready(None),
                }
            });
            let Some(output) = next.await else {
                return Ok(Outcome::Nothing);
            };
            Ok(Outcome::Host {
                index: output.index,
                host: output.host,
                result: output
                    .result
                    .map(Ran::from)
                    .or_else(Ran::ended)
                    .map_err(Into::into),
            })
        });
    }

    /// Gives all up; settled with null when it has ended.
    #[napi]
    pub fn close(&self, operation: u32) {
        let (stream, turn) = (Arc::clone(&self.stream), Arc::clone(&self.turn));
        if let Some(stream) = &*stream.lock().unwrap_or_else(|p| p.into_inner()) {
            // Who waits for a result is told of a cancelled one.
            stream.cancel();
        }
        self.mailbox.start(operation, async move {
            let _turn = turn.lock().await;
            let stream = stream.lock().unwrap_or_else(|p| p.into_inner()).take();
            if let Some(stream) = stream {
                stream.close().await;
            }
            Ok(Outcome::Nothing)
        });
    }
}
