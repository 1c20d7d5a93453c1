//! `rr-mem mtree`.

use crate::{
    cli::Mtree,
    output::{Outcome, Output, failed, usage},
    source::{self, Opened},
};
use rr_mem::region::monitor::{self, TreeOptions};

/// Who made a region is read only when it is asked for.
fn open(args: &Mtree, output: &mut Output) -> anyhow::Result<Opened> {
    if !args.owner {
        return source::open(&args.source, output);
    }
    if !source::is_emulator(&args.source.emulator) {
        return Err(usage(
            "this source does not say who made its regions",
            "give --pid or --core, or leave -o away",
        ));
    }
    source::open_with_owners(&args.source, output)
}

pub fn run(args: &Mtree, output: &mut Output) -> anyhow::Result<Outcome> {
    let opened = open(args, output)?;
    if let (Some(text), false, false) = (opened.source.tree_text(), args.flat, output.json) {
        output.write(text.as_bytes())?;
        return Ok(Outcome::Answered);
    }
    let map = opened.guest.regions().map_err(source::lacks)?;
    if output.json {
        // The lossless form, in one row: regions point to each other.
        output.row(map)?;
        return Ok(Outcome::Answered);
    }
    let blocks = match (args.flat, opened.style) {
        (true, style) => monitor::flat_blocks(map, style.unwrap_or_default()),
        (false, None) => monitor::tree_blocks(map, TreeOptions::disabled(args.disabled)),
        (false, Some(_)) => {
            return Err(usage(
                "the text of `info mtree -f` holds the flat views, not the tree",
                "give -f, or a source that knows the tree",
            ));
        }
    };
    let blocks = blocks.map_err(|error| failed(error, "check the region map"))?;
    for block in &blocks {
        output.write(block.as_bytes())?;
    }
    Ok(Outcome::Answered)
}
