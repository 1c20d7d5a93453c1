//! What a file does not say of itself.

use crate::{addr::Gpa, region::RegionMap};

/// What is known of a file beside its bytes. The default knows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenOptions<'a> {
    pub(super) ram_base: Gpa,
    pub(super) machine: Option<&'a str>,
    pub(super) regions: Option<&'a RegionMap>,
    pub(super) snapshot: Option<&'a str>,
}

impl<'a> OpenOptions<'a> {
    /// Where raw RAM starts; at 0 without.
    #[must_use]
    pub const fn ram_base(self, ram_base: Gpa) -> Self {
        Self { ram_base, ..self }
    }

    /// The machine type, which places the RAM blocks of a migration stream;
    /// the stream's own otherwise.
    #[must_use]
    pub const fn machine(self, machine: Option<&'a str>) -> Self {
        Self { machine, ..self }
    }

    /// The region map, which places them better.
    #[must_use]
    pub const fn regions(self, regions: Option<&'a RegionMap>) -> Self {
        Self { regions, ..self }
    }

    /// The snapshot to take of a qcow2 image.
    #[must_use]
    pub const fn snapshot(self, snapshot: Option<&'a str>) -> Self {
        Self { snapshot, ..self }
    }
}
