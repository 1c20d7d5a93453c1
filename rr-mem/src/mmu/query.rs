//! The question that a walk answers, and the words that ask it.

use std::str::FromStr;

use thiserror::Error;

use super::answer::{Access, AccessKind, Query};
use crate::{advice::Advice, regs::Regs};

/// With whose privilege an access is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Privilege {
    /// CPL 3, EL0.
    User,
    /// The supervisor, EL1 or the regime's own level.
    Kernel,
    /// What the CPU's registers say.
    Current,
}

/// A word that asks for nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no {what} is called {word:?}")]
pub struct NoSuchWord {
    what: &'static str,
    word: String,
    possible: String,
}

crate::advice::explain!(NoSuchWord);

impl NoSuchWord {
    /// A short stable name for scripts.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        "usage"
    }

    /// The words that there are.
    #[must_use]
    pub fn advice(&self) -> Advice {
        Advice::Told(self.possible.clone())
    }
}

impl AccessKind {
    /// The word for each.
    pub const WORDS: [(&str, Self); 3] =
        [("r", Self::Read), ("w", Self::Write), ("x", Self::Execute)];
}

impl Privilege {
    /// The word for each.
    pub const WORDS: [(&str, Self); 3] =
        [("user", Self::User), ("kernel", Self::Kernel), ("current", Self::Current)];
}

impl FromStr for AccessKind {
    type Err = NoSuchWord;

    fn from_str(word: &str) -> Result<Self, NoSuchWord> {
        chosen("access", &Self::WORDS, word)
    }
}

impl FromStr for Privilege {
    type Err = NoSuchWord;

    fn from_str(word: &str) -> Result<Self, NoSuchWord> {
        chosen("privilege", &Self::WORDS, word)
    }
}

fn chosen<T: Copy>(
    what: &'static str,
    words: &[(&'static str, T)],
    word: &str,
) -> Result<T, NoSuchWord> {
    let found = words.iter().find(|(known, _)| *known == word);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let possible: Vec<_> = words.iter().map(|(known, _)| *known).collect();
        NoSuchWord { what, word: word.to_owned(), possible: possible.join(", ") }
    })
}

impl Query {
    /// The question about this access. Without access and privilege it is
    /// whether the address is mapped. A privilege alone asks about a read; an
    /// access alone is made with the current privilege of `regs`.
    #[must_use]
    pub fn new(access: Option<AccessKind>, privilege: Option<Privilege>, regs: &Regs) -> Self {
        if access.is_none() && privilege.is_none() {
            return Self::Presence;
        }
        let user = match privilege.unwrap_or(Privilege::Current) {
            Privilege::User => true,
            Privilege::Kernel => false,
            Privilege::Current => regs.in_user_mode(),
        };
        Self::Access(Access { kind: access.unwrap_or(AccessKind::Read), user })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regs::Arch;

    #[test]
    fn a_word_that_is_none_is_refused_with_those_that_are() {
        assert_eq!("w".parse(), Ok(AccessKind::Write));
        assert_eq!("current".parse(), Ok(Privilege::Current));
        let refused = "q".parse::<AccessKind>().expect_err("no word");
        assert_eq!(
            (&*refused.to_string(), &*refused.advice().to_string()),
            ("no access is called \"q\"", "r, w, x")
        );
    }

    #[test]
    fn what_is_not_said_is_a_read_with_the_current_privilege() {
        let regs = Regs::defaults(Arch::X86_64);
        let read = |user| Query::Access(Access { kind: AccessKind::Read, user });
        assert_eq!(Query::new(None, None, &regs), Query::Presence);
        assert_eq!(Query::new(None, Some(Privilege::User), &regs), read(true));
        let write = Query::Access(Access { kind: AccessKind::Write, user: regs.in_user_mode() });
        assert_eq!(Query::new(Some(AccessKind::Write), None, &regs), write);
    }
}
