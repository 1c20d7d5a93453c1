//! The class `Guest`.

pub mod diff;
mod saving;
mod search;
mod symbols;

use std::{path::PathBuf, sync::Arc};

use pyo3::{
    prelude::*,
    types::{PyBytes, PyDict, PyType},
};
use rr_mem::{
    addr::{Gpa, GuestAddress, Gva, Hex, Hva},
    guest::{AnyMemory, Guest as Library, GuestReadError},
    host::{AnyHost, HostKind},
    mmu::{Merge, NoSuchWord, Query, VirtualSpace},
    qemu::Offsets,
    region::monitor,
    report::{
        AliasRow, CpuRow, FaultRow, FindRow, FlatRangeRow, IfAsked, RamRow, RegionRow, RegsRow,
        RemarkRow, V2pRow, WhereRow, XRow,
        examine::{self, Format},
        filter::{Filter, Selection},
    },
    source::{Asked, Attached, ImageFile, Opened, RegionText, Source, SourceError, Which},
    symbols::Symbols as Names,
    watch, write,
};

pub use symbols::Symbols;

use crate::{
    error::{Bridge, IncompleteWarning, MissingError, RrMemError, faulted, raise, usage},
    face::PythonWords,
    reader::{Reader, bytes_of},
    remark::Remark,
    rows::{self, ToPython},
    source,
};

/// What an address that is not mapped is in the answer to a batch.
const UNMAPPED: u64 = u64::MAX;

/// A guest as one of its CPUs sees it: what is behind its addresses.
///
/// Addresses and lengths are numbers of bytes. Only `write` changes anything.
#[pyclass(frozen, module = "rr_mem")]
pub struct Guest {
    opened: Opened,
    asked: Asked,
    /// What a Python object reads for it.
    reader: Option<Reader>,
}

#[pymethods]
impl Guest {
    /// The guest of a running emulator, read from outside; needs ptrace rights.
    #[classmethod]
    #[pyo3(signature = (pid, *, cpu = 0, address_space = None, layout = None, debug_file = None))]
    fn from_process(
        class: &Bound<'_, PyType>,
        pid: u32,
        cpu: u64,
        address_space: Option<String>,
        layout: Option<PathBuf>,
        debug_file: Option<PathBuf>,
    ) -> PyResult<Self> {
        let offsets = offsets(layout, debug_file)?;
        let source = Source::Emulator(Which::Process(pid), offsets);
        Self::open(class.py(), source, Asked::cpu(cpu).through(address_space), None)
    }

    /// The guest of an emulator that left a core; `exe` are the files that ran,
    /// where they are not at their paths.
    #[classmethod]
    #[pyo3(signature = (path, exe = Vec::new(), *, cpu = 0, address_space = None, layout = None, debug_file = None))]
    fn from_core(
        class: &Bound<'_, PyType>,
        path: PathBuf,
        exe: Vec<PathBuf>,
        cpu: u64,
        address_space: Option<String>,
        layout: Option<PathBuf>,
        debug_file: Option<PathBuf>,
    ) -> PyResult<Self> {
        let offsets = offsets(layout, debug_file)?;
        let source = Source::Emulator(Which::Core { path, exe }, offsets);
        Self::open(class.py(), source, Asked::cpu(cpu).through(address_space), None)
    }

    /// The guest of an emulator whose memory `reader.read(address, length)`
    /// gives, as bytes. `maps` is its memory map, the text of /proc/PID/maps or
    /// of gdb's `info proc mappings`; `modules` are files that may be its
    /// executable and libraries; `complete` says that the map lists everything.
    ///
    /// The reader is called on the thread that asks, and on no other; what it
    /// gave is kept as long as this object.
    #[classmethod]
    #[pyo3(signature = (reader, maps, modules = Vec::new(), *, complete = true, cpu = 0, address_space = None, layout = None, debug_file = None))]
    #[expect(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn from_host(
        class: &Bound<'_, PyType>,
        reader: Py<PyAny>,
        maps: &str,
        modules: Vec<PathBuf>,
        complete: bool,
        cpu: u64,
        address_space: Option<String>,
        layout: Option<PathBuf>,
        debug_file: Option<PathBuf>,
    ) -> PyResult<Self> {
        let reader = Reader::new(reader);
        let host = source::host(&reader, maps, &modules, complete, offsets(layout, debug_file)?)?;
        Self::open(class.py(), host, Asked::cpu(cpu).through(address_space), Some(reader))
    }

    /// The guest in a file: raw RAM, an ELF core, a kdump, a LiME or Windows dump,
    /// a migration stream, also compressed. `mtree` is the text of the monitor's
    /// `info mtree -f`; `machine` the machine type whose rules place the RAM
    /// blocks of a stream, if it is not the stream's own; `snapshot` the one to
    /// take of a qcow2 image.
    #[classmethod]
    #[pyo3(signature = (path, *, cpu = 0, ram_base = 0, mtree = None, machine = None, snapshot = None))]
    fn from_image(
        class: &Bound<'_, PyType>,
        path: PathBuf,
        cpu: u64,
        ram_base: u64,
        mtree: Option<&str>,
        machine: Option<String>,
        snapshot: Option<String>,
    ) -> PyResult<Self> {
        let regions = source::regions(mtree)?;
        let file = ImageFile::new(path)
            .ram_base(Gpa(ram_base))
            .machine(machine)
            .snapshot(snapshot)
            .regions(regions);
        Self::open(class.py(), Source::Image(file), Asked::cpu(cpu), None)
    }

    /// The guest that comes with the module: a slice of a real Linux guest.
    #[classmethod]
    #[pyo3(signature = (*, cpu = 0))]
    fn sample(class: &Bound<'_, PyType>, cpu: u64) -> PyResult<Self> {
        Self::open(class.py(), Source::Sample, Asked::cpu(cpu), None)
    }

    /// The guest of which nothing but the region map is known: the text of the
    /// monitor's `info mtree -f`.
    #[classmethod]
    fn from_regions(class: &Bound<'_, PyType>, mtree: &str) -> PyResult<Self> {
        let regions =
            RegionText::parse(mtree).map_err(|error| SourceError::from(error).bridge())?;
        Self::open(class.py(), Source::Regions(regions), Asked::default(), None)
    }

    /// The guest whose CPU of architecture `arch` has these registers, by the
    /// manual's names in lower case (`cr3`, `ttbr0`, `tcr`, `el`, ...), and whose
    /// physical memory `reader.read(address, length)` gives. What is not given is
    /// not known. With `mtree`, the text of the monitor's `info mtree -f`, RAM and
    /// ROM are read and nothing else; without, the reader is asked for any address.
    #[classmethod]
    #[pyo3(signature = (arch, registers, reader, *, mtree = None))]
    fn from_registers(
        class: &Bound<'_, PyType>,
        arch: &str,
        registers: &Bound<'_, PyDict>,
        reader: Py<PyAny>,
        mtree: Option<&str>,
    ) -> PyResult<Self> {
        let cpu = source::cpu(source::arch(arch)?, registers)?;
        let (source, reader) = source::plain(Ok(cpu), reader, source::regions(mtree)?)?;
        Self::open(class.py(), source, Asked::default(), Some(reader))
    }

    /// The guest at the other end of QEMU's gdb stub: `arch` is gdb's name of
    /// its architecture, `register(name)` gives a register by the stub's name
    /// or `None`; the rest is as for `from_registers`.
    #[classmethod]
    fn from_stub(
        class: &Bound<'_, PyType>,
        arch: &str,
        register: &Bound<'_, PyAny>,
        reader: Py<PyAny>,
        mtree: &str,
    ) -> PyResult<Self> {
        let cpu = source::stub_cpu(arch, register)?;
        let (source, reader) = source::plain(cpu, reader, source::regions(Some(mtree))?)?;
        Self::open(class.py(), source, Asked::default(), Some(reader))
    }

    /// The same guest through other registers, by the manual's names in lower
    /// case: `guest.with_registers(cr3=0x1000)`. Each wins over the CPU's own; with
    /// another `arch` than the source's, nothing else of the CPU counts.
    #[pyo3(signature = (arch = None, **registers))]
    fn with_registers(
        &self,
        py: Python<'_>,
        arch: Option<&str>,
        registers: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let none = PyDict::new(py);
        let arch = arch.map(source::arch).transpose()?;
        let mut asked = self.asked.clone();
        if arch.is_some() {
            if arch != self.asked.arch.or(self.opened.arch) {
                asked.registers.clear();
            }
            asked = asked.with_arch(arch);
        }
        self.seen(source::with_registers(asked, registers.unwrap_or(&none))?)
    }

    /// Forgets bytes that a reader gave. Bytes of a process or a core are read again each time.
    fn forget(&self) {
        if let Some(reader) = &self.reader {
            reader.forget();
        }
    }

    /// The same guest as another CPU sees it, or through the address space of this name. Registers
    /// that were given do not count for it.
    #[pyo3(signature = (cpu, address_space = None))]
    fn on_cpu(&self, cpu: u64, address_space: Option<String>) -> PyResult<Self> {
        self.seen(Asked::cpu(cpu).through(address_space))
    }

    /// The number of the CPU whose paging is used.
    #[getter]
    fn cpu(&self) -> u64 {
        self.opened.number
    }

    /// Every CPU of the emulator.
    #[getter]
    fn cpus(&self) -> PyResult<Vec<rows::Cpu>> {
        let machine = source::machine(&self.opened.source)?;
        let row = |cpu| rows::Cpu(CpuRow::new(cpu, &machine.map));
        Ok(machine.cpus.iter().map(row).collect())
    }

    /// The paging registers of the CPU; what nobody knows is `None`.
    #[getter]
    fn registers(&self) -> rows::Registers {
        let Opened { number, cpu, mode_known, .. } = &self.opened;
        rows::Registers(RegsRow::new(*number as usize, cpu, *mode_known))
    }

    /// What may make answers wrong, what was assumed, how the source was read.
    #[getter]
    fn remarks(&self) -> Vec<Remark> {
        self.opened.remarks.iter().map(Remark::from).collect()
    }

    /// The architecture of the CPU's mode, or the guest's that no walker models; `None` when it
    /// is not known.
    #[getter]
    fn arch(&self) -> Option<&'static str> {
        let Opened { other, arch, cpu, .. } = &self.opened;
        let own = other.map(|other| other.name());
        own.or_else(|| arch.map(|_| cpu.regs.arch().name()))
    }

    /// Where a guest virtual address leads. Raises `NotMapped`, or `ReadError`
    /// when a table cannot be read.
    ///
    /// `access` (r, w, x) and `priv` (user, kernel, current) ask whether the CPU
    /// could make this access; `NotMapped` has the fault if not. `symbols` gives
    /// the address a name.
    #[pyo3(
        signature = (gva, *, access = None, r#priv = None, symbols = None),
        text_signature = "($self, gva, *, access=None, priv=None, symbols=None)"
    )]
    fn v2p(
        &self,
        py: Python<'_>,
        gva: u64,
        access: Option<&str>,
        r#priv: Option<&str>,
        symbols: Option<&Symbols>,
    ) -> PyResult<rows::Translation> {
        let query = self.query(access, r#priv)?;
        let row = self.row(py, gva, query, symbols)?;
        match row.gpa {
            Some(_) => Ok(rows::Translation(row)),
            None => Err(self.refusal(py, row, query)?),
        }
    }

    /// The walk of a guest virtual address, entry by entry, whatever it finds;
    /// the rest is as for `v2p`.
    #[pyo3(
        signature = (gva, *, access = None, r#priv = None, symbols = None),
        text_signature = "($self, gva, *, access=None, priv=None, symbols=None)"
    )]
    fn walk(
        &self,
        py: Python<'_>,
        gva: u64,
        access: Option<&str>,
        r#priv: Option<&str>,
        symbols: Option<&Symbols>,
    ) -> PyResult<rows::Walk> {
        let query = self.query(access, r#priv)?;
        self.row(py, gva, query, symbols).map(rows::Walk)
    }

    /// Many addresses at once. `gvas` is a buffer of 64-bit numbers (an `array('Q')`, a numpy
    /// array). The answer is the bytes of as many physical addresses; 2**64 - 1 means not mapped.
    /// Raises `ReadError` when a table cannot be read.
    fn v2p_batch<'py>(&self, gvas: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyBytes>> {
        let py = gvas.py();
        let bytes = bytes_of(gvas)?;
        let (words, rest) = bytes.as_bytes().as_chunks::<8>();
        if !rest.is_empty() {
            return Err(usage("the buffer does not hold 64-bit numbers", "give an array('Q')"));
        }
        let gvas: Vec<Gva> = words.iter().map(|word| Gva(u64::from_ne_bytes(*word))).collect();
        let (answers, unreadable) = self
            .run(py, || {
                let mut answers = vec![UNMAPPED.to_ne_bytes(); gvas.len()];
                let mut unreadable = None;
                let done =
                    self.guest().query_batch(&gvas, Query::Presence, |i, answer| match answer {
                        Ok(found) => answers[i] = found.gpa.0.to_ne_bytes(),
                        Err(rr_mem::mmu::WalkError::Fault(_)) => {}
                        Err(error) => unreadable = unreadable.take().or(Some((gvas[i].0, error))),
                    });
                done.map(|()| (answers, unreadable))
            })?
            .map_err(|missing| missing.bridge())?;
        match unreadable {
            None => Ok(PyBytes::new(py, answers.as_flattened())),
            Some((gva, error)) => Err((gva, &error).bridge()),
        }
    }

    /// Every virtual address of a physical one, `limit` at most.
    #[pyo3(signature = (gpa, limit = 100))]
    fn p2v(&self, py: Python<'_>, gpa: u64, limit: usize) -> PyResult<Vec<rows::Alias>> {
        let space = self.space(py, 0, u64::MAX)?;
        let (found, _) = self.run(py, || space.aliases().of(Gpa(gpa), limit))?;
        Ok(found.iter().map(|alias| rows::Alias(AliasRow::new(Gpa(gpa), alias))).collect())
    }

    /// What `memory_region_find` returns for `size` bytes at `gpa`; `None` when
    /// nothing is there.
    #[pyo3(signature = (gpa, size = 0))]
    fn find(&self, gpa: u64, size: u64) -> PyResult<Option<rows::Section>> {
        let gpa = Gpa(gpa);
        let found = self.guest().find(gpa, size).map_err(|missing| missing.bridge())?;
        let row = |section| rows::Section(FindRow::new(self.guest(), gpa, Some(section)));
        Ok(found.as_ref().map(row))
    }

    /// Guest memory at a virtual address, or a physical one. Devices are never
    /// read.
    #[pyo3(signature = (address, length, *, physical = false))]
    fn read<'py>(
        &self,
        py: Python<'py>,
        address: u64,
        length: usize,
        physical: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length).map_err(|_| {
            usage(format!("{length:#x} bytes are more than there is room for"), "read less at once")
        })?;
        bytes.resize(length, 0);
        let start = guest_address(address, physical);
        let (_, error) = self.run(py, || self.guest().read_at(start, 0, &mut bytes))?;
        match error {
            None => Ok(PyBytes::new(py, &bytes)),
            Some(error) => Err(error.bridge()),
        }
    }

    /// The bytes before the first NUL from a virtual address on, or a physical
    /// one; `limit` at most.
    #[pyo3(signature = (address, limit = 4096, *, physical = false))]
    fn string<'py>(
        &self,
        py: Python<'py>,
        address: u64,
        limit: usize,
        physical: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let (bytes, error) =
            self.run(py, || self.until_nul(guest_address(address, physical), limit))?;
        match error {
            None => Ok(PyBytes::new(py, &bytes)),
            Some(error) => Err(error.bridge()),
        }
    }

    /// Changes guest memory at a virtual address, or a physical one: RAM of a running emulator, and
    /// nothing else. Of a guest that a Python object reads, its `write(address, bytes)` is called
    /// with host addresses. The guest's page rights do not count; QEMU does not translate code
    /// again that it has translated.
    #[pyo3(signature = (address, data, *, physical = false))]
    fn write(
        &self,
        py: Python<'_>,
        address: u64,
        data: &Bound<'_, PyAny>,
        physical: bool,
    ) -> PyResult<()> {
        let bytes = bytes_of(data)?;
        let (bytes, target) = (bytes.as_bytes(), guest_address(address, physical));
        let host = self.opened.source.emulator().map(|emulator| &emulator.host);
        match (host.map(AnyHost::kind), &self.reader) {
            (Some(HostKind::Process(process)), _) => py.detach(|| {
                write::plan(self.guest(), process, target, bytes.len())
                    .and_then(|pieces| write::write(process, &pieces, bytes))
                    .map_err(|error| error.bridge())
            }),
            (Some(HostKind::Given(host)), Some(reader)) => {
                let pieces = write::plan(self.guest(), host, target, bytes.len());
                write_through(py, reader, &pieces.map_err(|error| error.bridge())?, bytes)
            }
            _ => Err(not_written()),
        }
    }

    /// Where the emulator must be watched to see `length` bytes of the guest
    /// change: pieces that one watchpoint register of the host's processor
    /// covers, four at most.
    #[pyo3(signature = (address, length = 1, *, physical = false))]
    fn watch_plan(
        &self,
        py: Python<'_>,
        address: u64,
        length: usize,
        physical: bool,
    ) -> PyResult<Vec<rows::Piece>> {
        let target = guest_address(address, physical);
        let pieces = self.run(py, || watch::plan(self.guest(), target, length))?;
        let pieces = pieces.map_err(|error| error.bridge())?;
        Ok(pieces.iter().map(|piece| rows::Piece(piece.into())).collect())
    }

    /// Guest memory as gdb's `x` shows it, in a format such as "4gx". Parts that the format leaves
    /// out are as in `previous`, the format of an earlier listing.
    #[pyo3(signature = (format, address, *, physical = false, previous = None))]
    fn examine(
        &self,
        py: Python<'_>,
        format: &str,
        address: u64,
        physical: bool,
        previous: Option<&str>,
    ) -> PyResult<rows::Listing> {
        let format = self.format(format, previous)?;
        let mut lines = Vec::new();
        let start = guest_address(address, physical);
        let show = |addr: u64, values: Vec<String>| {
            lines.push(XRow { addr: Hex(addr), symbol: IfAsked(None), values });
            Ok::<_, std::convert::Infallible>(())
        };
        let Ok(end) = self.run(py, || examine::lines(format, start, self.guest(), show))?;
        listing(py, format, start, &lines, end, self.guest())
    }

    /// The mappings of the CPU's address space from `first` to `last`, lowest
    /// first; `merge` is "none" (page by page), "physical" or "rights". `filters`
    /// are alternatives, each of words with commas between (w, x, u, s, ro, nx,
    /// wx, large, 2M). More than `limit` are an error.
    #[pyo3(signature = (first = 0, last = u64::MAX, *, merge = "physical", filters = Vec::new(), limit = 1_000_000))]
    fn mappings(
        &self,
        py: Python<'_>,
        first: u64,
        last: u64,
        merge: &str,
        filters: Vec<String>,
        limit: usize,
    ) -> PyResult<Vec<rows::Mapping>> {
        let wanted = self.selection(first, last, &filters)?;
        let merge = match merge {
            "none" => Merge::None,
            "physical" => Merge::Physical,
            "rights" => Merge::Rights,
            _ => {
                return Err(usage(
                    format!("no way to merge is called {merge:?}"),
                    "none, physical, rights",
                ));
            }
        };
        let space = self.space(py, first, last)?;
        let found: Vec<_> = self.run(py, || {
            let parts = space.mappings(wanted.merge(merge)).filter_map(|run| wanted.part(&run));
            parts.take(limit.saturating_add(1)).collect()
        })?;
        if found.len() > limit {
            return Err(more_than(
                limit,
                "mappings",
                "raise limit, narrow first and last, or merge",
            ));
        }
        Ok(found.iter().map(|run| rows::Mapping(run.into())).collect())
    }

    /// Plausible table bases in the guest's memory, best first, `limit` at most.
    #[pyo3(signature = (limit = 20))]
    fn roots(&self, py: Python<'_>, limit: usize) -> PyResult<Vec<rows::Root>> {
        let roots = self.run(py, || self.opened.roots(&mut |_| {}))?;
        let roots = roots.map_err(|missing| missing.bridge())?;
        if roots.truncated {
            incomplete(py, "tables lead into each other without end: some may be missing")?;
        }
        Ok(roots.candidates.iter().take(limit).map(|root| rows::Root(root.into())).collect())
    }

    /// Where bytes, or the UTF-8 of a text, are in mapped memory from `first` to
    /// `last`, lowest address first; `filters` are as for `mappings`. More than
    /// `limit` are an error. Warns when mapped pages could not be searched.
    #[pyo3(signature = (pattern, first = 0, last = u64::MAX, *, filters = Vec::new(), limit = 1_000_000))]
    fn search(
        &self,
        py: Python<'_>,
        pattern: &Bound<'_, PyAny>,
        first: u64,
        last: u64,
        filters: Vec<String>,
        limit: usize,
    ) -> PyResult<Vec<rows::Hit>> {
        self.hits(py, &search::pattern(pattern)?, &self.selection(first, last, &filters)?, limit)
    }

    /// Writes a slice, an ELF core that answers questions about these addresses:
    /// `gvas` and `gpas` are pairs of first and last address, `space` stands for
    /// every table. With `redact` all bytes that are no tables are zeros. Warns of
    /// what the slice cannot answer.
    #[pyo3(signature = (path, *, gvas = Vec::new(), gpas = Vec::new(), space = false, redact = false))]
    fn slice(
        &self,
        py: Python<'_>,
        path: PathBuf,
        gvas: Vec<(u64, u64)>,
        gpas: Vec<(u64, u64)>,
        space: bool,
        redact: bool,
    ) -> PyResult<rows::Slice> {
        self.write_slice(py, &path, saving::contents(&gvas, &gpas, space)?, redact)
    }

    /// RAM blocks of the emulator.
    #[getter]
    fn ram_blocks(&self) -> PyResult<Vec<rows::RamBlock>> {
        let emulator = source::emulator(&self.opened.source)?;
        let blocks = emulator.machine.map.ram_blocks().iter();
        let row = |block| rows::RamBlock(RamRow::new(block, &emulator.host));
        Ok(blocks.map(row).collect())
    }

    /// Every memory region, by number.
    #[getter]
    fn regions(&self) -> PyResult<Vec<rows::Region>> {
        let map = self.guest().regions().map_err(|missing| missing.bridge())?;
        let regions = map.regions().iter().enumerate();
        let row = |(number, region)| rows::Region(RegionRow::new(map, number, region));
        Ok(regions.map(row).collect())
    }

    /// The flat view of the CPU's address space.
    #[getter]
    fn flat_view(&self) -> PyResult<Vec<rows::FlatRange>> {
        let map = self.guest().regions().map_err(|missing| missing.bridge())?;
        let view = self.guest().flat_view().map_err(|missing| missing.bridge())?;
        let row = |range| rows::FlatRange(FlatRangeRow::new(map, range));
        Ok(view.ranges().iter().map(row).collect())
    }

    /// The region tree, or the flat views, as the monitor's `info mtree` and
    /// `info mtree -f` print them.
    #[pyo3(signature = (*, flat = false))]
    fn mtree(&self, flat: bool) -> PyResult<String> {
        let map = self.guest().regions().map_err(|missing| missing.bridge())?;
        let blocks = match flat {
            true => monitor::flat_blocks(map, monitor::Style::default()),
            false => monitor::tree_blocks(map, monitor::TreeOptions::default()),
        };
        Ok(blocks.map_err(|error| error.bridge())?.concat())
    }

    /// What a pointer of the emulator leads to, with `limit` virtual addresses
    /// at most of each place.
    #[pyo3(signature = (hva, limit = 100))]
    fn r#where(&self, py: Python<'_>, hva: u64, limit: usize) -> PyResult<rows::Where> {
        let map = self.guest().regions().map_err(|missing| missing.bridge())?;
        let view = self.guest().flat_view().ok();
        let emulator = source::emulator(&self.opened.source)?;
        let row = WhereRow::new(map, view, &emulator.host, Hva(hva));
        // Without paging, virtual addresses are left out.
        if row.places.is_empty() || self.guest().mmu().is_err() {
            return Ok(rows::Where(row));
        }
        let space = self.space(py, 0, u64::MAX)?;
        let row = self.run(py, || row.with_aliases(&space.aliases(), limit))?;
        Ok(rows::Where(row))
    }

    fn __repr__(&self) -> String {
        let source = source::described(&self.opened.source);
        format!("<rr_mem.Guest of {source}, CPU {}>", self.opened.number)
    }
}

impl Guest {
    fn open(
        py: Python<'_>,
        source: Source,
        asked: Asked,
        reader: Option<Reader>,
    ) -> PyResult<Self> {
        let attached = source::attach(py, source, reader.as_ref())?;
        Self::of(&attached, asked, reader)
    }

    fn of(attached: &Arc<Attached>, asked: Asked, reader: Option<Reader>) -> PyResult<Self> {
        let opened = attached.seen(&asked).map_err(|error| error.bridge())?;
        Ok(Self { opened, asked, reader })
    }

    /// The same source, asked otherwise.
    fn seen(&self, asked: Asked) -> PyResult<Self> {
        Self::of(&self.opened.source, asked, self.reader.clone())
    }

    fn guest(&self) -> &Library {
        &self.opened.guest
    }

    /// Which mappings are asked for.
    fn selection(&self, first: u64, last: u64, filters: &[String]) -> PyResult<Selection> {
        let filter = Filter::parse(filters)
            .map_err(|error| usage(error, "w, x, u, s, ro, nx, wx, large, a page size"))?;
        let wanted = Selection::of(self.guest(), filter, Gva(first)..=Gva(last), None);
        wanted.map_err(|missing| missing.bridge())
    }

    /// Runs `work` without the GIL, unless Python is asked for bytes on the way.
    fn run<T: Send>(&self, py: Python<'_>, work: impl FnOnce() -> T + Send) -> PyResult<T> {
        let Some(reader) = &self.reader else { return Ok(py.detach(work)) };
        let done = work();
        reader.check().map(|()| done)
    }

    /// Symbols, moved to where this guest's kernel is.
    pub fn moved(&self, py: Python<'_>, symbols: Names) -> PyResult<Names> {
        self.run(py, || symbols.in_guest(self.guest()))?.map_err(|error| error.bridge())
    }

    fn until_nul(&self, start: GuestAddress, limit: usize) -> (Vec<u8>, Option<GuestReadError>) {
        let mut bytes = Vec::new();
        while bytes.len() < limit {
            let mut part = [0; 256];
            let len = part.len().min(limit - bytes.len());
            let offset = bytes.len() as u64;
            let (read, error) = self.guest().read_at(start, offset, &mut part[..len]);
            let end = part[..read].iter().position(|byte| *byte == 0);
            bytes.extend_from_slice(&part[..end.unwrap_or(read)]);
            if end.is_some() || error.is_some() {
                return (bytes, error.filter(|_| end.is_none()));
            }
        }
        (bytes, None)
    }

    fn query(&self, access: Option<&str>, privilege: Option<&str>) -> PyResult<Query> {
        let bad = |error: NoSuchWord| error.bridge();
        let access = access.map(str::parse).transpose().map_err(bad)?;
        let privilege = privilege.map(str::parse).transpose().map_err(bad)?;
        Ok(Query::new(access, privilege, &self.opened.cpu.regs))
    }

    fn row(
        &self,
        py: Python<'_>,
        gva: u64,
        query: Query,
        symbols: Option<&Symbols>,
    ) -> PyResult<V2pRow> {
        let row = self.run(py, || V2pRow::new(self.guest(), Gva(gva), query, &PythonWords))?;
        let mut row = row.map_err(|missing| missing.bridge())?;
        row.symbol = IfAsked(symbols.and_then(|symbols| symbols.names().name(row.gva)));
        if row.fault.is_some() {
            let remarks = self.run(py, || self.opened.remarks_on_unmapped(row.gva))?;
            row.remarks = RemarkRow::of_answers(&remarks, &PythonWords);
        }
        Ok(row)
    }

    /// Why an address has no translation.
    fn refusal(&self, py: Python<'_>, row: V2pRow, query: Query) -> PyResult<PyErr> {
        let gva = row.gva.0;
        if let Some(fault) = row.fault.clone() {
            let error = not_mapped(&row, fault);
            error.value(py).setattr("remarks", row.remarks.to_python(py)?)?;
            return Ok(error);
        }
        let walk = self.run(py, || self.guest().walk(row.gva, query))?;
        match walk.map_err(|missing| missing.bridge())?.result {
            Err(error) => Ok((gva, &error).bridge()),
            Ok(_) => Ok(raise::<RrMemError>(
                format!("the tables of {gva:#x} change while they are read"),
                "torn",
                "ask again, or stop the emulator",
            )),
        }
    }

    /// Every mapping; warns when tables could not be read.
    fn space(&self, py: Python<'_>, first: u64, last: u64) -> PyResult<VirtualSpace> {
        let range = Gva(first)..=Gva(last);
        let space = self.run(py, || self.opened.space(range))?;
        let (space, left_out) = space.map_err(|missing| missing.bridge())?;
        for gap in left_out {
            incomplete(py, &format!("{}: {}", gap.what, gap.advice.words(&PythonWords)))?;
        }
        let gaps = self.guest().gaps(space.unreadable(), space.truncated());
        gaps.iter().try_for_each(|gap| incomplete(py, &gap.what))?;
        Ok(space)
    }

    fn format(&self, text: &str, previous: Option<&str>) -> PyResult<Format> {
        let pointer = self.guest().regs().map_or(8, |regs| regs.arch().pointer_bytes());
        let bad = |error| usage(error, "a count, a letter of oxzdutfacs and a size of bhwg");
        let previous =
            previous.map(|text| Format::parse(text, pointer)).transpose().map_err(bad)?;
        Format::parse_after(text, pointer, previous).map_err(bad)
    }
}

/// An address as the keyword `physical` has it.
const fn guest_address(address: u64, physical: bool) -> GuestAddress {
    match physical {
        true => GuestAddress::Physical(Gpa(address)),
        false => GuestAddress::Virtual(Gva(address)),
    }
}

/// A fault of an access is said as the command line says it.
fn not_mapped(row: &V2pRow, fault: FaultRow) -> PyErr {
    let text = match fault.status {
        None => format!("{} is not mapped: {fault}", row.gva),
        Some(_) => row.to_string(),
    };
    faulted(text, fault)
}

fn offsets(layout: Option<PathBuf>, debug_file: Option<PathBuf>) -> PyResult<Offsets> {
    rr_mem::source::offsets(layout.as_deref(), debug_file).map_err(|error| error.bridge())
}

fn not_written() -> PyErr {
    raise::<MissingError>(
        "only the memory of a running emulator can be written",
        "not_writable",
        "take Guest.from_process, or from_host with a reader that has write(address, bytes)",
    )
}

fn write_through(
    py: Python<'_>,
    reader: &Reader,
    pieces: &[write::WrittenRun],
    bytes: &[u8],
) -> PyResult<()> {
    let mut rest = bytes;
    for piece in pieces {
        let (part, after) = rest.split_at(piece.len);
        reader.write(py, piece.hva, part).ok_or_else(not_written)??;
        rest = after;
    }
    reader.forget();
    Ok(())
}

fn more_than(limit: usize, what: &str, hint: &str) -> PyErr {
    raise::<RrMemError>(format!("there are more than {limit} {what}"), "limit", hint)
}

fn incomplete(py: Python<'_>, text: &str) -> PyResult<()> {
    let text = std::ffi::CString::new(text)?;
    PyErr::warn(py, &py.get_type::<IncompleteWarning>(), &text, 1)
}

fn listing(
    py: Python<'_>,
    format: Format,
    start: GuestAddress,
    lines: &[XRow],
    end: Result<u64, GuestReadError>,
    guest: &Library<AnyMemory>,
) -> PyResult<rows::Listing> {
    let text = lines.iter().map(|line| format!("{line}\n")).collect();
    let last = lines.last().map(|XRow { addr, values, .. }| {
        addr.0.wrapping_add((format.size * (values.len().max(1) - 1)) as u64)
    });
    let mut contents = vec![0; if format.is_string() { 0 } else { format.size }];
    if let Some(last) = last {
        let (len, _) = guest.read_at(start.with_raw(last), 0, &mut contents);
        contents.truncate(len);
    }
    let error = end.as_ref().err().map(|error| error.bridge().into_value(py).into_any());
    let next = end.unwrap_or(start.raw());
    let lines: PyResult<_> =
        lines.iter().map(|line| Py::new(py, rows::Line(line.clone()))).collect();
    Ok(rows::Listing { lines: lines?, next, last, contents, error, format: format.unit(), text })
}
