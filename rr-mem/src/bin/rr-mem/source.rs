//! Turns flags into a source, and into what is asked of it. The library decides what follows from
//! them.

use std::{ops::Deref, sync::Arc};

use anyhow::Context;
use rr_mem::{
    addr::{Gpa, Gva},
    guest::Missing,
    host::{AnyHost, process::Frozen},
    mmu::VirtualSpace,
    regs::Register,
    source::{
        self, Asked, Attached, Emulator, ImageFile, Opened as LibraryOpened, RegionText, Remark,
        Source, SourceError, Which,
    },
};

use crate::{
    cli::{self, EmulatorOnly},
    output::{Output, Progress, explained, failed, note, note_with, usage, words},
};

/// Something open, and what keeps its emulator from running, if that is asked for.
pub struct Held<T> {
    value: T,
    frozen: Option<Frozen>,
}

/// The guest of a source.
pub type Opened = Held<LibraryOpened>;

impl<T> Deref for Held<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// Opens what `args` name.
pub fn open(args: &cli::Source, output: &mut Output) -> anyhow::Result<Opened> {
    seen(attach(args)?, args, output)
}

/// As [`open`], for commands whose work is worthless without registers.
pub fn open_paged(args: &cli::Source, output: &mut Output) -> anyhow::Result<Opened> {
    paged(open(args, output)?)
}

/// What is open, if it has registers.
pub fn paged(opened: Opened) -> anyhow::Result<Opened> {
    match opened.translates() {
        Ok(()) => Ok(opened),
        Err(missing) => Err(lacks(missing)).context("no address can be translated"),
    }
}

/// As [`open_paged`]; with `--json`, rows say why an address has no answer.
pub fn open_for_rows(args: &cli::Source, output: &mut Output) -> anyhow::Result<Opened> {
    let opened = open(args, output)?;
    match opened.translates() {
        Err(missing) if !(output.json && missing.is_of_addresses()) => {
            Err(lacks(missing)).context("no address can be translated")
        }
        _ => Ok(opened),
    }
}

/// As [`open`]; of an emulator, with the devices that made its regions.
pub fn open_with_owners(args: &cli::Source, output: &mut Output) -> anyhow::Result<Opened> {
    let mut attached = attach(args)?;
    let named = Arc::get_mut(&mut attached.value).map(Attached::name_owners).transpose();
    named.map_err(|error| {
        failed(format!("the owners of regions: {error}"), "try again, or leave -o away")
    })?;
    seen(attached, args, output)
}

/// As [`open`], for commands about an emulator. By default, the only one that runs.
pub fn open_emulator(args: &cli::Source, output: &mut Output) -> anyhow::Result<Opened> {
    seen(attach_emulator(&args.emulator)?, args, output)
}

/// Opens an emulator for a command that is about nothing else.
pub fn emulator_only(
    args: &EmulatorOnly,
    output: &mut Output,
) -> anyhow::Result<Held<Arc<Attached>>> {
    let attached = attach_emulator(&args.clone().into())?;
    say(attached.remarks(), output.verbose);
    output.remark(attached.remarks());
    Ok(attached)
}

fn attach(args: &cli::Source) -> anyhow::Result<Held<Arc<Attached>>> {
    if is_emulator(&args.emulator) {
        return attach_emulator(&args.emulator);
    }
    let regions = args.mtree.as_deref().map(RegionText::read).transpose().map_err(refused)?;
    let source = match (&args.image, regions) {
        (Some(path), regions) => Source::Image(
            ImageFile::new(path)
                .ram_base(Gpa(args.ram_base))
                .machine(args.machine.clone())
                .snapshot(args.snapshot.clone())
                .regions(regions),
        ),
        // A region map alone is a source: its guest has no memory.
        (None, Some(regions)) => Source::Regions(regions),
        (None, None) => sample(&args.cpu),
    };
    attached(source, false, "reading")
}

/// The guest in what is open, as `args` ask for it.
fn seen(
    attached: Held<Arc<Attached>>,
    args: &cli::Source,
    output: &mut Output,
) -> anyhow::Result<Opened> {
    let value = attached.seen(&asked(args)).map_err(|error| {
        say(attached.remarks(), output.verbose);
        refused(error)
    })?;
    say(&value.remarks, output.verbose);
    output.remark(&value.remarks);
    Ok(Held { value, frozen: attached.frozen })
}

fn attach_emulator(args: &cli::Emulator) -> anyhow::Result<Held<Arc<Attached>>> {
    let offsets = source::offsets(args.layout.as_deref(), args.debug_file.clone());
    let source = Source::Emulator(which(args), offsets.map_err(refused)?);
    attached(source, args.freeze, "unpacking")
}

/// Whether an emulator is the source, not a file.
pub fn is_emulator(args: &cli::Emulator) -> bool {
    args.pid.is_some() || args.qmp.is_some() || args.core.is_some()
}

fn which(args: &cli::Emulator) -> Which {
    match (&args.core, args.pid, &args.qmp) {
        (Some(path), _, _) => Which::Core { path: path.clone(), exe: args.exe.clone() },
        (None, Some(pid), _) => Which::Process(pid),
        (None, None, Some(path)) => Which::Socket(path.clone()),
        (None, None, None) => Which::Only,
    }
}

fn attached(
    source: Source,
    freeze: bool,
    doing: &'static str,
) -> anyhow::Result<Held<Arc<Attached>>> {
    let mut progress = Progress::new(doing);
    let mut progress = |bytes| progress.set(bytes);
    let mut frozen = None;
    let value = match freeze {
        true => source::attach_frozen(source, &mut frozen, &mut progress),
        false => source::attach(source, &mut progress),
    };
    Ok(Held { value: value.map_err(refused)?, frozen })
}

/// What is asked of the source.
fn asked(args: &cli::Source) -> Asked {
    let cli::Cpu { number, arch, registers, .. } = &args.cpu;
    let shorthands = [(args.cpu.pae, cli::PAE), (args.cpu.la57, cli::LA57)];
    let mut asked = Asked::cpu(*number).with_arch(*arch);
    asked.registers.clone_from(&registers.0);
    asked.bits = shorthands
        .into_iter()
        .filter(|(given, _)| *given)
        .map(|(_, bit)| (Register::Cr4, bit))
        .collect();
    asked.through(args.emulator.address_space.clone())
}

fn sample(args: &cli::Cpu) -> Source {
    let cr3 = args.registers.0.iter().find(|(register, _)| *register == Register::Cr3);
    let with = cr3.map_or(String::new(), |(_, value)| format!(" with --cr3 {value:#x}"));
    note(format!(
        "no source given, answering from the embedded sample guest{with} (give --image FILE for your own)"
    ));
    Source::Sample
}

/// Says what is worth saying: with -v how answers come about, too.
pub fn say(remarks: &[Remark], verbose: bool) {
    for remark in remarks.iter().filter(|remark| verbose || !remark.is_detail()) {
        note_with(remark, &words(&remark.advice()));
    }
}

/// A source that cannot be opened as it was asked.
pub fn refused(error: SourceError) -> anyhow::Error {
    say(error.remarks(), false);
    explained(&error, error.is_usage())
}

/// What to answer where the guest lacks something.
pub fn lacks(missing: Missing) -> anyhow::Error {
    explained(&missing, missing.is_usage())
}

/// Every mapping of the guest; says which tables are left out.
pub fn space(opened: &Opened, output: &mut Output) -> anyhow::Result<VirtualSpace> {
    space_within(opened, Gva(0)..=Gva(u64::MAX), output)
}

/// As [`space`], within a range.
pub fn space_within(
    opened: &Opened,
    range: std::ops::RangeInclusive<Gva>,
    output: &mut Output,
) -> anyhow::Result<VirtualSpace> {
    let (space, left_out) = opened.space(range).map_err(lacks)?;
    for gap in left_out {
        let hint = words(&gap.advice);
        note_with(&gap.what, &hint);
        output.left_out(gap.what, hint);
    }
    Ok(space)
}

/// The emulator that is open.
pub fn emulator(attached: &Attached) -> anyhow::Result<&Emulator<AnyHost>> {
    attached.emulator().ok_or_else(|| usage("the source is no emulator", "give --pid or --core"))
}
