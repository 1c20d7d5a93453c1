//! Rights that a descriptor names by index: "Stage 1 Indirect permissions" (FEAT_S1PIE),
//! "Stage 1 permission overlays" (FEAT_S1POE), "PIR_EL1", "PIRE0_EL1", "POR_EL1".
//!
//! Not here: guarded control stacks (FEAT_GCS); such a page is one to read.

use super::{LongPaging, entry::Descriptor, rights::Limits};
use crate::{
    bits::field,
    mmu::{Rights, Rwx},
};

/// What a privilege may do by the tables, before an overlay.
#[derive(Clone, Copy)]
struct Base {
    rwx: Rwx,
    /// An overlay counts.
    overlaid: bool,
    /// What can be written cannot be executed.
    wxn: bool,
    /// It holds a guarded control stack.
    stack: bool,
}

impl Base {
    /// "PIR_EL1", Perm: four bits of an index.
    const fn indirect(permission: u64) -> Self {
        let (r, w, x) = match permission {
            0b0001 | 0b1000 | 0b1001 => (true, false, false),
            0b0010 => (false, false, true),
            0b0011 | 0b1010 => (true, false, true),
            0b0101 | 0b1100 => (true, true, false),
            0b0110 | 0b0111 | 0b1110 => (true, true, true),
            // 0b0000, and what is reserved.
            _ => (false, false, false),
        };
        Self {
            rwx: Rwx { r, w, x },
            overlaid: permission < 0b1000,
            wxn: permission == 0b0110,
            stack: permission == 0b1001,
        }
    }

    const fn direct(rwx: Rwx, wxn: bool) -> Self {
        Self { rwx, overlaid: true, wxn, stack: false }
    }

    /// The rights under an overlay, if one counts. It may take the right to execute or
    /// to write from what has both, else the right to write is kept.
    const fn under(self, overlay: Option<Rwx>) -> Rwx {
        let Rwx { r, w, x } = self.rwx;
        match overlay {
            Some(over) if self.overlaid && self.wxn => {
                Rwx { r: r && over.r, w: w && over.w && !over.x, x: x && over.x }
            }
            Some(over) if self.overlaid => Rwx { r: r && over.r, w: w && over.w, x: x && over.x },
            _ => Rwx { r, w, x: x && !self.wxn },
        }
    }
}

/// "POR_EL1", Perm: four bits of an index.
const fn overlay(permission: u64) -> Rwx {
    match permission {
        0..=7 => Rwx {
            r: permission & 0b001 != 0,
            x: permission & 0b010 != 0,
            w: permission & 0b100 != 0,
        },
        _ => Rwx { r: false, w: false, x: false },
    }
}

/// Four bits of a register of permissions.
const fn permission(register: u64, index: u32) -> u64 {
    field(register, 4 * index + 3, 4 * index)
}

impl LongPaging {
    /// The rights where the regime has indices of permissions, of overlays, or both.
    pub(super) fn indexed_rights(&self, entry: Descriptor) -> Rights {
        let (kernel, user) = self.bases(entry);
        let over = |counts: bool, register| {
            counts.then(|| overlay(permission(register, entry.overlay_index())))
        };
        Rights {
            kernel: kernel.under(over(self.regime.overlaid(&self.regs), self.regs.por)),
            user: user.under(over(self.regime.user_overlaid(&self.regs), self.regs.por_el0)),
            unknown: false,
        }
    }

    fn bases(&self, entry: Descriptor) -> (Base, Base) {
        if !self.regime.indirect(&self.regs) {
            return self.direct_bases(entry);
        }
        let index = entry.permission_index();
        let mut kernel = Base::indirect(permission(self.regs.pir, index));
        let of_user = if self.regime.has_user() { permission(self.regs.pire0, index) } else { 0 };
        let mut user = Base::indirect(of_user);
        // What EL0 may write, EL1 may not execute: then nobody has any right.
        if (kernel.rwx.x || kernel.stack) && (user.rwx.w || user.stack) {
            (kernel.rwx, user.rwx) = (Rwx::default(), Rwx::default());
        }
        // A page that is not dirty faults on a write, but with TCR.HD.
        if entry.clean() && !self.regime.sets_dirty_state(self.regs.tcr) {
            (kernel.rwx.w, user.rwx.w) = (false, false);
        }
        (kernel, user)
    }

    /// Direct permissions: SCTLR.WXN comes after an overlay.
    fn direct_bases(&self, entry: Descriptor) -> (Base, Base) {
        let Rights { kernel, user, .. } = self.rights_before_wxn(Limits::NONE, entry);
        let wxn = |rwx: Rwx| self.regs.wxn() && rwx.w && rwx.x;
        (Base::direct(kernel, wxn(kernel)), Base::direct(user, wxn(user)))
    }

    /// Whether PIRE0 gives EL0 anything.
    pub(super) const fn user_has_permission(&self, entry: Descriptor) -> bool {
        let given = permission(self.regs.pire0, entry.permission_index()) != 0;
        self.regime.has_user() && given
    }
}
