//! One file, from one side to the other.

use std::sync::Arc;

use super::digest::{are_same, differs};
use super::event::Shared;
use super::known::Known;
use super::options::{Conflict, TransferOptions};
use super::source::{Reader, Source};
use super::target::Place;
use super::writer::{Wanted, Writer};
use crate::error::{Error, ErrorKind, Result};
use crate::sftp::Failed;

/// The mode of a new file where the source's is not known.
const NEW_FILE: u32 = 0o666;

/// A file that is to be transferred.
pub(super) struct Copy<'a> {
    pub(super) options: &'a TransferOptions,
    pub(super) shared: &'a Arc<Shared>,
    pub(super) source: &'a Source,
    /// What was known of it when it was listed.
    pub(super) listed: &'a Known,
    pub(super) place: &'a Place,
    /// What is at its place.
    pub(super) old: Option<Known>,
}

impl Copy<'_> {
    /// Transfers it. What it had been counted as is taken back if that fails.
    pub(super) async fn run(self) -> Result<()> {
        let mut count = Count {
            shared: self.shared,
            expected: self.listed.size,
            done: 0,
        };
        let copied = self.copy(&mut count).await;
        match &copied {
            Ok(length) => self.shared.placed(*length),
            Err(_) => count.give_up(),
        }
        copied.map(|_| ())
    }

    async fn copy(&self, count: &mut Count<'_>) -> Result<u64> {
        let options = self.options;
        let mut reader = self.source.open(self.listed).await?;
        count.expect(reader.length().unwrap_or(0));
        let known = reader.known.clone();
        let wanted = Wanted {
            new_mode: known.mode.unwrap_or(NEW_FILE),
            old: self.old.clone(),
            mode: (options.fixed_mode).or(known.mode.filter(|_| options.modes)),
            times: options.times.then(|| known.clone()),
            sync: options.sync,
            is_new: options.conflict != Conflict::Overwrite,
            lasts: options.resume,
            length: reader.length().unwrap_or(0),
        };
        let mut writer = Writer::begin(self.place, &wanted).await?;
        if options.resume {
            self.go_on(&mut reader, &mut writer, count).await?;
        }
        let mut written = Ok(());
        while let Some((at, pieces)) = reader.next().await? {
            written = writer.write(at, pieces).await;
            if written.is_err() {
                break;
            }
            count.to(reader.offset());
        }
        let length = reader.offset();
        if written.is_ok() && reader.length().is_some_and(|known| length < known) {
            let what = "it became shorter while it was read";
            return Err(Error::new(ErrorKind::Changed, "read", what));
        }
        count.to(length);
        if written.is_ok() && options.checksum {
            written = writer.settle().await;
            if written.is_ok() && length > 0 {
                written = self.compare(&mut reader, &mut writer, length).await;
            }
        }
        writer.finish(written, length).await?;
        Ok(length)
    }

    /// Goes on behind what is there of an earlier transfer, if that is the source's beginning.
    async fn go_on(
        &self,
        reader: &mut Reader,
        writer: &mut Writer<'_>,
        count: &mut Count<'_>,
    ) -> Result<()> {
        let there = writer.length().await?;
        if there == 0 {
            return Ok(());
        }
        if reader.length().is_some_and(|length| there <= length)
            && let Some(sum) = reader.digested().cheap_sum(there).await?
            && writer.digested().has(there, sum).await?
        {
            reader.seek(there);
            writer.keep(there);
            self.shared.resume(there);
            count.done = there;
            return Ok(());
        }
        writer.empty().await
    }

    async fn compare(
        &self,
        reader: &mut Reader,
        writer: &mut Writer<'_>,
        length: u64,
    ) -> Result<(), Failed> {
        writer.lengthen(length).await?;
        match are_same(&reader.digested(), &writer.digested(), length).await? {
            true => Ok(()),
            false => Err(differs("transfer").into()),
        }
    }
}

/// How far a file is counted.
struct Count<'a> {
    shared: &'a Shared,
    expected: u64,
    done: u64,
}

impl Count<'_> {
    fn expect(&mut self, bytes: u64) {
        self.shared.correct(self.expected, bytes);
        self.expected = bytes;
    }

    fn to(&mut self, done: u64) {
        if done > self.expected {
            self.expect(done);
        }
        self.shared.advance(done.saturating_sub(self.done));
        self.done = done;
    }

    fn give_up(&self) {
        self.shared.give_up(self.expected, self.done);
    }
}
