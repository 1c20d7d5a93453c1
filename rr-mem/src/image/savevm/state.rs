//! The state of the devices: the sections behind RAM, field by field, as the
//! stream's own description names them. QEMU, migration/vmstate.c.

use std::{collections::HashMap, ops::ControlFlow};

use super::{
    Broken,
    cursor::Cursor,
    description::{Description, Device, Field, State},
};

/// QEMU_VM_* of a section and of what may stand in it.
pub(super) const SECTION_FULL: u8 = 0x04;
pub(super) const SUBSECTION: u8 = 0x05;
pub(super) const FOOTER: u8 = 0x7e;

/// Fields that are visited in one stream, at most.
const MOST_FIELDS: u64 = 1 << 26;

/// A field of a device and its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StateField<'a> {
    /// The device's name.
    pub device: &'a str,
    /// Which of the devices of that name.
    pub instance: u32,
    /// The field in the device: `env.segs[1].base`.
    pub path: &'a str,
    /// Its type by QEMU's name.
    pub kind: &'a str,
    /// Where it is in the stream.
    pub offset: u64,
    /// Its bytes; numbers are big-endian.
    pub bytes: &'a [u8],
}

impl StateField<'_> {
    /// The number; none of what is no number, or longer than one.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        let fits = matches!(self.bytes.len(), 1..=8) && !self.kind.contains("buffer");
        fits.then(|| self.bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

/// The fields of a device that are numbers, by path.
pub(super) type Numbers = HashMap<String, u64>;

/// What hears of every field.
pub(super) type Visit<'v> = dyn FnMut(&StateField<'_>) -> ControlFlow<()> + 'v;

/// Goes through the sections from `start` on; `visit` may end it.
pub(super) fn walk(
    stream: &[u8],
    start: u64,
    description: &Description,
    visit: &mut Visit<'_>,
) -> Result<(), Broken> {
    let mut cursor = Cursor::new(stream, 0);
    cursor.go_to(start)?;
    let mut reader = FieldReader { cursor, path: String::new(), left: MOST_FIELDS, visit };
    let mut devices = description.devices.iter();
    while reader.cursor.peek() == Some(SECTION_FULL) {
        match reader.section(&mut devices) {
            Err(Stop::Asked) => return Ok(()),
            Err(Stop::Broken(broken)) => return Err(broken),
            Ok(()) => {}
        }
    }
    Ok(())
}

/// Why a walk ends before the stream does.
enum Stop {
    /// The visitor has seen enough.
    Asked,
    Broken(Broken),
}

impl<F: Into<Broken>> From<F> for Stop {
    fn from(broken: F) -> Self {
        Self::Broken(broken.into())
    }
}

struct FieldReader<'a, 'v, 'c> {
    cursor: Cursor<'a>,
    /// Of the field that the cursor is at.
    path: String,
    /// Fields that may still be visited.
    left: u64,
    visit: &'v mut Visit<'c>,
}

impl FieldReader<'_, '_, '_> {
    fn section<'d>(&mut self, devices: &mut impl Iterator<Item = &'d Device>) -> Result<(), Stop> {
        let at = self.cursor.at();
        self.cursor.u8()?;
        let id = self.cursor.u32()?;
        let name = String::from_utf8_lossy(self.cursor.name()?);
        let (instance, _version) = (self.cursor.u32()?, self.cursor.u32()?);
        let device = devices.find(|device| device.name == name && device.instance_id == instance);
        let device = device.ok_or_else(|| {
            Broken::damaged(format!("section {name:?} is not in the description"), at)
        })?;
        self.path.clear();
        self.state(device, &device.state)?;
        self.footer(id)
    }

    /// What ends a section, unless its machine is older than footers.
    fn footer(&mut self, id: u32) -> Result<(), Stop> {
        if self.cursor.peek() != Some(FOOTER) {
            return Ok(());
        }
        let at = self.cursor.at();
        self.cursor.u8()?;
        match self.cursor.u32()? == id {
            true => Ok(()),
            false => Err(Broken::damaged("a section does not end with its own number", at).into()),
        }
    }

    fn state(&mut self, device: &Device, state: &State) -> Result<(), Stop> {
        for field in &state.fields {
            self.field(device, field)?;
        }
        for subsection in &state.subsections {
            self.subsection(device, subsection)?;
        }
        Ok(())
    }

    fn subsection(&mut self, device: &Device, state: &State) -> Result<(), Stop> {
        let at = self.cursor.at();
        let kind = self.cursor.u8()?;
        let name = self.cursor.name()?;
        if kind != SUBSECTION || name != state.vmsd_name.as_bytes() {
            let what = format!("subsection {:?} is not where it is described", state.vmsd_name);
            return Err(Broken::damaged(what, at).into());
        }
        self.cursor.u32()?;
        self.within(&state.vmsd_name, |reader| reader.state(device, state))
    }

    /// The elements of an array, or the field that is none.
    fn field(&mut self, device: &Device, field: &Field) -> Result<(), Stop> {
        let name = match field.index {
            Some(index) => format!("{}[{index}]", field.name),
            None => field.name.clone(),
        };
        let Some(count) = field.array_len else {
            return self.within(&name, |reader| reader.element(device, field));
        };
        // Elements without a byte are as good as one.
        let count = if field.size == 0 { count.min(1) } else { count };
        for index in 0..count {
            self.within(&format!("{name}[{index}]"), |reader| reader.element(device, field))?;
        }
        Ok(())
    }

    fn element(&mut self, device: &Device, field: &Field) -> Result<(), Stop> {
        let at = self.cursor.at();
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            Broken::damaged("the description has more fields than is reasonable", at)
        })?;
        let size = usize::try_from(field.size).unwrap_or(usize::MAX);
        let Some(inner) = &field.inner else {
            let bytes = self.cursor.take(size)?;
            return self.visit(device, &field.kind, at, bytes);
        };
        self.state(device, inner)?;
        match self.cursor.at() - at == size {
            true => Ok(()),
            false => {
                let what = format!("{}.{} has not the size described", device.name, self.path);
                Err(Broken::damaged(what, at).into())
            }
        }
    }

    fn visit(&mut self, device: &Device, kind: &str, at: usize, bytes: &[u8]) -> Result<(), Stop> {
        let field = StateField {
            device: &device.name,
            instance: device.instance_id,
            path: &self.path,
            kind,
            offset: at as u64,
            bytes,
        };
        match (self.visit)(&field) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stop::Asked),
        }
    }

    /// Does `work` with `name` behind the path.
    fn within(
        &mut self,
        name: &str,
        work: impl FnOnce(&mut Self) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let before = self.path.len();
        if before > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        let result = work(self);
        self.path.truncate(before);
        result
    }
}
