//! A node's data directory: locks it, and reads and replaces its identity.
//!
//! A new directory is made in this order, each step durable before the next: the directory, `LOCK`, an empty log,
//! `identity`. A directory with an identity therefore has a log. If that is missing, it was lost, and the node does
//! not start with an empty one. A crash between two steps leaves only ids that no other node has seen; the next
//! start begins again, with other ids.
//!
//! The caller compares the identity with its options (founding list, object's name, address), between
//! [`Directory::open`] and [`Directory::begin_boot`].

use super::damage::{Damage, Problem};
use super::disk::{Disk, DiskError, DiskFile};
use super::identity::{FormedCluster, IDENTITY_FORMAT, Identity, IdentityError};
use super::prepare::{RESERVE, fill_with_zeros, is_tmp, remove_if_exists};
use super::segment::{FIRST_SEQUENCE, HeaderError, SEGMENT_HEADER_BYTES, SegmentHeader, sequence_in};
use super::wal::Wal;
use super::{Owner, WalOptions};
use crate::hash::hash_bytes;
use crate::marks::mark;
use crate::planted::planted;
use crate::raft::membership::Membership;
use crate::raft::types::{Boot, Incarnation, NodeId};
use bytes::Bytes;
use std::path::{Path, PathBuf};

/// The name of the file whose lock a running node holds.
pub(super) const LOCK: &str = "LOCK";
/// The name of the file of [`Identity`].
pub(super) const IDENTITY: &str = "identity";
const IDENTITY_TMP: &str = "identity.tmp";
/// Space for a new identity where the disk has none.
const IDENTITY_RESERVE: &str = "identity.reserve";
const IDENTITY_RESERVE_BYTES: u64 = 16 << 10;
const LOCK_TEXT: &[u8] = b"raftobj: a node uses this directory while it holds the lock of this file\n";
/// An identity has some hundred bytes. A file longer than this is none, and is not read.
const IDENTITY_BYTES_MAX: u64 = 16 << 20;

/// A locked data directory.
#[derive(Debug)]
pub(crate) struct Directory<D: Disk> {
    disk: D,
    path: PathBuf,
    identity: Identity,
    has_reserve: bool,
    /// Whether the disk had no space for an identity, and a reserve was released.
    was_full: bool,
    /// The lock is held until this handle is dropped.
    _lock: D::File,
}

/// The identity of a node whose directory is new. The ids are random numbers.
#[derive(Clone, Debug)]
pub(crate) struct NewIdentity {
    /// The node's permanent id.
    pub(crate) node: NodeId,
    /// The id of its disk: a node whose disk was wiped gets another.
    pub(crate) incarnation: Incarnation,
    /// The name of the object's type.
    pub(crate) object: String,
    /// The address that the peers know.
    pub(crate) address: String,
    /// The addresses of all founders, normalised.
    pub(crate) founding: Vec<String>,
}

/// The directory cannot be used. Nothing in it was changed, unless it was new.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DirectoryError {
    /// The disk failed.
    #[error("{0}; check the path, its permissions and the disk, then restart the node")]
    Disk(#[from] DiskError),
    /// Another process uses it, or this process already does.
    #[error("{} is in use by another node: stop that node, or choose another data directory", path.display())]
    Locked { path: PathBuf },
    /// It contains something that raftobj did not write.
    #[error(
        "{} contains `{name}` and no node's identity, so it is not a data directory: choose an empty or a new \
         directory",
        path.display()
    )]
    Foreign { path: PathBuf, name: String },
    /// It has a log without an identity, or an identity that cannot be read.
    #[error("{}", problem.refusal())]
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
    ///
    /// # Panics
    /// If the path is relative: files that are created later would follow the process's working directory.
    pub(crate) fn open(
        disk: D,
        path: &Path,
        options: WalOptions,
        new_identity: NewIdentity,
    ) -> Result<Directory<D>, DirectoryError> {
        assert!(path.is_absolute(), "the data directory {} is relative", path.display());
        create_all(&disk, path)?;
        let names = disk.list(path)?.unwrap_or_default();
        let has = |name: &str| names.iter().any(|other| other == name);
        let has_our_lock = has(LOCK) && (has(IDENTITY) || is_lock(&disk, &path.join(LOCK))?);
        if !has(IDENTITY) && !has_our_lock {
            // Before the lock is created: a directory that is not ours stays unchanged.
            refuse_foreign(&disk, path, &names)?;
        }
        if has(IDENTITY) && !has(LOCK) {
            read_identity(&disk, path)?;
        }
        let lock = lock(&disk, path)?;
        if let Some(identity) = read_identity(&disk, path)? {
            let has_reserve = has(IDENTITY_RESERVE);
            let path = path.to_owned();
            return Ok(Directory { disk, path, identity, has_reserve, was_full: false, _lock: lock });
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
        let mut directory = Directory {
            disk,
            path: path.to_owned(),
            identity: identity.clone(),
            has_reserve: false,
            was_full: false,
            _lock: lock,
        };
        directory.replace(identity)?;
        Ok(directory)
    }

    /// The node's identity. Its boot is zero in a new directory.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Counts this boot, durably, and returns the owner of the log to be opened. Once in each boot, before
    /// `Wal::open`.
    pub(crate) fn begin_boot(&mut self) -> Result<Owner, DirectoryError> {
        let boot = Boot(self.identity.boot.0 + 1);
        self.replace(Identity { boot, ..self.identity.clone() })?;
        if !self.has_reserve {
            self.create_reserve()?;
        }
        Ok(Owner { node: self.identity.node, incarnation: self.identity.incarnation, boot })
    }

    /// Whether a reserve was released since [`Directory::open`], because the disk was full.
    pub(crate) fn was_full(&self) -> bool {
        self.was_full
    }

    /// Saves, durably, the membership that this node proposes to found. Before it is sent to any peer.
    pub(crate) fn save_proposal(&mut self, proposal: Membership) -> Result<(), DirectoryError> {
        self.replace(Identity { proposal: Some(proposal), ..self.identity.clone() })
    }

    /// Saves, durably, that the cluster is formed. Before this node votes.
    pub(crate) fn save_formed(&mut self, formed: FormedCluster) -> Result<(), DirectoryError> {
        self.replace(Identity { formed: Some(formed), ..self.identity.clone() })
    }

    /// Replaces the identity on disk. After a crash the file holds the old one or the new one. After an error it
    /// may hold either, and [`Directory::identity`] is still the old one.
    fn replace(&mut self, identity: Identity) -> Result<(), DirectoryError> {
        let tmp = self.path.join(IDENTITY_TMP);
        // The log's reserve is the last resort; the log makes it anew when there is space.
        let mut reserves = [IDENTITY_RESERVE, RESERVE].into_iter();
        while let Err(error) = self.write_tmp(&tmp, &identity) {
            let Some(reserve) = reserves.next().filter(|_| error.is_no_space()) else {
                return Err(error.into());
            };
            mark!(ReserveReleased);
            remove_if_exists(&self.disk, &tmp)?;
            remove_if_exists(&self.disk, &self.path.join(reserve))?;
            (self.has_reserve, self.was_full) = (false, true);
        }
        self.disk.rename(&tmp, &self.path.join(IDENTITY))?;
        if !planted!(IdentityNameNotSynced) {
            self.disk.sync_dir(&self.path)?;
        }
        self.identity = identity;
        Ok(())
    }
}

impl<D: Disk> Directory<D> {
    fn write_tmp(&self, tmp: &Path, identity: &Identity) -> Result<(), DiskError> {
        remove_if_exists(&self.disk, tmp)?;
        let file = self.disk.create(tmp)?;
        file.write_at(&identity.encode(), 0)?;
        file.sync()
    }

    /// Creates the reserve for the next identity, unless there is no space. Its content does not matter.
    fn create_reserve(&mut self) -> Result<(), DiskError> {
        let path = self.path.join(IDENTITY_RESERVE);
        remove_if_exists(&self.disk, &path)?;
        let created = self.disk.create(&path).and_then(|file| {
            fill_with_zeros(&file, 0, IDENTITY_RESERVE_BYTES)?;
            file.sync()
        });
        match created {
            Err(error) if error.is_no_space() => {
                remove_if_exists(&self.disk, &path)?;
                self.was_full = true;
                Ok(())
            }
            created => {
                self.has_reserve = created.is_ok();
                created
            }
        }
    }
}

/// Creates a directory and its missing ancestors, durably (rule *durable names*).
fn create_all<D: Disk>(disk: &D, path: &Path) -> Result<(), DiskError> {
    let mut missing = Vec::new();
    let mut above = Some(path);
    while let Some(dir) = above {
        if disk.list(dir)?.is_some() {
            break;
        }
        missing.push(dir);
        above = dir.parent();
    }
    for dir in missing.iter().rev() {
        disk.create_dir(dir)?;
    }
    // An existing directory may have been created by a start that crashed before this line.
    for dir in missing.iter().copied().chain((missing.is_empty()).then_some(path)) {
        if let Some(parent) = dir.parent() {
            disk.sync_dir(parent)?;
        }
    }
    Ok(())
}

/// A directory without an identity is ours only if a crash during its creation can have left everything in it.
fn refuse_foreign<D: Disk>(disk: &D, path: &Path, names: &[String]) -> Result<(), DirectoryError> {
    for name in names {
        let file = path.join(name);
        let is_ours = match name.as_str() {
            // Another process may be creating the directory right now. The lock decides.
            IDENTITY => true,
            LOCK => is_lock(disk, &file)?,
            IDENTITY_TMP => names.iter().any(|name| name == LOCK),
            // Beside a log, that decides.
            IDENTITY_RESERVE | RESERVE => {
                names.iter().any(|name| name == LOCK || sequence_in(name).is_some())
            }
            name if is_tmp(name) => names.iter().any(|name| name == LOCK),
            name => match sequence_in(name) {
                Some(sequence) => match content_of_segment(disk, &file)? {
                    SegmentContent::Unused => sequence == FIRST_SEQUENCE,
                    SegmentContent::Used => {
                        let damage = Damage::NoIdentity;
                        return Err(DirectoryError::Refused { problem: Problem { file, offset: 0, damage } });
                    }
                    SegmentContent::Foreign => false,
                },
                None => false,
            },
        };
        if !is_ours {
            return Err(DirectoryError::Foreign { path: path.to_owned(), name: name.clone() });
        }
    }
    Ok(())
}

/// Whether a file is a lock file of ours, or what a crash left of one.
fn is_lock<D: Disk>(disk: &D, path: &Path) -> Result<bool, DiskError> {
    let bytes = read_up_to(disk, path, LOCK_TEXT.len() as u64)?;
    Ok(bytes.is_some_and(|bytes| LOCK_TEXT.starts_with(&bytes) || bytes.iter().all(|byte| *byte == 0)))
}

/// What a file with a segment's name contains.
enum SegmentContent {
    /// A header, and no frame yet.
    Unused,
    /// A part of a log.
    Used,
    /// Something that raftobj did not write.
    Foreign,
}

fn content_of_segment<D: Disk>(disk: &D, path: &Path) -> Result<SegmentContent, DiskError> {
    let file = disk.open_read(path)?;
    let length = file.len()?;
    let mut block = [0; SEGMENT_HEADER_BYTES];
    if length < SEGMENT_HEADER_BYTES as u64 {
        return Ok(SegmentContent::Foreign);
    }
    file.read_at(&mut block, 0)?;
    match SegmentHeader::decode(&block) {
        Ok(_) => {}
        Err(HeaderError::NotOurs) => return Ok(SegmentContent::Foreign),
        Err(HeaderError::Damaged | HeaderError::Newer(_)) => return Ok(SegmentContent::Used),
    }
    let mut offset = SEGMENT_HEADER_BYTES as u64;
    while offset < length {
        let part = (length - offset).min(SEGMENT_HEADER_BYTES as u64) as usize;
        file.read_at(&mut block[..part], offset)?;
        if block[..part].iter().any(|byte| *byte != 0) {
            return Ok(SegmentContent::Used);
        }
        offset += part as u64;
    }
    Ok(SegmentContent::Unused)
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

/// Reads the identity in a directory; `None` if there is none.
pub(super) fn read_identity<D: Disk>(disk: &D, dir: &Path) -> Result<Option<Identity>, Problem> {
    let file = dir.join(IDENTITY);
    let found = match read_up_to(disk, &file, IDENTITY_BYTES_MAX) {
        Ok(None) => Err(Damage::NotOurs),
        Ok(Some(bytes)) => Identity::decode(&bytes).map(Some).map_err(|error| match error {
            IdentityError::NotOurs => Damage::NotOurs,
            IdentityError::Damaged => Damage::Header,
            IdentityError::Newer(found) => Damage::Newer { found, known: IDENTITY_FORMAT },
            IdentityError::Invalid(error) => Damage::Identity { reason: error.to_string() },
        }),
        Err(error) if error.is_missing() => Ok(None),
        // A read error does not mean "no identity" (rule *unreadable is damage*).
        Err(error) => Err(Damage::Unreadable { reason: error.source.to_string() }),
    };
    found.map_err(|damage| Problem { file, offset: 0, damage })
}

/// A file's bytes; `None` if there are more than `max`.
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
