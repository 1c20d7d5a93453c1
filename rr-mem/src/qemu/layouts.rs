//! The layouts that come with the program, for QEMUs without debug info on x86_64 hosts.
//! Configuration moves members: a distribution's layout comes before the plain one of a
//! version. Which one fits is tested, see [`super::read`].

use crate::debuginfo::{Layout, MemberList};

/// The architecture of the hosts that they are for.
pub const HOST: &str = "x86_64";

/// Newest first.
const SHIPPED: [&str; 6] = [
    include_str!("layouts/qemu-10.0-debian.json"),
    include_str!("layouts/qemu-10.0.json"),
    include_str!("layouts/qemu-7.2-debian.json"),
    include_str!("layouts/qemu-7.2.json"),
    include_str!("layouts/qemu-5.2.json"),
    include_str!("layouts/panda-2.9.json"),
];

/// The shipped layouts, newest first, each read when it is asked for.
pub fn shipped() -> impl Iterator<Item = Layout> {
    SHIPPED.iter().filter_map(|text| serde_json::from_str(text).ok())
}

/// What is wanted of any QEMU's debug info: every member that some layout has.
#[must_use]
pub fn wanted() -> MemberList {
    let layouts: Vec<Layout> = shipped().collect();
    let structs = layouts.iter().flat_map(|layout| &layout.structs);
    // NAME@arm is no struct's name, but a NAME of another build.
    let named = structs.filter(|(name, _)| !name.contains('@'));
    named
        .flat_map(|(name, of)| of.fields.keys().map(|field| (name.as_str(), field.as_str())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_layout_can_be_read_and_names_its_emulator() {
        let names: Vec<_> = shipped().map(|layout| layout.emulator).collect();
        assert_eq!(
            names,
            [
                "qemu-10.0-debian",
                "qemu-10.0",
                "qemu-7.2-debian",
                "qemu-7.2",
                "qemu-5.2",
                "panda-2.9"
            ]
        );
    }

    #[test]
    fn every_shipped_layout_is_for_the_one_host() {
        assert!(shipped().all(|layout| layout.host == HOST));
    }

    #[test]
    fn members_lie_within_their_structs() {
        for layout in shipped() {
            for (name, of) in &layout.structs {
                let size = of.size.expect("is known");
                let outside = of.fields.values().find(|field| field.offset + field.size > size);
                assert_eq!(outside, None, "{} {name}", layout.emulator);
            }
        }
    }
}
