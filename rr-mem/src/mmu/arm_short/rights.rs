//! Effective rights and what the CPU refuses: "Memory access control", "MMU
//! fault-checking sequence", "Fault status codes".

use super::{
    ShortPaging,
    entry::{Attributes, First, Second},
};
use crate::{
    bits::bit,
    mmu::{
        Access, AccessKind, FaultKind, Level, Rights, Rwx, arm,
        walk::{Page, Table},
    },
    regs::ArmRegs,
};

impl Attributes {
    /// "Full access permissions control, for the Short-descriptor format":
    /// reads and writes of (kernel, user).
    const fn full(self, regs: &ArmRegs) -> [(bool, bool); 2] {
        const NONE: (bool, bool) = (false, false);
        const READ: (bool, bool) = (true, false);
        const BOTH: (bool, bool) = (true, true);
        match self.ap {
            0b000 if regs.version < 7 => arm::by_system_and_rom(regs.sctlr),
            0b001 => [BOTH, NONE],
            0b010 => [BOTH, READ],
            0b011 => [BOTH, BOTH],
            0b101 => [READ, NONE],
            // 0b110 is deprecated, but the same.
            0b110 | 0b111 => [READ, READ],
            // 0b000; 0b100 is reserved.
            _ => [NONE, NONE],
        }
    }

    /// "Simplified access permissions", SCTLR.AFE = 1: AP\[2\] is read-only,
    /// AP\[1\] lets the user in.
    const fn simplified(self) -> [(bool, bool); 2] {
        let (user, writable) = (self.ap & 0b010 != 0, self.ap & 0b100 == 0);
        [(true, writable), (user, user && writable)]
    }
}

/// What a domain allows ("Domains, Short-descriptor format only").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mmu) enum Domain {
    /// 0b00, and the reserved 0b10: a Domain fault.
    NoAccess,
    /// 0b01: as the descriptor's rights say.
    Client,
    /// 0b11: everything.
    Manager,
}

impl Domain {
    /// DACR holds two bits for each of 16 domains.
    pub const fn of(dacr: u64, domain: u8) -> Self {
        match dacr >> (2 * domain) & 0b11 {
            0b01 => Self::Client,
            0b11 => Self::Manager,
            _ => Self::NoAccess,
        }
    }
}

/// What a first-level table descriptor decides for its pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Inherited {
    pub(super) domain: u8,
    pub(super) pxn: bool,
}

impl ShortPaging {
    /// SCTLR.AFE: AP\[0\] is the access flag.
    pub(super) const fn access_flag_enable(&self) -> bool {
        self.regs.sctlr & ArmRegs::SCTLR_AFE != 0
    }

    /// SCTLR.UWXN, bit 20: what the user can write, the kernel cannot execute.
    const fn uwxn(&self) -> bool {
        bit(self.regs.sctlr, 20)
    }

    const fn domain(&self, domain: u8) -> Domain {
        Domain::of(self.regs.dacr, domain)
    }

    #[inline]
    pub(super) fn rights(&self, domain: u8, attributes: Attributes) -> Rights {
        let rights = match self.domain(domain) {
            Domain::NoAccess => Rights::default(),
            Domain::Client => self.client_rights(attributes),
            Domain::Manager => Rights::ALL,
        };
        Rights { unknown: self.domains_unknown, ..rights }
    }

    /// "Execute-never restrictions on instruction fetching" over the access
    /// permissions. Fetching needs the right to read.
    #[inline]
    fn client_rights(&self, attributes: Attributes) -> Rights {
        let [(kernel_r, kernel_w), (user_r, user_w)] = if self.access_flag_enable() {
            attributes.simplified()
        } else {
            attributes.full(&self.regs)
        };
        let execute = |r, w| r && !attributes.xn && !(w && self.regs.wxn());
        let pxn = attributes.pxn || user_w && self.uwxn();
        Rights {
            kernel: Rwx { r: kernel_r, w: kernel_w, x: execute(kernel_r, kernel_w) && !pxn },
            user: Rwx { r: user_r, w: user_w, x: execute(user_r, user_w) },
            unknown: false,
        }
    }

    /// The domain and the attributes that decide on accesses to a page.
    fn leaf(table: &Table<Inherited>, raw: u64) -> (u8, Attributes) {
        if table.level == Level::First {
            (First(raw).domain(), First(raw).attributes())
        } else {
            (table.inherited.domain, Second(raw).attributes(table.inherited.pxn))
        }
    }

    /// Why `access` to `page` is refused, in the order of "MMU fault-checking
    /// sequence": access flag, domain, permission. A manager is never checked
    /// for permission.
    pub(super) fn forbidden(
        &self,
        table: &Table<Inherited>,
        raw: u64,
        page: &Page,
        access: Access,
    ) -> Option<FaultKind> {
        let (domain, attributes) = Self::leaf(table, raw);
        if self.access_flag_enable() && !attributes.access_flag() {
            return Some(FaultKind::AccessFlag);
        }
        match self.domain(domain) {
            Domain::NoAccess => Some(FaultKind::Domain),
            Domain::Manager => None,
            Domain::Client => {
                // PSTATE.PAN: no privileged data access to what the user can read.
                let data = access.kind != AccessKind::Execute;
                let pan = data && !access.user && self.regs.pan && page.rights.user.r;
                (pan || !page.rights.allow(access)).then_some(FaultKind::Permission)
            }
        }
    }
}

/// "Fault status codes", DFSR.FS with TTBCR.EAE = 0.
pub(in crate::mmu) fn fault_status(kind: FaultKind, level: Level) -> Option<u32> {
    let first = level == Level::First;
    Some(match kind {
        FaultKind::Translation => 0x5 | u32::from(!first) << 1,
        FaultKind::AccessFlag if first => 0x3,
        FaultKind::AccessFlag => 0x6,
        FaultKind::Domain => 0x9 | u32::from(!first) << 1,
        FaultKind::Permission => 0xd | u32::from(!first) << 1,
        _ => return None,
    })
}
