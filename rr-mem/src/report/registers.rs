//! Registers as rows: by the manuals' names in lower case, as the flags are
//! called.

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::{mmu::Mmu, regs::Regs};

/// The paging registers of one CPU.
#[derive(Clone, Debug, Serialize)]
pub struct RegsRow {
    /// Its number in the source.
    pub cpu: usize,
    /// The architecture of its mode.
    pub arch: &'static str,
    /// The paging mode; `None` where what decides it is not known.
    pub mode: Option<&'static str>,
    /// Paging registers by name; `None` where nobody knows the value.
    #[serde(serialize_with = "map")]
    pub registers: Vec<(&'static str, Option<u64>)>,
}

impl RegsRow {
    /// The row of CPU number `cpu`; of `regs`, those count that are `known` by
    /// name, and what chooses the paging mode if `mode_known`.
    #[must_use]
    pub fn new(cpu: usize, regs: &Regs, known: impl Fn(&str) -> bool, mode_known: bool) -> Self {
        let registers = regs.named().into_iter();
        Self {
            cpu,
            arch: regs.arch().name(),
            mode: mode_known.then(|| Mmu::new(regs).mode()),
            registers: registers
                .map(|(name, value)| (name, known(name).then_some(value)))
                .collect(),
        }
    }
}

/// An object of hex strings and, for what is not known, null.
pub(super) fn map<T, S>(list: &[(&'static str, T)], serializer: S) -> Result<S::Ok, S::Error>
where
    T: Copy + Into<Option<u64>>,
    S: Serializer,
{
    let mut map = serializer.serialize_map(Some(list.len()))?;
    for (name, value) in list {
        let value: Option<u64> = (*value).into();
        map.serialize_entry(name, &value.map(|value| format!("{value:#x}")))?;
    }
    map.end()
}
