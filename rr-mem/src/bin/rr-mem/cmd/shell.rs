//! `rr-mem completions` and `rr-mem man`: made from the words of the command
//! line.

use clap::CommandFactory;

use crate::{
    cli::{Cli, Completions},
    output::{Outcome, Output},
};

pub fn completions(args: &Completions, output: &mut Output) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "rr-mem", &mut script);
    output.raw(&script)?;
    Ok(Outcome::Answered)
}

/// The main page and a section for each command, and for each of its own.
pub fn man(output: &mut Output) -> anyhow::Result<Outcome> {
    let mut page = Vec::new();
    let mut command = Cli::command();
    command.build();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    sections("RR-MEM", &command, &mut page)?;
    output.raw(&page)?;
    Ok(Outcome::Answered)
}

fn sections(name: &str, command: &clap::Command, page: &mut Vec<u8>) -> anyhow::Result<()> {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let name = format!("{name} {}", sub.get_name().to_uppercase());
        let man = clap_mangen::Man::new(sub.clone());
        page.extend_from_slice(format!(".SH \"{name}\"\n").as_bytes());
        man.render_description_section(page)?;
        man.render_synopsis_section(page)?;
        man.render_options_section(page)?;
        man.render_extra_section(page)?;
        sections(&name, sub, page)?;
    }
    Ok(())
}
