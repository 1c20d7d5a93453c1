//! Symbols of an ELF file by name: `.dynsym`, then `.symtab`. System V ABI,
//! "Symbol Table". A few names are looked for in one pass; nothing is indexed.

use object::{Object, ObjectSymbol, SymbolKind, read::File};
use thiserror::Error;

/// A file whose symbols cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no symbols can be read: {what}")]
pub struct SymbolError {
    what: String,
}

impl SymbolError {
    /// A short stable name for scripts.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        "symbols"
    }
}

/// The addresses (in the file) of the symbols `names` in the ELF file `elf`, in
/// the order of `names`.
///
/// # Errors
/// When it is no object file.
pub fn find<const N: usize>(elf: &[u8], names: [&str; N]) -> Result<[Option<u64>; N], SymbolError> {
    let file = File::parse(elf).map_err(|error| SymbolError { what: error.to_string() })?;
    let mut found = [None; N];
    look(file.dynamic_symbols(), names, &mut found);
    if found.contains(&None) {
        look(file.symbols(), names, &mut found);
    }
    Ok(found)
}

fn look<'data, const N: usize>(
    symbols: impl Iterator<Item = impl ObjectSymbol<'data>>,
    names: [&str; N],
    found: &mut [Option<u64>; N],
) {
    let mut left = found.iter().filter(|found| found.is_none()).count();
    for symbol in symbols.filter(ObjectSymbol::is_definition) {
        let Ok(name) = symbol.name_bytes() else { continue };
        let place = names.iter().position(|wanted| wanted.as_bytes() == name);
        let Some(place) = place.filter(|place| found[*place].is_none()) else { continue };
        found[place] = Some(symbol.address());
        left -= 1;
        if left == 0 {
            return;
        }
    }
}

/// The function of the ELF file `elf` that holds `address` (an address in the
/// file), and the offset in it. `None` without such a symbol: a stripped program
/// names only what it exports.
#[must_use]
pub fn function(elf: &[u8], address: u64) -> Option<(String, u64)> {
    let file = File::parse(elf).ok()?;
    let (name, start) =
        holding(file.symbols(), address).or_else(|| holding(file.dynamic_symbols(), address))?;
    Some((name, address - start))
}

fn holding<'data>(
    mut symbols: impl Iterator<Item = impl ObjectSymbol<'data>>,
    address: u64,
) -> Option<(String, u64)> {
    let found = symbols.find(|symbol| {
        let behind = address.checked_sub(symbol.address());
        symbol.kind() == SymbolKind::Text && behind.is_some_and(|behind| behind < symbol.size())
    })?;
    Some((String::from_utf8_lossy(found.name_bytes().ok()?).into_owned(), found.address()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_object_file_is_an_error() {
        assert!(find(b"", ["main"]).is_err());
        assert!(find(b"\x7fELF\x02\x01\x01", ["main"]).is_err());
        let mut damaged = vec![0xff; 4096];
        damaged[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        assert_eq!(find(&damaged, ["main"]).map_err(|error| error.kind()), Err("symbols"));
    }

    #[test]
    fn our_own_symbols_are_found_in_the_order_asked_for() {
        let path = std::env::current_exe().expect("we run");
        let bytes = std::fs::read(path).expect("is readable");
        let [missing, main] = find(&bytes, ["no such symbol", "main"]).expect("an ELF file");
        assert_eq!(missing, None);
        assert!(main.is_some_and(|address| address > 0), "test programs keep their symbols");
        let address = main.expect("is there") + 1;
        assert_eq!(function(&bytes, address), Some(("main".to_owned(), 1)));
        assert_eq!(function(&bytes, 1), None);
    }
}
