//! Fields of device state.

use serde::Serialize;

use crate::image::savevm::StateField;

/// A field of a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StateRow<'a> {
    /// The device.
    pub device: &'a str,
    /// Which of the devices of that name.
    pub instance: u32,
    /// The field in it.
    pub field: &'a str,
    /// Its type by QEMU's name.
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// Its first byte in the stream.
    pub offset: String,
    /// A number as `0x..`, anything else as the hex digits of its bytes.
    pub value: String,
}

impl<'a> StateRow<'a> {
    /// The row of a field.
    #[must_use]
    pub fn new(field: &StateField<'a>) -> Self {
        Self {
            device: field.device,
            instance: field.instance,
            field: field.path,
            kind: field.kind,
            offset: format!("{:#x}", field.offset),
            value: field
                .number()
                .map_or_else(|| Self::hex(field.bytes), |number| format!("{number:#x}")),
        }
    }

    /// The hex digits of bytes.
    #[must_use]
    pub fn hex(bytes: &[u8]) -> String {
        crate::bits::hex_digits(bytes)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(device: &'static str, instance: u32, field: &'static str) -> StateRow<'static> {
        let (kind, bytes) = ("uint16", &[1, 2][..]);
        StateRow::new(&StateField { device, instance, path: field, kind, offset: 16, bytes })
    }

    #[test]
    fn a_path_names_a_device_a_field_or_what_a_field_is_in() {
        let row = row("0000:00:01.3/piix4_pm", 0, "ar.gpe[2].sts");
        assert_eq!((&*row.value, &*row.offset), ("0x102", "0x10"));
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
