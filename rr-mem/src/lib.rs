//! From any guest address of an emulator to the host byte behind it, and back.
