//! Names by number. QEMU 7.2: replay/replay-internal.h `enum ReplayEvents`,
//! include/sysemu/replay.h, qapi/run-state.json `ShutdownCause`,
//! replay/replay-events.c.

/// Asynchronous events.
pub(super) const ASYNC: [&str; 7] =
    ["BH", "BH_ONESHOT", "INPUT", "INPUT_SYNC", "CHAR_READ", "BLOCK", "NET"];

/// Causes of a shutdown, in the order of the newest release.
pub(super) const CAUSES: [&str; 11] = [
    "NONE",
    "HOST_ERROR",
    "HOST_QMP_QUIT",
    "HOST_QMP_SYSTEM_RESET",
    "HOST_SIGNAL",
    "HOST_UI",
    "GUEST_SHUTDOWN",
    "GUEST_RESET",
    "GUEST_PANIC",
    "SUBSYSTEM_RESET",
    "SNAPSHOT_LOAD",
];

/// Clocks that are recorded.
pub(super) const CLOCKS: [&str; 2] = ["HOST", "VIRTUAL_RT"];

/// Checkpoints.
pub(super) const CHECKPOINTS: [&str; 9] = [
    "CLOCK_WARP_START",
    "CLOCK_WARP_ACCOUNT",
    "RESET_REQUESTED",
    "SUSPEND_REQUESTED",
    "CLOCK_VIRTUAL",
    "CLOCK_HOST",
    "CLOCK_VIRTUAL_RT",
    "INIT",
    "RESET",
];

/// Input devices' events.
pub(super) const INPUTS: [&str; 5] = ["KEY", "BUTTON", "REL", "ABS", "MULTI_TOUCH"];
