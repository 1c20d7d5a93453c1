//! The command line: parse, run one function, say how it went.

mod cli;
mod cmd;
mod face;
mod number;
mod output;
mod source;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    cli::{Cli, Command},
    output::{Outcome, Output},
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let mut output = Output::new(cli.json, cli.verbose > 0);
    let result = run(&cli, &mut output).and_then(|outcome| Ok((outcome, output.flush()?)));
    match result {
        Ok((outcome, ())) => outcome.into(),
        Err(error) => output::failure(&error, cli.verbose > 0),
    }
}

fn run(cli: &Cli, output: &mut Output) -> anyhow::Result<Outcome> {
    match &cli.command {
        Command::V2p(args) => cmd::v2p::run(args, output),
        Command::P2v(args) => cmd::p2v::run(args, output),
        Command::Find(args) => cmd::find::run(args, output),
        Command::X(args) => cmd::x::run(args, output),
        Command::Read(args) => cmd::read::run(args, output),
        Command::Write(args) => cmd::write::run(args, output),
        Command::Pt(args) => cmd::pt::run(args, output),
        Command::Roots(args) => cmd::roots::run(args, output),
        Command::Mtree(args) => cmd::mtree::run(args, output),
        Command::Ps(_) => cmd::ps::run(output),
        Command::Cpus(args) => cmd::cpus::run(args, output),
        Command::Regs(args) => cmd::regs::run(args, output),
        Command::Ram(args) => cmd::ram::run(args, output),
        Command::Where(args) => cmd::r#where::run(args, output),
        Command::State(args) => cmd::state::run(args, output),
        Command::Slice(args) => cmd::slice::run(args, output),
        Command::Convert(args) => cmd::convert::run(args, output),
        Command::Diff(args) => cmd::diff::run(args, output),
        Command::Diverge(args) => cmd::diverge::run(&args.command, output),
        Command::Layout(args) => cmd::layout::run(args, output),
        Command::Log(args) => cmd::log::run(&args.command, output),
        Command::Completions(args) => cmd::shell::completions(args, output),
        Command::Man => cmd::shell::man(output),
    }
}
