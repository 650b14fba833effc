//! What the room asks of a disk: few operations, so that a simulated one can pull the plug between any two.
//!
//! A write and its sync are two calls: between them lies everything that a power cut may lose. Nothing here
//! knows what is written. Begin at [`Disk`]; [`RealDisk`] is the only implementation outside of tests and
//! simulation, and both pass the one suite in `tests`.

#[cfg(any(test, feature = "sim"))]
#[cfg_attr(not(test), allow(dead_code, reason = "the tests of the room use all of it"))]
pub(crate) mod sim;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Directories and the names in them. Clones speak to the same disk.
pub(crate) trait Disk: Clone + Send + Sync + 'static {
    type File: DiskFile;

    /// Makes one directory, unless it is there: nodes that start at once make a common parent at once. Its own
    /// parent exists. Durable once the parent was given to [`Disk::sync_dir`].
    fn create_dir(&self, dir: &Path) -> Result<(), DiskError>;
    /// The names in a directory, sorted; `None` where there is no such directory.
    fn list(&self, dir: &Path) -> Result<Option<Vec<String>>, DiskError>;
    /// Makes a file that did not exist, for reading and writing; an error if it does.
    fn create(&self, path: &Path) -> Result<Self::File, DiskError>;
    /// Opens a file that exists, for reading and writing.
    fn open(&self, path: &Path) -> Result<Self::File, DiskError>;
    /// Opens a file that exists, for reading (and locking).
    fn open_read(&self, path: &Path) -> Result<Self::File, DiskError>;
    /// Gives a file another name in its directory, replacing what had it. Atomic; durable after `sync_dir`.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError>;
    /// Takes a file's name away. Durable after `sync_dir`.
    fn remove(&self, path: &Path) -> Result<(), DiskError>;
    /// Makes the names in a directory durable: after create, rename and remove (rule 10).
    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError>;
}

/// An open file.
pub(crate) trait DiskFile: Send + Sync + 'static {
    /// Writes all of `bytes`. After an error any part of them may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), DiskError>;
    /// Fills `buffer`; an error if the file ends before.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), DiskError>;
    /// Makes what was written durable, and the length with it. After an error what was written since the
    /// last good sync is unknowable, and a second call proves nothing (rule 4).
    fn sync(&self) -> Result<(), DiskError>;
    /// The length in bytes.
    fn len(&self) -> Result<u64, DiskError>;
    /// Takes the lock that other processes see, held while this handle lives. `false`: somebody else has it.
    fn try_lock(&self) -> Result<bool, DiskError>;
}

/// An operation that failed, and on which path.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}: {source}", path.display())]
pub struct DiskError {
    /// The operation, as the verb of the sentence.
    pub operation: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

impl DiskError {
    /// For `map_err`.
    pub(crate) fn at(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DiskError {
        let path = path.to_owned();
        move |source| DiskError { operation, path, source }
    }

    /// Whether the file is not there.
    pub(crate) fn is_missing(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }
}

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RealDisk;

/// An open file and the name it was opened by, for errors.
#[derive(Debug)]
pub(crate) struct RealFile {
    file: File,
    path: PathBuf,
}

impl RealDisk {
    fn open_with(path: &Path, operation: &'static str, options: &OpenOptions) -> Result<RealFile, DiskError> {
        let file = options.open(path).map_err(DiskError::at(operation, path))?;
        Ok(RealFile { file, path: path.to_owned() })
    }
}

impl Disk for RealDisk {
    type File = RealFile;

    fn create_dir(&self, dir: &Path) -> Result<(), DiskError> {
        match fs::create_dir(dir) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
            made => made.map_err(DiskError::at("create directory", dir)),
        }
    }

    fn list(&self, dir: &Path) -> Result<Option<Vec<String>>, DiskError> {
        let names = match fs::read_dir(dir) {
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
        let synced = File::open(dir).and_then(|file| file.sync_all());
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
