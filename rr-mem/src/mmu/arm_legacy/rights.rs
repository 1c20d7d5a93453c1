//! Effective rights and what the CPU refuses: "Memory access control", "MMU faults"
//! of DDI 0100I.

use super::{LegacyPaging, entry::First};
use crate::mmu::{
    Access, FaultKind, Level, Rights, Rwx, arm,
    arm_short::Domain,
    walk::{Page, Table},
};

/// What a first-level descriptor decides for its pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Inherited {
    pub(super) domain: u8,
}

impl LegacyPaging {
    /// The domain of a section. A supersection has none of its own.
    pub(super) const fn section_domain(&self, entry: First) -> u8 {
        if self.v6() && entry.supersection() { 0 } else { entry.domain() }
    }

    #[inline]
    pub(super) fn rights(&self, domain: u8, ap: u8) -> Rights {
        let rights = match Domain::of(self.regs.dacr, domain) {
            Domain::NoAccess => Rights::default(),
            Domain::Client => self.client_rights(ap),
            Domain::Manager => Rights::ALL,
        };
        Rights { unknown: self.rights_unknown, ..rights }
    }

    /// "Access permissions": there is no execute-never, what can be read can be
    /// executed.
    #[inline]
    fn client_rights(&self, ap: u8) -> Rights {
        const NONE: (bool, bool) = (false, false);
        const READ: (bool, bool) = (true, false);
        const BOTH: (bool, bool) = (true, true);
        let [kernel, user] = match ap {
            0b00 => arm::by_system_and_rom(self.regs.sctlr),
            0b01 => [BOTH, NONE],
            0b10 => [BOTH, READ],
            _ => [BOTH, BOTH],
        };
        let rwx = |(r, w)| Rwx { r, w, x: r };
        Rights { kernel: rwx(kernel), user: rwx(user), unknown: false }
    }

    /// Why `access` to `page` is refused: "Fault-checking sequence". A manager is never
    /// checked for permission.
    pub(super) fn forbidden(
        &self,
        table: &Table<Inherited>,
        raw: u64,
        page: &Page,
        access: Access,
    ) -> Option<FaultKind> {
        let domain = match table.level {
            Level::First => self.section_domain(First(raw)),
            _ => table.inherited.domain,
        };
        match Domain::of(self.regs.dacr, domain) {
            Domain::NoAccess => Some(FaultKind::Domain),
            Domain::Manager => None,
            Domain::Client => (!page.rights.allow(access)).then_some(FaultKind::Permission),
        }
    }
}
