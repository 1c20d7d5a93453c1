//! What was read of an emulator.

use super::{
    InstructionCounter, Misfit, VirtualCpu, Wrong,
    objects::{Names, Objects},
    structs::Structs,
};
use crate::{debuginfo::Layout, host::Host, region::RegionMap, regs::OtherArch};

/// What an emulator's memory says of its guest at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Machine {
    /// The name of the layout that fits.
    pub layout: String,
    /// Where that was read from.
    pub source: String,
    /// What was tried before it.
    pub misfits: Vec<Misfit>,
    /// The file that QEMU's symbols were found in.
    pub module: String,
    /// Address spaces, regions and RAM blocks, with their host addresses.
    pub map: RegionMap,
    /// Every CPU, by number.
    pub cpus: Vec<VirtualCpu>,
    /// What hides the guest's memory from its host, such as `sev-guest`.
    pub confidential: Option<String>,
    /// Where guest instructions are counted, if they are.
    pub counter: Option<InstructionCounter>,
    /// The architecture of its guests, if no walker models it.
    pub other: Option<OtherArch>,
    pub(super) offsets: Layout,
    /// Of each region.
    pub(super) objects: Vec<Objects>,
}

impl Machine {
    /// Sets who made each region, which `info mtree -o` shows. `host` is the
    /// one that the machine was read from.
    ///
    /// # Errors
    /// When objects are not as they must be.
    pub fn name_owners(&mut self, host: &impl Host) -> Result<(), Wrong> {
        let structs = Structs::new(host.memory(), &self.offsets);
        let mut names = Names::new(&structs);
        let owners = self.objects.iter().map(|objects| names.owner(*objects));
        let owners = owners.collect::<Result<_, _>>()?;
        self.map.set_owners(owners);
        Ok(())
    }

    /// CPU `number`. Numbers may have gaps: CPUs can be plugged in.
    #[must_use]
    pub fn cpu(&self, number: u64) -> Option<&VirtualCpu> {
        self.cpus.iter().find(|cpu| cpu.index == number)
    }
}
