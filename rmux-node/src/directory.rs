//! A directory that is being listed or searched, as the JavaScript layer holds it.

use futures_util::FutureExt as _;
use napi_derive::napi;
use rmux_core::{DirEntry, ReadDir, Result, Walk};

use crate::delivery::Outcome;
use crate::found::Found;
use crate::mailbox::Mailbox;
use crate::slot::Slot;

/// How many names that are there already are delivered at a time: each delivery costs a turn of the
/// event loop, and each name a part of one.
const DELIVERY: usize = 1024;

/// A directory that is being listed or searched. Letting go of it ends that.
#[napi]
pub struct NativeDirectory {
    mailbox: Mailbox,
    listing: Slot<Listing>,
}

/// Where names come from.
pub(crate) enum Listing {
    Names(ReadDir),
    Search(Walk),
}

impl Listing {
    async fn next_entry(&mut self) -> Result<Option<DirEntry>> {
        match self {
            Self::Names(names) => names.next_entry().await,
            Self::Search(search) => search.next_entry().await,
        }
    }
}

impl NativeDirectory {
    pub(crate) fn new(listing: Listing, mailbox: Mailbox) -> Self {
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

    /// Ends it.
    #[napi]
    pub fn close(&self) {
        drop(self.listing.take());
    }
}

/// What comes next, with what is there already behind it; nothing at the end.
async fn next_entries(listing: &mut Listing) -> Result<Vec<DirEntry>> {
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
