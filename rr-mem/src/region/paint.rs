//! Disjoint pieces of an address space, painted in order: what came first
//! stays, what comes later fills the gaps.

use std::collections::BTreeMap;

/// Pieces by their first address, each with its last.
#[derive(Debug)]
pub(super) struct Painter<T> {
    pieces: BTreeMap<u64, (u64, T)>,
}

impl<T> Painter<T> {
    pub(super) const fn new() -> Self {
        Self { pieces: BTreeMap::new() }
    }

    /// Puts `piece(start)` into each gap of `first..=last`, `start` being the
    /// gap's. Answers how many pieces it had to look at.
    pub(super) fn fill(&mut self, first: u64, last: u64, piece: impl Fn(u64) -> T) -> usize {
        let (gaps, seen) = self.gaps(first, last);
        for (start, end) in gaps {
            self.pieces.insert(start, (end, piece(start)));
        }
        seen
    }

    /// The gaps in `first..=last`, and how many pieces are there.
    fn gaps(&self, first: u64, last: u64) -> (Vec<(u64, u64)>, usize) {
        let (mut gaps, mut seen) = (Vec::new(), 0);
        let mut next = Some(first);
        let before = self.pieces.range(..first).next_back();
        for (&start, &(end, _)) in before.into_iter().chain(self.pieces.range(first..=last)) {
            seen += 1;
            let Some(open) = next else { break };
            if open < start {
                gaps.push((open, start - 1));
            }
            if end >= open {
                next = end.checked_add(1);
            }
        }
        gaps.extend(next.filter(|&open| open <= last).map(|open| (open, last)));
        (gaps, seen)
    }

    /// Every piece in order: first address, last address, what it is.
    pub(super) fn into_pieces(self) -> impl Iterator<Item = (u64, u64, T)> {
        self.pieces.into_iter().map(|(start, (end, piece))| (start, end, piece))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn painted(fills: &[(u64, u64, char)]) -> Vec<(u64, u64, char)> {
        let mut painter = Painter::new();
        for &(first, last, piece) in fills {
            painter.fill(first, last, |_| piece);
        }
        painter.into_pieces().collect()
    }

    #[test]
    fn what_came_first_stays_and_the_rest_fills_the_gaps() {
        assert_eq!(
            painted(&[(4, 5, 'a'), (8, 8, 'b'), (0, 10, 'c')]),
            [(0, 3, 'c'), (4, 5, 'a'), (6, 7, 'c'), (8, 8, 'b'), (9, 10, 'c')]
        );
        assert_eq!(painted(&[(0, 9, 'a'), (3, 5, 'b')]), [(0, 9, 'a')]);
        assert_eq!(painted(&[(0, 4, 'a'), (3, 5, 'b')]), [(0, 4, 'a'), (5, 5, 'b')]);
    }

    #[test]
    fn the_last_byte_of_the_space_can_be_painted() {
        let last = u64::MAX;
        assert_eq!(
            painted(&[(last, last, 'a'), (0, last, 'b')]),
            [(0, last - 1, 'b'), (last, last, 'a')]
        );
        assert_eq!(painted(&[(0, last, 'a'), (0, last, 'b')]), [(0, last, 'a')]);
    }
}
