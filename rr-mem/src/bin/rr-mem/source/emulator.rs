//! An emulator as the source: a running one, or the core of one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rr_mem::{
    debuginfo::{Layout, Search},
    guest::{self, AnyMemory, emulator::Running},
    host::{
        AnyHost, Host, HostKind, Module,
        core::Core,
        process::{self, Frozen, Process},
    },
    image::{self, CoreNote},
    qemu::{Machine, Misfit, Offsets, QemuError},
    regs::{Arch, Cpu},
};

use super::{Known, Opened, all_cpus, choose_cpu, guest_memory, held, range_set};
use crate::{
    cli::{self, EmulatorOnly, Source},
    output::{Progress, failed, note, usage},
};

const GIVE_EXE: &str = "give the emulator's executable, or the library that QEMU is in, as it was when it ran, with --exe FILE";

const GIVE_PID: &str = "it serves the socket, maybe as a proxy of an emulator's: give the emulator's --pid (`rr-mem ps` lists them)";

/// Which emulator is meant.
pub struct Choice<'a> {
    pid: Option<u32>,
    qmp: Option<&'a Path>,
    core: Option<&'a Path>,
    exe: &'a [PathBuf],
    freeze: bool,
    layout: Option<&'a Path>,
    debug_file: Option<&'a Path>,
}

impl<'a> From<&'a cli::Emulator> for Choice<'a> {
    fn from(args: &'a cli::Emulator) -> Self {
        let (core, layout) = (args.core.as_deref(), args.layout.as_deref());
        let (qmp, debug_file) = (args.qmp.as_deref(), args.debug_file.as_deref());
        Self { pid: args.pid, qmp, core, exe: &args.exe, freeze: args.freeze, layout, debug_file }
    }
}

impl<'a> From<&'a EmulatorOnly> for Choice<'a> {
    fn from(args: &'a EmulatorOnly) -> Self {
        let (core, layout) = (args.core.as_deref(), args.layout.as_deref());
        let (qmp, debug_file) = (args.qmp.as_deref(), args.debug_file.as_deref());
        Self { pid: args.pid, qmp, core, exe: &args.exe, freeze: args.freeze, layout, debug_file }
    }
}

impl Choice<'_> {
    /// The process that is meant; with none named, the only emulator that runs.
    fn pid(&self) -> anyhow::Result<u32> {
        let served = |socket: &Path| {
            let shown = socket.display();
            process::server(socket).map_err(|e| failed(format!("{shown}: {e}"), e.hint()))
        };
        match (self.pid, self.qmp) {
            (Some(pid), _) => Ok(pid),
            (None, Some(socket)) => served(socket),
            (None, None) => only_one(),
        }
    }

    /// Where the offsets of its structs come from.
    fn offsets(&self) -> anyhow::Result<Offsets> {
        match self.layout {
            Some(path) => read_layout(path).map(Offsets::Given),
            None => {
                let debug_file = self.debug_file.map(Path::to_owned);
                Ok(Offsets::Found(Search { debug_file, ..Search::default() }))
            }
        }
    }
}

/// An emulator and what it says of its guest.
pub type Emulator = guest::emulator::Emulator<AnyHost>;

/// Whether an emulator is the source, not a file.
pub fn is_meant(args: &cli::Emulator) -> bool {
    args.pid.is_some() || args.qmp.is_some() || args.core.is_some()
}

/// Opens the emulator that --pid, --qmp or --core names as a guest.
pub fn open(args: &Source, verbose: bool) -> anyhow::Result<Opened> {
    let (emulator, frozen) = attach(&(&args.emulator).into(), verbose)?;
    Ok(Opened { frozen, ..guest(args, &emulator, verbose)? })
}

/// The guest in `emulator`.
pub fn guest(args: &Source, emulator: &Emulator, verbose: bool) -> anyhow::Result<Opened> {
    let machine = &emulator.machine;
    let cpu = machine.cpu(args.cpu.number as u64);
    let known = Known {
        arch: cpu.map(|cpu| cpu.regs.arch()),
        cpus: machine.cpus.iter().map(|cpu| (cpu.index, Cpu::known(cpu.regs))).collect(),
    };
    let chosen = choose_cpu(Some(&known), &args.cpu)?;
    let space = emulator.space(args.emulator.address_space.as_deref(), cpu);
    let space = space.map_err(|error| usage(&error, error.hint()))?;
    emulator.doubts(cpu).into_iter().for_each(note);
    if verbose {
        remarks(machine, space);
        chosen.assumed.iter().for_each(note);
    }
    let general = known.arch.map(|arch| general_notes(machine, arch)).unwrap_or_default();
    let guest = emulator
        .guest(space, chosen.tables_known.then_some(chosen.regs))
        .map_err(|error| failed(error, "the emulator's memory map is damaged"))?;
    Ok(Opened {
        readable: guest.memory().map(held).map(|held| range_set(&held)).unwrap_or_default(),
        arch: known.arch,
        held: guest.memory().map(held).unwrap_or_default(),
        memory: guest.memory().map(guest_memory).unwrap_or_default(),
        cpus: all_cpus(Some(&known), &chosen, args.cpu.number as u64),
        address_space: Some(space),
        core_notes: if chosen.missing.is_some() { general } else { Vec::new() },
        guest: guest
            .map_memory(|memory| Box::new(memory) as AnyMemory)
            .without_tables(chosen.unknown_tables),
        shape: chosen.regs,
        control_known: chosen.control_known,
        tree_text: None,
        style: None,
        missing: chosen.missing,
        given: chosen.given,
        frozen: None,
    })
}

/// The general registers of all CPUs, as a core has them; none if those of one
/// are not known.
fn general_notes(machine: &Machine, arch: Arch) -> Vec<CoreNote> {
    let cpus = machine.cpus.iter().map(|cpu| Some((cpu.index, cpu.general?)));
    let cpus: Option<Vec<_>> = cpus.collect();
    cpus.map(|cpus| image::register_notes(&cpus, arch)).unwrap_or_default()
}

/// What is worth saying of the choice.
fn remarks(machine: &Machine, space: usize) {
    if let Some(space) = machine.map.address_spaces().get(space) {
        note(format!("address space {:?}", space.name));
    }
}

/// Attaches to the emulator that is meant; with none named, to the only one
/// that runs. While the second part lives, it does not run on.
pub fn attach(choice: &Choice<'_>, verbose: bool) -> anyhow::Result<(Emulator, Option<Frozen>)> {
    let offsets = choice.offsets()?;
    let (host, frozen) = match choice.core {
        Some(path) => (open_core(path, choice.exe)?, None),
        None => open_process(choice.pid()?, choice.freeze)?,
    };
    let emulator = Emulator::attach(host, &offsets)
        .map_err(|unread| explain(&unread.host, choice, &unread.error))?;
    if verbose {
        choice_made(&name(&emulator.host, choice.core), &emulator.machine);
    }
    Ok((emulator, frozen))
}

/// Says which layout fits, and what was tried before.
fn choice_made(name: &str, machine: &Machine) {
    let Machine { layout, source, module, misfits, cpus, .. } = machine;
    for Misfit { layout, why } in misfits {
        note(format!("layout of {layout} does not fit: {why}"));
    }
    note(format!("layout of {layout} fits, from {source}"));
    note(format!("{name}, {module}: {} CPUs", cpus.len()));
}

fn open_process(pid: u32, freeze: bool) -> anyhow::Result<(AnyHost, Option<Frozen>)> {
    let frozen = freeze.then(|| Frozen::new(pid)).transpose();
    let frozen = frozen.map_err(|error| failed(&error, error.hint()))?;
    let process = Process::open(pid).map_err(|error| failed(&error, error.hint()))?;
    Ok((process.into(), frozen))
}

fn open_core(path: &Path, exe: &[PathBuf]) -> anyhow::Result<AnyHost> {
    let mut progress = Progress::new("unpacking");
    let core = Core::open(path, exe, &mut |bytes| progress.set(bytes))
        .map_err(|error| failed(format!("{}: {error}", path.display()), error.hint()))?;
    core.remarks().iter().for_each(note);
    Ok(core.into())
}

fn name(host: &AnyHost, core: Option<&Path>) -> String {
    match (host.kind(), core) {
        (HostKind::Process(process), _) => format!("process {}", process.pid()),
        (HostKind::Core(_), path) => path.unwrap_or(Path::new("core")).display().to_string(),
    }
}

/// A process that ends while it is read looks like one that holds nonsense, and
/// so does a core without the files that it leaves out.
fn explain(host: &AnyHost, choice: &Choice<'_>, error: &QemuError) -> anyhow::Error {
    let name = name(host, choice.core);
    match host.kind() {
        HostKind::Process(process) => {
            if let Err(gone) = Process::open(process.pid()) {
                return failed(&gone, gone.hint());
            }
            let main = host.modules().first();
            let without_file = main.is_none_or(|main: &Module| main.file.is_none());
            let more = if without_file { " (its executable could not be opened)" } else { "" };
            let hint = match (error, choice.qmp) {
                (QemuError::NoEmulator(_), Some(_)) => GIVE_PID,
                _ => error.hint(),
            };
            failed(format!("{name}: {error}{more}"), hint)
        }
        HostKind::Core(core) => {
            let why = core.without_executable().map_or(String::new(), |why| format!("; {why}"));
            let hint = match error {
                QemuError::NoEmulator(_) => GIVE_EXE,
                _ => error.hint(),
            };
            failed(format!("{name}: {error}{why}"), hint)
        }
    }
}

fn read_layout(path: &Path) -> anyhow::Result<Layout> {
    let shown = path.display();
    let hint = "it is a JSON file of struct offsets; `rr-mem layout ELF` makes one; leave --layout away to have them found";
    let text = fs::read_to_string(path).map_err(|e| failed(format!("{shown}: {e}"), hint))?;
    serde_json::from_str(&text).map_err(|error| failed(format!("{shown}: {error}"), hint))
}

/// Every process that could be an emulator.
pub fn running() -> anyhow::Result<Vec<Running>> {
    guest::emulator::running()
        .map_err(|error| failed(format!("/proc: {error}"), "check that it is mounted"))
}

fn only_one() -> anyhow::Result<u32> {
    let running = running()?;
    match &running[..] {
        [] => Err(failed(
            "no emulator runs on this machine",
            "give --pid of a process that has QEMU in it under another name",
        )),
        [one] => Ok(one.pid),
        several => {
            let lines: Vec<_> =
                several.iter().map(|one| format!("\n  {}  {}", one.pid, one.binary)).collect();
            Err(usage(
                format!("{} emulators run:{}", several.len(), lines.concat()),
                "choose one with --pid PID",
            ))
        }
    }
}
