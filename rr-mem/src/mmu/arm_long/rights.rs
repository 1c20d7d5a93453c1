//! Effective rights and what the CPU refuses: "Data accesses permissions",
//! "Instruction execution permissions", and the fault status codes.

use super::{LongPaging, entry::Descriptor, format::DescriptorFormat};
use crate::{
    bits::bit,
    mmu::{Access, AccessKind, FaultKind, Level, Rights, Rwx, walk::Page},
};

/// What the table descriptors above allow ("Hierarchical control of ...").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Limits {
    read_only: bool,
    no_user: bool,
    privileged_execute_never: bool,
    execute_never: bool,
}

impl Limits {
    pub(super) const NONE: Self = Self {
        read_only: false,
        no_user: false,
        privileged_execute_never: false,
        execute_never: false,
    };

    #[inline]
    pub(super) const fn under(self, table: Descriptor) -> Self {
        Self {
            read_only: self.read_only || table.ap_table_read_only(),
            no_user: self.no_user || table.ap_table_no_user(),
            privileged_execute_never: self.privileged_execute_never || table.pxn_table(),
            execute_never: self.execute_never || table.xn_table(),
        }
    }
}

/// Who has no access whatever the page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Bars {
    /// EL0: TCR.E0PDn.
    pub(super) user: bool,
    /// Instruction fetches: TCR.TBIDn, and the address has a tag.
    pub(super) fetches: bool,
}

impl Bars {
    pub(super) const NONE: Self = Self { user: false, fetches: false };

    const fn leave(self, rights: Rights) -> Rights {
        let mut left = rights;
        if self.user {
            left.user = Rwx { r: false, w: false, x: false };
        }
        if self.fetches {
            left.kernel.x = false;
            left.user.x = false;
        }
        left
    }
}

/// What is decided above a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Inherited {
    pub(super) format: DescriptorFormat,
    pub(super) limits: Limits,
    pub(super) bars: Bars,
}

impl LongPaging {
    /// The effective rights of a page.
    #[inline]
    pub(super) fn rights(&self, above: Inherited, entry: Descriptor) -> Rights {
        let rights = if self.regime.indexed(&self.regs) {
            self.indexed_rights(entry)
        } else {
            self.direct_rights(above.limits, entry)
        };
        Rights { unknown: self.rights_unknown, ..above.bars.leave(rights) }
    }

    /// "Data accesses permissions" and "Instruction execution permissions" of
    /// direct permissions.
    #[inline]
    fn direct_rights(&self, limits: Limits, entry: Descriptor) -> Rights {
        let mut rights = self.rights_before_wxn(limits, entry);
        let wxn = self.regs.wxn();
        rights.kernel.x &= !(rights.kernel.w && wxn);
        rights.user.x &= !(rights.user.w && wxn);
        rights
    }

    /// The same without SCTLR.WXN. With TCR.HD a clean page (AP\[2\], DBM) is writable:
    /// the CPU clears AP\[2\] on the first write.
    #[inline]
    pub(super) fn rights_before_wxn(&self, limits: Limits, entry: Descriptor) -> Rights {
        let clean = entry.dirty_bit_modifier() && self.regime.sets_dirty_state(self.regs.tcr);
        let writable = !limits.read_only && (!entry.read_only() || clean);
        let xn = entry.execute_never() || limits.execute_never;
        if !self.regime.has_user() {
            let kernel = Rwx { r: true, w: writable, x: !xn };
            return Rights { kernel, ..Rights::default() };
        }
        let user = entry.user() && !limits.no_user;
        let pxn = entry.privileged_execute_never() || limits.privileged_execute_never;
        self.two_privileges(writable, user, xn, pxn)
    }

    #[inline]
    fn two_privileges(&self, writable: bool, user: bool, xn: bool, pxn: bool) -> Rights {
        let user_writable = user && writable;
        let (kernel_x, user_x) = if self.regime.aarch64() {
            // What EL0 may write, EL1 may not execute. EL0 needs no right to
            // read what it executes.
            (!pxn && !user_writable, !xn)
        } else {
            // XN holds for both, and fetching needs the right to read.
            (!(xn || pxn || user_writable && self.uwxn()), user && !xn)
        };
        Rights {
            kernel: Rwx { r: true, w: writable, x: kernel_x },
            user: Rwx { r: user, w: user_writable, x: user_x },
            unknown: false,
        }
    }

    /// SCTLR.UWXN, bit 20, AArch32 only: what the user can write, the kernel
    /// cannot execute.
    const fn uwxn(&self) -> bool {
        bit(self.regs.sctlr, 20)
    }

    /// Why `access` to `page` is refused.
    pub(super) fn forbidden(
        &self,
        above: Inherited,
        entry: Descriptor,
        page: &Page,
        access: Access,
    ) -> Option<FaultKind> {
        if !entry.access_flag() && !self.regime.sets_access_flags(self.regs.tcr) {
            return Some(FaultKind::AccessFlag);
        }
        let data = access.kind != AccessKind::Execute;
        let pan = data && !access.user && self.regs.pan && self.is_users(above.limits, entry);
        (pan || !page.rights.allow(access)).then_some(FaultKind::Permission)
    }

    /// Whether PSTATE.PAN keeps privileged data accesses from the page: the tables let
    /// EL0 read it, or, with SCTLR.EPAN or permission indirection, execute it.
    fn is_users(&self, limits: Limits, entry: Descriptor) -> bool {
        if self.regime.indirect(&self.regs) {
            return self.user_has_permission(entry);
        }
        let executable = !entry.execute_never() && !limits.execute_never;
        let read = entry.user() && !limits.no_user;
        self.regime.has_user() && (read || self.epan() && executable)
    }

    /// SCTLR_ELx.EPAN, bit 57, AArch64 only.
    const fn epan(&self) -> bool {
        self.regime.aarch64() && bit(self.regs.sctlr, 57)
    }
}

/// "ESR_ELx, ISS encoding for an exception from a Data Abort": DFSC; the
/// same numbers as DFSR.STATUS with TTBCR.EAE = 1.
pub(super) const fn fault_status(kind: FaultKind, level: Level) -> Option<u32> {
    let kind_bits = match kind {
        FaultKind::AddressSize if matches!(level, Level::LevelMinus1) => return Some(0b10_1001),
        FaultKind::Translation if matches!(level, Level::LevelMinus1) => return Some(0b10_1011),
        FaultKind::AddressSize => 0b0000,
        FaultKind::Translation => 0b0100,
        FaultKind::AccessFlag => 0b1000,
        FaultKind::Permission => 0b1100,
        _ => return None,
    };
    Some(kind_bits | level_number(level))
}

/// Bits 1:0 of a fault status: the level, 0 to 3.
const fn level_number(level: Level) -> u32 {
    match level {
        Level::Level1 => 1,
        Level::Level2 => 2,
        Level::Level3 => 3,
        _ => 0,
    }
}
