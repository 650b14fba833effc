//! A node's directory: whose it is, and that nobody else uses it.
//!
//! A new directory comes into being in this order, each step durable before the next: the directory, `LOCK`,
//! an empty log, `identity`. So whatever has an identity has a log: one that is missing was lost, and the node
//! does not start with an empty one. A crash on the way leaves nothing that was ever told to anybody, and the
//! next start begins again, with other ids.
//!
//! What is compared with what (the founding list, the object's name, the address) is the caller's affair,
//! between [`Directory::open`] and [`Directory::begin_boot`].

use super::disk::{Disk, DiskError, DiskFile};
use super::identity::{FormedCluster, IDENTITY_FORMAT, Identity, IdentityError};
use super::recovery::{Damage, Problem};
use super::segment::{
    FIRST_SEQUENCE, HeaderError, SEGMENT_HEADER_BYTES, SegmentHeader, is_unfinished, sequence_in,
};
use super::wal::Wal;
use super::{Owner, WalOptions};
use crate::hash::hash_bytes;
use crate::marks::mark;
use crate::planted::planted;
use crate::raft::membership::Membership;
use crate::raft::types::{Boot, Incarnation, NodeId};
use bytes::Bytes;
use std::path::{Path, PathBuf};

const LOCK: &str = "LOCK";
const IDENTITY: &str = "identity";
const IDENTITY_UNFINISHED: &str = "identity.tmp";
const LOCK_TEXT: &[u8] = b"raftobj: a node uses this directory while it holds the lock of this file\n";
/// An identity is some hundred bytes. What is longer than this is none, and is not read.
const IDENTITY_BYTES_MAX: u64 = 16 << 20;

/// A locked data directory.
#[derive(Debug)]
pub(crate) struct Directory<D: Disk> {
    disk: D,
    path: PathBuf,
    identity: Identity,
    /// Held while this lives.
    _lock: D::File,
}

/// Who a node becomes if its directory is new. The ids are random numbers.
#[derive(Clone, Debug)]
pub(crate) struct NewIdentity {
    /// Its id for ever.
    pub(crate) node: NodeId,
    /// The id of this life of its disk.
    pub(crate) incarnation: Incarnation,
    /// The name of the object's type.
    pub(crate) object: String,
    /// The address the others know it by.
    pub(crate) address: String,
    /// The addresses of all founders, normalised.
    pub(crate) founding: Vec<String>,
}

/// A directory that cannot be used. Nothing in it was changed, unless it was new.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DirectoryError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Another process uses it, or this one does already.
    #[error("{} is in use by another node: stop that one, or choose another data directory", path.display())]
    Locked { path: PathBuf },
    /// There is something in it that raftobj did not write.
    #[error(
        "{} holds `{name}` and no node's identity, so it is not a data directory: choose an empty or a new one",
        path.display()
    )]
    Foreign { path: PathBuf, name: String },
    /// A log without an identity, or an identity that cannot be read.
    #[error("{problem}; nothing was changed: {}", problem.damage.advice())]
    Refused { problem: Problem },
}

impl From<Problem> for DirectoryError {
    fn from(problem: Problem) -> DirectoryError {
        DirectoryError::Refused { problem }
    }
}

impl<D: Disk> Directory<D> {
    /// Locks a directory and reads its identity. A missing or empty directory is initialised with
    /// `new_identity`, durably.
    pub(crate) fn open(
        disk: D,
        path: &Path,
        options: WalOptions,
        new_identity: NewIdentity,
    ) -> Result<Directory<D>, DirectoryError> {
        create_all(&disk, path)?;
        let names = disk.list(path)?.unwrap_or_default();
        let has = |name: &str| names.iter().any(|other| other == name);
        let has_our_lock = has(LOCK) && (has(IDENTITY) || is_lock(&disk, &path.join(LOCK))?);
        if !has(IDENTITY) && !has_our_lock {
            // Before the lock is made: a directory that is not ours stays untouched.
            refuse_foreign(&disk, path, &names)?;
        }
        if has(IDENTITY) && !has(LOCK) {
            read_identity(&disk, path)?;
        }
        let lock = lock(&disk, path)?;
        if let Some(identity) = read_identity(&disk, path)? {
            return Ok(Directory { disk, path: path.to_owned(), identity, _lock: lock });
        }
        refuse_foreign(&disk, path, &disk.list(path)?.unwrap_or_default())?;
        mark!(DirectoryBegunAgain if has_our_lock);
        lock.write_at(LOCK_TEXT, 0)?;
        lock.sync()?;
        disk.sync_dir(path)?;
        let NewIdentity { mut node, incarnation, object, address, founding } = new_identity;
        if planted!(WipedDiskReturns) {
            node = NodeId(hash_bytes(0, address.as_bytes()));
        }
        let boot = Boot(0);
        let identity =
            Identity { node, incarnation, boot, object, address, founding, proposal: None, formed: None };
        Wal::create(&disk, path, Owner { node, incarnation, boot }, options)?;
        let mut directory =
            Directory { disk, path: path.to_owned(), identity: identity.clone(), _lock: lock };
        directory.replace(identity)?;
        Ok(directory)
    }

    /// Who the node is. Its boot is zero in a directory that is new.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Counts this start, durably, and says whose log is to be opened. Once a start, before `Wal::open`.
    pub(crate) fn begin_boot(&mut self) -> Result<Owner, DirectoryError> {
        let boot = Boot(self.identity.boot.0 + 1);
        self.replace(Identity { boot, ..self.identity.clone() })?;
        Ok(Owner { node: self.identity.node, incarnation: self.identity.incarnation, boot })
    }

    /// Remembers, durably, what this node proposes to found: before it is told to anybody.
    pub(crate) fn save_proposal(&mut self, proposal: Membership) -> Result<(), DirectoryError> {
        self.replace(Identity { proposal: Some(proposal), ..self.identity.clone() })
    }

    /// Remembers, durably, that the cluster is formed: before this node votes.
    pub(crate) fn save_formed(&mut self, formed: FormedCluster) -> Result<(), DirectoryError> {
        self.replace(Identity { formed: Some(formed), ..self.identity.clone() })
    }

    /// Puts another identity in the place of the one that is there: after a crash it is the one or the other.
    /// After an error it may be either; what this directory says of itself is then the old one.
    fn replace(&mut self, identity: Identity) -> Result<(), DirectoryError> {
        let unfinished = self.path.join(IDENTITY_UNFINISHED);
        match self.disk.remove(&unfinished) {
            Err(error) if !error.is_missing() => return Err(error.into()),
            _ => {}
        }
        let file = self.disk.create(&unfinished)?;
        file.write_at(&identity.encode(), 0)?;
        file.sync()?;
        self.disk.rename(&unfinished, &self.path.join(IDENTITY))?;
        if !planted!(IdentityNameNotSynced) {
            self.disk.sync_dir(&self.path)?;
        }
        self.identity = identity;
        Ok(())
    }
}

/// Makes a directory and those above it, and their names durable (rule 10).
fn create_all<D: Disk>(disk: &D, path: &Path) -> Result<(), DiskError> {
    let mut missing = Vec::new();
    let mut above = Some(path);
    while let Some(dir) = above.filter(|dir| !dir.as_os_str().is_empty()) {
        if disk.list(dir)?.is_some() {
            break;
        }
        missing.push(dir);
        above = dir.parent();
    }
    for dir in missing.iter().rev() {
        disk.create_dir(dir)?;
    }
    // Those that were there may have been made by a start that crashed before this.
    for dir in missing.iter().copied().chain((missing.is_empty()).then_some(path)) {
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
        match parent {
            Some(parent) => disk.sync_dir(parent)?,
            None if dir.is_absolute() => {}
            None => disk.sync_dir(Path::new("."))?,
        }
    }
    Ok(())
}

/// A directory without an identity is ours only if all in it is what a crashed beginning leaves.
fn refuse_foreign<D: Disk>(disk: &D, path: &Path, names: &[String]) -> Result<(), DirectoryError> {
    for name in names {
        let file = path.join(name);
        let ours = match name.as_str() {
            // Another one may be making the directory right now: the lock tells.
            IDENTITY => true,
            LOCK => is_lock(disk, &file)?,
            IDENTITY_UNFINISHED => names.iter().any(|name| name == LOCK),
            name if is_unfinished(name) => names.iter().any(|name| name == LOCK),
            name => match sequence_in(name) {
                Some(sequence) => match use_of_segment(disk, &file)? {
                    Use::None => sequence == FIRST_SEQUENCE,
                    Use::Log => {
                        let damage = Damage::NoIdentity;
                        return Err(DirectoryError::Refused { problem: Problem { file, offset: 0, damage } });
                    }
                    Use::Other => false,
                },
                None => false,
            },
        };
        if !ours {
            return Err(DirectoryError::Foreign { path: path.to_owned(), name: name.clone() });
        }
    }
    Ok(())
}

/// Whether a file is a lock of ours, or what a crash left of one.
fn is_lock<D: Disk>(disk: &D, path: &Path) -> Result<bool, DiskError> {
    let bytes = read_up_to(disk, path, LOCK_TEXT.len() as u64)?;
    Ok(bytes.is_some_and(|bytes| LOCK_TEXT.starts_with(&bytes) || bytes.iter().all(|byte| *byte == 0)))
}

/// What a file with a segment's name is.
enum Use {
    /// A segment in which nothing was ever written.
    None,
    /// A part of a log.
    Log,
    /// Not of our making.
    Other,
}

fn use_of_segment<D: Disk>(disk: &D, path: &Path) -> Result<Use, DiskError> {
    let file = disk.open_read(path)?;
    let length = file.len()?;
    let mut block = [0; SEGMENT_HEADER_BYTES];
    if length < SEGMENT_HEADER_BYTES as u64 {
        return Ok(Use::Other);
    }
    file.read_at(&mut block, 0)?;
    match SegmentHeader::decode(&block) {
        Ok(_) => {}
        Err(HeaderError::NotOurs) => return Ok(Use::Other),
        Err(HeaderError::Damaged | HeaderError::Newer(_)) => return Ok(Use::Log),
    }
    let mut offset = SEGMENT_HEADER_BYTES as u64;
    while offset < length {
        let part = (length - offset).min(SEGMENT_HEADER_BYTES as u64) as usize;
        file.read_at(&mut block[..part], offset)?;
        if block[..part].iter().any(|byte| *byte != 0) {
            return Ok(Use::Log);
        }
        offset += part as u64;
    }
    Ok(Use::None)
}

fn lock<D: Disk>(disk: &D, dir: &Path) -> Result<D::File, DirectoryError> {
    let path = dir.join(LOCK);
    let file = match disk.open(&path) {
        Ok(file) => file,
        Err(error) if error.is_missing() => disk.create(&path)?,
        Err(error) => return Err(error.into()),
    };
    if !file.try_lock()? {
        return Err(DirectoryError::Locked { path: dir.to_owned() });
    }
    Ok(file)
}

/// Reads the identity in a directory; `None` where there is none.
pub(super) fn read_identity<D: Disk>(disk: &D, dir: &Path) -> Result<Option<Identity>, Problem> {
    let file = dir.join(IDENTITY);
    let found = match read_up_to(disk, &file, IDENTITY_BYTES_MAX) {
        Ok(None) => Err(Damage::NotOurs),
        Ok(Some(bytes)) => Identity::decode(&bytes).map(Some).map_err(|error| match error {
            IdentityError::NotOurs => Damage::NotOurs,
            IdentityError::Damaged => Damage::Header,
            IdentityError::Newer(found) => Damage::Newer { found, known: IDENTITY_FORMAT },
            IdentityError::Meaningless(error) => Damage::Identity { reason: error.to_string() },
        }),
        Err(error) if error.is_missing() => Ok(None),
        // Rule 14: what cannot be read is not "nothing there".
        Err(error) => Err(Damage::Unreadable { reason: error.source.to_string() }),
    };
    found.map_err(|damage| Problem { file, offset: 0, damage })
}

/// A file's bytes; `None` where there are more than `max`.
fn read_up_to<D: Disk>(disk: &D, path: &Path, max: u64) -> Result<Option<Bytes>, DiskError> {
    let file = disk.open_read(path)?;
    let length = file.len()?;
    if length > max {
        return Ok(None);
    }
    let mut bytes = vec![0; length as usize];
    file.read_at(&mut bytes, 0)?;
    Ok(Some(Bytes::from(bytes)))
}
