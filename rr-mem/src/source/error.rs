//! Why a source could not be opened, or not as it was asked.

use std::path::PathBuf;

use thiserror::Error;

#[cfg(target_os = "linux")]
use super::running::{self, RunningError};
use super::{NoSuchSpace, Remark, emulator::name};
use crate::{
    advice::{Advice, Explain, Part, Setting},
    host::{AnyHost, GivenError, HostKind, core::CoreError},
    image::ImageError,
    qemu::{QemuError, stub::NoRegister},
    region::{RenderError, monitor::ParseError, physical::PhysicalError},
    regs::{RegisterError, UnknownRegister},
};

/// Why a source could not be opened, or not as it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The file is no image that can be read.
    #[error("{}: {error}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// Why.
        error: Box<ImageError>,
    },
    /// A running emulator cannot be had.
    #[cfg(target_os = "linux")]
    #[error(transparent)]
    Running(#[from] RunningError),
    /// The core cannot be read.
    #[error("{}: {error}", path.display())]
    Core {
        /// The core.
        path: PathBuf,
        /// Why.
        error: Box<CoreError>,
    },
    /// The parts of a process that were given are none.
    #[error(transparent)]
    Given(#[from] GivenError),
    /// There is no emulator in it that can be read.
    #[error("{name}: {error}{more}")]
    Emulator {
        /// Process or core.
        name: String,
        /// Why.
        error: Box<QemuError>,
        /// What else was noticed.
        more: String,
        /// What to do, where that depends on where it was found.
        advice: Advice,
        /// What the process or core lacks, as its reader says it.
        remarks: Vec<Remark>,
    },
    /// There is no CPU of that number.
    #[error("no CPU {wanted}: the source knows {} CPUs", known.len())]
    NoCpu {
        /// The number.
        wanted: u64,
        /// The numbers that there are.
        known: Vec<u64>,
    },
    /// There is no address space of that name.
    #[error(transparent)]
    Space(#[from] NoSuchSpace),
    /// A register cannot be given.
    #[error(transparent)]
    Register(#[from] RegisterError),
    /// No architecture has that register.
    #[error(transparent)]
    UnknownRegister(#[from] UnknownRegister),
    /// QEMU's stub gives too few registers.
    #[error(transparent)]
    Stub(#[from] NoRegister),
    /// The text is no region map.
    #[error(transparent)]
    RegionText(#[from] ParseError),
    /// The region map has no flat view.
    #[error(transparent)]
    Regions(RenderError),
    /// The region map's memory is no memory map.
    #[error("{0}")]
    Ranges(PhysicalError),
    /// A file beside the source cannot be read.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
        /// A short stable name of why.
        kind: &'static str,
        /// What to do.
        advice: Advice,
    },
}

impl SourceError {
    /// A process that ends while it is read seems to hold nonsense. So does a core
    /// without the files that it leaves out.
    #[cfg_attr(not(target_os = "linux"), allow(unused_variables))]
    pub(super) fn unread(
        host: &AnyHost,
        error: QemuError,
        by_socket: bool,
        remarks: Vec<Remark>,
    ) -> Self {
        let (name, mut advice) = (name(host), error.advice());
        let absent = matches!(error, QemuError::NoEmulator(_));
        let mut more = String::new();
        match host.kind() {
            #[cfg(target_os = "linux")]
            HostKind::Process(process) => match running::why_unread(process) {
                Ok(why) => {
                    more = why;
                    if absent && by_socket {
                        advice = PROXY;
                    }
                }
                Err(gone) => return gone.into(),
            },
            HostKind::Core(core) => {
                if let Some(why) = core.without_executable() {
                    more = format!("; {why}");
                }
                if absent {
                    advice = EXECUTABLE;
                }
            }
            HostKind::Given(_) => {}
        }
        Self::Emulator { name, error: Box::new(error), more, advice, remarks }
    }

    /// What was said of the source before it failed.
    #[must_use]
    pub fn remarks(&self) -> &[Remark] {
        match self {
            Self::Emulator { remarks, .. } => remarks,
            _ => &[],
        }
    }

    /// Whether the emulator has ended.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        match self {
            #[cfg(target_os = "linux")]
            Self::Running(error) => error.has_ended(),
            _ => false,
        }
    }

    /// Whether the question is wrong, not the source.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        match self {
            #[cfg(target_os = "linux")]
            Self::Running(error) => matches!(error, RunningError::Several(_)),
            Self::NoCpu { .. } | Self::Space(_) | Self::Register(_) | Self::UnknownRegister(_) => {
                true
            }
            _ => false,
        }
    }
}

#[cfg(target_os = "linux")]
const PROXY: Advice = Advice::Parts(&[
    Part::Say("it serves the socket, maybe as a proxy of an emulator's: give "),
    Part::Name(Setting::Process),
    Part::Say(" of the emulator (`rr-mem ps` lists them)"),
]);

const EXECUTABLE: Advice = Advice::Parts(&[
    Part::Say(
        "give the emulator's executable, or the library that QEMU is in, as it was when it ran, with ",
    ),
    Part::Name(Setting::Executable),
]);

const WRONG_ARCH: Advice = Advice::Parts(&[
    Part::Say("give "),
    Part::Name(Setting::Arch),
    Part::Say(" of the guest; it discards the registers of a file of another"),
]);

impl Explain for SourceError {
    fn kind(&self) -> &'static str {
        match self {
            Self::Image { error, .. } => error.kind(),
            #[cfg(target_os = "linux")]
            Self::Running(error) => error.kind(),
            Self::Core { error, .. } => error.kind(),
            Self::Given(error) => error.kind(),
            Self::Emulator { error, .. } => error.kind(),
            Self::File { kind, .. } => kind,
            Self::NoCpu { .. } => "no_such_cpu",
            Self::Space(_) => "no_such_space",
            Self::Register(error) => error.kind(),
            Self::UnknownRegister(_) => "no_such_register",
            Self::Stub(error) => error.kind(),
            Self::RegionText(error) => error.kind(),
            Self::Regions(error) => error.kind(),
            Self::Ranges(_) => "blocks",
        }
    }

    fn advice(&self) -> Advice {
        match self {
            Self::Image { error, .. } => error.advice(),
            #[cfg(target_os = "linux")]
            Self::Running(error) => error.advice(),
            Self::Core { error, .. } => error.advice(),
            Self::Given(error) => error.advice(),
            Self::Emulator { advice, .. } | Self::File { advice, .. } => advice.clone(),
            Self::NoCpu { known, .. } if known.is_empty() => Advice::Nothing,
            Self::NoCpu { known, .. } => {
                let numbers: Vec<_> = known.iter().map(u64::to_string).collect();
                Advice::Told(format!("their numbers are {}", numbers.join(", ")))
            }
            Self::Space(error) if error.known.is_empty() => {
                Advice::Say("the source has no region map: none of its address spaces is known")
            }
            Self::Space(error) => Advice::Told(format!("there are {}", error.known.join(", "))),
            Self::Register(RegisterError::NotOf { .. }) => WRONG_ARCH,
            Self::Register(_) => Advice::Nothing,
            Self::UnknownRegister(_) => {
                Advice::Say("names are the manual's, in lower case: cr3, ttbr0, tcr, el, ...")
            }
            Self::Stub(error) => error.advice(),
            Self::RegionText(error) => error.advice(),
            Self::Regions(_) | Self::Ranges(_) => Advice::Say("check the region map"),
        }
    }

    fn details(&self) -> Vec<String> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Running(error) => error.details(),
            Self::Emulator { error, .. } => error.details(),
            _ => Vec::new(),
        }
    }
}
