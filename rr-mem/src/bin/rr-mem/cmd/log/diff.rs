//! `rr-mem log diff`.

use rr_mem::{
    replay::{
        Entry,
        diff::{Difference, First, Names, Summary, diff},
    },
    report::log::line::{Data, line},
};
use serde::Serialize;

use super::open;
use crate::{
    cli::log::Diff,
    output::{Outcome, Output, usage},
};

pub fn run(args: &Diff, output: &mut Output) -> anyhow::Result<Outcome> {
    let (mut a, mut b) = (open(&args.a)?, open(&args.b)?);
    if std::mem::discriminant(&a) != std::mem::discriminant(&b) {
        return Err(usage(
            "one is a log of PANDA, the other of QEMU",
            "only logs of the same emulator can be compared",
        ));
    }
    let (summary, errors) = diff(&mut a, &mut b, &words);
    match output.json {
        true => output.row(&Row::new(&summary))?,
        false => text(&summary, output)?,
    }
    let mut outcome = if summary.equal() { Outcome::Answered } else { Outcome::Negative };
    for (path, error) in [&args.a, &args.b].into_iter().zip(errors) {
        let Some(error) = error else { continue };
        output.complain(format!("{}: {error}", path.display()), error.kind.hint())?;
        outcome = Outcome::Unreadable;
    }
    Ok(outcome)
}

fn words(entry: &Entry) -> String {
    let mut text = Vec::new();
    line(&mut text, entry, Data::default());
    String::from_utf8_lossy(&text).into_owned()
}

#[derive(Serialize)]
struct Row<'a> {
    equal: bool,
    same: u64,
    only_a: u64,
    only_b: u64,
    values: u64,
    instr: Option<u64>,
    difference: Option<&'static str>,
    before: &'a [String],
    a: Option<&'a str>,
    b: Option<&'a str>,
}

impl<'a> Row<'a> {
    fn new(summary: &'a Summary) -> Self {
        let first = summary.first.as_ref();
        Self {
            equal: summary.equal(),
            same: summary.same,
            only_a: summary.only_a,
            only_b: summary.only_b,
            values: summary.values,
            instr: first.map(|first| first.instructions),
            difference: first.map(|first| name(first.difference)),
            before: first.map_or(&[], |first| &first.before),
            a: first.and_then(|first| first.a.as_deref()),
            b: first.and_then(|first| first.b.as_deref()),
        }
    }
}

const fn name(difference: Difference) -> &'static str {
    match difference {
        Difference::OnlyA => "only in A",
        Difference::OnlyB => "only in B",
        Difference::Value => "value",
    }
}

fn text(summary: &Summary, output: &mut Output) -> anyhow::Result<()> {
    let Some(first) = &summary.first else {
        return output.line(format_args!("no difference in {} entries", summary.same));
    };
    first_difference(first, output)?;
    output.line(format_args!(
        "\n{} same, {} only in A, {} only in B, {} with other values",
        summary.same, summary.only_a, summary.only_b, summary.values
    ))?;
    output
        .line(format_args!("{:>10} {:>10} {:>10}  kind, callsite", "only A", "only B", "value"))?;
    for (_, names, [only_a, only_b, values]) in &summary.by_key {
        output.line(format_args!("{only_a:>10} {only_b:>10} {values:>10}  {}", joined(*names)))?;
    }
    Ok(())
}

fn joined((kind, call, callsite): Names) -> String {
    [Some(kind), call, callsite].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn first_difference(first: &First, output: &mut Output) -> anyhow::Result<()> {
    output.line(format_args!(
        "first difference at instruction {}: {}",
        first.instructions,
        name(first.difference)
    ))?;
    for line in &first.before {
        output.line(format_args!("  {line}"))?;
    }
    for (mark, line) in [('A', &first.a), ('B', &first.b)] {
        output
            .line(format_args!("{mark} {}", line.as_deref().unwrap_or("(the end of the log)")))?;
    }
    Ok(())
}
