//! A fixture that imitates the part of a QEMU that is read: one x86 CPU, 64 KB
//! of RAM, one address space, laid out by a layout that ships with the program.
//! Not QEMU's own bytes; those are the oracle tests'.
#![allow(dead_code, reason = "its users need different parts")]

use std::{cell::Cell, cell::RefCell, path::PathBuf};

use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
    write::{Object, Symbol, SymbolSection},
};
use rr_mem::{
    addr::Hva,
    debuginfo::Layout,
    host::{Area, Areas, Host, Module, Thread},
    memory::{MappedFile, Memory, ReadCause, ReadError},
    qemu::layouts,
};

/// Where it is in its own process.
pub const BASE: u64 = 0x7f00_0000_0000;
/// Bytes of its memory.
pub const SIZE: usize = 0x3_0000;
/// Bytes from the start that hold structs.
pub const STRUCTS: usize = 0x1_7000;
const SPACE: u64 = BASE;
const LIST: u64 = BASE + 0x100;
const CPUS: u64 = BASE + 0x200;
const BLOCK: u64 = BASE + 0x1000;
const ROOT: u64 = BASE + 0x2000;
const RAM: u64 = BASE + 0x2400;
/// Two flat views, of which the address space has one at a time.
pub const VIEWS: [u64; 2] = [BASE + 0x3000, BASE + 0x3800];
const NAMES: u64 = BASE + 0x4000;
/// The root of all objects, a device in it, and what describes them.
const TOP: u64 = BASE + 0x5000;
pub const DEVICE: u64 = BASE + 0x5100;
const CLASSES: u64 = BASE + 0x5200;
const TYPES: u64 = BASE + 0x5400;
const TABLE: u64 = BASE + 0x5800;
const PROPERTY: u64 = BASE + 0x5900;
const MACHINES: u64 = BASE + 0x5a00;
/// The machine.
pub const MACHINE: u64 = BASE + 0x5b00;
const CPU: u64 = BASE + 0x1_0000;
const BYTES: u64 = BASE + 0x2_0000;
/// Bytes of guest RAM.
pub const RAM_LEN: u64 = 0x1_0000;
/// What an address leads to when structs are damaged.
pub const PLACES: [u64; 14] = [
    SPACE, LIST, CPUS, BLOCK, ROOT, RAM, VIEWS[0], VIEWS[1], CPU, TOP, DEVICE, TYPES, TABLE,
    PROPERTY,
];

/// What happens to the memory at each read, by the number of reads before.
type Change = Box<dyn Fn(&Contents, usize)>;

/// The emulator.
pub struct Emulator {
    layout: Layout,
    memory: Changing,
    areas: Areas,
    modules: Vec<Module>,
    /// Whether it is said to change.
    pub changes: bool,
}

/// Its bytes.
pub struct Contents(RefCell<Vec<u8>>);

/// Its memory, which may change whenever it is read.
pub struct Changing {
    contents: Contents,
    reads: Cell<usize>,
    change: Change,
}

impl Contents {
    /// Overwrites bytes from `offset` on, as far as there are any.
    pub fn put(&self, offset: usize, bytes: &[u8]) {
        let mut contents = self.0.borrow_mut();
        let part = contents.get_mut(offset..).unwrap_or_default();
        part.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    }

    /// Sets a member of the struct at `address`.
    pub fn set(&self, layout: &Layout, (of, member): (&str, &str), address: u64, value: u64) {
        let field = layout.field(of, member).expect("the layout has it");
        let size = field.size.min(8) as usize;
        self.put((address - BASE + field.offset) as usize, &value.to_le_bytes()[..size]);
    }

    /// Gives the address space the other of its views.
    pub fn switch(&self, layout: &Layout, view: usize) {
        self.set(layout, ("AddressSpace", "current_map"), SPACE, VIEWS[view]);
    }
}

impl Memory<Hva> for Changing {
    fn read(&self, addr: Hva, dst: &mut [u8]) -> Result<(), ReadError> {
        let reads = self.reads.get();
        self.reads.set(reads + 1);
        (self.change)(&self.contents, reads);
        let contents = self.contents.0.borrow();
        let start = addr.0.checked_sub(BASE).and_then(|start| usize::try_from(start).ok());
        let end = start.and_then(|start| start.checked_add(dst.len()));
        let found = start.zip(end).and_then(|(start, end)| contents.get(start..end));
        dst.copy_from_slice(found.ok_or_else(|| ReadError::new(addr, ReadCause::Hole))?);
        Ok(())
    }
}

impl Emulator {
    /// A healthy one, to which `change` may do something.
    pub fn new(change: impl Fn(&Contents, usize) + 'static) -> Self {
        let layout = layouts::shipped().find(|layout| layout.emulator == "qemu-7.2-debian");
        let layout = layout.expect("is shipped");
        let contents = Contents(RefCell::new(vec![0; SIZE]));
        structs(&contents, &layout);
        let memory = Changing { contents, reads: Cell::new(0), change: Box::new(change) };
        let whole = Area {
            start: Hva(BASE),
            len: SIZE as u64,
            readable: true,
            writable: true,
            name: Some(String::new()),
        };
        let file = Some(MappedFile::from_vec(executable()));
        let modules = vec![Module { path: PathBuf::from("/fixture"), bias: BASE, file }];
        Self { layout, memory, areas: [whole].into_iter().collect(), modules, changes: true }
    }

    /// Its struct offsets.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// How often it was read.
    pub fn reads(&self) -> usize {
        self.memory.reads.get()
    }
}

impl Host for Emulator {
    type Memory = Changing;

    fn memory(&self) -> &Changing {
        &self.memory
    }

    fn areas(&self) -> &Areas {
        &self.areas
    }

    fn knows_all_areas(&self) -> bool {
        true
    }

    fn modules(&self) -> &[Module] {
        &self.modules
    }

    fn may_change(&self) -> bool {
        self.changes
    }

    fn threads(&self) -> &[Thread] {
        &[]
    }
}

/// Symbols at the addresses of the structs, from [`BASE`] on.
fn executable() -> Vec<u8> {
    let (format, endian) = (BinaryFormat::Elf, Endianness::Little);
    let mut object = Object::new(format, Architecture::X86_64, endian);
    let data = object.add_section(Vec::new(), b".data".to_vec(), SectionKind::Data);
    let names = [
        ("address_space_memory", SPACE),
        ("ram_list", LIST),
        ("cpus", CPUS),
        ("current_machine", MACHINES),
        ("x86_cpu_list", CPU),
    ];
    for (name, address) in names {
        object.add_symbol(Symbol {
            name: name.into(),
            value: address - BASE,
            size: 8,
            kind: SymbolKind::Data,
            scope: SymbolScope::Dynamic,
            weak: false,
            section: SymbolSection::Section(data),
            flags: SymbolFlags::None,
        });
    }
    object.write().expect("is written")
}

fn structs(contents: &Contents, layout: &Layout) {
    let set = |of, member, at, value| contents.set(layout, (of, member), at, value);
    let names = ["memory", "system", "pc.ram", "container", "device", "child<device>", "dimm0"];
    for (number, name) in names.iter().enumerate() {
        contents.put((NAMES - BASE) as usize + number * 64, name.as_bytes());
    }
    set("AddressSpace", "name", SPACE, NAMES);
    set("AddressSpace", "root", SPACE, ROOT);
    contents.switch(layout, 0);
    set("RAMList", "blocks.lh_first", LIST, BLOCK);
    contents.put((CPUS - BASE) as usize, &CPU.to_le_bytes());
    contents.put((MACHINES - BASE) as usize, &MACHINE.to_le_bytes());
    set("RAMBlock", "host", BLOCK, BYTES);
    for member in ["used_length", "max_length"] {
        set("RAMBlock", member, BLOCK, RAM_LEN);
    }
    set("RAMBlock", "page_size", BLOCK, 4096);
    regions(contents, layout);
    objects(contents, layout);
    // The one shows RAM at 0, the other in two halves that are apart.
    view(contents, layout, 0, &[(0, 0, RAM_LEN)]);
    let half = RAM_LEN / 2;
    view(contents, layout, 1, &[(0x10_0000, 0, half), (0x20_0000, half, half)]);
    cpu(contents, layout);
}

fn regions(contents: &Contents, layout: &Layout) {
    let set = |member, at, value| contents.set(layout, ("MemoryRegion", member), at, value);
    for (region, name, size) in [(ROOT, 1, u64::MAX), (RAM, 2, RAM_LEN)] {
        set("name", region, NAMES + name * 64);
        set("size", region, size);
        set("enabled", region, 1);
    }
    set("subregions.tqh_first", ROOT, RAM);
    set("container", RAM, ROOT);
    set("ram", RAM, 1);
    set("terminates", RAM, 1);
    set("ram_block", RAM, BLOCK);
}

/// A device that is a child of the root, and owns the RAM.
fn objects(contents: &Contents, layout: &Layout) {
    let set = |of, member, at, value| contents.set(layout, (of, member), at, value);
    for (number, object) in [(0, TOP), (1, DEVICE)] {
        let (class, kind) = (CLASSES + number * 0x100, TYPES + number * 0x200);
        set("Object", "class", object, class);
        set("ObjectClass", "type", class, kind);
        set("TypeImpl", "name", kind, NAMES + (3 + number) * 64);
    }
    set("Object", "parent", DEVICE, TOP);
    set("Object", "properties", TOP, TABLE);
    set("MemoryRegion", "owner", RAM, DEVICE);
    set("ObjectProperty", "type", PROPERTY, NAMES + 5 * 64);
    set("ObjectProperty", "name", PROPERTY, NAMES + 6 * 64);
    set("ObjectProperty", "opaque", PROPERTY, DEVICE);
    // One of 8 places is in use.
    let (hashes, values) = (TABLE + 0x40, TABLE + 0x60);
    let head = [8, 7 << 32, 1 | 1 << 32, 0, 0, hashes, values];
    let bytes: Vec<u8> = head.iter().flat_map(|word: &u64| word.to_le_bytes()).collect();
    contents.put((TABLE - BASE) as usize, &bytes);
    contents.put((hashes - BASE) as usize + 3 * 4, &77u32.to_le_bytes());
    contents.put((values - BASE) as usize + 3 * 8, &PROPERTY.to_le_bytes());
}

/// `ranges`: first address, byte of the RAM, length.
fn view(contents: &Contents, layout: &Layout, number: usize, ranges: &[(u64, u64, u64)]) {
    let first = VIEWS[number] + 0x100;
    let set = |of, member, at, value| contents.set(layout, (of, member), at, value);
    set("FlatView", "ranges", VIEWS[number], first);
    set("FlatView", "nr", VIEWS[number], ranges.len() as u64);
    set("FlatView", "root", VIEWS[number], ROOT);
    let size = layout.structs["FlatRange"].size.expect("is known");
    for (range, &(start, offset, len)) in (first..).step_by(size as usize).zip(ranges) {
        set("FlatRange", "mr", range, RAM);
        set("FlatRange", "addr.start", range, start);
        set("FlatRange", "addr.size", range, len);
        set("FlatRange", "offset_in_region", range, offset);
    }
}

fn cpu(contents: &Contents, layout: &Layout) {
    let env = CPU + layout.field("X86CPU", "env").expect("the layout has it").offset;
    for (member, value) in [("as", SPACE), ("num_ases", 1), ("env_ptr", env), ("thread_id", 7)] {
        contents.set(layout, ("CPUState", member), CPU, value);
    }
    contents.set(layout, ("Object", "class"), CPU, CLASSES + 0x100);
    contents.set(layout, ("CPUX86State", "a20_mask"), env, u32::MAX.into());
    contents.set(layout, ("CPUX86State", "cr"), env, 0x11);
}
