//! A directory that is being listed, as the JavaScript layer holds it.

use futures_util::FutureExt as _;
use napi_derive::napi;
use rmux_core::{DirEntry, ReadDir, Result};

use crate::delivery::Outcome;
use crate::found::Found;
use crate::mailbox::Mailbox;
use crate::slot::Slot;

/// How many names that are there already are delivered at a time: each delivery costs a turn of the
/// event loop, and each name a part of one.
const DELIVERY: usize = 1024;

/// A directory that is being listed. Letting go of it ends the listing.
#[napi]
pub struct NativeDirectory {
    mailbox: Mailbox,
    listing: Slot<ReadDir>,
}

impl NativeDirectory {
    pub(crate) fn new(listing: ReadDir, mailbox: Mailbox) -> Self {
        Self {
            mailbox,
            listing: Slot::new(Some(listing)),
        }
    }
}

#[napi]
impl NativeDirectory {
    /// Lists on; settled with an array of `Entry`, or with null at the end. One at a time.
    #[napi]
    pub fn next(&self, operation: u32) {
        let Some(mut listing) = self.listing.take() else {
            return self.mailbox.settle(operation, Ok(Outcome::Nothing));
        };
        let slot = self.listing.clone();
        self.mailbox.start(operation, async move {
            let entries = next_entries(&mut listing).await?;
            if entries.is_empty() {
                return Ok(Outcome::Nothing);
            }
            slot.put_back(listing);
            Ok(Outcome::Found(Found::Entries(entries)))
        });
    }

    /// Ends the listing.
    #[napi]
    pub fn close(&self) {
        drop(self.listing.take());
    }
}

/// What comes next, with what is there already behind it; nothing at the end.
async fn next_entries(listing: &mut ReadDir) -> Result<Vec<DirEntry>> {
    let mut entries = Vec::from_iter(listing.next_entry().await?);
    while !entries.is_empty() && entries.len() < DELIVERY {
        // An error or the end comes again with the next call, behind the names.
        let Some(Ok(Some(entry))) = listing.next_entry().now_or_never() else {
            break;
        };
        entries.push(entry);
    }
    Ok(entries)
}
