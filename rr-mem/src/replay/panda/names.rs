//! Names of callsites and calls, in the order of their numbers. PANDA,
//! rr_log_all.h: `RR_CALLSITE_` and `RR_CALL_` stand before each.

/// Callsites from number 0.
pub(super) const CALLSITES: [&str; 44] = [
    "CPU_HANDLE_INTERRUPT_BEFORE",
    "CPU_HANDLE_INTERRUPT_INTNO",
    "CPU_HANDLE_INTERRUPT_AFTER",
    "RDTSC",
    "IO_READ_ALL",
    "IO_WRITE_ALL",
    "MAIN_LOOP_WAIT",
    "DO_SMM_ENTER",
    "HELPER_RSM",
    "READ_8",
    "READ_4",
    "READ_2",
    "READ_1",
    "WRITE_8",
    "WRITE_4",
    "WRITE_2",
    "WRITE_1",
    "END_OF_LOG",
    "CPU_PENDING_INTERRUPTS_BEFORE",
    "CPU_PENDING_INTERRUPTS_AFTER",
    "CPU_EXCEPTION_INDEX",
    "IDE_SECTOR_READ",
    "IDE_SECTOR_WRITE",
    "IDE_DMA_CB",
    "IDE_DATA_WRITEW",
    "IDE_DATA_WRITEL",
    "IDE_DATA_READW",
    "IDE_DATA_READL",
    "E1000_RECEIVE_1",
    "E1000_RECEIVE_2",
    "E1000_RECEIVE_3",
    "E1000_RECEIVE_MEMCPY_1",
    "E1000_XMIT_SEG_1",
    "E1000_XMIT_SEG_2",
    "E1000_PROCESS_TX_DESC_1",
    "E1000_PROCESS_TX_DESC_2",
    "E1000_PROCESS_TX_DESC_MEMMOVE_1",
    "E1000_PROCESS_TX_DESC_MEMMOVE_2",
    "E1000_TXDESC_WRITEBACK",
    "E1000_START_XMIT",
    "SERIAL_RECEIVE",
    "SERIAL_READ",
    "SERIAL_SEND",
    "SERIAL_WRITE",
];

/// Skipped calls from number 0.
pub(super) const CALLS: [&str; 11] = [
    "CPU_MEM_RW",
    "MEM_REGION_CHANGE",
    "CPU_MEM_UNMAP",
    "HD_TRANSFER",
    "NET_TRANSFER",
    "HANDLE_PACKET",
    "SERIAL_RECEIVE",
    "SERIAL_READ",
    "SERIAL_SEND",
    "SERIAL_WRITE",
    "CPU_REG_WRITE",
];

/// Kinds of entries from number 0.
pub(super) const KINDS: [&str; 10] = [
    "INPUT_1",
    "INPUT_2",
    "INPUT_4",
    "INPUT_8",
    "INTERRUPT_REQUEST",
    "EXIT_REQUEST",
    "SKIPPED_CALL",
    "END_OF_LOG",
    "PENDING_INTERRUPTS",
    "EXCEPTION",
];

/// Types of a disk transfer from number 0; the host's side is a buffer (IOB).
pub(super) const HD_TRANSFERS: [&str; 6] =
    ["HD_TO_IOB", "IOB_TO_HD", "PORT_TO_IOB", "IOB_TO_PORT", "HD_TO_RAM", "RAM_TO_HD"];

/// Types of a transfer within a network card from number 0.
pub(super) const NET_TRANSFERS: [&str; 3] = ["RAM_TO_IOB", "IOB_TO_RAM", "IOB_TO_IOB"];
