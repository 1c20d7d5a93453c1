//! What a user calls a setting, in Python and in gdb.

use rr_mem::advice::{Face, Setting};

/// Python: keywords and constructors.
pub struct PythonWords;

/// The commands in gdb: settings.
pub struct GdbWords;

impl Face for PythonWords {
    fn name(&self, setting: Setting) -> String {
        let words = match setting {
            Setting::Register(keyword) => return format!("with_registers({keyword}=...)"),
            Setting::Registers => {
                "with_registers(cr3=...) (x86) or with_registers(ttbr0=..., ttbr1=..., tcr=...) (ARM)"
            }
            Setting::Arch => "with_registers(arch=...)",
            Setting::Image => "Guest.from_image(path)",
            Setting::RamBase => "ram_base=",
            Setting::Machine => "machine=NAME",
            Setting::Snapshot => "snapshot=NAME",
            Setting::RegionMap => "mtree=TEXT",
            Setting::Process => "Guest.from_process(pid)",
            Setting::Core => "Guest.from_core(path)",
            Setting::Executable => "exe=[PATH]",
            Setting::Freeze => "the monitor's `stop`",
            Setting::Layout => "layout=PATH",
            Setting::DebugFile => "debug_file=PATH",
            Setting::Unit => "`--unit NAME`",
            Setting::SymbolsOffset => "offset=",
            // What only the command line has.
            _ => "the option of `rr-mem`",
        };
        words.to_owned()
    }
}

impl Face for GdbWords {
    fn name(&self, setting: Setting) -> String {
        let words = match setting {
            Setting::Register(keyword) => {
                return format!("`set rrmem registers {keyword}=VALUE`");
            }
            Setting::Registers => {
                "`set rrmem registers cr3=VALUE` (x86) or `ttbr0=VALUE ttbr1=VALUE tcr=VALUE` (ARM)"
            }
            Setting::Arch => "`set rrmem arch NAME`",
            Setting::Image => "`set rrmem image FILE`",
            Setting::Process => "`set rrmem pid PID`",
            Setting::Core => "gdb itself (`core FILE`)",
            Setting::Executable => "gdb itself (`file FILE`)",
            Setting::Freeze => "gdb's own stop",
            Setting::Layout => "`set rrmem layout FILE`",
            Setting::DebugFile => "`set rrmem layout FILE` (`rr-mem layout ELF` makes one)",
            Setting::SymbolsOffset => "an offset behind the file's name",
            // What only the command line has.
            _ => "the option of `rr-mem`",
        };
        words.to_owned()
    }
}
