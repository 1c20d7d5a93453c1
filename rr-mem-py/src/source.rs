//! From Python's keywords to the library's one door.

use std::sync::Arc;

use pyo3::{prelude::*, types::PyDict};
use rr_mem::{
    advice::Explain,
    host::{AnyHost, Given, HostKind, SharedMemory},
    qemu::{Machine, Offsets, stub},
    region::monitor::ParseError,
    regs::{Arch, Cpu, OtherArch},
    report::PsRow,
    source::{
        self, Asked, Attached, Emulator, PhysicalReader, RegionText, Running, Source, SourceError,
        Which,
    },
};

use crate::{
    error::{Bridge, MissingError, raise, usage},
    face::PythonWords,
    reader::{self, Reader},
    rows,
};

/// Opens a source, without the GIL unless Python is asked for bytes.
pub fn attach(py: Python<'_>, source: Source, reader: Option<&Reader>) -> PyResult<Arc<Attached>> {
    let open = || source::attach(source, &mut |_| ());
    let attached = match reader {
        None => py.detach(open),
        Some(reader) => {
            let attached = open();
            reader.check()?;
            attached
        }
    };
    attached.map_err(|error| error.bridge())
}

/// The emulator in what a reader reads.
pub fn host(
    reader: &Reader,
    maps: &str,
    modules: &[std::path::PathBuf],
    complete: bool,
    offsets: Offsets,
) -> PyResult<Source> {
    let memory = SharedMemory::new(reader.clone());
    let host = Given::new(memory, maps.as_bytes(), modules, complete);
    reader.check()?;
    let host = host.map_err(|error| SourceError::from(error).bridge())?;
    Ok(Source::Emulator(Which::Host(Box::new(host)), offsets))
}

/// Registers, and a reader of physical memory. With a region map, only RAM and ROM are read.
pub fn plain(
    cpu: Result<Cpu, OtherArch>,
    object: Py<PyAny>,
    regions: Option<RegionText>,
) -> PyResult<(Source, Reader)> {
    if regions.as_ref().is_some_and(|regions| regions.tree().is_some()) {
        // It does not say what is RAM: anything could be asked for.
        return Err(SourceError::from(ParseError::TreeForm).bridge());
    }
    let allowed = regions.as_ref().map(RegionText::memory).transpose();
    let allowed = allowed.map_err(|error| error.bridge())?.flatten();
    let reader = Reader::limited(object, allowed);
    let memory: PhysicalReader = Arc::new(reader::PhysicalReader(reader.clone()));
    let source = match cpu {
        Ok(cpu) => Source::Plain { cpu, memory, regions },
        Err(arch) => Source::Other { arch, memory, regions },
    };
    Ok((source, reader))
}

/// The text of `info mtree -f`.
pub fn regions(text: Option<&str>) -> PyResult<Option<RegionText>> {
    let parsed = text.map(RegionText::parse).transpose();
    parsed.map_err(|error| SourceError::from(error).bridge())
}

/// The architecture of this name.
pub fn arch(name: &str) -> PyResult<Arch> {
    name.parse().map_err(|error: String| usage(error, "i386, x86_64, arm, aarch64"))
}

/// A CPU of this architecture of which these registers are known.
pub fn cpu(arch: Arch, given: &Bound<'_, PyDict>) -> PyResult<Cpu> {
    let asked = with_registers(Asked::default(), given)?;
    let registers = asked.registers.iter();
    let mut cpu = Cpu::unknown(arch);
    for (register, value) in registers {
        let known = cpu.with(*register, *value);
        cpu = known.map_err(|error| SourceError::from(error).bridge())?;
    }
    Ok(cpu)
}

/// The same question with these registers too.
pub fn with_registers(asked: Asked, given: &Bound<'_, PyDict>) -> PyResult<Asked> {
    given.iter().try_fold(asked, |asked, (name, value)| {
        let name: String = name.extract()?;
        asked.with_named(&name, value.extract()?).map_err(|error| error.bridge())
    })
}

/// The CPU whose registers QEMU's stub gives, of a guest of gdb's architecture `name`; or its
/// architecture, if no walker models that.
pub fn stub_cpu(name: &str, register: &Bound<'_, PyAny>) -> PyResult<Result<Cpu, OtherArch>> {
    let Some(known) = stub::arch(name) else { return Ok(Err(OtherArch::of_gdb(name))) };
    let mut failed = None;
    let regs = stub::registers(known, |name| {
        let value = register.call1((name,)).and_then(|value| value.extract());
        value.unwrap_or_else(|error| {
            failed = failed.take().or(Some(error));
            None
        })
    });
    failed.map_or(Ok(()), Err)?;
    regs.map(Ok).map_err(|error| SourceError::from(error).bridge())
}

/// The emulator that is open.
pub fn emulator(attached: &Attached) -> PyResult<&Emulator<AnyHost>> {
    attached.emulator().ok_or_else(|| {
        raise::<MissingError>(
            "the source is no emulator",
            "no_emulator",
            "take Guest.from_process, from_core or from_host",
        )
    })
}

/// The emulator's machine.
pub fn machine(attached: &Attached) -> PyResult<&Machine> {
    emulator(attached).map(|emulator| &emulator.machine)
}

/// What the source is, for `repr`.
pub fn described(attached: &Attached) -> &'static str {
    match attached.emulator().map(|emulator| emulator.host.kind()) {
        Some(HostKind::Given(_)) => "an emulator that Python reads",
        Some(_) => "an emulator",
        None if attached.kind() == "registers" => "registers and a reader",
        None if attached.kind() == "regions" => "a region map",
        None => "an image",
    }
}

/// Every emulator that runs on this machine, with the machine in it, or why that
/// cannot be read.
#[pyfunction]
pub fn emulators(py: Python<'_>) -> PyResult<Vec<rows::Emulator>> {
    let unread = |error: SourceError| (error.to_string(), error.advice().words(&PythonWords));
    let row = |emulator: &Running| {
        Some(PsRow::new(emulator, emulator.read_if_running()?.map_err(unread)))
    };
    let rows =
        py.detach(|| source::running().map(|all| all.iter().filter_map(row).collect::<Vec<_>>()));
    let rows = rows.map_err(|error| SourceError::from(error).bridge())?;
    Ok(rows.into_iter().map(rows::Emulator).collect())
}
