//! Effective rights and what the CPU refuses: "Memory access control" and "Fault status
//! codes" (DDI 0406C.d), "The system address map" and "MemManage Status Register" (DDI
//! 0403E.e), "Access permissions" (DDI 0568).

use super::{
    Decision, PPB, PPB_END, PmsaPaging,
    entry::{Region, V7, V8},
};
use crate::{
    bits::bit,
    mmu::{Access, AccessKind, FaultKind, Rights, Rwx, walk::Page},
    regs::{MpuKind, MpuRegion},
};

const NONE: Rwx = Rwx { r: false, w: false, x: false };
const READ: Rwx = Rwx { r: true, w: false, x: true };
const WRITE: Rwx = Rwx { r: true, w: true, x: true };

/// The system space of the M profile, which is never executed.
const SYSTEM: u64 = 0xe000_0000;
/// CFSR of the M profile: MMFSR.IACCVIOL; DACCVIOL with MMARVALID; BFSR.PRECISERR with
/// BFARVALID.
const IACCVIOL: u32 = 1;
const DACCVIOL: u32 = 0x82;
const PRECISERR: u32 = 0x8200;

impl V7 {
    /// "Access permission field encoding", reads and writes of (privileged, user).
    const fn permissions(self, is_m: bool) -> [Rwx; 2] {
        match self.ap() {
            0b001 => [WRITE, NONE],
            0b010 => [WRITE, READ],
            0b011 => [WRITE, WRITE],
            0b101 => [READ, NONE],
            0b110 => [READ, READ],
            0b111 if is_m => [READ, READ],
            // 0b000; others are reserved.
            _ => [NONE, NONE],
        }
    }
}

impl V8 {
    const fn permissions(self) -> [Rwx; 2] {
        let privileged = if self.read_only() { READ } else { WRITE };
        [privileged, if self.user() { privileged } else { NONE }]
    }
}

impl Rwx {
    const fn without_execute(self, never: bool) -> Self {
        Self { x: self.x && !never, ..self }
    }
}

impl PmsaPaging {
    pub(super) fn rights(&self, address: u64, decision: Decision) -> Rights {
        match decision {
            Decision::Region(number) => {
                let of = self.regs.mpu.regions().get(number).copied().unwrap_or_default();
                self.by_region(address, of)
            }
            Decision::Default => self.by_default(address),
            Decision::Background => Rights { kernel: self.map(address), ..Rights::default() },
            Decision::Nothing | Decision::Several => Rights::default(),
        }
    }

    fn by_region(&self, address: u64, of: MpuRegion) -> Rights {
        match Region::new(self.kind(), of) {
            Region::V7(of) => {
                let never = of.xn() || self.is_m() && address >= SYSTEM;
                let [kernel, user] = of.permissions(self.is_m());
                Rights {
                    kernel: kernel.without_execute(never),
                    user: user.without_execute(never),
                    ..Rights::default()
                }
            }
            Region::V8(of) => self.by_v8_region(of),
        }
    }

    /// SCTLR.WXN, bit 19; UWXN, bit 20, of EL1. EL2's regions are its own alone.
    fn by_v8_region(&self, of: V8) -> Rights {
        let [kernel, user] = of.permissions();
        let wxn = !of.read_only() && self.regs.wxn();
        let uwxn = bit(self.regs.sctlr, 20) && self.regs.el < 2 && user.w;
        let never = of.xn() || wxn;
        Rights {
            kernel: kernel.without_execute(never || uwxn),
            user: if self.regs.el < 2 { user.without_execute(never) } else { NONE },
            ..Rights::default()
        }
    }

    /// The MPU is off, or not asked. On the Private Peripheral Bus nothing is for the
    /// user.
    fn by_default(&self, address: u64) -> Rights {
        let all = self.map(address);
        let user = if self.on_private_bus(address) { NONE } else { all };
        Rights { kernel: all, user, ..Rights::default() }
    }

    fn on_private_bus(&self, address: u64) -> bool {
        self.is_m() && (PPB..PPB_END).contains(&address)
    }

    /// The default memory map: what may be executed.
    fn map(&self, address: u64) -> Rwx {
        /// SCTLR.V: vectors, and so code, at the top.
        const V: u32 = 13;
        let never = match (self.is_m(), address >> 28) {
            (true, 0x4 | 0x5 | 0xa..) => true,
            (true, _) => false,
            (false, 0xf) => !bit(self.regs.sctlr, V),
            (false, top) => top >= 0x8,
        };
        WRITE.without_execute(never)
    }

    /// Why `access` is refused. The background region is none for the user.
    pub(super) fn forbidden(&self, address: u64, page: &Page, access: Access) -> Option<FaultKind> {
        if page.rights.allow(access) {
            return None;
        }
        let background = access.user && self.decide(address) == Decision::Background;
        let private = access.kind != AccessKind::Execute && self.on_private_bus(address);
        Some(match (background, private) {
            (true, _) => FaultKind::Background,
            (_, true) => FaultKind::PrivateBus,
            _ => FaultKind::Permission,
        })
    }

    /// DFSR and IFSR of the R profile, with the long format of PMSAv8; CFSR of the M
    /// profile.
    pub(super) fn fault_status(&self, kind: FaultKind, access: Access) -> Option<u32> {
        let fetch = access.kind == AccessKind::Execute;
        Some(match (self.kind(), kind) {
            (MpuKind::V7M, FaultKind::PrivateBus) => PRECISERR,
            (MpuKind::V7M, _) if fetch => IACCVIOL,
            (MpuKind::V7M, _) => DACCVIOL,
            (MpuKind::V8R, FaultKind::Permission) => 0b00_1100,
            (MpuKind::V8R, _) => 0b00_0100,
            (_, FaultKind::Background) => 0b0_0000,
            (_, _) => 0b0_1101,
        })
    }
}
