//! What a shell keeps from one command of a session to the next, as the JavaScript layer holds it.

use std::collections::HashMap;
use std::ffi::OsString;

use napi_derive::napi;
use rmux_core::ShellContext;

use crate::command::CommandSpec;
use crate::session::NativeSession;

/// A context, and what commands are run in it by a session's handle.
#[napi]
pub struct NativeContext(ShellContext);

/// What to change of a context.
#[napi(object, object_to_js = false)]
pub struct ContextSpec {
    pub interpreter: Option<String>,
    pub cwd: Option<String>,
    /// Null for a variable to unset.
    pub env: Option<HashMap<String, Option<String>>>,
}

impl NativeContext {
    pub(crate) fn new(context: ShellContext) -> Self {
        Self(context)
    }
}

#[napi]
impl NativeContext {
    /// Changes what commands begin with from now on.
    #[napi]
    pub fn update(&self, spec: ContextSpec) {
        if let Some(program) = spec.interpreter {
            self.0.interpreter(program);
        }
        if let Some(directory) = spec.cwd {
            self.0.current_dir(directory);
        }
        for (name, value) in spec.env.unwrap_or_default() {
            match value {
                Some(value) => self.0.env(name, value),
                None => self.0.env_remove(name),
            };
        }
    }

    /// The directory of the next command; null for the account's home.
    #[napi(getter)]
    pub fn cwd(&self) -> Option<String> {
        self.0.cwd().map(text)
    }

    /// What is changed in the environment of the next command.
    #[napi(getter)]
    pub fn env(&self) -> HashMap<String, Option<String>> {
        let changes = self.0.variables().into_iter();
        changes
            .map(|(name, value)| (text(name), value.map(text)))
            .collect()
    }

    /// A context of its own with the same state, on this session; null where its handle was given
    /// back.
    #[napi]
    pub fn fork(&self, session: &NativeSession) -> Option<NativeContext> {
        let session = session.core()?;
        Some(Self(self.0.fork_on(&session)))
    }

    /// Runs a command to its end; settled with a `Completed`.
    #[napi]
    pub fn run(&self, operation: u32, session: &NativeSession, spec: CommandSpec) {
        session.run_in(operation, spec, Some(&self.0));
    }

    /// Starts a command; settled with a `NativeChild`.
    #[napi]
    pub fn spawn(&self, operation: u32, session: &NativeSession, spec: CommandSpec) {
        session.spawn_in(operation, spec, Some(&self.0));
    }
}

/// Strings are Unicode here.
fn text(text: OsString) -> String {
    text.to_string_lossy().into_owned()
}
