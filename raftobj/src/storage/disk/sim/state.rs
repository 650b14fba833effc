//! The content of a simulated disk: what reads see, and what a power cut may lose.
//!
//! A directory maps paths to [`Inode`]s, and an inode of a file has a number; its [`Content`] is found by that number.
//! Both have a durable part and a list of changes that are not synced yet.

use super::DiskFault;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Sectors are written completely or not at all.
const SECTOR_BYTES: u64 = 512;

/// What a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Inode {
    Directory,
    File(u64),
}

/// A write that no sync has made durable.
#[derive(Clone, Debug)]
struct UnsyncedWrite {
    offset: u64,
    bytes: Vec<u8>,
    /// A sync failed after it: later syncs leave it out.
    is_abandoned: bool,
}

/// The bytes of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    durable: Vec<u8>,
    /// What reads see: `durable` with all of `unsynced` applied.
    pub(super) current: Vec<u8>,
    unsynced: Vec<UnsyncedWrite>,
}

/// A change of names that no sync of its directory has made durable.
#[derive(Clone, Debug)]
pub(super) struct NameChange {
    pub(super) dir: PathBuf,
    pub(super) removed: Option<PathBuf>,
    pub(super) added: Option<(PathBuf, Inode)>,
}

#[derive(Clone, Debug)]
pub(super) struct DiskState {
    pub(super) files: BTreeMap<u64, Content>,
    pub(super) names: BTreeMap<PathBuf, Inode>,
    durable_names: BTreeMap<PathBuf, Inode>,
    unsynced_names: Vec<NameChange>,
    /// The handle that holds the lock of a file.
    pub(super) locks: BTreeMap<u64, u64>,
    /// The last id of a file or handle.
    pub(super) last_id: u64,
    /// The process that runs now. Handles of earlier processes are dead.
    pub(super) process: u64,
    pub(super) calls: u64,
    /// The call that will fail, and how.
    pub(super) fault: Option<(u64, DiskFault)>,
    /// The fault that was triggered, until the test takes it.
    pub(super) triggered: Option<DiskFault>,
    /// From this call on every call fails: the power is off.
    pub(super) off_at: Option<u64>,
    /// How many bytes files can still grow by; `None`: without limit. At zero no file is created.
    pub(super) free_bytes: Option<u64>,
    /// Files that cannot be read, each with the offset where this begins.
    pub(super) unreadable: BTreeMap<PathBuf, u64>,
}

impl DiskState {
    /// An empty root directory.
    pub(super) fn new() -> DiskState {
        let root = BTreeMap::from([(PathBuf::from("/"), Inode::Directory)]);
        DiskState {
            files: BTreeMap::new(),
            names: root.clone(),
            durable_names: root,
            unsynced_names: Vec::new(),
            locks: BTreeMap::new(),
            last_id: 0,
            process: 0,
            calls: 0,
            fault: None,
            triggered: None,
            off_at: None,
            free_bytes: None,
            unreadable: BTreeMap::new(),
        }
    }

    pub(super) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// The number of the file at a path.
    pub(super) fn file(&self, path: &Path) -> io::Result<u64> {
        match self.names.get(path) {
            Some(Inode::File(file)) => Ok(*file),
            Some(Inode::Directory) => Err(io::Error::from(io::ErrorKind::IsADirectory)),
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }

    pub(super) fn content(&mut self, file: u64) -> &mut Content {
        self.files.entry(file).or_default()
    }

    /// The parent of a path, which must be an existing directory.
    pub(super) fn parent(&self, path: &Path) -> io::Result<PathBuf> {
        let parent = path.parent().unwrap_or(Path::new("/")).to_owned();
        match self.names.get(&parent) {
            Some(Inode::Directory) => Ok(parent),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }

    /// Takes free space for a file that grows. Returns whether there is enough.
    pub(super) fn take_space(&mut self, bytes: u64) -> bool {
        match &mut self.free_bytes {
            None => true,
            Some(free) if *free < bytes => false,
            Some(free) => {
                *free -= bytes;
                true
            }
        }
    }

    /// A path's file loses its name, and its space is free again.
    fn release_space(&mut self, path: &Path) {
        if let Ok(file) = self.file(path) {
            let bytes = self.content(file).current.len() as u64;
            self.free_bytes.iter_mut().for_each(|free| *free += bytes);
        }
    }

    pub(super) fn change_names(&mut self, change: NameChange) {
        match &change {
            NameChange { added: Some((replaced, _)), .. } => self.release_space(replaced),
            NameChange { removed: Some(removed), .. } => self.release_space(removed),
            _ => {}
        }
        apply_change(&mut self.names, &change);
        self.unsynced_names.push(change);
    }

    /// Makes the changes of names in a directory durable.
    pub(super) fn sync_names(&mut self, dir: &Path) {
        let (synced, left) = self.unsynced_names.drain(..).partition(|change| change.dir == dir);
        self.unsynced_names = left;
        let synced: Vec<NameChange> = synced;
        for change in &synced {
            apply_change(&mut self.durable_names, change);
        }
    }

    /// Adds a file that is durable at once, or replaces its content.
    pub(super) fn set_durable(&mut self, path: &Path, bytes: &[u8]) {
        let file = match self.names.get(path) {
            Some(Inode::File(file)) => *file,
            _ => {
                let file = self.next_id();
                self.names.insert(path.to_owned(), Inode::File(file));
                self.durable_names.insert(path.to_owned(), Inode::File(file));
                file
            }
        };
        let content = Content { durable: bytes.to_vec(), current: bytes.to_vec(), unsynced: Vec::new() };
        self.files.insert(file, content);
    }

    /// Loses every unsynced unit that `keep` does not keep: see [`super::SimDisk::cut_power`].
    pub(super) fn lose_unsynced(&mut self, keep: &mut dyn FnMut(usize) -> bool) {
        let mut unit = 0;
        let mut is_kept = || {
            unit += 1;
            keep(unit - 1)
        };
        for change in std::mem::take(&mut self.unsynced_names) {
            if is_kept() {
                apply_change(&mut self.durable_names, &change);
            }
        }
        for content in self.files.values_mut() {
            for write in std::mem::take(&mut content.unsynced) {
                for (offset, bytes) in sectors(write.offset, &write.bytes) {
                    if is_kept() {
                        apply_write(&mut content.durable, offset, bytes);
                    }
                }
            }
            content.current = content.durable.clone();
        }
        let names = self.durable_names.clone();
        let is_reachable = |path: &Path| path.ancestors().skip(1).all(|dir| names.contains_key(dir));
        self.durable_names.retain(|path, _| is_reachable(path));
        self.names = self.durable_names.clone();
    }
}

impl Content {
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        apply_write(&mut self.current, offset, bytes);
        self.unsynced.push(UnsyncedWrite { offset, bytes: bytes.to_vec(), is_abandoned: false });
    }

    pub(super) fn sync(&mut self) {
        let (mut abandoned, synced): (Vec<UnsyncedWrite>, Vec<UnsyncedWrite>) =
            std::mem::take(&mut self.unsynced).into_iter().partition(|write| write.is_abandoned);
        for write in synced {
            apply_write(&mut self.durable, write.offset, &write.bytes);
            abandoned.iter_mut().for_each(|old| old.overwrite(&write));
        }
        self.unsynced = abandoned;
    }

    /// A sync failed: later syncs do not make durable what was written before.
    pub(super) fn abandon_unsynced(&mut self) {
        self.unsynced.iter_mut().for_each(|write| write.is_abandoned = true);
    }
}

impl UnsyncedWrite {
    /// A newer write was synced. Where it covers this one, only its bytes can survive.
    fn overwrite(&mut self, newer: &UnsyncedWrite) {
        for (position, byte) in (self.offset..).zip(self.bytes.iter_mut()) {
            let into = position.checked_sub(newer.offset);
            if let Some(newer) = into.and_then(|into| newer.bytes.get(into as usize)) {
                *byte = *newer;
            }
        }
    }
}

fn apply_change(names: &mut BTreeMap<PathBuf, Inode>, change: &NameChange) {
    if let Some(path) = &change.removed {
        names.remove(path);
    }
    if let Some((path, inode)) = &change.added {
        names.insert(path.clone(), inode.clone());
    }
}

fn apply_write(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let start = offset as usize;
    let end = start + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[start..end].copy_from_slice(bytes);
}

/// The parts of a write, one for each sector.
fn sectors(mut offset: u64, mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let room = SECTOR_BYTES - offset % SECTOR_BYTES;
        let (part, rest) = bytes.split_at(bytes.len().min(room as usize));
        parts.push((offset, part));
        offset += part.len() as u64;
        bytes = rest;
    }
    parts
}
