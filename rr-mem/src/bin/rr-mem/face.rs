//! The command line's names for what a user can give.

use rr_mem::advice::{Face, Setting};

use crate::cli::registers::flag;

/// The command line.
pub struct CommandLine;

impl Face for CommandLine {
    fn name(&self, setting: Setting) -> String {
        let flag = match setting {
            Setting::Register(keyword) => return format!("--{}", flag(keyword)),
            Setting::Registers => "--cr3 (x86) or --ttbr0/--ttbr1 and --tcr (ARM)",
            Setting::Arch => "--arch",
            Setting::Image => "--image FILE",
            Setting::RamBase => "--ram-base",
            Setting::Machine => "--machine NAME",
            Setting::Snapshot => "--snapshot NAME",
            Setting::RegionMap => "--mtree FILE",
            Setting::Process => "--pid PID",
            Setting::Core => "--core FILE",
            Setting::Executable => "--exe FILE",
            Setting::Freeze => "--freeze",
            Setting::Layout => "--layout FILE",
            Setting::DebugFile => "--debug-file FILE",
            Setting::Unit => "--unit NAME",
            Setting::Rr => "--rr",
            Setting::SymbolsOffset => "--symbols-offset",
            // A setting that this program has no flag for.
            _ => "the setting",
        };
        flag.to_owned()
    }
}
