//! Fields of device state.

use std::fmt::{self, Display, Formatter};

use super::StateRow;
use crate::{addr::Hex, bits::hex_digits, image::savevm::StateField};

/// Digits of a buffer that are shown in a line of text.
const SHOWN: usize = 64;

impl StateRow {
    /// The row of a field.
    #[must_use]
    pub fn new(field: &StateField<'_>) -> Self {
        let number = field.number().map(|number| Hex(number).to_string());
        Self {
            device: field.device.to_owned(),
            instance: field.instance,
            field: field.path.to_owned(),
            r#type: field.kind.to_owned(),
            offset: Hex(field.offset),
            value: number.unwrap_or_else(|| hex_digits(field.bytes)),
        }
    }

    /// Whether the value is bytes, not a number.
    #[must_use]
    pub fn is_bytes(&self) -> bool {
        !self.value.starts_with("0x")
    }

    /// Device and field, as they are asked for.
    #[must_use]
    pub fn name(&self) -> String {
        match self.instance {
            0 => format!("{}.{}", self.device, self.field),
            instance => format!("{}#{instance}.{}", self.device, self.field),
        }
    }

    /// Whether `path` names this field, or something that it is in.
    #[must_use]
    pub fn is_in(&self, path: &str) -> bool {
        let name = self.name();
        let rest = name.strip_prefix(path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', '#']))
    }
}

/// The field and its value; of a long buffer, its start.
impl Display for StateRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { r#type, value, .. } = self;
        write!(f, "{}  {type}  ", self.name())?;
        match value.get(..SHOWN).filter(|_| self.is_bytes()) {
            Some(start) => write!(f, "{start}... ({:#x} bytes)", value.len() / 2),
            None => f.write_str(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(device: &'static str, instance: u32, field: &'static str) -> StateRow {
        let (kind, bytes) = ("uint16", &[1, 2][..]);
        StateRow::new(&StateField { device, instance, path: field, kind, offset: 16, bytes })
    }

    #[test]
    fn a_path_names_a_device_a_field_or_what_a_field_is_in() {
        let row = row("0000:00:01.3/piix4_pm", 0, "ar.gpe[2].sts");
        assert_eq!((&*row.value, row.offset), ("0x102", Hex(16)));
        for path in ["0000:00:01.3/piix4_pm", "0000:00:01.3/piix4_pm.ar.gpe", &row.name()] {
            assert!(row.is_in(path), "{path}");
        }
        for path in ["0000:00:01.3/piix4", "0000:00:01.3/piix4_pm.ar.g", "ar.gpe[2].sts"] {
            assert!(!row.is_in(path), "{path}");
        }
    }

    #[test]
    fn devices_of_one_name_are_told_apart_by_number() {
        assert!(row("i8259", 1, "imr").is_in("i8259#1") && row("i8259", 1, "imr").is_in("i8259"));
        assert!(!row("i8259", 0, "imr").is_in("i8259#1"));
    }
}
