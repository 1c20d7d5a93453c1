//! A flag for every register that a user may give: the library's tables have the
//! names, the values and what each is.

use clap::{
    Arg, ArgMatches, Args, Command, FromArgMatches,
    builder::{PossibleValuesParser, TypedValueParser, ValueParser},
};
use rr_mem::regs::{self, Info, Register, Values};

use crate::number::{bounded, number};

/// The registers that were given.
#[derive(Clone, Debug, Default)]
pub struct Registers(pub Vec<(Register, u64)>);

/// The flag that gives a register.
pub fn flag(keyword: &str) -> String {
    keyword.replace('_', "-")
}

fn arg(info: &Info) -> Arg {
    let parser = match info.values {
        Values::Switch => ValueParser::new(
            PossibleValuesParser::new(["on", "off"]).map(|word| u64::from(word == "on")),
        ),
        Values::Range(least, most) => {
            ValueParser::new(move |text: &str| bounded(text, least, most))
        }
        Values::ZeroOr(_, most) => ValueParser::new(move |text: &str| bounded(text, 0, most)),
        _ => ValueParser::new(number),
    };
    let value_name = match info.values {
        Values::Switch => "on|off",
        Values::Range(..) | Values::ZeroOr(..) => "N",
        _ => "REG",
    };
    Arg::new(info.keyword)
        .long(flag(info.keyword))
        .help(info.about)
        .value_parser(parser)
        .value_name(value_name)
        .help_heading("CPU")
}

fn given() -> impl Iterator<Item = &'static Info> {
    regs::all().filter(|info| info.given)
}

impl Args for Registers {
    fn augment_args(command: Command) -> Command {
        command.args(given().map(arg))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Registers {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let value = |info: &Info| {
            let value = matches.get_one::<u64>(info.keyword)?;
            Some((info.register, *value))
        };
        Ok(Self(given().filter_map(value).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
