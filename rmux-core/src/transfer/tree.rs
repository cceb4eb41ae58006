//! A whole transfer: what the source is, and for a directory the way through its tree.
//!
//! Directories are listed ahead of the files that are under way, so that totals are known early.
//! What fails is reported, and the rest goes on, unless the session itself is lost.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use rmux_proto::sftp::FileType;

use super::copy::Copy;
use super::event::{Shared, SkipReason};
use super::known::Known;
use super::options::{Conflict, Links, TransferOptions, Update};
use super::patterns::Rules;
use super::source::Source;
use super::target::{Folder, Place, Top};
use crate::error::{Error, ErrorKind, Result};

/// How many directories are looked at at once.
const MOST_LISTED: usize = 16;
/// How much may be in memory at once. So many small files are under way together that a thousand of
/// them take the round trips of one.
const MOST_BYTES: u64 = 64 << 20;
/// What a file counts as at least.
const SMALL: u64 = 64 << 10;
/// What is in memory of a file, however long it is.
const LARGE: u64 = 16 << 20;
/// Below, contents are sent again rather than compared.
const WORTH_COMPARING: u64 = 64 << 10;
/// The mode of a new directory where the source's is not known.
const NEW_DIRECTORY: u32 = 0o777;

pub(super) struct Tree {
    options: TransferOptions,
    shared: Arc<Shared>,
}

/// The directories of the source above a place, by their real paths, to see links that lead back.
type Chain = Option<Arc<Above>>;

struct Above {
    real: Vec<u8>,
    next: Chain,
}

fn leads_back(chain: &Chain, real: &[u8]) -> bool {
    let mut next = chain.as_ref();
    while let Some(above) = next {
        if above.real == real {
            return true;
        }
        next = above.next.as_ref();
    }
    false
}

/// A directory that is to be looked at.
struct ToList {
    source: Source,
    known: Known,
    target: Where,
    /// Below the source of the whole.
    path: Vec<u8>,
    chain: Chain,
}

enum Where {
    /// It is there; whether it was just made.
    There(Folder, bool),
    ToEnter(Place),
}

impl Where {
    fn most_open(&self) -> u64 {
        match self {
            Self::There(folder, _) => folder.most_open(),
            Self::ToEnter(_) => u64::MAX,
        }
    }
}

/// A directory that was looked at.
struct Listed {
    folder: Folder,
    source: Source,
    known: Known,
    directories: Vec<ToList>,
    items: Vec<Item>,
}

/// A file or a link.
struct Item {
    source: Source,
    known: Known,
    place: Place,
    old: Old,
}

/// What is at a place.
enum Old {
    Known(Option<Known>),
    Unknown,
}

impl Item {
    /// How much of it may be in memory.
    fn bytes(&self) -> u64 {
        self.known.size.clamp(SMALL, LARGE)
    }
}

enum Done {
    Listed(Source, Box<Result<Listed>>),
    Item(Source, u64, Result<()>),
}

impl Tree {
    pub(super) fn new(options: &TransferOptions, shared: &Arc<Shared>) -> Self {
        Self {
            options: options.clone(),
            shared: Arc::clone(shared),
        }
    }

    /// Transfers the source to the target. An error is one of the source or the session as a whole.
    pub(super) async fn run(self, source: Source, top: Top) -> Result<()> {
        let rules = self.options.rules()?;
        let source = source.located().await?;
        let known = source.known().await?;
        match known.kind {
            Some(FileType::Directory) if !self.options.recursive => {
                let what = format!(
                    "{}: it is a directory, and only files were asked for",
                    source.path()
                );
                Err(Error::new(ErrorKind::IsADirectory, "transfer", what))
            }
            Some(FileType::Directory) => self.directory(source, known, top, &rules).await,
            Some(FileType::File) | None => {
                let place = top.place().await?;
                self.shared.expect(known.size);
                self.shared.expect_no_more();
                let item = Item {
                    source,
                    known,
                    place,
                    old: Old::Unknown,
                };
                self.file(item).await
            }
            kind => {
                let reason = SkipReason::Special(kind);
                self.shared.skipped(source.path(), reason);
                Ok(())
            }
        }
    }

    async fn directory(&self, source: Source, known: Known, top: Top, rules: &Rules) -> Result<()> {
        let real = match self.options.links {
            Links::Follow => Some(source.real().await?),
            _ => None,
        };
        require_apart(&source, &top).await?;
        let (folder, made) = top.folder(known.mode.unwrap_or(NEW_DIRECTORY)).await?;
        let first = ToList {
            source,
            known,
            target: Where::There(folder, made),
            path: Vec::new(),
            chain: real.map(|real| Arc::new(Above { real, next: None })),
        };
        let entered = self.walk(first, rules).await?;
        // Behind all that was written to them, and to those in them.
        for (folder, source, known) in entered.into_iter().rev() {
            let mode = known.mode.filter(|_| self.options.modes);
            let known = match self.options.times {
                true => known,
                false => Known::default(),
            };
            if let Err(error) = folder.set(mode, &known).await {
                self.settle(&source, error)?;
            }
        }
        Ok(())
    }

    /// Transfers all that is in a directory. Gives the directories whose times or modes are to be set.
    async fn walk(&self, first: ToList, rules: &Rules) -> Result<Vec<(Folder, Source, Known)>> {
        let open = first.source.most_open().min(first.target.most_open());
        // Both sides may be one, and others use it too.
        let most_listed = MOST_LISTED.min(usize::try_from(open / 16).unwrap_or(MOST_LISTED).max(1));
        let most_files = open / 4;
        let mut directories = vec![first];
        let mut items = VecDeque::new();
        let mut entered = Vec::new();
        let mut running: FuturesUnordered<BoxFuture<'_, Done>> = FuturesUnordered::new();
        let (mut listing, mut files, mut bytes) = (0, 0, 0);
        loop {
            while listing < most_listed
                && let Some(directory) = directories.pop()
            {
                listing += 1;
                running.push(self.list(directory, rules).boxed());
            }
            if listing == 0 {
                self.shared.expect_no_more();
            }
            while items.front().is_some_and(|item: &Item| {
                files == 0 || (files < most_files && bytes + item.bytes() <= MOST_BYTES)
            }) && let Some(item) = items.pop_front()
            {
                files += 1;
                bytes += item.bytes();
                running.push(self.item(item).boxed());
            }
            match running.next().await {
                Some(Done::Listed(source, listed)) => {
                    listing -= 1;
                    match *listed {
                        Ok(listed) => {
                            directories.extend(listed.directories);
                            items.extend(listed.items);
                            if self.options.times || self.options.modes {
                                entered.push((listed.folder, listed.source, listed.known));
                            }
                        }
                        Err(error) => self.settle(&source, error)?,
                    }
                }
                Some(Done::Item(source, freed, done)) => {
                    files -= 1;
                    bytes -= freed;
                    if let Err(error) = done {
                        self.settle(&source, error)?;
                    }
                }
                None => return Ok(entered),
            }
        }
    }

    /// Reports a failure, unless it is the end of all.
    fn settle(&self, source: &Source, error: Error) -> Result<()> {
        match error.kind() {
            ErrorKind::Disconnected | ErrorKind::Closed => Err(error),
            _ => {
                self.shared.failed(source.path(), error);
                Ok(())
            }
        }
    }

    async fn list(&self, directory: ToList, rules: &Rules) -> Done {
        let source = directory.source.clone();
        Done::Listed(source, Box::new(self.look_at(directory, rules).await))
    }

    async fn look_at(&self, directory: ToList, rules: &Rules) -> Result<Listed> {
        let (folder, made) = match directory.target {
            Where::There(folder, made) => (folder, made),
            Where::ToEnter(place) => {
                let mode = directory.known.mode.unwrap_or(NEW_DIRECTORY);
                place.enter(mode).await?
            }
        };
        if made {
            self.shared.made_directory();
        }
        let there = async {
            match made {
                true => Ok(Some(Vec::new())),
                false => folder.names().await,
            }
        };
        let (names, there) = futures_util::future::try_join(directory.source.list(), there).await?;
        let there: Option<HashMap<Vec<u8>, Known>> = there.map(|names| names.into_iter().collect());
        let mut listed = Listed {
            folder,
            source: directory.source,
            known: directory.known,
            directories: Vec::new(),
            items: Vec::new(),
        };
        for (name, known) in names {
            let path = match directory.path.is_empty() {
                true => name.clone(),
                false => [&directory.path[..], b"/", &name].concat(),
            };
            if !rules.take(&path, known.is_directory()) {
                continue;
            }
            let source = listed.source.child(&name);
            let place = listed.folder.place(&name);
            let taken = self.taken(&source, known, &directory.chain).await;
            let (known, chain) = match taken {
                Ok(Some(taken)) => taken,
                Ok(None) => continue,
                Err(error) => {
                    self.settle(&source, error)?;
                    continue;
                }
            };
            if known.is_directory() {
                listed.directories.push(ToList {
                    source,
                    known,
                    target: Where::ToEnter(place),
                    path,
                    chain,
                });
                continue;
            }
            self.shared.expect(known.size);
            let old = match &there {
                Some(there) => Old::Known(there.get(&name).cloned()),
                None => Old::Unknown,
            };
            listed.items.push(Item {
                source,
                known,
                place,
                old,
            });
        }
        Ok(listed)
    }

    /// What is to be taken of a name, and for a directory what is above the names in it. What is not
    /// to be taken has been told.
    async fn taken(
        &self,
        source: &Source,
        listed: Known,
        chain: &Chain,
    ) -> Result<Option<(Known, Chain)>> {
        let mut known = listed;
        if known.kind.is_none() {
            // Some servers do not tell.
            known = source.known().await?;
        }
        if known.kind == Some(FileType::Symlink) {
            match self.options.links {
                Links::Keep => {
                    // The length of a link is none that is transferred.
                    known.size = 0;
                    return Ok(Some((known, None)));
                }
                Links::Skip => {
                    self.shared.skipped(source.path(), SkipReason::Link);
                    return Ok(None);
                }
                Links::Follow => known = source.known().await?,
            }
        }
        match known.kind {
            Some(FileType::File) => Ok(Some((known, None))),
            Some(FileType::Directory) if self.options.links == Links::Follow => {
                let real = source.real().await?;
                if leads_back(chain, &real) {
                    let what = "the link leads back into a directory that it is in";
                    return Err(Error::new(ErrorKind::InvalidInput, "transfer", what));
                }
                let next = chain.clone();
                Ok(Some((known, Some(Arc::new(Above { real, next })))))
            }
            Some(FileType::Directory) => Ok(Some((known, None))),
            kind => {
                self.shared
                    .skipped(source.path(), SkipReason::Special(kind));
                Ok(None)
            }
        }
    }

    async fn item(&self, item: Item) -> Done {
        let (source, bytes) = (item.source.clone(), item.bytes());
        let done = match item.known.kind {
            Some(FileType::Symlink) => self.link(item).await,
            _ => self.file(item).await,
        };
        Done::Item(source, bytes, done)
    }

    async fn link(&self, item: Item) -> Result<()> {
        let made = async {
            let old = self.old(&item).await?;
            if let Some(old) = &old
                && !self.may_replace(&item, old).await?
            {
                return Ok(false);
            }
            let target = item.source.link().await?;
            let is_new = self.options.conflict != Conflict::Overwrite;
            item.place.link(target, is_new).await.map(|()| true)
        };
        match made.await {
            Ok(true) => {
                self.shared.placed(0);
                Ok(())
            }
            Ok(false) => {
                self.shared.give_up(0, 0);
                Ok(())
            }
            Err(error) => {
                self.shared.give_up(0, 0);
                Err(error)
            }
        }
    }

    async fn file(&self, item: Item) -> Result<()> {
        let replaces = async {
            let old = self.old(&item).await?;
            let goes = match &old {
                Some(old) => self.may_replace(&item, old).await?,
                None => true,
            };
            Ok(goes.then_some(old))
        };
        match replaces.await {
            Ok(Some(old)) => {
                let copy = Copy {
                    options: &self.options,
                    shared: &self.shared,
                    source: &item.source,
                    listed: &item.known,
                    place: &item.place,
                    old,
                };
                copy.run().await
            }
            Ok(None) => {
                self.shared.give_up(item.known.size, 0);
                Ok(())
            }
            Err(error) => {
                self.shared.give_up(item.known.size, 0);
                Err(error)
            }
        }
    }

    async fn old(&self, item: &Item) -> Result<Option<Known>> {
        match &item.old {
            Old::Known(known) => Ok(known.clone()),
            Old::Unknown => item.place.known().await,
        }
    }

    /// Whether what is there is to be replaced. What is not has been told.
    async fn may_replace(&self, item: &Item, old: &Known) -> Result<bool> {
        if old.is_directory() {
            let what = "a directory is there";
            return Err(item.place.taken(ErrorKind::IsADirectory, what));
        }
        match self.options.conflict {
            Conflict::Overwrite => {}
            Conflict::Skip => {
                self.shared.skipped(item.source.path(), SkipReason::Exists);
                return Ok(false);
            }
            Conflict::Error => {
                let what = "it exists already";
                return Err(item.place.taken(ErrorKind::AlreadyExists, what));
            }
        }
        let both_are_files = [&item.known, old]
            .iter()
            .all(|known| known.kind == Some(FileType::File));
        let is_current = both_are_files
            && match self.options.replaces() {
                Update::Always => false,
                Update::Newer => item.known.modified() <= old.modified(),
                Update::Different => {
                    (item.known.size, item.known.modified()) == (old.size, old.modified())
                }
                Update::DifferentContents => {
                    item.known.size == old.size && self.is_same(item).await?
                }
            };
        if is_current {
            let reason = SkipReason::UpToDate;
            self.shared.skipped(item.source.path(), reason);
        }
        Ok(!is_current)
    }

    /// Whether the contents at the place are those of the source, whose length they have.
    async fn is_same(&self, item: &Item) -> Result<bool> {
        let length = item.known.size;
        if length == 0 {
            return Ok(true);
        }
        // Only asked for so that nothing is sent twice: then a small file is sent as fast.
        if length < WORTH_COMPARING && self.options.update == Update::Always {
            return Ok(false);
        }
        let reader = item.source.open(&item.known).await?;
        let sum = reader.digested().sum(length).await?;
        item.place.has(length, sum).await
    }
}

/// A directory cannot be brought into itself: it would never end.
async fn require_apart(source: &Source, top: &Top) -> Result<()> {
    let (Source::Remote(from, _), Top::Remote(to, target)) = (source, top) else {
        return Ok(());
    };
    let (here, there) = (from.files.session().host(), to.files.session().host());
    let names = |host: &crate::host::Host| (host.hostname.clone(), host.port, host.user.clone());
    if names(here) != names(there) {
        return Ok(());
    }
    let (_, target) = to.files.locate("write", target.as_bytes()).await?;
    let target = Source::Remote(to.clone(), crate::files::RemotePath::new(target));
    // One whose parent is missing too is found out when it is made.
    let (Ok(inner), outer) = (target.real().await, source.real().await?) else {
        return Ok(());
    };
    let mut slashed = outer.clone();
    slashed.push(b'/');
    if inner == outer || inner.starts_with(&slashed) {
        let what = "a directory cannot be brought into itself";
        return Err(Error::new(ErrorKind::InvalidInput, "transfer", what));
    }
    Ok(())
}
