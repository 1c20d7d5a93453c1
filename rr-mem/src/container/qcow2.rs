//! The machine state of a snapshot inside a qcow2 disk image, as `savevm`
//! leaves it. QEMU, docs/interop/qcow2.txt.
//!
//! The state lies behind the end of the virtual disk, seen through the
//! snapshot's own tables. Not here: the disk's contents, reference counts,
//! backing files. Compressed, encrypted and extended clusters are refused:
//! `savevm` writes no compressed ones.

use thiserror::Error;

use super::{ContainerError, Unpacked};
use crate::{
    advice::{Advice, Part, Setting},
    bits::{bit, keep},
    memory::MappedFile,
};

const MAGIC: &[u8] = b"QFI\xfb";
/// Incompatible features: an external data file, extended L2 entries.
const EXTERNAL_DATA: u32 = 2;
const EXTENDED_L2: u32 = 4;
/// Of an L2 entry: all zeros; compressed.
const ZERO: u32 = 0;
const COMPRESSED: u32 = 62;
/// No image has more snapshots (QEMU's QCOW_MAX_SNAPSHOTS).
const MOST_SNAPSHOTS: u32 = 65536;

/// Why a disk image gives no state.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Qcow2Error {
    /// The image is damaged or cut.
    #[error("the qcow2 image: {what} at file offset {at:#x}")]
    Damaged {
        /// What is wrong.
        what: &'static str,
        /// Where.
        at: u64,
    },
    /// What we do not read.
    #[error("the qcow2 image has {0}, which is not read here")]
    Refused(&'static str),
    /// No snapshot was named, or none has that name.
    #[error("{}; its snapshots with a machine's state are {}",
        .wanted.as_ref().map_or("no snapshot of the qcow2 image is named".to_owned(),
            |name| format!("the qcow2 image has no snapshot {name:?}")), listed(.names))]
    NoSuchSnapshot {
        /// The name.
        wanted: Option<String>,
        /// Those that there are.
        names: Vec<String>,
    },
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".into() } else { names.join(", ") }
}

impl Qcow2Error {
    /// What the user can do about it.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::Damaged { .. } => Advice::Say("check the image with qemu-img check"),
            Self::Refused(_) => Advice::Say(
                "load the snapshot in QEMU, and migrate to a file: migrate exec:cat>FILE",
            ),
            Self::NoSuchSnapshot { .. } => Advice::Parts(&[
                Part::Say("give the name of a snapshot with "),
                Part::Name(Setting::Snapshot),
            ]),
        }
    }
}

fn damaged(what: &'static str, at: u64) -> Qcow2Error {
    Qcow2Error::Damaged { what, at }
}

/// Whether these are the first bytes of a qcow2 image.
#[must_use]
pub fn is_qcow2(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC)
}

/// The machine state of the snapshot called `wanted` (by name, or by number);
/// `progress` hears the bytes copied so far.
///
/// # Errors
/// When there is no such snapshot, or its state cannot be read.
pub fn state(
    file: &MappedFile,
    wanted: Option<&str>,
    progress: &mut dyn FnMut(u64),
) -> Result<MappedFile, ContainerError> {
    let disk = Disk::new(file.bytes())?;
    let snapshot = disk.find(wanted)?;
    let mut out = Unpacked::new(super::LEFT_FREE);
    disk.copy(&snapshot, &mut out, progress)?;
    out.finish().map_err(|source| written(snapshot.state_size, source))
}

fn written(unpacked: u64, source: std::io::Error) -> ContainerError {
    ContainerError::Unpack { format: "qcow2", unpacked, source }
}

/// An image, by its header.
struct Disk<'a> {
    bytes: &'a [u8],
    cluster_bits: u32,
    size: u64,
    snapshots: u32,
    snapshots_at: u64,
}

/// A snapshot's tables and names.
#[derive(Clone, Debug)]
struct DiskSnapshot {
    id: String,
    name: String,
    l1_at: u64,
    l1_entries: u64,
    state_size: u64,
    /// Of the virtual disk at that time, in bytes.
    disk_size: u64,
}

impl<'a> Disk<'a> {
    fn new(bytes: &'a [u8]) -> Result<Self, Qcow2Error> {
        let mut disk = Self { bytes, cluster_bits: 0, size: 0, snapshots: 0, snapshots_at: 0 };
        let version = disk.u32(4)?;
        disk.cluster_bits = disk.u32(20)?;
        disk.size = disk.u64(24)?;
        disk.snapshots = disk.u32(60)?;
        disk.snapshots_at = disk.u64(64)?;
        let features = if version >= 3 { disk.u64(72)? } else { 0 };
        match (version, features) {
            (2 | 3, _) if disk.u32(32)? != 0 => Err(Qcow2Error::Refused("encryption")),
            (2 | 3, _) if !(9..=21).contains(&disk.cluster_bits) => {
                Err(damaged("a cluster size that cannot be", 20))
            }
            (2 | 3, _) if disk.snapshots > MOST_SNAPSHOTS => {
                Err(damaged("more snapshots than can be", 60))
            }
            (3, features) if bit(features, EXTERNAL_DATA) => {
                Err(Qcow2Error::Refused("an external data file"))
            }
            (3, features) if bit(features, EXTENDED_L2) => {
                Err(Qcow2Error::Refused("extended L2 entries"))
            }
            (2 | 3, _) => Ok(disk),
            _ => Err(damaged("a version that is not known", 4)),
        }
    }

    fn array<const N: usize>(&self, at: u64) -> Result<[u8; N], Qcow2Error> {
        let start = usize::try_from(at).ok();
        let found = start.and_then(|start| self.bytes.get(start..)?.first_chunk());
        found.copied().ok_or_else(|| damaged("it ends", at))
    }

    fn u16(&self, at: u64) -> Result<u16, Qcow2Error> {
        self.array(at).map(u16::from_be_bytes)
    }

    fn u32(&self, at: u64) -> Result<u32, Qcow2Error> {
        self.array(at).map(u32::from_be_bytes)
    }

    fn u64(&self, at: u64) -> Result<u64, Qcow2Error> {
        self.array(at).map(u64::from_be_bytes)
    }

    fn text(&self, at: u64, len: u16) -> Result<String, Qcow2Error> {
        let start = usize::try_from(at).ok();
        let text = start.and_then(|start| self.bytes.get(start..start.checked_add(len.into())?));
        let text = text.ok_or_else(|| damaged("it ends", at))?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn find(&self, wanted: Option<&str>) -> Result<DiskSnapshot, Qcow2Error> {
        let mut names = Vec::new();
        let mut at = self.snapshots_at;
        for _ in 0..self.snapshots {
            let (snapshot, next) = self.snapshot(at)?;
            at = next;
            if snapshot.state_size == 0 {
                continue;
            }
            if wanted.is_some_and(|wanted| wanted == snapshot.name || wanted == snapshot.id) {
                return Ok(snapshot);
            }
            names.push(snapshot.name);
        }
        Err(Qcow2Error::NoSuchSnapshot { wanted: wanted.map(str::to_owned), names })
    }

    /// The snapshot table's entry at `at`, and where the next entry is.
    fn snapshot(&self, at: u64) -> Result<(DiskSnapshot, u64), Qcow2Error> {
        let end = || damaged("a snapshot that ends behind the end", at);
        let extra_size = u64::from(self.u32(at.checked_add(36).ok_or_else(end)?)?);
        let (id_len, name_len) = (self.u16(at + 12)?, self.u16(at + 14)?);
        let extra = at + 40;
        let id_at = extra + extra_size;
        let name_at = id_at + u64::from(id_len);
        let small = u64::from(self.u32(at + 32)?);
        let snapshot = DiskSnapshot {
            id: self.text(id_at, id_len)?,
            name: self.text(name_at, name_len)?,
            l1_at: self.u64(at)?,
            l1_entries: self.u32(at + 8)?.into(),
            state_size: if extra_size >= 8 { self.u64(extra)? } else { small },
            disk_size: if extra_size >= 16 { self.u64(extra + 8)? } else { self.size },
        };
        Ok((snapshot, (name_at + u64::from(name_len)).next_multiple_of(8)))
    }

    /// Copies the state, a cluster at a time.
    fn copy(
        &self,
        snapshot: &DiskSnapshot,
        out: &mut Unpacked,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), ContainerError> {
        // Every cluster of a state is written.
        if snapshot.state_size > self.bytes.len() as u64 {
            return Err(damaged("a state that is larger than the image", snapshot.l1_at).into());
        }
        let cluster = 1 << self.cluster_bits;
        let zeros = vec![0; cluster as usize];
        let l2_bits = self.cluster_bits - 3;
        let first = snapshot.disk_size.div_ceil(cluster << l2_bits) << l2_bits;
        for (number, done) in (first..).zip((0..snapshot.state_size).step_by(cluster as usize)) {
            let len = cluster.min(snapshot.state_size - done) as usize;
            let bytes = self.cluster(snapshot, number)?.unwrap_or(&zeros);
            let bytes = bytes.get(..len).ok_or_else(|| damaged("a cluster that is cut", done))?;
            out.push(bytes).map_err(|source| written(done, source))?;
            progress(done);
        }
        Ok(())
    }

    /// The bytes of a cluster of the virtual disk, by its number; none of one
    /// that is all zeros.
    fn cluster(
        &self,
        snapshot: &DiskSnapshot,
        number: u64,
    ) -> Result<Option<&'a [u8]>, Qcow2Error> {
        let l2_bits = self.cluster_bits - 3;
        let l1 = number >> l2_bits;
        let l1_at = snapshot.l1_at.saturating_add(l1 * 8);
        if l1 >= snapshot.l1_entries {
            return Err(damaged("a table without the snapshot's state", snapshot.l1_at));
        }
        let l2 = keep(self.u64(l1_at)?, 55, 9);
        let l2_at = l2 + (number & ((1 << l2_bits) - 1)) * 8;
        let entry = if l2 == 0 { 0 } else { self.u64(l2_at)? };
        let start = keep(entry, 55, 9);
        match () {
            () if bit(entry, COMPRESSED) => Err(Qcow2Error::Refused("compressed clusters")),
            () if bit(entry, ZERO) => Ok(None),
            () if start == 0 => Err(damaged("a cluster of the state that is not there", l2_at)),
            () => {
                let start = usize::try_from(start).unwrap_or(usize::MAX);
                let rest = self.bytes.get(start..).unwrap_or_default();
                Ok(Some(&rest[..rest.len().min(1 << self.cluster_bits)]))
            }
        }
    }
}
