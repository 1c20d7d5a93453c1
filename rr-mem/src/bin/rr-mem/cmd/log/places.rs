//! The regions that places of entries are named by.

use rr_mem::{guest::Guest, replay::Entry, report::log::places::words};

use crate::{
    cli::Source,
    output::{Output, usage},
    source::{self, Opened},
};

/// The regions of a source, where one was given.
pub struct Regions(Option<Opened>);

impl Regions {
    /// Those of `source`.
    pub fn of(source: &Source, output: &mut Output) -> anyhow::Result<Self> {
        let given = source.image.is_some()
            || source.mtree.is_some()
            || source::is_emulator(&source.emulator);
        let opened = given.then(|| source::open(source, output)).transpose()?;
        output.without_remarks();
        if opened.as_ref().is_some_and(|opened| opened.guest.flat_view().is_err()) {
            return Err(usage("the source holds no memory regions", "give --mtree FILE, or --pid"));
        }
        Ok(Self(opened))
    }

    pub fn guest(&self) -> Option<&Guest> {
        self.0.as_ref().map(|opened| &opened.guest)
    }

    pub fn is_given(&self) -> bool {
        self.0.is_some()
    }

    /// The places of an entry in words; none without a source.
    pub fn words(&self, entry: &Entry) -> Vec<String> {
        self.guest().map(|guest| words(entry, guest)).unwrap_or_default()
    }
}
