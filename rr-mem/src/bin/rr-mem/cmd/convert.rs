//! `rr-mem convert`.

use rr_mem::{
    report::ConvertRow,
    save::{self, ConvertAsked, ConvertError, Converted, FileKind},
};

use super::saving;
use crate::{
    cli::{Convert, SaveAs},
    output::{Outcome, Output, Progress, failed, note, usage},
    source,
};

const HOW: &str = "give --to elf or lime, which leave them out, or --fill-absent to have zeros";

pub fn run(args: &Convert, output: &mut Output) -> anyhow::Result<Outcome> {
    let opened = source::open(&args.source, output)?;
    let asked = ConvertAsked {
        to: match args.to {
            SaveAs::Raw => FileKind::Raw,
            SaveAs::Lime => FileKind::Lime,
            SaveAs::Elf => FileKind::Elf,
        },
        gpa: args.gpa.clone(),
        fill_absent: args.fill_absent,
        writer: saving::writer("convert"),
    };
    let mut progress = Progress::new("writing");
    let converted = save::convert(&opened, &args.output, &asked, &mut |bytes| progress.set(bytes));
    drop(progress);
    let converted = converted.map_err(|error| refuse(&error))?;
    saving::note_numbers(&opened);
    output.answer(&ConvertRow::from(&converted))?;
    remark(args, &converted);
    if let Some(error) = &converted.why {
        output.complain(error, error.advice())?;
    }
    Ok(if converted.lost { Outcome::Unreadable } else { Outcome::Answered })
}

fn refuse(error: &ConvertError) -> anyhow::Error {
    match error {
        ConvertError::Missing(missing) => source::lacks(*missing),
        ConvertError::Nothing => failed(error, "check --gpa and the source"),
        ConvertError::File(error) => saving::refuse(error),
        _ => usage(error, HOW),
    }
}

fn remark(args: &Convert, converted: &Converted) {
    let done = if args.to == SaveAs::Raw { "written as zeros" } else { "left out" };
    saving::left_out(&format!("{done}, because the source lacks them"), &converted.absent);
    if args.to != SaveAs::Raw {
        return;
    }
    let base = converted.base;
    if base > 0 {
        note(format!("byte 0 of the file is at {base:#x}: give --ram-base {base:#x}"));
    }
    saving::left_out("no memory, zeros in the file", &converted.between());
}
