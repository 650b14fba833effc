//! The file operations that storage needs: so few that a simulated disk can cut the power between any two.
//!
//! A write and its sync are two calls: a power cut between them may lose what was written. Nothing here knows what
//! is written. Begin reading at [`Disk`]. [`RealDisk`] is its only implementation outside of tests and simulation;
//! the suite `tests/disk.rs` runs over both.

#[cfg(any(test, feature = "sim"))]
#[cfg_attr(not(test), allow(dead_code, reason = "the tests of the room use all of it"))]
pub(crate) mod sim;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Directories and the names in them. A clone is the same disk.
pub(crate) trait Disk: Clone + Send + Sync + 'static {
    type File: DiskFile;

    /// Creates one directory in an existing parent. Not an error if it exists: nodes that start at the same time
    /// create a common parent at the same time. Durable after [`Disk::sync_dir`] of the parent.
    fn create_dir(&self, dir: &Path) -> Result<(), DiskError>;
    /// The names in a directory, sorted; `None` if there is no such directory.
    fn list(&self, dir: &Path) -> Result<Option<Vec<String>>, DiskError>;
    /// Creates a file for reading and writing; an error if it exists. Durable after `sync_dir`.
    fn create(&self, path: &Path) -> Result<Self::File, DiskError>;
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> Result<Self::File, DiskError>;
    /// Opens an existing file for reading and locking.
    fn open_read(&self, path: &Path) -> Result<Self::File, DiskError>;
    /// Renames a file within its directory, replacing a file of the new name. Atomic; durable after `sync_dir`.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError>;
    /// Removes a file. Durable after `sync_dir`.
    fn remove(&self, path: &Path) -> Result<(), DiskError>;
    /// Makes the names in a directory durable, after create, rename and remove (rule *durable names*).
    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError>;
}

/// An open file.
pub(crate) trait DiskFile: Send + Sync + 'static {
    /// Writes all of `bytes`. After an error any part of them may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError>;
    /// Fills `buffer`; an error if the file is too short.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), DiskError>;
    /// Makes everything written durable, and the file's length. After an error the fate of everything written since
    /// the last successful sync is unknown, and a second call proves nothing (rule *an error closes the log*).
    fn sync(&self) -> Result<(), DiskError>;
    /// The length in bytes.
    fn len(&self) -> Result<u64, DiskError>;
    /// Takes the file's lock, which excludes other processes and other handles until this handle is dropped.
    /// `false` if another handle holds it.
    fn try_lock(&self) -> Result<bool, DiskError>;
}

/// A failed operation and its path.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}: {source}", path.display())]
pub struct DiskError {
    /// The operation, a verb.
    pub operation: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// The error of the operating system.
    pub source: io::Error,
}

impl DiskError {
    /// For `map_err`.
    pub(crate) fn at(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DiskError {
        let path = path.to_owned();
        move |source| DiskError { operation, path, source }
    }

    /// Whether the file does not exist.
    pub(crate) fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// Whether the disk has no room for a file, or the owner of the process may have no more of it.
    pub(crate) fn is_no_space(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RealDisk;

/// An open file, with its path for errors.
#[derive(Debug)]
pub(crate) struct RealFile {
    file: File,
    path: PathBuf,
}

impl RealDisk {
    fn open_with(path: &Path, operation: &'static str, options: &OpenOptions) -> Result<RealFile, DiskError> {
        let file = wait_for_descriptor(|| options.open(path)).map_err(DiskError::at(operation, path))?;
        Ok(RealFile { file, path: path.to_owned() })
    }
}

impl Disk for RealDisk {
    type File = RealFile;

    fn create_dir(&self, dir: &Path) -> Result<(), DiskError> {
        match fs::create_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
            created => created.map_err(DiskError::at("create directory", dir)),
        }
    }

    fn list(&self, dir: &Path) -> Result<Option<Vec<String>>, DiskError> {
        let names = match wait_for_descriptor(|| fs::read_dir(dir)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            found => found.map_err(DiskError::at("list", dir))?,
        };
        let mut list = Vec::new();
        for name in names {
            let name = name.map_err(DiskError::at("list", dir))?;
            list.push(name.file_name().to_string_lossy().into_owned());
        }
        list.sort();
        Ok(Some(list))
    }

    fn create(&self, path: &Path) -> Result<RealFile, DiskError> {
        RealDisk::open_with(path, "create", OpenOptions::new().read(true).write(true).create_new(true))
    }

    fn open(&self, path: &Path) -> Result<RealFile, DiskError> {
        RealDisk::open_with(path, "open", OpenOptions::new().read(true).write(true))
    }

    fn open_read(&self, path: &Path) -> Result<RealFile, DiskError> {
        RealDisk::open_with(path, "open", OpenOptions::new().read(true))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        fs::rename(from, to).map_err(DiskError::at("rename", from))
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        fs::remove_file(path).map_err(DiskError::at("remove", path))
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        // Only the open is repeated, never the sync (rule *an error closes the log*).
        let synced = wait_for_descriptor(|| File::open(dir)).and_then(|file| file.sync_all());
        synced.map_err(DiskError::at("sync directory", dir))
    }
}

impl DiskFile for RealFile {
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError> {
        self.file.write_all_at(bytes, offset).map_err(DiskError::at("write", &self.path))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), DiskError> {
        self.file.read_exact_at(buffer, offset).map_err(DiskError::at("read", &self.path))
    }

    fn sync(&self) -> Result<(), DiskError> {
        self.file.sync_data().map_err(DiskError::at("sync", &self.path))
    }

    fn len(&self) -> Result<u64, DiskError> {
        let metadata = self.file.metadata().map_err(DiskError::at("measure", &self.path))?;
        Ok(metadata.len())
    }

    fn try_lock(&self) -> Result<bool, DiskError> {
        match self.file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(DiskError::at("lock", &self.path)(error)),
        }
    }
}

/// Opens something, and repeats that where the process or the whole system has no free file descriptor: connections
/// may take the last ones, and give them back. Nothing was written by an open that failed, so the disk is not at fault
/// and the log is as before.
///
/// # Errors
/// Of the operating system; there was no descriptor for [`DESCRIPTOR_WAIT_MS_MAX`].
fn wait_for_descriptor<T>(mut open: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut waited_ms = 0;
    loop {
        match open() {
            Err(error) if is_out_of_descriptors(&error) => {
                if waited_ms >= DESCRIPTOR_WAIT_MS_MAX {
                    let text = format!(
                        "{error}, for {DESCRIPTOR_WAIT_MS_MAX} ms: raise the limit of open files (`ulimit -n`, \
                         `LimitNOFILE=`)"
                    );
                    return Err(io::Error::new(error.kind(), text));
                }
                #[allow(
                    clippy::disallowed_methods,
                    reason = "nothing reports a free descriptor; the wait is bounded"
                )]
                std::thread::sleep(Duration::from_millis(DESCRIPTOR_RETRY_MS));
                waited_ms += DESCRIPTOR_RETRY_MS;
            }
            opened => return opened,
        }
    }
}

/// EMFILE (24) and ENFILE (23) have the same numbers on Linux, macOS and the BSDs.
fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}

/// Longer than an unidentified connection can hold a descriptor: each handshake ends after a second.
const DESCRIPTOR_WAIT_MS_MAX: u64 = 5_000;
const DESCRIPTOR_RETRY_MS: u64 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    // Breaks: a moment without descriptors ends a node; or one without end hangs it.
    #[test]
    fn an_open_waits_for_a_descriptor_with_a_bound() {
        let fails = |times: u64, errno: i32| {
            let mut calls = 0;
            let opened = wait_for_descriptor(|| {
                calls += 1;
                if calls <= times { Err(io::Error::from_raw_os_error(errno)) } else { Ok(()) }
            });
            (opened.map_err(|error| error.to_string()), calls)
        };
        assert_eq!(fails(3, 24), (Ok(()), 4));
        assert_eq!(fails(1, 23), (Ok(()), 2));
        let (full_disk, calls) = fails(1, 28);
        assert!(full_disk.is_err() && calls == 1, "{full_disk:?} after {calls} calls");
        let (never, calls) = fails(u64::MAX, 24);
        assert!(never.unwrap_err().contains("ulimit -n"));
        assert_eq!(calls, 1 + DESCRIPTOR_WAIT_MS_MAX / DESCRIPTOR_RETRY_MS);
    }
}
