//! A disk in memory that can lose what was not synced.
//!
//! Each write stays on a list until its file is synced, and each change of a name until its directory is synced. A
//! power cut ([`SimDisk::cut_power`]) decides for every *unit* on those lists whether it reached the disk. A unit is
//! the part of one write that lies in one sector of 512 bytes, or one change of a name. A process that dies without a
//! power cut ([`SimDisk::restart`]) loses nothing.
//!
//! A failed sync does what it does on Linux: what was written stays readable, but the next sync leaves it out. A later
//! power cut may therefore lose it although that next sync succeeded.

mod state;

use super::{Disk, DiskError, DiskFile};
use state::{DiskState, Inode, NameChange};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What goes wrong at a chosen call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskFault {
    /// The call fails with an I/O error and does nothing.
    Io,
    /// The disk is full; the call does nothing.
    NoSpace,
    /// The disk gets full in the middle of a write, after half of it. Any other call fails as with
    /// [`DiskFault::NoSpace`].
    Short,
}

/// A disk in memory. A clone is the same disk.
#[derive(Clone, Debug)]
pub(crate) struct SimDisk(Arc<Mutex<DiskState>>);

/// An open file of a [`SimDisk`].
#[derive(Debug)]
pub(crate) struct SimFile {
    disk: SimDisk,
    path: PathBuf,
    file: u64,
    handle: u64,
    process: u64,
    writable: bool,
}

impl SimDisk {
    /// An empty disk with a root directory.
    pub(crate) fn new() -> SimDisk {
        SimDisk(Arc::new(Mutex::new(DiskState::new())))
    }

    /// A separate disk with the same content and the same unsynced changes.
    pub(crate) fn fork(&self) -> SimDisk {
        SimDisk(Arc::new(Mutex::new(self.state().clone())))
    }

    /// How many calls were made so far. The next call has this number.
    pub(crate) fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Makes one call fail.
    pub(crate) fn fail_at(&self, call: u64, fault: DiskFault) {
        self.state().fault = Some((call, fault));
    }

    /// Makes every call from this one on fail, until [`SimDisk::cut_power`] or [`SimDisk::restart`].
    pub(crate) fn power_off_at(&self, call: u64) {
        self.state().off_at = Some(call);
    }

    /// Makes reads of a file fail if they reach this offset.
    pub(crate) fn unreadable_from(&self, path: &Path, offset: u64) {
        self.state().unreadable.insert(path.to_owned(), offset);
    }

    /// Reverts [`SimDisk::power_off_at`].
    pub(crate) fn cancel_power_off(&self) {
        self.state().off_at = None;
    }

    /// Reverts [`SimDisk::fail_at`], unless the call was already made.
    pub(crate) fn clear_fault(&self) {
        self.state().fault = None;
    }

    /// The fault that a call of this process has triggered, once.
    pub(crate) fn take_triggered_fault(&self) -> Option<DiskFault> {
        self.state().triggered.take()
    }

    /// Takes all free space away, or gives it back. Existing files keep their space; a file that is removed frees it.
    pub(crate) fn set_full(&self, full: bool) {
        self.set_free_bytes(full.then_some(0));
    }

    /// Sets by how many bytes files can grow; `None`: without limit.
    pub(crate) fn set_free_bytes(&self, free_bytes: Option<u64>) {
        self.state().free_bytes = free_bytes;
    }

    /// The process dies and another one starts; the disk keeps everything.
    pub(crate) fn restart(&self) {
        let mut state = self.state();
        state.process += 1;
        state.locks.clear();
        state.off_at = None;
        (state.fault, state.triggered) = (None, None);
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

    /// The power is cut and comes back. `keep` decides for each unit, numbered from zero in a fixed order, whether
    /// it is on the disk.
    pub(crate) fn cut_power(&self, keep: &mut dyn FnMut(usize) -> bool) {
        self.restart();
        self.state().lose_unsynced(keep);
    }

    /// A file's bytes as a reader sees them.
    pub(crate) fn bytes(&self, path: &Path) -> Vec<u8> {
        let mut state = self.state();
        let file = state.file(path).expect("the test names an existing file");
        state.content(file).current.clone()
    }

    /// Replaces a file's bytes, durably, as damage or a person would.
    pub(crate) fn set_bytes(&self, path: &Path, bytes: &[u8]) {
        self.state().set_durable(path, bytes);
    }

    /// Every directory (`None`) and file, as a reader sees them: to compare disks.
    pub(crate) fn snapshot(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let state = self.state();
        let bytes = |inode: &Inode| match inode {
            Inode::Directory => None,
            Inode::File(file) => state.files.get(file).map(|content| content.current.clone()),
        };
        state.names.iter().map(|(path, inode)| (path.clone(), bytes(inode))).collect()
    }

    fn state(&self) -> MutexGuard<'_, DiskState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call and makes it fail if a fault is due. `true` is a short write, which the caller carries out.
    fn call(
        &self,
        operation: &'static str,
        path: &Path,
    ) -> Result<(MutexGuard<'_, DiskState>, bool), DiskError> {
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
                state.triggered = Some(fault);
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

    fn open_handle(&self, path: &Path, writable: bool) -> Result<SimFile, DiskError> {
        let (mut state, _) = self.call("open", path)?;
        let file = state.file(path).map_err(DiskError::at("open", path))?;
        let (handle, process) = (state.next_id(), state.process);
        drop(state);
        Ok(SimFile { disk: self.clone(), path: path.to_owned(), file, handle, process, writable })
    }
}

impl Disk for SimDisk {
    type File = SimFile;

    fn create_dir(&self, dir: &Path) -> Result<(), DiskError> {
        let (mut state, _) = self.call("create directory", dir)?;
        let parent = state.parent(dir).map_err(DiskError::at("create directory", dir))?;
        match state.names.get(dir) {
            None => {}
            Some(Inode::Directory) => return Ok(()),
            Some(_) => {
                return Err(DiskError::at("create directory", dir)(io::ErrorKind::AlreadyExists.into()));
            }
        }
        let added = Some((dir.to_owned(), Inode::Directory));
        state.change_names(NameChange { dir: parent, removed: None, added });
        Ok(())
    }

    fn list(&self, dir: &Path) -> Result<Option<Vec<String>>, DiskError> {
        let (state, _) = self.call("list", dir)?;
        match state.names.get(dir) {
            None => return Ok(None),
            Some(Inode::File(_)) => {
                return Err(DiskError::at("list", dir)(io::ErrorKind::NotADirectory.into()));
            }
            Some(Inode::Directory) => {}
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
        if state.free_bytes == Some(0) {
            return Err(DiskError::at("create", path)(io::ErrorKind::StorageFull.into()));
        }
        let (file, handle, process) = (state.next_id(), state.next_id(), state.process);
        state.content(file);
        let added = Some((path.to_owned(), Inode::File(file)));
        state.change_names(NameChange { dir: parent, removed: None, added });
        drop(state);
        Ok(SimFile { disk: self.clone(), path: path.to_owned(), file, handle, process, writable: true })
    }

    fn open(&self, path: &Path) -> Result<SimFile, DiskError> {
        self.open_handle(path, true)
    }

    fn open_read(&self, path: &Path) -> Result<SimFile, DiskError> {
        self.open_handle(path, false)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        let (mut state, _) = self.call("rename", from)?;
        let file = state.file(from).map_err(DiskError::at("rename", from))?;
        let dir = state.parent(to).map_err(DiskError::at("rename", from))?;
        let added = Some((to.to_owned(), Inode::File(file)));
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
        if state.names.get(dir) != Some(&Inode::Directory) {
            return Err(DiskError::at("sync directory", dir)(io::ErrorKind::NotFound.into()));
        }
        state.sync_names(dir);
        Ok(())
    }
}

impl SimFile {
    fn call(&self, operation: &'static str) -> Result<(MutexGuard<'_, DiskState>, bool), DiskError> {
        let (state, short) = self.disk.call(operation, &self.path)?;
        if state.process != self.process {
            let dead = io::Error::other("the process that opened it is dead");
            return Err(DiskError::at(operation, &self.path)(dead));
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
        let written = if short { &bytes[..bytes.len() / 2] } else { bytes };
        let length = state.content(self.file).current.len() as u64;
        if !state.take_space((offset + written.len() as u64).saturating_sub(length)) {
            return Err(DiskError::at("write", &self.path)(io::ErrorKind::StorageFull.into()));
        }
        state.content(self.file).write(offset, written);
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
        let (mut state, _) =
            self.call("sync").inspect_err(|_| self.disk.state().content(self.file).abandon_unsynced())?;
        state.content(self.file).sync();
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
        if state.process == self.process && state.locks.get(&self.file) == Some(&self.handle) {
            state.locks.remove(&self.file);
        }
    }
}
