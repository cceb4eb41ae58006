//! A transfer that is under way, as the JavaScript layer holds it, and what is told of it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use napi::bindgen_prelude::{Buffer, Either, Env, Uint8Array};
use napi_derive::napi;
use rmux_core::{
    Dropped, Error, ErrorKind, Files, Progress, Result, Skipped, Transfer, TransferEvent,
    TransferFailure, TransferOptions, TransferReport,
};

use crate::delivery::{Failure, Outcome, copied};
use crate::found::Found;
use crate::mailbox::Mailbox;
use crate::session::NativeSession;
use crate::slot::Slot;

/// How files are transferred.
#[napi(object, object_to_js = false)]
pub struct TransferSpec {
    pub recursive: bool,
    pub times: bool,
    pub modes: bool,
    /// By their words.
    pub links: Option<String>,
    pub conflict: Option<String>,
    pub update: Option<String>,
    pub resume: bool,
    pub checksum: bool,
    pub sync: bool,
    /// Patterns of what is taken whatever those of `exclude` say.
    pub include: Vec<String>,
    pub exclude: Vec<String>,
}

impl TransferSpec {
    fn into_options(self) -> Result<TransferOptions> {
        let mut options = TransferOptions::new();
        if let Some(links) = self.links {
            options = options.links(links.parse()?);
        }
        if let Some(conflict) = self.conflict {
            options = options.conflict(conflict.parse()?);
        }
        if let Some(update) = self.update {
            options = options.update(update.parse()?);
        }
        if self.recursive {
            options = options.recursive();
        }
        if self.times {
            options = options.times();
        }
        if self.modes {
            options = options.modes();
        }
        if self.resume {
            options = options.resume();
        }
        if self.checksum {
            options = options.checksum();
        }
        if self.sync {
            options = options.sync();
        }
        for pattern in self.include {
            options = options.include(pattern);
        }
        for pattern in self.exclude {
            options = options.exclude(pattern);
        }
        Ok(options)
    }
}

/// How far a transfer is. Times are in milliseconds.
#[napi(object, object_from_js = false)]
pub struct TransferFigures {
    pub bytes: f64,
    pub total_bytes: f64,
    pub files: f64,
    pub total_files: f64,
    pub is_complete: bool,
    /// Bytes in a second.
    pub rate: f64,
    pub remaining: Option<f64>,
}

/// Something that was not taken.
#[napi(object, object_from_js = false)]
pub struct LeftOut {
    pub path: Buffer,
    pub reason: String,
    pub message: String,
}

/// Something that could not be transferred.
#[napi(object, object_from_js = false)]
pub struct NotTransferred {
    pub path: Buffer,
    pub failure: Failure,
}

/// What happens in a transfer: one of these, or none that is known.
#[napi(object, object_from_js = false)]
pub struct TransferStep {
    pub progress: Option<TransferFigures>,
    pub skipped: Option<LeftOut>,
    pub failed: Option<NotTransferred>,
}

/// How a transfer was.
#[napi(object, object_from_js = false)]
pub struct TransferSummary {
    pub files: f64,
    pub directories: f64,
    pub bytes: f64,
    pub resumed_bytes: f64,
    pub skipped: Vec<LeftOut>,
    pub failures: Vec<NotTransferred>,
}

/// A transfer. Letting go of it ends it.
#[napi]
pub struct NativeTransfer {
    mailbox: Mailbox,
    running: Slot<Transfer>,
    host: String,
}

impl NativeTransfer {
    fn begin(
        session: &NativeSession,
        spec: TransferSpec,
        begin: impl FnOnce(Files, &TransferOptions) -> Result<Transfer>,
    ) -> Either<Self, Failure> {
        let host = session.host().name;
        let begun = || {
            let options = spec.into_options()?;
            let _entered = rmux_core::blocking::runtime()?.enter();
            begin(session.files()?, &options)
        };
        match begun() {
            Ok(transfer) => Either::A(Self {
                mailbox: session.mailbox().clone(),
                running: Slot::new(Some(transfer)),
                host,
            }),
            Err(error) => Either::B(error.with_host(&host).into()),
        }
    }
}

#[napi]
impl NativeTransfer {
    /// Waits for something to happen; settled with a `TransferStep`, or with null at the end. One at
    /// a time. Told to end in order, it fails when nothing more is done.
    #[napi]
    pub fn next(&self, operation: u32) {
        let Some(mut transfer) = self.running.take() else {
            return self.mailbox.settle(operation, Ok(Outcome::Nothing));
        };
        let slot = self.running.clone();
        self.mailbox.start_stoppable(operation, |stop| async move {
            let event = tokio::select! {
                event = transfer.next_event() => event,
                Ok(()) = stop => return Err(cancelled(transfer).await),
            };
            slot.put_back(transfer);
            Ok(match event {
                Some(event) => Outcome::Found(Found::Step(event)),
                None => Outcome::Nothing,
            })
        });
    }

    /// Waits for the end; settled with a `TransferSummary`. Told to end in order, it fails when
    /// nothing more is done.
    #[napi]
    pub fn finish(&self, operation: u32) {
        let Some(mut transfer) = self.running.take() else {
            return self.mailbox.settle(operation, Ok(Outcome::Nothing));
        };
        let host = self.host.clone();
        self.mailbox.start_stoppable(operation, |stop| async move {
            let ended = async { while transfer.next_event().await.is_some() {} };
            tokio::select! {
                () = ended => {}
                Ok(()) = stop => return Err(cancelled(transfer).await),
            }
            let report = transfer.finish().await;
            let report = report.map_err(|error| error.with_host(&host))?;
            Ok(Outcome::Found(Found::Summary(report)))
        });
    }

    /// Ends it; settled when nothing more is done.
    #[napi]
    pub fn cancel(&self, operation: u32) {
        let running = self.running.take();
        self.mailbox.start(operation, async move {
            if let Some(transfer) = running {
                transfer.cancel().await;
            }
            Ok(Outcome::Nothing)
        });
    }
}

async fn cancelled(transfer: Transfer) -> Failure {
    transfer.cancel().await;
    Error::new(ErrorKind::Cancelled, "transfer", "it was cancelled").into()
}

#[napi]
impl NativeSession {
    /// Begins to put something of this machine at a path.
    #[napi]
    pub fn put(
        &self,
        local: Uint8Array,
        path: Uint8Array,
        spec: TransferSpec,
    ) -> Either<NativeTransfer, Failure> {
        NativeTransfer::begin(self, spec, |files, options| {
            Ok(files.put(local_path(&local), &path, options))
        })
    }

    /// Begins to get what is at a path to this machine.
    #[napi]
    pub fn get(
        &self,
        path: Uint8Array,
        local: Uint8Array,
        spec: TransferSpec,
    ) -> Either<NativeTransfer, Failure> {
        NativeTransfer::begin(self, spec, |files, options| {
            Ok(files.get(&path, local_path(&local), options))
        })
    }

    /// Begins to bring what is at a path to one of another host.
    #[napi]
    pub fn send(
        &self,
        path: Uint8Array,
        to: &NativeSession,
        target: Uint8Array,
        spec: TransferSpec,
    ) -> Either<NativeTransfer, Failure> {
        NativeTransfer::begin(self, spec, |files, options| {
            Ok(files.send(&path, &to.files()?, &target, options))
        })
    }
}

/// Files on the remote, for as long as they are wanted there. Letting go of it has them removed.
#[napi]
pub struct NativeDropped {
    mailbox: Mailbox,
    held: Slot<Dropped>,
    folder: Vec<u8>,
    paths: Vec<Vec<u8>>,
    quoted: Vec<u8>,
    host: String,
}

#[napi]
impl NativeDropped {
    /// The folder, in bytes.
    #[napi(getter)]
    pub fn folder(&self, env: Env) -> napi::Result<Buffer> {
        copied(&env, &self.folder)
    }

    /// The files in it.
    #[napi(getter)]
    pub fn paths(&self, env: Env) -> napi::Result<Vec<Buffer>> {
        self.paths.iter().map(|path| copied(&env, path)).collect()
    }

    /// These as words for a shell.
    #[napi(getter)]
    pub fn quoted(&self, env: Env) -> napi::Result<Buffer> {
        copied(&env, &self.quoted)
    }

    /// Removes them; nothing where it was done before.
    #[napi]
    pub fn remove(&self, operation: u32) {
        let (held, host) = (self.held.take(), self.host.clone());
        self.mailbox.start(operation, async move {
            if let Some(dropped) = held {
                let removed = dropped.remove().await;
                removed.map_err(|error| error.with_host(&host))?;
            }
            Ok(Outcome::Nothing)
        });
    }

    /// Has them removed, without waiting.
    #[napi]
    pub fn abandon(&self) {
        drop(self.held.take());
    }
}

#[napi]
impl NativeSession {
    /// Puts files of this machine into a private folder of the remote; settled with a
    /// `NativeDropped`.
    #[napi]
    pub fn drop_files(&self, operation: u32, paths: Vec<Uint8Array>) {
        let session = match self.session() {
            Ok(session) => session,
            Err(error) => return self.mailbox().settle(operation, Err(error.into())),
        };
        let (mailbox, host) = (self.mailbox().clone(), self.host().name);
        let paths: Vec<_> = paths
            .iter()
            .map(|path| local_path(path).to_owned())
            .collect();
        self.mailbox().start(operation, async move {
            let dropped = session.drop_files(paths).await;
            let dropped = dropped.map_err(|error| error.with_host(&host))?;
            let there = dropped.paths().iter();
            Ok(Outcome::Found(Found::Dropped(NativeDropped {
                mailbox,
                folder: dropped.folder().as_bytes().to_vec(),
                paths: there.map(|path| path.as_bytes().to_vec()).collect(),
                quoted: dropped.quoted(),
                held: Slot::new(Some(dropped)),
                host,
            })))
        });
    }
}

fn local_path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

impl TransferStep {
    pub(crate) fn new(env: &Env, event: TransferEvent) -> napi::Result<Self> {
        let mut step = Self {
            progress: None,
            skipped: None,
            failed: None,
        };
        match event {
            TransferEvent::Progress(progress) => step.progress = Some(progress.into()),
            TransferEvent::Skipped(skipped) => step.skipped = Some(left_out(env, &skipped)?),
            TransferEvent::Failed(failure) => step.failed = Some(not_transferred(env, failure)?),
            // What a later version of the core may tell.
            _ => {}
        }
        Ok(step)
    }
}

impl From<Progress> for TransferFigures {
    fn from(progress: Progress) -> Self {
        Self {
            bytes: progress.bytes as f64,
            total_bytes: progress.total_bytes as f64,
            files: progress.files as f64,
            total_files: progress.total_files as f64,
            is_complete: progress.is_complete,
            rate: progress.rate,
            remaining: progress.remaining.map(|left| left.as_secs_f64() * 1000.0),
        }
    }
}

impl TransferSummary {
    pub(crate) fn new(env: &Env, report: TransferReport) -> napi::Result<Self> {
        let skipped = report.skipped.iter().map(|one| left_out(env, one));
        let failures = report.failures.into_iter();
        Ok(Self {
            files: report.files as f64,
            directories: report.directories as f64,
            bytes: report.bytes as f64,
            resumed_bytes: report.resumed_bytes as f64,
            skipped: skipped.collect::<napi::Result<_>>()?,
            failures: failures
                .map(|one| not_transferred(env, one))
                .collect::<napi::Result<_>>()?,
        })
    }
}

fn left_out(env: &Env, skipped: &Skipped) -> napi::Result<LeftOut> {
    Ok(LeftOut {
        path: copied(env, skipped.path.as_bytes())?,
        reason: skipped.reason.code().to_owned(),
        message: skipped.reason.to_string(),
    })
}

fn not_transferred(env: &Env, failure: TransferFailure) -> napi::Result<NotTransferred> {
    Ok(NotTransferred {
        path: copied(env, failure.path.as_bytes())?,
        failure: failure.error.into(),
    })
}
