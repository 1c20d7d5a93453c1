//! Effective rights and what the CPU refuses: "Access Rights" and "Page-Fault
//! Exceptions".

use super::{Mode, X86Paging, entry::Entry};
use crate::{
    addr::Gva,
    bits::bit,
    mmu::{
        Access, AccessKind, FaultKind, Level, Rights, Rwx,
        walk::{Page, Table},
    },
    regs::{Register, X86Regs},
};

/// What the levels above a table allow ("Access Rights"): R/W (bit 1) and U/S
/// (bit 2) count only if set at every level, XD (bit 0, inverted) at any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Inherited(pub(super) u8);

impl Inherited {
    pub(super) const TOP: Self = Self(0b111);

    /// This and `entry`, in which the bit `xd` means XD.
    #[inline]
    const fn and(self, entry: Entry, xd: u64) -> Self {
        let execute = (entry.0 & xd == 0) as u8;
        Self(self.0 & (entry.0 as u8 & 0b110 | execute))
    }
    const fn execute(self) -> bool {
        self.0 & 1 != 0
    }
    const fn writable(self) -> bool {
        self.0 & 1 << 1 != 0
    }
    const fn user(self) -> bool {
        self.0 & 1 << 2 != 0
    }
}

/// "Determination of Access Rights": each register, and whether it counts for the
/// access. EFER is not there: an entry with bit 63 set is never
/// executable, by XD or as reserved.
pub(in crate::mmu) fn deciding(regs: &X86Regs, access: Access) -> [(Register, bool); 5] {
    let data = access.kind != AccessKind::Execute;
    let write = access.kind == AccessKind::Write;
    let supervisor = !access.user;
    [
        (Register::Cr0, supervisor && write),
        (Register::Cr4, true),
        (Register::Ac, supervisor && data && regs.smap()),
        (Register::Pkru, data && regs.user_keys()),
        (Register::Pkrs, supervisor && data && regs.supervisor_keys()),
    ]
}

impl X86Paging {
    #[inline]
    pub(super) fn inherit(&self, table: &Table<Inherited>, entry: Entry) -> Inherited {
        // PDPTEs of PAE paging hold no rights: their R/W, U/S and XD bits are
        // reserved.
        if self.mode == Mode::Pae && table.level == Level::Pdpt {
            return table.inherited;
        }
        // The 32-bit entries of 32-bit paging have no bit 63.
        table.inherited.and(entry, self.xd)
    }

    /// "Determination of Access Rights", without what RFLAGS.AC decides.
    pub(super) const fn rights(regs: &X86Regs, combined: Inherited) -> Rights {
        let (writable, user) = (combined.writable(), combined.user());
        Rights {
            kernel: Rwx {
                r: true,
                w: writable || !regs.write_protect(),
                x: combined.execute() && !(user && regs.smep()),
            },
            user: Rwx { r: user, w: user && writable, x: user && combined.execute() },
            unknown: false,
        }
    }

    /// "Linear-Address Space Separation": whether `access` to `gva` is of the half that
    /// its privilege must not touch. RFLAGS.AC lifts it for the supervisor's data.
    pub(super) const fn in_other_half(&self, gva: Gva, access: Access) -> bool {
        let lifted = access.kind.is_data() && (!self.regs.smap() || self.regs.ac);
        match (self.regs.separates_halves(), access.user) {
            (false, _) => false,
            (true, true) => bit(gva.0, 63),
            (true, false) => !bit(gva.0, 63) && !lifted,
        }
    }

    /// "Protection Keys": whether the key of the page that `entry` maps forbids
    /// `access`. Each key has a bit AD, which forbids data accesses, and a bit WD,
    /// which forbids writes, the supervisor's only with CR0.WP. Keys of supervisor
    /// pages are about the supervisor.
    fn locked(&self, entry: Entry, page: &Page, access: Access) -> bool {
        let (keys, rights) = match page.rights.user.r {
            true => (self.regs.user_keys(), self.regs.pkru),
            false => (self.regs.supervisor_keys() && !access.user, self.regs.pkrs),
        };
        let of_key = rights >> (2 * entry.key());
        let write = access.kind == AccessKind::Write;
        let checked = access.user || self.regs.write_protect();
        let (access_disable, write_disable) = (bit(of_key, 0), bit(of_key, 1));
        keys && access.kind.is_data() && (access_disable || write_disable && write && checked)
    }

    /// Why `access` to `page`, which `entry` maps, is refused. A key is named before
    /// other rights: the PK flag of the error code is set wherever one forbids.
    pub(super) fn forbidden(&self, entry: Entry, page: &Page, access: Access) -> Option<FaultKind> {
        if self.locked(entry, page, access) {
            return Some(FaultKind::ProtectionKey);
        }
        // "Access Rights": a supervisor data access to a user page while
        // CR4.SMAP = 1 and RFLAGS.AC = 0. U/S shows as the user's right to read.
        let smap = access.kind.is_data()
            && !access.user
            && page.rights.user.r
            && self.regs.smap()
            && !self.regs.ac;
        (smap || !page.rights.allow(access)).then_some(FaultKind::Protection)
    }

    /// "Page-Fault Exceptions": the error code.
    pub(super) fn error_code(&self, kind: FaultKind, access: Access) -> Option<u32> {
        let present = match kind {
            FaultKind::NotPresent => false,
            FaultKind::ReservedBit | FaultKind::Protection | FaultKind::ProtectionKey => true,
            // #GP(0), not #PF.
            _ => return None,
        };
        let nx = self.regs.physical_address_extension() && self.regs.no_execute_enable();
        let fetch = access.kind == AccessKind::Execute && (nx || self.regs.smep());
        let flags = [
            present,
            access.kind == AccessKind::Write,
            access.user,
            kind == FaultKind::ReservedBit,
            fetch,
            kind == FaultKind::ProtectionKey,
        ];
        Some(flags.iter().rev().fold(0, |code, &set| code << 1 | u32::from(set)))
    }
}
