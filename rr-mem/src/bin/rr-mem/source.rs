//! From the source options to a guest.

pub mod emulator;

use std::{fs, ops::RangeInclusive, path::Path};

use anyhow::Context;
use rr_mem::{
    addr::{Address, Gpa, Gva, RangeSet},
    guest::{AnyMemory, Guest, Missing},
    host::process::Frozen,
    image::{self, CoreNote, Image},
    mmu::{SpaceLimits, VirtualSpace},
    region::{
        RegionMap,
        monitor::{self, Form, ParseError},
        physical::{Backing, PhysicalMemory, PhysicalRange},
    },
    regs::{Arch, Cpu, Regs},
    sample,
};

use crate::{
    cli::{Cpu as CpuArgs, Source, Switch},
    output::{Progress, failed, note, usage},
};

/// An opened source: the guest, and what is known about where it came from.
pub struct Opened {
    /// The guest.
    pub guest: Guest,
    /// Where the source holds bytes of the guest's memory: first address, length.
    pub held: Vec<(Gpa, u64)>,
    /// Where the guest has memory, whether or not the source holds its bytes.
    pub memory: RangeSet,
    /// Where the source has the bytes, or knows them to be zeros.
    pub readable: RangeSet,
    /// The architecture that the source names.
    pub arch: Option<Arch>,
    /// Every CPU of the source by its number; flags have changed the chosen one.
    pub cpus: Vec<(u64, Cpu)>,
    /// The place of the address space that memory is seen through, if not the
    /// one called `memory`.
    pub address_space: Option<usize>,
    /// What other programs noted in the source.
    pub core_notes: Vec<CoreNote>,
    /// The control registers, whether or not a table base is known.
    pub shape: Regs,
    /// Whether they are those of the guest, not merely usual ones.
    pub control_known: bool,
    /// The text of a tree, which can be shown but not searched.
    pub tree_text: Option<String>,
    /// Whose text the region map was read from.
    pub style: Option<monitor::Style>,
    missing: Option<&'static [&'static str]>,
    given: Vec<&'static str>,
    /// Keeps the emulator from running, if that is asked for.
    #[expect(dead_code, reason = "what counts is when it is dropped")]
    frozen: Option<Frozen>,
}

impl Opened {
    /// Whether the value of a register is the guest's or was given, not merely
    /// usual.
    pub fn knows(&self, register: &str) -> bool {
        let in_source = |missing: &[&str]| !missing.contains(&&*register.to_uppercase());
        self.given.contains(&register) || self.missing.is_some_and(in_source)
    }

    /// Every mapping within `range`; says which tables are left out.
    pub fn space(&self, range: RangeInclusive<Gva>) -> anyhow::Result<VirtualSpace> {
        let mmu = self.guest.mmu().map_err(|missing| self.lacks(missing))?;
        for &register in self.guest.unknown_tables() {
            if mmu.range_without(range.clone(), &[register]) != range {
                let flag = flag(register);
                note(format!("{register} is not known, its half is left out: give --{flag}"));
            }
        }
        let space = self.guest.space(range, SpaceLimits::default());
        space.map_err(|missing| self.lacks(missing))
    }

    /// What to answer where the guest lacks something.
    pub fn lacks(&self, missing: Missing) -> anyhow::Error {
        match (missing, self.missing, &self.tree_text) {
            (Missing::Registers, Some(names), _) if !names.is_empty() => {
                usage(format!("the source holds none of {}", names.join(", ")), missing.hint())
            }
            (Missing::Regions, _, Some(_)) => {
                usage(ParseError::TreeForm, ParseError::TreeForm.hint())
            }
            _ => usage(missing, missing.hint()),
        }
    }
}

/// What the text of --mtree says.
#[derive(Default)]
struct Text {
    map: Option<RegionMap>,
    style: Option<monitor::Style>,
    tree: Option<String>,
}

/// Opens what `args` name.
pub fn open(args: &Source, verbose: bool) -> anyhow::Result<Opened> {
    if emulator::is_meant(&args.emulator) {
        return emulator::open(args, verbose);
    }
    let text = args.mtree.as_deref().map(read_mtree).transpose()?.unwrap_or_default();
    let image = match (&args.image, &args.mtree) {
        (Some(path), _) => Some(open_image(path, args, text.map.as_ref())?),
        // A region map alone is a source: its guest has no memory.
        (None, Some(_)) => None,
        (None, None) => Some(open_sample(&args.cpu)?),
    };
    let known = image
        .as_ref()
        .map(|image| Known { arch: image.arch, cpus: (0..).zip(image.cpus.clone()).collect() });
    let cpu = choose_cpu(known.as_ref(), &args.cpu)?;
    // A damaged file is said always, what was assumed when asked.
    image.iter().flat_map(|image| &image.notes).for_each(note);
    if verbose {
        remarks(image.as_ref(), &cpu);
    }
    let held = image.as_ref().map(|image| image.memory.held()).unwrap_or_default();
    let ranges = image.as_ref().map(|image| guest_memory(&image.memory)).unwrap_or_default();
    let zeros = image.as_ref().map(|image| zeros(&image.memory)).unwrap_or_default();
    let arch = known.as_ref().and_then(|known| known.arch);
    let cpus = all_cpus(known.as_ref(), &cpu, args.cpu.number as u64);
    let from_text = text.map.is_some();
    let (memory, regions, space, style, core_notes) = match image {
        Some(Image { memory, regions, address_space, style, core_notes, .. }) => {
            (Some(Box::new(memory) as AnyMemory), regions, address_space, style, core_notes)
        }
        None => (None, None, None, None, Vec::new()),
    };
    let regs = cpu.tables_known.then_some(cpu.regs);
    let space = space.filter(|_| !from_text);
    let guest = match (text.map.or(regions), space) {
        (Some(map), Some(space)) => Guest::in_space(memory, regs, map, space),
        (map, _) => Guest::new(memory, regs, map),
    };
    let guest = guest
        .map_err(|error| failed(error, "check the region map"))?
        .without_tables(cpu.unknown_tables);
    Ok(Opened {
        guest,
        memory: ranges,
        readable: zeros.or(&range_set(&held)),
        held,
        arch,
        cpus,
        address_space: space,
        // They are of the architecture that the source names.
        core_notes: if cpu.missing.is_some() { core_notes } else { Vec::new() },
        shape: cpu.regs,
        control_known: cpu.control_known,
        tree_text: text.tree,
        style: if from_text { text.style } else { style },
        missing: cpu.missing,
        given: cpu.given,
        frozen: None,
    })
}

/// The ranges whose bytes `memory` has.
fn held<A: Address, S>(memory: &PhysicalMemory<A, S>) -> Vec<(Gpa, u64)> {
    let at = |range: &&PhysicalRange<A>| matches!(range.backing, Backing::At(_));
    memory.ranges().iter().filter(at).map(|range| (range.gpa, range.len)).collect()
}

/// The ranges that are no device.
fn guest_memory<A: Address, S>(memory: &PhysicalMemory<A, S>) -> RangeSet {
    let device = |range: &&PhysicalRange<A>| matches!(range.backing, Backing::Device(_));
    let ranges = memory.ranges().iter().filter(|range| !device(range));
    ranges.map(|range| range.gpa.0..=range.gpa.0 + (range.len - 1)).collect()
}

/// The ranges that are zeros in no file.
fn zeros<A: Address, S>(memory: &PhysicalMemory<A, S>) -> RangeSet {
    let zero = |range: &&PhysicalRange<A>| matches!(range.backing, Backing::Zero);
    let ranges = memory.ranges().iter().filter(zero);
    ranges.map(|range| range.gpa.0..=range.gpa.0 + (range.len - 1)).collect()
}

/// Ranges given by first address and length.
fn range_set(ranges: &[(Gpa, u64)]) -> RangeSet {
    ranges.iter().map(|(gpa, len)| gpa.0..=gpa.0 + (len - 1)).collect()
}

/// Every CPU of the source, the chosen one as the flags have it; none where
/// nobody knows a register.
fn all_cpus(known: Option<&Known>, chosen: &Chosen, number: u64) -> Vec<(u64, Cpu)> {
    let mut cpus = known.map(|known| known.cpus.clone()).unwrap_or_default();
    let in_source = |name: &&str| chosen.missing.is_some_and(|missing| !missing.contains(name));
    let names: Vec<_> = chosen.regs.named().iter().map(|(name, _)| name.to_uppercase()).collect();
    let unknown = names.iter().map(String::as_str).filter(|name| {
        !in_source(name) && !chosen.given.iter().any(|given| given.eq_ignore_ascii_case(name))
    });
    let cpu = Cpu { regs: chosen.regs, missing: image::missing(unknown) };
    match cpus.iter_mut().find(|(known, _)| *known == number) {
        Some((_, place)) if chosen.missing.is_some() => *place = cpu,
        _ if chosen.given.is_empty() => {}
        _ => cpus = vec![(0, cpu)],
    }
    cpus
}

fn open_image(path: &Path, args: &Source, regions: Option<&RegionMap>) -> anyhow::Result<Image> {
    let mut progress = Progress::new("reading");
    let machine = args.machine.as_deref();
    let snapshot = args.snapshot.as_deref();
    let options = image::OpenOptions::default()
        .ram_base(Gpa(args.ram_base))
        .machine(machine)
        .regions(regions)
        .snapshot(snapshot);
    image::open(path, &options, &mut |bytes| progress.set(bytes))
        .map_err(|error| failed(format!("{}: {error}", path.display()), error.hint()))
}

fn open_sample(args: &CpuArgs) -> anyhow::Result<Image> {
    let with = match args.cr3 {
        Some(cr3) => format!(" with --cr3 {cr3:#x}"),
        None => String::new(),
    };
    note(format!(
        "no source given, answering from the embedded sample guest{with} (give --image FILE for your own)"
    ));
    sample::open().map_err(|error| failed(error, ""))
}

fn read_mtree(path: &Path) -> anyhow::Result<Text> {
    let shown = path.display();
    let bytes =
        fs::read(path).map_err(|error| failed(format!("{shown}: {error}"), "check the path"))?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    match monitor::parse(&text) {
        Ok(flat) => Ok(Text { map: Some(flat.map), style: Some(flat.style), tree: None }),
        Err(ParseError::TreeForm) if Form::of(&text) == Some(Form::Tree) => {
            Ok(Text { tree: Some(text), ..Text::default() })
        }
        Err(error) => Err(failed(format!("{shown}: {error}"), error.hint())),
    }
}

/// The registers to use.
struct Chosen {
    regs: Regs,
    tables_known: bool,
    control_known: bool,
    missing: Option<&'static [&'static str]>,
    assumed: Vec<String>,
    /// Table bases that nobody gave, though others were given.
    unknown_tables: Vec<&'static str>,
    /// Registers that a flag set.
    given: Vec<&'static str>,
}

/// The CPUs of a source.
struct Known {
    arch: Option<Arch>,
    /// By number.
    cpus: Vec<(u64, Cpu)>,
}

fn choose_cpu(source: Option<&Known>, args: &CpuArgs) -> anyhow::Result<Chosen> {
    let wanted: Option<Arch> =
        args.arch.as_deref().map(|name| name.parse().map_err(anyhow::Error::msg)).transpose()?;
    let file_arch = source.and_then(|source| source.arch);
    let known = file_cpu(source, wanted, args)?;
    let arch = wanted.or(file_arch).unwrap_or_else(|| guess(args));
    let mut assumed = Vec::new();
    if wanted.is_none() && file_arch.is_none() {
        assumed.push(format!("no --arch given, taking the guest for {arch}"));
    }
    let mut regs = known.map_or(Regs::defaults(arch), |cpu| cpu.regs);
    let given = set_flags(&mut regs, args)?;
    assume_nx(&mut regs, known, args, &mut assumed);
    let tables_given = given.iter().any(|name| matches!(*name, "cr3" | "ttbr0" | "ttbr1"));
    let tables_known = tables_given || known.is_some_and(|cpu| !cpu.without_tables()) || off(&regs);
    let missing = known.map(|cpu| cpu.missing);
    let needed = tables_known && !off(&regs) && matches!(regs, Regs::Arm(_));
    let unknown = if needed { not_given(missing.unwrap_or(TABLES), &given) } else { Vec::new() };
    let (unknown_tables, others): (Vec<_>, Vec<_>) =
        unknown.into_iter().partition(|name| TABLES.contains(name));
    assumed.extend(others.iter().map(|name| {
        format!("{name} is not known, the usual value is taken: give --{}", flag(name))
    }));
    let control_known = args.pae
        || args.la57
        || given.iter().any(|name| matches!(*name, "cr4" | "tcr"))
        || known.is_some_and(|cpu| !cpu.missing.iter().any(|name| matches!(*name, "TCR" | "CR4")));
    Ok(Chosen { regs, tables_known, control_known, missing, assumed, unknown_tables, given })
}

/// The base registers of ARM's tables: one may be known without the other.
const TABLES: &[&str] = &["TTBR0", "TTBR1"];

/// Which of the `missing` registers no flag gave. EFER is assumed elsewhere.
fn not_given(missing: &[&'static str], given: &[&str]) -> Vec<&'static str> {
    let wanted = |name: &&&str| **name != "EFER" && !given.contains(&&*name.to_lowercase());
    missing.iter().filter(wanted).copied().collect()
}

/// Without paging no table base is needed.
fn off(regs: &Regs) -> bool {
    match regs {
        Regs::X86(regs) => !regs.paging(),
        Regs::Arm(regs) => !regs.mmu_on(),
    }
}

/// The CPU of the file, unless --arch discards it.
fn file_cpu(
    source: Option<&Known>,
    wanted: Option<Arch>,
    args: &CpuArgs,
) -> anyhow::Result<Option<Cpu>> {
    let Some(source) = source else { return Ok(None) };
    if wanted.is_some() && wanted != source.arch {
        return Ok(None);
    }
    let wanted = args.number as u64;
    match source.cpus.iter().find(|(number, _)| *number == wanted) {
        Some((_, cpu)) => Ok(Some(*cpu)),
        None if source.cpus.is_empty() && wanted == 0 => Ok(None),
        None => {
            let numbers: Vec<_> =
                source.cpus.iter().map(|(number, _)| number.to_string()).collect();
            Err(usage(
                format!("no CPU {wanted}: the source knows {} CPUs", source.cpus.len()),
                format!("their numbers are {}", numbers.join(", ")),
            ))
        }
    }
}

/// The architecture that registers given by flag belong to.
fn guess(args: &CpuArgs) -> Arch {
    let arm = args.ttbr0.or(args.ttbr1).or(args.tcr).or(args.sctlr).is_some();
    if args.dacr.is_some() {
        Arch::Arm
    } else if arm {
        Arch::Aarch64
    } else {
        Arch::X86_64
    }
}

/// Sets the registers given by flag: their names.
fn set_flags(regs: &mut Regs, args: &CpuArgs) -> anyhow::Result<Vec<&'static str>> {
    let switch = |switch: Option<Switch>| switch.map(|switch| u64::from(switch == Switch::On));
    let flags = [
        ("cr0", args.cr0),
        ("cr3", args.cr3),
        ("cr4", args.cr4),
        ("efer", args.efer),
        ("a20", switch(args.a20)),
        ("phys_bits", args.phys_bits),
        ("ttbr0", args.ttbr0),
        ("ttbr1", args.ttbr1),
        ("tcr", args.tcr),
        ("sctlr", args.sctlr),
        ("dacr", args.dacr),
        ("hcr", args.hcr),
        ("el", args.el),
        ("pan", switch(args.pan)),
    ];
    let mut given = Vec::new();
    for (name, value) in flags {
        let Some(value) = value else { continue };
        if !regs.set(name, value) {
            return Err(wrong_arch(name, regs.arch()));
        }
        given.push(name);
    }
    set_shorthands(regs, args)?;
    Ok(given)
}

fn set_shorthands(regs: &mut Regs, args: &CpuArgs) -> anyhow::Result<()> {
    match regs {
        Regs::X86(x86) => {
            x86.cr4 |= if args.pae { rr_mem::regs::X86Regs::CR4_PAE } else { 0 };
            x86.cr4 |= if args.la57 { rr_mem::regs::X86Regs::CR4_LA57 } else { 0 };
            Ok(())
        }
        Regs::Arm(_) if args.pae => Err(wrong_arch("pae", regs.arch())),
        Regs::Arm(_) if args.la57 => Err(wrong_arch("la57", regs.arch())),
        Regs::Arm(_) => Ok(()),
    }
}

/// The flag that sets a register.
fn flag(register: &str) -> String {
    register.to_lowercase().replace('_', "-")
}

fn wrong_arch(name: &str, arch: Arch) -> anyhow::Error {
    usage(
        format!("--{} is no register of {arch}", flag(name)),
        "give --arch of the guest; it discards the registers of a file of another",
    )
}

/// EFER is not in a dump: with PAE, NX is assumed.
fn assume_nx(regs: &mut Regs, known: Option<Cpu>, args: &CpuArgs, assumed: &mut Vec<String>) {
    let from_file = known.is_some_and(|cpu| !cpu.missing.contains(&"EFER"));
    let Regs::X86(x86) = regs else { return };
    if from_file || args.efer.is_some() || !x86.paging() {
        return;
    }
    if x86.physical_address_extension() {
        x86.efer |= rr_mem::regs::X86Regs::EFER_NXE;
        let mode = if x86.in_long_mode() { "long mode and NX" } else { "NX" };
        assumed.push(format!("EFER is not known: {mode} assumed (EFER={:#x})", x86.efer));
    }
}

fn remarks(image: Option<&Image>, cpu: &Chosen) {
    if let Some(image) = image {
        let bytes: u64 = image.memory.ranges().iter().map(|range| range.len).sum();
        note(format!(
            "{}, {} blocks of memory, {bytes:#x} bytes",
            image.format,
            image.memory.ranges().len()
        ));
    }
    cpu.assumed.iter().for_each(note);
}

/// As [`open`], for commands whose work is worthless without registers.
pub fn open_paged(args: &Source, verbose: bool) -> anyhow::Result<Opened> {
    let opened = open(args, verbose)?;
    if let Err(missing) = opened.guest.mmu().map(drop).and(opened.guest.memory().map(drop)) {
        return Err(opened.lacks(missing)).context("no address can be translated");
    }
    Ok(opened)
}
