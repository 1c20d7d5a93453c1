//! General registers. No walk needs them; debuggers want them in a core.

/// The general registers of one CPU, by the state that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GeneralRegs {
    /// An x86 CPU.
    X86(X86General),
    /// An ARM CPU in AArch32 state.
    Arm(ArmGeneral),
    /// An ARM CPU in AArch64 state.
    Aarch64(Aarch64General),
}

/// Those of x86, in any mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct X86General {
    /// By their numbers in machine code: RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI,
    /// R8 to R15.
    pub regs: [u64; 16],
    /// The instruction pointer.
    pub rip: u64,
    /// RFLAGS.
    pub rflags: u64,
    /// By their numbers in machine code: ES, CS, SS, DS, FS, GS.
    pub segments: [Segment; 6],
    /// LDTR, TR, GDTR, IDTR.
    pub tables: [Segment; 4],
    /// CR0 to CR4.
    pub cr: [u64; 5],
}

/// A segment register of x86, or one that holds where a table is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// The selector.
    pub selector: u16,
    /// Where it starts.
    pub base: u64,
    /// Its last byte.
    pub limit: u32,
    /// Type and rights, where the upper half of a descriptor has them.
    pub attributes: u32,
}

/// Those of AArch32 state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArmGeneral {
    /// R0 to R15, those of the current mode.
    pub regs: [u32; 16],
    /// CPSR.
    pub cpsr: u32,
}

/// Those of AArch64 state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aarch64General {
    /// X0 to X30.
    pub regs: [u64; 31],
    /// The stack pointer in use.
    pub sp: u64,
    /// The program counter.
    pub pc: u64,
    /// PSTATE, in the form that SPSR has.
    pub pstate: u64,
}
