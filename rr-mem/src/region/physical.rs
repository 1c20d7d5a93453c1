//! Guest-physical memory.
