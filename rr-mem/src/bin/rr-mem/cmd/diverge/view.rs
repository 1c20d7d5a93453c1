//! Where two executions part, by the names that the first of them has for it.

use rr_mem::{
    addr::Gva,
    diverge::{ByteRun, Execution, Frame, Parting, Snapshot},
    guest::Guest,
    memory::Memory,
    mmu::{SpaceLimits, VirtualSpace},
    report::AliasRow,
    symbols::Symbols,
};

use super::rows::{BytesRow, WriterRow, hex};
use crate::{
    cli::diverge::Search,
    output::{failed, note},
};

/// Virtual addresses that are listed for a byte.
const ALIASES: usize = 16;
/// Runs of bytes of which the virtual addresses are looked up.
const LISTED: usize = 64;

/// The guest of the first execution, where it stands.
pub struct View<'a> {
    guest: Guest<Box<dyn Memory + Sync + 'a>>,
    space: Option<VirtualSpace>,
    symbols: Option<Symbols>,
}

impl<'a> View<'a> {
    pub fn new(
        execution: &'a mut dyn Execution,
        parting: &Parting,
        search: &Search,
    ) -> anyhow::Result<Self> {
        let cpu =
            parting.cpus.iter().find(|known| parting.cpu.is_none_or(|cpu| known.number == cpu));
        let regs = cpu.and_then(|cpu| cpu.paging);
        let Snapshot { memory, regions, .. } = execution.snapshot()?;
        let guest = match regions {
            Some((map, space)) => Guest::in_space(Some(memory), regs, map, space)?,
            None => Guest::new(Some(memory), regs, None)?,
        };
        let space = guest.space(Gva(0)..=Gva(u64::MAX), SpaceLimits::default()).ok();
        let symbols = symbols(&guest, search)?;
        Ok(Self { guest, space, symbols })
    }

    pub fn symbol(&self, pc: u64) -> Option<String> {
        self.symbols.as_ref()?.name(Gva(pc))
    }

    pub fn bytes(&self, runs: &[ByteRun]) -> Vec<BytesRow> {
        let aliases = self.space.as_ref().map(VirtualSpace::aliases);
        let rows = runs.iter().enumerate().map(|(number, run)| {
            let place = self.guest.place(run.gpa);
            let aliases = aliases.as_ref().filter(|_| number < LISTED);
            let gvas = aliases.map(|aliases| aliases.of(run.gpa, ALIASES).0).unwrap_or_default();
            BytesRow {
                gpa: run.gpa,
                region: place.map(|place| place.region.to_owned()),
                offset: place.map(|place| format!("{:#x}", place.offset)),
                gvas: gvas.iter().map(|alias| AliasRow::new(run.gpa, alias)).collect(),
                a: hex(&run.a),
                b: hex(&run.b),
            }
        });
        rows.collect()
    }

    /// Where memory parts, as the first write that differs.
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
            guest_pc: parting.pc.map(|pc| format!("{pc:#x}")),
            symbol: parting.pc.and_then(|pc| self.symbol(pc)),
            bytes: self.bytes(&parting.differences.runs),
            confirmed: writer.confirmed,
            host_a: frames(&writer.a.host),
            host_b: frames(&writer.b.host),
        })
    }
}

/// The names of the guest kernel's addresses, if its file is given.
fn symbols<M: Memory>(guest: &Guest<M>, search: &Search) -> anyhow::Result<Option<Symbols>> {
    let Some(path) = &search.guest_symbols else { return Ok(None) };
    let symbols = Symbols::open(path).map_err(|error| failed(&error, error.hint()))?;
    match symbols.in_guest(guest) {
        Ok(symbols) => Ok(Some(symbols)),
        Err(error) => {
            note(format!("no symbols: {error}"));
            Ok(None)
        }
    }
}
