//! Which members of which structs are wanted.

use std::collections::BTreeMap;

/// Members that are wanted, by struct; those of inner structs as
/// `outer.inner`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberList {
    structs: BTreeMap<Vec<u8>, Members>,
}

/// Members that are wanted of a struct, or of a member that is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Members {
    /// The member as a whole.
    pub whole: bool,
    /// Members inside it, by name.
    pub inside: BTreeMap<Vec<u8>, Members>,
}

impl<'a> FromIterator<(&'a str, &'a str)> for MemberList {
    /// From structs and the paths of their members.
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        let mut wanted = Self::default();
        for (of, path) in pairs {
            let mut place = wanted.structs.entry(of.into()).or_default();
            for name in path.split('.') {
                place = place.inside.entry(name.into()).or_default();
            }
            place.whole = true;
        }
        wanted
    }
}

impl MemberList {
    /// The place of a struct in the order of [`MemberList::structs`].
    pub(super) fn find(&self, name: &[u8]) -> Option<usize> {
        self.structs.keys().position(|known| known == name)
    }

    /// The structs by name, in order.
    pub(super) fn structs(&self) -> impl Iterator<Item = (&[u8], &Members)> {
        self.structs.iter().map(|(name, members)| (name.as_slice(), members))
    }

    /// A number that tells one list from another.
    pub(super) fn fingerprint(&self) -> u32 {
        let mut crc = flate2::Crc::new();
        crc.update(format!("{:?}", self.structs).as_bytes());
        crc.sum()
    }
}
