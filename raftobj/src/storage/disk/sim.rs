//! A disk in memory that can lose what was not synced.
//!
//! Each write stays on a list until its file is synced, each change of names until its directory is. A power
//! cut ([`SimDisk::cut_power`]) decides for every *unit* on those lists whether it reached the platter: a unit is
//! the part of one write that lies in one sector of 512 bytes (sectors are written whole or not at all), or one
//! change of a name. A process that merely dies ([`SimDisk::restart`]) loses
//! nothing.
//!
//! A sync that fails does what Linux does: what was written stays readable, is taken off the list of the next
//! sync, and so may be lost by a later power cut although that next sync succeeded.

use super::{Disk, DiskError, DiskFile};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const SECTOR_BYTES: u64 = 512;

/// What goes wrong at a chosen call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskFault {
    /// The disk answers with an I/O error, and did nothing.
    Io,
    /// The disk is full, and nothing was done.
    NoSpace,
    /// Half of a write arrives before the disk is full; any other call fails as with [`DiskFault::NoSpace`].
    Short,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Directory,
    File(u64),
}

#[derive(Clone, Debug)]
struct Unsynced {
    offset: u64,
    bytes: Vec<u8>,
    /// A sync failed after it: later syncs leave it out.
    given_up: bool,
}

#[derive(Clone, Debug, Default)]
struct Content {
    durable: Vec<u8>,
    /// What reads see: `durable` and all of `unsynced` on it.
    current: Vec<u8>,
    unsynced: Vec<Unsynced>,
}

#[derive(Clone, Debug)]
struct NameChange {
    dir: PathBuf,
    removed: Option<PathBuf>,
    added: Option<(PathBuf, Node)>,
}

#[derive(Clone, Debug, Default)]
struct State {
    files: BTreeMap<u64, Content>,
    names: BTreeMap<PathBuf, Node>,
    durable_names: BTreeMap<PathBuf, Node>,
    unsynced_names: Vec<NameChange>,
    /// Which handle holds the lock of a file.
    locks: BTreeMap<u64, u64>,
    last_id: u64,
    /// Handles of an earlier life are dead.
    life: u64,
    calls: u64,
    fault: Option<(u64, DiskFault)>,
    /// The fault that was met, until somebody asks.
    met: Option<DiskFault>,
    /// From this call on nothing is answered: the power is gone.
    off_at: Option<u64>,
    /// Nothing grows any more, and no file is made.
    full: bool,
    /// Files that cannot be read, and from which offset on.
    unreadable: BTreeMap<PathBuf, u64>,
}

/// A disk in memory; clones are the same disk.
#[derive(Clone, Debug)]
pub(crate) struct SimDisk(Arc<Mutex<State>>);

/// An open file of a [`SimDisk`].
#[derive(Debug)]
pub(crate) struct SimFile {
    disk: SimDisk,
    path: PathBuf,
    file: u64,
    handle: u64,
    life: u64,
    writable: bool,
}

impl SimDisk {
    /// An empty disk with a root directory.
    pub(crate) fn new() -> SimDisk {
        let root = BTreeMap::from([(PathBuf::from("/"), Node::Directory)]);
        SimDisk(Arc::new(Mutex::new(State { names: root.clone(), durable_names: root, ..State::default() })))
    }

    /// Another disk with the same content and the same unsynced lists.
    pub(crate) fn fork(&self) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(self.state().clone())))
    }

    /// How many calls were made so far; the next has this number.
    pub(crate) fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Lets one call fail.
    pub(crate) fn fail_at(&self, call: u64, fault: DiskFault) {
        self.state().fault = Some((call, fault));
    }

    /// Lets every call from this one on fail, until [`SimDisk::cut_power`] or [`SimDisk::restart`].
    pub(crate) fn power_off_at(&self, call: u64) {
        self.state().off_at = Some(call);
    }

    /// Reads of a file that reach this offset fail.
    pub(crate) fn unreadable_from(&self, path: &Path, offset: u64) {
        self.state().unreadable.insert(path.to_owned(), offset);
    }

    /// The power stays on after all, if it did not go yet.
    pub(crate) fn cancel_power_off(&self) {
        self.state().off_at = None;
    }

    /// The fault that was planted and not met is taken back.
    pub(crate) fn clear_fault(&self) {
        self.state().fault = None;
    }

    /// The fault that a call has met since this was asked last, in this life.
    pub(crate) fn take_triggered_fault(&self) -> Option<DiskFault> {
        self.state().met.take()
    }

    /// Takes all free space away, or gives it back. What has its space keeps it.
    pub(crate) fn set_full(&self, full: bool) {
        self.state().full = full;
    }

    /// The process dies and comes back; the disk goes on.
    pub(crate) fn restart(&self) {
        let mut state = self.state();
        state.life += 1;
        state.locks.clear();
        state.off_at = None;
        (state.fault, state.met) = (None, None);
    }

    /// How many units a power cut now would decide about.
    pub(crate) fn unsynced_units(&self) -> usize {
        let mut count = 0;
        self.fork().cut_power(&mut |_| {
            count += 1;
            false
        });
        count
    }

    /// The power is cut and comes back. `keep` is asked for each unit, numbered from zero, in a fixed order:
    /// whether it is on the disk.
    pub(crate) fn cut_power(&self, keep: &mut dyn FnMut(usize) -> bool) {
        self.restart();
        let mut state = self.state();
        let mut unit = 0;
        let mut kept = || {
            unit += 1;
            keep(unit - 1)
        };
        for change in std::mem::take(&mut state.unsynced_names) {
            if kept() {
                apply_names(&mut state.durable_names, &change);
            }
        }
        for content in state.files.values_mut() {
            for unsynced in std::mem::take(&mut content.unsynced) {
                for (offset, bytes) in sectors(unsynced.offset, &unsynced.bytes) {
                    if kept() {
                        apply(&mut content.durable, offset, bytes);
                    }
                }
            }
            content.current = content.durable.clone();
        }
        let names = state.durable_names.clone();
        let reachable = |path: &Path| path.ancestors().skip(1).all(|dir| names.contains_key(dir));
        state.durable_names.retain(|path, _| reachable(path));
        state.names = state.durable_names.clone();
    }

    /// A file's bytes as a reader sees them.
    pub(crate) fn bytes(&self, path: &Path) -> Vec<u8> {
        let mut state = self.state();
        let file = state.file(path).expect("the test names a file that exists");
        state.content(file).current.clone()
    }

    /// Puts bytes into a file, durably, as damage or a hand would.
    pub(crate) fn set_bytes(&self, path: &Path, bytes: &[u8]) {
        let mut state = self.state();
        let file = match state.names.get(path) {
            Some(Node::File(file)) => *file,
            _ => {
                state.last_id += 1;
                let file = state.last_id;
                state.names.insert(path.to_owned(), Node::File(file));
                state.durable_names.insert(path.to_owned(), Node::File(file));
                file
            }
        };
        let content = Content { durable: bytes.to_vec(), current: bytes.to_vec(), unsynced: Vec::new() };
        state.files.insert(file, content);
    }

    /// Every file and directory, to compare disks by what a reader sees.
    pub(crate) fn snapshot(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let state = self.state();
        let seen = |node: &Node| match node {
            Node::Directory => None,
            Node::File(file) => state.files.get(file).map(|content| content.current.clone()),
        };
        state.names.iter().map(|(path, node)| (path.clone(), seen(node))).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call, and lets it fail where a fault was planted. `Ok(Some(Short))` is for writes.
    fn call(&self, operation: &'static str, path: &Path) -> Result<(MutexGuard<'_, State>, bool), DiskError> {
        let mut state = self.state();
        let call = state.calls;
        state.calls += 1;
        let fail = |kind| Err(DiskError::at(operation, path)(kind));
        if state.off_at.is_some_and(|off| call >= off) {
            return fail(io::Error::other("the power is off"));
        }
        match state.fault {
            Some((at, fault)) if at == call => {
                state.fault = None;
                state.met = Some(fault);
                match fault {
                    DiskFault::Short if operation == "write" => Ok((state, true)),
                    DiskFault::Io => fail(io::Error::other("input/output error")),
                    DiskFault::NoSpace | DiskFault::Short => {
                        fail(io::Error::from(io::ErrorKind::StorageFull))
                    }
                }
            }
            _ => Ok((state, false)),
        }
    }

    fn handle(&self, path: &Path, writable: bool) -> Result<SimFile, DiskError> {
        let (mut state, _) = self.call("open", path)?;
        let file = state.file(path).map_err(DiskError::at("open", path))?;
        state.last_id += 1;
        let handle = state.last_id;
        let life = state.life;
        drop(state);
        Ok(SimFile { disk: self.clone(), path: path.to_owned(), file, handle, life, writable })
    }
}

impl State {
    fn file(&self, path: &Path) -> io::Result<u64> {
        match self.names.get(path) {
            Some(Node::File(file)) => Ok(*file),
            Some(Node::Directory) => Err(io::Error::from(io::ErrorKind::IsADirectory)),
            None => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }

    fn content(&mut self, file: u64) -> &mut Content {
        self.files.entry(file).or_default()
    }

    fn change_names(&mut self, change: NameChange) {
        apply_names(&mut self.names, &change);
        self.unsynced_names.push(change);
    }

    fn parent(&self, path: &Path) -> io::Result<PathBuf> {
        let parent = path.parent().unwrap_or(Path::new("/")).to_owned();
        match self.names.get(&parent) {
            Some(Node::Directory) => Ok(parent),
            _ => Err(io::Error::from(io::ErrorKind::NotFound)),
        }
    }
}

fn apply_names(names: &mut BTreeMap<PathBuf, Node>, change: &NameChange) {
    if let Some(path) = &change.removed {
        names.remove(path);
    }
    if let Some((path, node)) = &change.added {
        names.insert(path.clone(), node.clone());
    }
}

fn apply(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let start = offset as usize;
    let end = start + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[start..end].copy_from_slice(bytes);
}

/// Where a synced write covers one that was given up, nothing is left of the older.
fn overwrite(old: &mut Unsynced, new: &Unsynced) {
    for (position, byte) in (old.offset..).zip(old.bytes.iter_mut()) {
        if let Some(newer) = position.checked_sub(new.offset).and_then(|into| new.bytes.get(into as usize)) {
            *byte = *newer;
        }
    }
}

/// The parts of a write, cut where sectors end.
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

impl Disk for SimDisk {
    type File = SimFile;

    fn create_dir(&self, dir: &Path) -> Result<(), DiskError> {
        let (mut state, _) = self.call("create directory", dir)?;
        let parent = state.parent(dir).map_err(DiskError::at("create directory", dir))?;
        match state.names.get(dir) {
            None => {}
            Some(Node::Directory) => return Ok(()),
            Some(_) => {
                return Err(DiskError::at("create directory", dir)(io::ErrorKind::AlreadyExists.into()));
            }
        }
        let added = Some((dir.to_owned(), Node::Directory));
        state.change_names(NameChange { dir: parent, removed: None, added });
        Ok(())
    }

    fn list(&self, dir: &Path) -> Result<Option<Vec<String>>, DiskError> {
        let (state, _) = self.call("list", dir)?;
        match state.names.get(dir) {
            None => return Ok(None),
            Some(Node::File(_)) => {
                return Err(DiskError::at("list", dir)(io::ErrorKind::NotADirectory.into()));
            }
            Some(Node::Directory) => {}
        }
        let inside = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(Some(inside.filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned())).collect()))
    }

    fn create(&self, path: &Path) -> Result<SimFile, DiskError> {
        let (mut state, _) = self.call("create", path)?;
        let parent = state.parent(path).map_err(DiskError::at("create", path))?;
        if state.names.contains_key(path) {
            return Err(DiskError::at("create", path)(io::ErrorKind::AlreadyExists.into()));
        }
        if state.full {
            return Err(DiskError::at("create", path)(io::ErrorKind::StorageFull.into()));
        }
        state.last_id += 2;
        let (file, handle, life) = (state.last_id - 1, state.last_id, state.life);
        state.files.insert(file, Content::default());
        let added = Some((path.to_owned(), Node::File(file)));
        state.change_names(NameChange { dir: parent, removed: None, added });
        drop(state);
        Ok(SimFile { disk: self.clone(), path: path.to_owned(), file, handle, life, writable: true })
    }

    fn open(&self, path: &Path) -> Result<SimFile, DiskError> {
        self.handle(path, true)
    }

    fn open_read(&self, path: &Path) -> Result<SimFile, DiskError> {
        self.handle(path, false)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        let (mut state, _) = self.call("rename", from)?;
        let file = state.file(from).map_err(DiskError::at("rename", from))?;
        let dir = state.parent(to).map_err(DiskError::at("rename", from))?;
        let added = Some((to.to_owned(), Node::File(file)));
        state.change_names(NameChange { dir, removed: Some(from.to_owned()), added });
        Ok(())
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        let (mut state, _) = self.call("remove", path)?;
        state.file(path).map_err(DiskError::at("remove", path))?;
        let dir = state.parent(path).map_err(DiskError::at("remove", path))?;
        state.change_names(NameChange { dir, removed: Some(path.to_owned()), added: None });
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        let (mut state, _) = self.call("sync directory", dir)?;
        if state.names.get(dir) != Some(&Node::Directory) {
            return Err(DiskError::at("sync directory", dir)(io::ErrorKind::NotFound.into()));
        }
        let (synced, left) = state.unsynced_names.drain(..).partition(|change| change.dir == dir);
        state.unsynced_names = left;
        let synced: Vec<NameChange> = synced;
        for change in &synced {
            apply_names(&mut state.durable_names, change);
        }
        Ok(())
    }
}

impl SimFile {
    fn call(&self, operation: &'static str) -> Result<(MutexGuard<'_, State>, bool), DiskError> {
        let (state, short) = self.disk.call(operation, &self.path)?;
        if state.life != self.life {
            let gone = io::Error::other("the process that opened it is dead");
            return Err(DiskError::at(operation, &self.path)(gone));
        }
        if !self.writable && operation == "write" {
            return Err(DiskError::at(operation, &self.path)(io::ErrorKind::PermissionDenied.into()));
        }
        Ok((state, short))
    }
}

impl DiskFile for SimFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        let (mut state, short) = self.call("write")?;
        let arrives = if short { &bytes[..bytes.len() / 2] } else { bytes };
        let full = state.full;
        let content = state.content(self.file);
        if full && offset + arrives.len() as u64 > content.current.len() as u64 {
            return Err(DiskError::at("write", &self.path)(io::ErrorKind::StorageFull.into()));
        }
        apply(&mut content.current, offset, arrives);
        content.unsynced.push(Unsynced { offset, bytes: arrives.to_vec(), given_up: false });
        match short {
            true => Err(DiskError::at("write", &self.path)(io::ErrorKind::StorageFull.into())),
            false => Ok(()),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), DiskError> {
        let (mut state, _) = self.call("read")?;
        let end = offset + buffer.len() as u64;
        if state.unreadable.get(&self.path).is_some_and(|from| end > *from) {
            return Err(DiskError::at("read", &self.path)(io::Error::other("input/output error")));
        }
        let content = &state.content(self.file).current;
        match content.get(offset as usize..end as usize) {
            Some(bytes) => buffer.copy_from_slice(bytes),
            None => return Err(DiskError::at("read", &self.path)(io::ErrorKind::UnexpectedEof.into())),
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), DiskError> {
        let (mut state, _) = self.call("sync").inspect_err(|_| {
            let mut state = self.disk.state();
            let unsynced = &mut state.content(self.file).unsynced;
            unsynced.iter_mut().for_each(|unsynced| unsynced.given_up = true);
        })?;
        let content = state.content(self.file);
        let (mut given_up, synced): (Vec<Unsynced>, Vec<Unsynced>) =
            std::mem::take(&mut content.unsynced).into_iter().partition(|unsynced| unsynced.given_up);
        for unsynced in synced {
            apply(&mut content.durable, unsynced.offset, &unsynced.bytes);
            given_up.iter_mut().for_each(|old| overwrite(old, &unsynced));
        }
        content.unsynced = given_up;
        Ok(())
    }

    fn len(&self) -> Result<u64, DiskError> {
        let (mut state, _) = self.call("measure")?;
        Ok(state.content(self.file).current.len() as u64)
    }

    fn try_lock(&self) -> Result<bool, DiskError> {
        let (mut state, _) = self.call("lock")?;
        match state.locks.get(&self.file) {
            Some(holder) => Ok(*holder == self.handle),
            None => {
                state.locks.insert(self.file, self.handle);
                Ok(true)
            }
        }
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.life == self.life && state.locks.get(&self.file) == Some(&self.handle) {
            state.locks.remove(&self.file);
        }
    }
}
