//! `rr-mem convert`.

use rr_mem::{
    addr::{Gpa, Hex, PAGE, RangeSet},
    image::save::FileFormat,
    report::ConvertRow,
};

use super::saving::{self, Target};
use crate::{
    cli::{Convert, SaveAs},
    output::{Outcome, Output, failed, note, usage},
    source,
};

const HOW: &str = "give --to elf or lime, which leave them out, or --fill-absent to have zeros";

pub fn run(args: &Convert, output: &mut Output) -> anyhow::Result<Outcome> {
    let opened = source::open(&args.source, output.verbose)?;
    let asked: RangeSet = args.gpa.iter().cloned().collect();
    let within = |set: &RangeSet| if args.gpa.is_empty() { set.clone() } else { set.and(&asked) };
    let wanted = within(&opened.coverage.readable);
    let all = within(&saving::memory(&opened));
    let memory = opened.guest.memory().map_err(source::lacks)?;
    let filled = if args.fill_absent { &all } else { &wanted };
    let Some((base, _)) = filled.iter().next().filter(|_| !wanted.is_empty()) else {
        return Err(failed("the source has no memory there", "check --gpa and the source"));
    };
    refuse(args, &all.without(&wanted))?;
    let mut target = Target::new(&args.output)?;
    let source = format!("rr-mem convert {}", env!("CARGO_PKG_VERSION"));
    let description = saving::describe(&opened, &source);
    let notes = |holds: &RangeSet| saving::notes(&opened, &description, &opened.core_notes, holds);
    let format = match args.to {
        SaveAs::Raw => FileFormat::Raw(base),
        SaveAs::Lime => FileFormat::Lime,
        SaveAs::Elf => FileFormat::Elf(description.arch, &notes),
    };
    let written = target.save(&format, memory, &wanted)?;
    let absent = all.without(&written);
    refuse(args, &absent)?;
    let row = ConvertRow {
        ranges: written.iter().len(),
        bytes: Hex(written.count()),
        absent_pages: absent.blocks(PAGE),
        file_bytes: Hex(target.finish()?),
    };
    output.answer(&row)?;
    remark(args, base, &written, &absent);
    let Some((first, _)) = wanted.without(&written).iter().next() else {
        return Ok(Outcome::Answered);
    };
    if let Err(error) = opened.guest.read_physical(Gpa(first), &mut [0]) {
        output.complain(&error, error.advice())?;
    }
    Ok(Outcome::Unreadable)
}

/// Raw RAM cannot leave a page out.
fn refuse(args: &Convert, absent: &RangeSet) -> anyhow::Result<()> {
    if args.to != SaveAs::Raw || args.fill_absent || absent.is_empty() {
        return Ok(());
    }
    let first = absent.iter().next().map_or(0, |(first, _)| first);
    let what = format!(
        "the source lacks {} pages of the guest's memory, the first at {first:#x}",
        absent.blocks(PAGE)
    );
    Err(usage(what, HOW))
}

fn remark(args: &Convert, base: u64, written: &RangeSet, absent: &RangeSet) {
    let done = if args.to == SaveAs::Raw { "written as zeros" } else { "left out" };
    saving::left_out(&format!("{done}, because the source lacks them"), absent);
    if args.to != SaveAs::Raw {
        return;
    }
    if base > 0 {
        note(format!("byte 0 of the file is at {base:#x}: give --ram-base {base:#x}"));
    }
    let end = written.or(absent).iter().next_back().map_or(base, |(_, last)| last);
    let span: RangeSet = std::iter::once(base..=end).collect();
    saving::left_out("no memory, zeros in the file", &span.without(written).without(absent));
}
