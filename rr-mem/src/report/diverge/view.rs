//! Where two executions part, by the names that the first of them has for it.

use thiserror::Error;

use super::{BytesRow, WriterRow};
use crate::{
    addr::{Gva, Hex},
    bits::hex_digits,
    diverge::{ByteRun, Execution, ExecutionError, Frame, Parting, Snapshot},
    guest::Guest,
    memory::Memory,
    mmu::{SpaceLimits, VirtualSpace},
    region::RenderError,
    regs::Cpu,
    report::AliasRow,
    symbols::{Symbols, SymbolsError},
};

/// Virtual addresses that are listed for a byte.
const ALIASES: usize = 16;
/// Runs of bytes of which the virtual addresses are looked up.
const LISTED: usize = 64;

/// Why an execution cannot be looked at.
#[derive(Debug, Error)]
pub enum ViewError {
    /// It gives no snapshot.
    #[error(transparent)]
    Execution(#[from] ExecutionError),
    /// Its memory map is damaged.
    #[error(transparent)]
    Regions(#[from] RenderError),
}

/// The guest of an execution, where it stands.
pub struct PartingView<'a> {
    guest: Guest<Box<dyn Memory + Sync + 'a>>,
    space: Option<VirtualSpace>,
    symbols: Option<Symbols>,
}

impl<'a> PartingView<'a> {
    /// The guest of `execution`, which stands where it parts from the other
    /// one.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn new(execution: &'a mut dyn Execution, parting: &Parting) -> Result<Self, ViewError> {
        let cpu =
            parting.cpus.iter().find(|known| parting.cpu.is_none_or(|cpu| known.number == cpu));
        let cpu = cpu.and_then(|cpu| cpu.paging).map(Cpu::known);
        let Snapshot { memory, regions, .. } = execution.snapshot()?;
        let guest = match regions {
            Some((map, space)) => Guest::in_space(Some(memory), cpu, map, space)?,
            None => Guest::new(Some(memory), cpu, None)?,
        };
        let space = guest.space(Gva(0)..=Gva(u64::MAX), SpaceLimits::default()).ok();
        Ok(Self { guest, space, symbols: None })
    }

    /// Names the kernel's addresses by `symbols`, moved to where it is.
    ///
    /// # Errors
    /// When they are not those of this guest.
    pub fn name_by(&mut self, symbols: Symbols) -> Result<(), SymbolsError> {
        self.symbols = Some(symbols.in_guest(&self.guest)?);
        Ok(())
    }

    /// The name of an address of the kernel.
    #[must_use]
    pub fn symbol(&self, pc: u64) -> Option<String> {
        self.symbols.as_ref()?.name(Gva(pc))
    }

    /// Bytes that differ, and where they are.
    #[must_use]
    pub fn bytes(&self, runs: &[ByteRun]) -> Vec<BytesRow> {
        let aliases = self.space.as_ref().map(VirtualSpace::aliases);
        let rows = runs.iter().enumerate().map(|(number, run)| {
            let place = self.guest.place(run.gpa);
            let aliases = aliases.as_ref().filter(|_| number < LISTED);
            let gvas = aliases.map(|aliases| aliases.of(run.gpa, ALIASES).0).unwrap_or_default();
            BytesRow {
                gpa: run.gpa,
                region: place.map(|place| place.region.to_owned()),
                offset: place.map(|place| Hex(place.offset)),
                gvas: gvas.iter().map(|alias| AliasRow::new(run.gpa, alias)).collect(),
                a: hex_digits(&run.a),
                b: hex_digits(&run.b),
            }
        });
        rows.collect()
    }

    /// Where memory parts, as the first write that differs.
    #[must_use]
    pub fn writer(&self, parting: &Parting) -> Option<WriterRow> {
        let writer = parting.writer.as_ref()?;
        let frames = |frames: &[Frame]| {
            let frame = |frame: &Frame| match &frame.name {
                Some(name) => format!("{:#x} {name}", frame.address),
                None => format!("{:#x}", frame.address),
            };
            frames.iter().map(frame).collect()
        };
        Some(WriterRow {
            instr: writer.at,
            last_equal_instr: parting.last_equal?,
            cpu: parting.cpu,
            guest_pc: parting.pc.map(Hex),
            symbol: parting.pc.and_then(|pc| self.symbol(pc)),
            bytes: self.bytes(&parting.differences.runs),
            confirmed: writer.confirmed,
            host_a: frames(&writer.a.host),
            host_b: frames(&writer.b.host),
        })
    }
}
