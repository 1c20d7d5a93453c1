//! What two logs differ in.

use std::fmt::{self, Display, Formatter};

use super::declared::{KindDifferenceRow, LogDiffRow};
use crate::replay::diff::{Difference, First, Names, Summary};

impl From<Summary> for LogDiffRow {
    fn from(summary: Summary) -> Self {
        let equal = summary.equal();
        let by_kind = summary.by_key.iter().map(|(_, names, counts)| {
            let [only_a, only_b, values] = *counts;
            KindDifferenceRow { kind: joined(*names), only_a, only_b, values }
        });
        let by_kind = by_kind.collect();
        let (mut instr, mut difference) = (None, None);
        let (mut before, mut a, mut b) = (Vec::new(), None, None);
        if let Some(first) = summary.first {
            (instr, difference) = (Some(first.instructions), Some(name(first.difference)));
            First { before, a, b, .. } = first;
        }
        let Summary { same, only_a, only_b, values, .. } = summary;
        Self { equal, same, only_a, only_b, values, instr, difference, before, a, b, by_kind }
    }
}

const fn name(difference: Difference) -> &'static str {
    match difference {
        Difference::OnlyA => "only in A",
        Difference::OnlyB => "only in B",
        Difference::Value => "value",
    }
}

fn joined((kind, call, callsite): Names) -> String {
    [Some(kind), call, callsite].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

impl Display for LogDiffRow {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { same, only_a, only_b, values, .. } = self;
        let (Some(instr), Some(difference)) = (self.instr, self.difference) else {
            return write!(f, "no difference in {same} entries");
        };
        writeln!(f, "first difference at instruction {instr}: {difference}")?;
        self.before.iter().try_for_each(|line| writeln!(f, "  {line}"))?;
        for (mark, line) in [('A', &self.a), ('B', &self.b)] {
            writeln!(f, "{mark} {}", line.as_deref().unwrap_or("(the end of the log)"))?;
        }
        writeln!(
            f,
            "\n{same} same, {only_a} only in A, {only_b} only in B, {values} with other values"
        )?;
        write!(f, "{:>10} {:>10} {:>10}  kind, callsite", "only A", "only B", "value")?;
        for KindDifferenceRow { kind, only_a, only_b, values } in &self.by_kind {
            write!(f, "\n{only_a:>10} {only_b:>10} {values:>10}  {kind}")?;
        }
        Ok(())
    }
}
