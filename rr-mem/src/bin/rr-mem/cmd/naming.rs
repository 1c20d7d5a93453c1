//! `--symbols`: names beside addresses.

use rr_mem::{addr::Gva, guest::Guest, symbols::Symbols};

use crate::{
    cli::Naming,
    output::{failed, usage},
};

/// The symbols that were asked for, if any.
pub struct Names(Option<Symbols>);

impl Names {
    /// Reads the file; without an offset, looks for the kernel in the guest.
    pub fn open(naming: &Naming, guest: &Guest) -> anyhow::Result<Self> {
        let Some(path) = &naming.symbols else { return Ok(Self(None)) };
        let symbols = Symbols::open(path).map_err(|error| failed(&error, error.advice()))?;
        let found = match naming.symbols_offset {
            Some(offset) => Ok(symbols.moved(offset)),
            None => symbols.in_guest(guest),
        };
        let hint = "give --symbols-offset, or boot the guest with nokaslr";
        found.map(|symbols| Self(Some(symbols))).map_err(|error| usage(error, hint))
    }

    /// The name of an address, if it has one.
    pub fn of(&self, gva: Gva) -> Option<String> {
        self.0.as_ref()?.name(gva)
    }
}
