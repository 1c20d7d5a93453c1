//! `rr-mem layout`.

use rr_mem::{
    debuginfo::{DebugSearch, Layout, Program, StructLayout},
    memory::MappedFile,
    qemu::layouts,
};

use crate::{
    cli::Layout as Args,
    output::{Outcome, Output, failed},
};

pub fn run(args: &Args, output: &mut Output) -> anyhow::Result<Outcome> {
    let path = &args.module;
    let fail = |error| failed(format!("{}: {error}", path.display()), "check the path");
    let file = MappedFile::open(path).map_err(fail)?;
    let (debug_file, unit) = (args.debug_file.clone(), args.unit.clone());
    let search = DebugSearch { debug_file, unit, ..DebugSearch::default() };
    let layout = search
        .layout(Program { path, file: &file }, &layouts::wanted())
        .map_err(|error| failed(&error, error.advice()))?;
    if output.json {
        output.row(&layout)?;
    } else {
        output.line(text(&layout)?)?;
    }
    Ok(Outcome::Answered)
}

/// As the layouts that come with the program are written: a member a line.
fn text(layout: &Layout) -> serde_json::Result<String> {
    let Layout { emulator, host, source, structs } = layout;
    let head = [("emulator", emulator), ("host", host), ("source", source)]
        .map(|(name, value)| Ok(format!("\"{name}\": {}", serde_json::to_string(value)?)));
    let head = head.into_iter().collect::<serde_json::Result<Vec<_>>>()?.join(", ");
    let unit = "\"unit\": \"bytes; each field is [offset, size]\"";
    let structs: serde_json::Result<Vec<_>> =
        structs.iter().map(|(name, of)| one_struct(name, of)).collect();
    Ok(format!("{{\n{head},\n{unit},\n\"structs\": {{\n{}\n}}\n}}", structs?.join(",\n")))
}

fn one_struct(name: &str, of: &StructLayout) -> serde_json::Result<String> {
    let (name, size) = (serde_json::to_string(name)?, serde_json::to_string(&of.size)?);
    let field = |(name, field)| {
        let (name, place) = (serde_json::to_string(name)?, serde_json::to_string(field)?);
        Ok(format!("  {name}: {}", place.replace(',', ", ")))
    };
    let fields: serde_json::Result<Vec<_>> = of.fields.iter().map(field).collect();
    Ok(format!("{name}: {{\"size\": {size}, \"fields\": {{\n{}\n}}}}", fields?.join(",\n")))
}
