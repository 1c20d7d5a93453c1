//! `rr-mem diverge`.

mod logs;
mod rows;
mod state;

use std::thread;

use nix::sys::signal::{SigSet, Signal};
use rr_mem::{
    addr::{Gva, RangeSet},
    diverge::{
        ByteRun, CpuState, Differences, Execution, ExecutionError, Found, Ignored, Options,
        Parting, Recording, Replay, SearchError, Stopper, Verdict, find_first_difference,
    },
    guest::{Guest, emulator::EmulatorMemory},
    host::AnyHostMemory,
    mmu::{Space, SpaceLimits},
    report::AliasRow,
    symbols::Symbols,
};

use self::{
    logs::Extent,
    rows::{BytesRow, LogDifference, LogEntries, RegisterRow, Report, WriterRow},
    state::State,
};
use crate::{
    cli::diverge::{DivergeCommand, Qemu},
    output::{Outcome, Output, failed, note, usage},
};

/// Instructions in which a value that differs is mostly stored.
const SOON: u64 = 1 << 16;
/// Virtual addresses that are listed for a byte.
const ALIASES: usize = 16;
/// Runs of bytes of which the virtual addresses are looked up.
const LISTED: usize = 64;

type EmulatedGuest = Guest<EmulatorMemory<AnyHostMemory>>;

pub fn run(command: &DivergeCommand, output: &mut Output) -> anyhow::Result<Outcome> {
    match command {
        DivergeCommand::Qemu(args) => qemu(args, output),
    }
}

fn qemu(args: &Qemu, output: &mut Output) -> anyhow::Result<Outcome> {
    let (sides, extents) = sides(args)?;
    let different = match &args.log[..] {
        [a, b] => logs::difference(a, b)?,
        _ => None,
    };
    announce(args, different.as_ref());
    let mut state = State::open(args, &sides)?;
    let [a, b] = sides.clone();
    // Before there are threads that a signal could end us in.
    let signals = held_signals();
    let mut pair = Replays { a: start(a)?, b: start(b)? };
    end_on(signals, [pair.a.stopper(), pair.b.stopper()]);
    let found = first_difference(&mut pair, args, different.as_ref(), &mut state);
    state.save();
    if pair.a.stopper().is_stopped() {
        let hint = "what was compared is kept: go on with --resume";
        return Err(failed("interrupted", hint));
    }
    let found = found.map_err(|error| explain(&error, &sides))?;
    let mut report = pair.report(args, &sides, &extents, found)?;
    report.log_difference = different;
    report.remarks = remarks(&pair, &extents);
    report.remarks.iter().for_each(note);
    if output.json {
        output.row(&report)?
    } else {
        output.line(&report)?
    }
    if report.unread_pages > 0 {
        let what = format!("{} pages could not be read", report.unread_pages);
        output.complain(what, "check your rights to the emulator's process")?;
    }
    let lacking = report.unread_pages > 0 || report.ended.is_some();
    Ok(match (report.found, lacking) {
        (true, _) => Outcome::Negative,
        (false, true) => Outcome::Unreadable,
        (false, false) => Outcome::Answered,
    })
}

/// What the user should know of the executions, whatever was found.
fn remarks(pair: &Replays, extents: &[Extent; 2]) -> Vec<String> {
    let replays = [&pair.a, &pair.b];
    let mut remarks: Vec<_> =
        replays.iter().flat_map(|replay| replay.remarks()).map(|&text| text.to_owned()).collect();
    let refused = extents.iter().map(|log| log.refused).max().unwrap_or_default();
    if refused > 0 {
        remarks.push(format!(
            "while it was recorded, {refused} writes to a serial line found no reader; QEMU replays \
             what follows at any time: record with a reader that keeps up, or -serial file:PATH"
        ));
    }
    remarks.dedup();
    remarks
}

/// The two executions that are meant, and how far their logs go.
fn sides(args: &Qemu) -> anyhow::Result<([Recording; 2], [Extent; 2])> {
    let (logs, programs) = (args.log.len(), args.with.len());
    if logs > 2 || programs > 2 {
        return Err(usage("there are more than two executions", "give two --log or two --with"));
    }
    match (args.check, logs == 2 || programs == 2) {
        (true, true) => {
            return Err(usage("--check compares a replay with itself", "give one --log"));
        }
        (false, false) => {
            let hint = "give a second --log or a second --with; --check compares it with itself";
            return Err(usage("there is only one execution", hint));
        }
        _ => {}
    }
    let side = |number: usize| -> anyhow::Result<(Recording, Extent)> {
        let log = args.log[number.min(logs - 1)].clone();
        let mut command = args.command.clone();
        if let (Some(first), Some(program)) =
            (command.first_mut(), args.with.get(number.min(programs.saturating_sub(1))))
        {
            first.clone_from(program);
        }
        let extent = Extent::of(&log)?;
        let instructions = Some(extent.instructions);
        let ignored_regions = args.ignore_region.clone();
        Ok((Recording { command, log, instructions, ignored_regions }, extent))
    };
    let (a, b) = (side(0)?, side(1)?);
    Ok(([a.0, b.0], [a.1, b.1]))
}

/// Says what is known at once.
fn announce(args: &Qemu, different: Option<&LogDifference>) {
    if args.with.len() == 2 && !has_versioned_machine(&args.command) {
        note(
            "two releases differ in what an unversioned machine type is: give -M such as pc-i440fx-7.2",
        );
    }
    if let [_, _] = &args.log[..] {
        match different {
            Some(LogDifference { instr, a, b }) => {
                let entry = |side: &Option<String>| {
                    side.clone().unwrap_or_else(|| "(the end of the log)".to_owned())
                };
                note(format!("the logs differ at instruction {instr}:"));
                note(format!("A {}", entry(a)));
                note(format!("B {}", entry(b)));
            }
            None => note("the logs are the same"),
        }
    }
}

/// Whether the machine type names a release, as `virt-7.2` does.
fn has_versioned_machine(command: &[String]) -> bool {
    let values = command
        .windows(2)
        .filter(|pair| matches!(pair[0].trim_start_matches('-'), "M" | "machine"));
    let machine = |value: &str| {
        let name = value.split(',').next().unwrap_or_default();
        let version = name.rsplit('-').next().unwrap_or_default();
        version.contains('.') && version.bytes().all(|b| b.is_ascii_digit() || b == b'.')
    };
    values.into_iter().any(|pair| machine(&pair[1]))
}

fn start(recording: Recording) -> anyhow::Result<Replay> {
    Replay::start(recording).map_err(|error| failed(&error, error.hint()))
}

/// The signals that end a program, kept from doing so.
fn held_signals() -> SigSet {
    let set: SigSet = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP].into_iter().collect();
    if let Err(error) = set.thread_block() {
        note(format!("an interrupted search will leave its emulators running: {error}"));
    }
    set
}

/// Ends the emulators when we are to end; all else follows from that.
fn end_on(signals: SigSet, stoppers: [Stopper; 2]) {
    thread::spawn(move || {
        while signals.wait().is_ok() {
            stoppers.iter().for_each(Stopper::stop);
        }
    });
}

/// Inputs are the same up to where the logs differ: there the search starts,
/// and only when they differ there already, before it.
fn first_difference(
    pair: &mut Replays,
    args: &Qemu,
    different: Option<&LogDifference>,
    state: &mut State,
) -> Result<Found, SearchError> {
    let mut options = Options {
        from: args.from,
        to: args.to,
        exhaustive: args.exhaustive,
        ignored: Ignored {
            memory: args.ignore_gpa.iter().cloned().collect::<RangeSet>(),
            registers: args.ignore_reg.clone(),
        },
        known: state.points(),
        ..Options::default()
    };
    if let (None, None, Some(different)) = (args.from, args.exhaustive, different) {
        let from = different.instr.saturating_sub(1);
        options.from = Some(from);
        let found = find_first_difference(&mut pair.a, &mut pair.b, &options, state)?;
        match &found.verdict {
            Verdict::Parted(parting) if parting.last_equal.is_none() && from > 0 => {
                (options.from, options.to) = (None, Some(from));
                options.known = found.points;
            }
            _ => return Ok(found),
        }
    }
    find_first_difference(&mut pair.a, &mut pair.b, &options, state)
}

/// A search that failed, with what the log says there.
fn explain(error: &SearchError, sides: &[Recording; 2]) -> anyhow::Error {
    let SearchError::Execution { side, error: cause } = error else {
        return failed(error, "give another --from");
    };
    let hint = match cause {
        ExecutionError::Failed { at, .. } => {
            let log = &sides[*side as usize].log;
            let entries = logs::around(log, *at).unwrap_or_default().join("\n  ");
            format!("its log there:\n  {entries}")
        }
        _ => "check that the command line is that of the recording".to_owned(),
    };
    failed(error, hint)
}

/// Both executions.
struct Replays {
    a: Replay,
    b: Replay,
}

impl Replays {
    fn report(
        &mut self,
        args: &Qemu,
        sides: &[Recording; 2],
        extents: &[Extent; 2],
        found: Found,
    ) -> anyhow::Result<Report> {
        let mut report = Report {
            probes: found.points.len(),
            from: found.points.keys().next().copied().unwrap_or_default(),
            to: found.points.keys().next_back().copied().unwrap_or_default(),
            unread_pages: found.unread,
            ..Report::default()
        };
        let shown = match found.verdict {
            Verdict::Same { from, to, ended } => {
                (report.from, report.to) = (from, to);
                report.ended = ended.map(|side| match &found.failure {
                    Some(failure) => {
                        format!("{side} does not go on behind instruction {to}: {failure}")
                    }
                    None => format!("{side} ends behind instruction {to}"),
                });
                report.ended = report.ended.or_else(|| logs::not_compared(extents, args.to));
                report.ended.is_some().then_some(to)
            }
            Verdict::Parted(parting) => {
                self.parting(args, &parting, &mut report).map_err(|error| {
                    failed(error, "the emulators ended while they were looked at: try again")
                })?;
                Some(parting.first)
            }
        };
        if let Some(instruction) = shown {
            report.log_entries = LogEntries {
                a: logs::around(&sides[0].log, instruction)?,
                b: logs::around(&sides[1].log, instruction)?,
            };
        }
        Ok(report)
    }

    fn parting(
        &mut self,
        args: &Qemu,
        parting: &Parting,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        self.a.go_to(parting.first)?;
        let view = View::new(&mut self.a, &parting.cpus, parting.cpu, args)?;
        report.found = true;
        report.instr = Some(parting.first);
        report.last_equal_instr = parting.last_equal;
        report.cpu = parting.cpu;
        report.guest_pc = parting.pc.map(|pc| format!("{pc:#x}"));
        report.symbol = parting.pc.and_then(|pc| view.symbol(pc));
        report.registers = registers(&parting.differences);
        report.bytes = view.bytes(&parting.differences.runs);
        report.bytes_differing = parting.differences.bytes;
        report.pages_differing = parting.differences.pages;
        report.writer = match (&parting.writer, parting.last_equal) {
            (Some(_), Some(_)) => view.writer(parting),
            (None, Some(equal)) => self.first_write(args, parting, equal)?,
            _ => None,
        };
        Ok(())
    }

    /// The first write that differs, where registers did so before: the same
    /// search, of memory alone.
    fn first_write(
        &mut self,
        args: &Qemu,
        parting: &Parting,
        equal: u64,
    ) -> anyhow::Result<Option<WriterRow>> {
        let names = parting.cpus.iter().flat_map(|cpu| &cpu.registers);
        let ignored = Ignored {
            memory: args.ignore_gpa.iter().cloned().collect(),
            registers: names.map(|(name, _)| name.clone()).collect(),
        };
        let end = args.to.unwrap_or(u64::MAX);
        for to in [parting.first.saturating_add(SOON).min(end), end] {
            let options = Options {
                from: Some(equal),
                to: Some(to),
                ignored: ignored.clone(),
                ..Options::default()
            };
            let found = find_first_difference(&mut self.a, &mut self.b, &options, &mut ())?;
            if let Verdict::Parted(write) = found.verdict {
                self.a.go_to(write.first)?;
                return Ok(View::new(&mut self.a, &write.cpus, write.cpu, args)?.writer(&write));
            }
            if to == end {
                break;
            }
        }
        Ok(None)
    }
}

fn registers(differences: &Differences) -> Vec<RegisterRow> {
    let rows = differences.registers.iter().map(|found| RegisterRow {
        cpu: found.cpu,
        register: found.register.clone(),
        a: found.a.as_deref().map(|bytes| format!("0x{}", hex(bytes))),
        b: found.b.as_deref().map(|bytes| format!("0x{}", hex(bytes))),
    });
    rows.collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The guest of the first execution, to name what differs.
struct View {
    guest: EmulatedGuest,
    space: Option<Space>,
    symbols: Option<Symbols>,
}

impl View {
    fn new(
        replay: &mut Replay,
        cpus: &[CpuState],
        cpu: Option<u64>,
        args: &Qemu,
    ) -> anyhow::Result<Self> {
        let cpu = cpus.iter().find(|known| cpu.is_none_or(|cpu| known.number == cpu));
        let regs = cpu.and_then(|cpu| cpu.paging);
        let guest = replay.emulator()?.guest(0, regs)?;
        let space = guest.space(Gva(0)..=Gva(u64::MAX), SpaceLimits::default()).ok();
        let symbols = match &args.guest_symbols {
            None => None,
            Some(path) => {
                let symbols = Symbols::open(path).map_err(|error| failed(&error, error.hint()))?;
                match symbols.in_guest(&guest) {
                    Ok(symbols) => Some(symbols),
                    Err(error) => {
                        note(format!("no symbols: {error}"));
                        None
                    }
                }
            }
        };
        Ok(Self { guest, space, symbols })
    }

    fn symbol(&self, pc: u64) -> Option<String> {
        self.symbols.as_ref()?.name(Gva(pc))
    }

    fn bytes(&self, runs: &[ByteRun]) -> Vec<BytesRow> {
        let aliases = self.space.as_ref().map(Space::aliases);
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
    fn writer(&self, parting: &Parting) -> Option<WriterRow> {
        let writer = parting.writer.as_ref()?;
        let frames = |frames: &[rr_mem::diverge::Frame]| {
            let frame = |frame: &rr_mem::diverge::Frame| match &frame.name {
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
