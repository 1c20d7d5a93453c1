//! The command line of a recording, made to replay: QEMU, "Invocation"
//! (qemu-options.hx).
//!
//! The log, monitors, display and serial lines are replaced by our own; images
//! that the guest can write are copied. Everything else stays as recorded.

use crate::advice::Advice;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde_json::Value;
use thiserror::Error;

/// Options that are left out, with their value.
const WITHOUT: [&str; 11] = [
    "monitor",
    "mon",
    "qmp",
    "qmp-pretty",
    "gdb",
    "pidfile",
    "display",
    "vnc",
    "spice",
    "icount",
    "loadvm",
];
/// Options that are left out and have none.
const FLAGS: [&str; 4] = ["s", "S", "daemonize", "nographic"];
/// Options that name an image alone.
const IMAGES: [&str; 8] = ["hda", "hdb", "hdc", "hdd", "fda", "fdb", "sd", "mtdblock"];
/// Character devices that a reader is connected to.
const CONNECTED: [&str; 9] =
    ["socket", "stdio", "pty", "pipe", "serial", "tty", "udp", "parallel", "console"];

/// Why a command line cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CommandError {
    /// It is empty.
    #[error("there is no command line")]
    Empty,
    /// Nothing was recorded with it.
    #[error("the command line has no -icount, without which nothing is recorded")]
    NoIcount,
    /// Files for the replay could not be made.
    #[error("preparing the replay: {0}")]
    Io(#[from] io::Error),
    /// An image could not be copied.
    #[error("copying {path}: {error}")]
    Image {
        /// Which.
        path: String,
        /// The operating system's words.
        error: io::Error,
    },
}

impl CommandError {
    /// What the user can do about it.
    #[must_use]
    pub fn advice(&self) -> Advice {
        match self {
            Self::Empty | Self::NoIcount => {
                Advice::Say("behind --, give the whole command line that the log was recorded with")
            }
            Self::Io(_) | Self::Image { .. } => Advice::Say(
                "images that the guest writes are copied: TMPDIR must have room for them",
            ),
        }
    }
}

/// A command line that replays.
#[derive(Debug)]
pub struct Prepared {
    pub program: String,
    pub arguments: Vec<String>,
    /// The socket of the machine protocol.
    pub monitor: PathBuf,
    /// Sockets that want a reader.
    pub consoles: Vec<PathBuf>,
    /// Whether there is an image for snapshots.
    pub checkpoints: bool,
}

/// Makes `command` replay `log`, with its files in `folder`.
pub fn prepare(command: &[String], log: &Path, folder: &Path) -> Result<Prepared, CommandError> {
    let (program, arguments) = command.split_first().ok_or(CommandError::Empty)?;
    let mut writer = Rewriter { folder, arguments: Vec::new(), consoles: Vec::new(), files: 0 };
    let icount = writer.rewrite(arguments)?.ok_or(CommandError::NoIcount)?;
    let fields = fields(icount);
    let checkpoints = fields.iter().any(|field| field.starts_with("rrsnapshot="));
    let monitor = folder.join("qmp");
    let socket = escaped(&format!("unix:{}", monitor.display()));
    let ours =
        ["-icount", &replaying(fields, log), "-qmp", &format!("{socket},server=on,wait=off")]
            .map(str::to_owned);
    let quiet = ["-display", "none", "-monitor", "none", "-S"].map(str::to_owned);
    let mut arguments = writer.arguments;
    arguments.extend(ours.into_iter().chain(quiet));
    Ok(Prepared {
        program: program.clone(),
        arguments,
        monitor,
        consoles: writer.consoles,
        checkpoints,
    })
}

/// The name of an option.
fn option(argument: &str) -> Option<&str> {
    let name = argument.strip_prefix('-')?;
    Some(name.strip_prefix('-').unwrap_or(name))
}

fn takes_our_files(name: &str) -> bool {
    matches!(name, "serial" | "chardev" | "drive" | "blockdev") || IMAGES.contains(&name)
}

/// The value of `-icount` that replays.
fn replaying(fields: Vec<String>, log: &Path) -> String {
    let ours = |field: &String| !field.starts_with("rr=") && !field.starts_with("rrfile=");
    let mut kept: Vec<_> = fields.into_iter().filter(ours).collect();
    kept.extend(["rr=replay".to_owned(), format!("rrfile={}", log.display())]);
    joined(&kept)
}

/// The parts between commas; two commas are one in a part.
fn fields(value: &str) -> Vec<String> {
    let parts = value.replace(",,", "\0");
    parts.split(',').map(|part| part.replace('\0', ",")).collect()
}

fn joined(fields: &[String]) -> String {
    fields.iter().map(|field| escaped(field)).collect::<Vec<_>>().join(",")
}

fn escaped(field: &str) -> String {
    field.replace(',', ",,")
}

/// Writes options whose files become ours.
struct Rewriter<'a> {
    folder: &'a Path,
    arguments: Vec<String>,
    consoles: Vec<PathBuf>,
    files: u32,
}

impl Rewriter<'_> {
    /// Takes the arguments that replay as they are, with our files for those
    /// that are written; says what `-icount` was.
    fn rewrite<'c>(&mut self, arguments: &'c [String]) -> Result<Option<&'c String>, CommandError> {
        let mut icount = None;
        let mut serial = false;
        let mut nographic = false;
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let name = option(argument);
            serial |= name == Some("serial");
            nographic |= name == Some("nographic");
            match name {
                Some(flag) if FLAGS.contains(&flag) => {}
                Some(name) if WITHOUT.contains(&name) => {
                    let value = rest.next();
                    icount = if name == "icount" { value } else { icount };
                }
                Some(name) if takes_our_files(name) => {
                    if let Some(value) = rest.next() {
                        self.option(name, value)?;
                    }
                }
                _ => self.arguments.push(argument.clone()),
            }
        }
        if nographic && !serial {
            self.option("serial", "stdio")?;
        }
        Ok(icount)
    }

    fn option(&mut self, name: &str, value: &str) -> Result<(), CommandError> {
        let value = match name {
            "serial" => self.serial(value),
            "chardev" => self.chardev(value),
            "drive" => self.drive(value)?,
            "blockdev" => self.blockdev(value)?,
            _ => self.image(value)?,
        };
        self.arguments.extend([format!("-{name}"), value]);
        Ok(())
    }

    fn file(&mut self, kind: &str) -> PathBuf {
        self.files += 1;
        self.folder.join(format!("{kind}-{}", self.files))
    }

    fn console(&mut self, id: &str, waits: bool) -> String {
        let path = self.file("console");
        let wait = if waits { "on" } else { "off" };
        let text = format!(
            "socket,id={},path={},server=on,wait={wait}",
            escaped(id),
            escaped(&path.to_string_lossy())
        );
        self.consoles.push(path);
        text
    }

    fn serial(&mut self, value: &str) -> String {
        let kept = ["none", "null", "chardev:", "vc", "ringbuf", "msmouse"];
        if kept.iter().any(|kept| value.starts_with(kept)) {
            return value.to_owned();
        }
        if value.starts_with("file:") {
            return format!("file:{}", self.file("serial").display());
        }
        let id = format!("rr-mem-{}", self.files);
        let console = self.console(&id, false);
        self.arguments.extend(["-chardev".to_owned(), console]);
        format!("chardev:{id}")
    }

    fn chardev(&mut self, value: &str) -> String {
        let mut fields = fields(value);
        let backend = fields.first().cloned().unwrap_or_default();
        let id = fields.iter().find_map(|field| field.strip_prefix("id=")).unwrap_or_default();
        if CONNECTED.contains(&backend.as_str()) {
            let has = |wanted: &[&str]| fields.iter().any(|field| wanted.contains(&field.as_str()));
            let waits = has(&["server", "server=on"]) && !has(&["nowait", "wait=off"]);
            let mux = if has(&["mux=on"]) { ",mux=on" } else { "" };
            return format!("{}{mux}", self.console(id, waits));
        }
        if backend == "file" {
            let file = self.file("chardev");
            for field in fields.iter_mut().filter(|field| field.starts_with("path=")) {
                *field = format!("path={}", file.display());
            }
        }
        joined(&fields)
    }

    fn drive(&mut self, value: &str) -> Result<String, CommandError> {
        let mut fields = fields(value);
        let unwritten = ["readonly=on", "read-only=on", "snapshot=on", "media=cdrom"];
        if fields.iter().any(|field| unwritten.contains(&field.as_str())) {
            return Ok(value.to_owned());
        }
        for field in &mut fields {
            let Some((key, path)) = field.split_once('=') else { continue };
            if matches!(key, "file" | "filename" | "file.filename") {
                *field = format!("{key}={}", self.image(path)?);
            }
        }
        Ok(joined(&fields))
    }

    fn blockdev(&mut self, value: &str) -> Result<String, CommandError> {
        let Ok(mut tree) = serde_json::from_str::<Value>(value) else { return self.drive(value) };
        self.copy_in(&mut tree)?;
        Ok(tree.to_string())
    }

    /// Copies what the block nodes of a tree name; QEMU's are a few levels deep.
    fn copy_in(&mut self, node: &mut Value) -> Result<(), CommandError> {
        let Some(members) = node.as_object_mut() else { return Ok(()) };
        if members.get("read-only") == Some(&Value::Bool(true)) {
            return Ok(());
        }
        for (name, member) in members {
            match member.as_str() {
                Some(path) if name == "filename" => *member = Value::String(self.image(path)?),
                _ => self.copy_in(member)?,
            }
        }
        Ok(())
    }

    /// A copy of the image, where it is a file.
    fn image(&mut self, path: &str) -> Result<String, CommandError> {
        let bare = path.strip_prefix("file:").unwrap_or(path);
        if !fs::metadata(bare).is_ok_and(|about| about.is_file()) {
            return Ok(path.to_owned());
        }
        let copy = self.file("image");
        fs::copy(bare, &copy)
            .map_err(|error| CommandError::Image { path: bare.to_owned(), error })?;
        Ok(copy.to_string_lossy().into_owned())
    }
}

/// Whether the machine type of a command line names a release, as `virt-7.2` does:
/// another type is not the same in two releases.
#[must_use]
pub fn names_release(command: &[String]) -> bool {
    let values = command
        .windows(2)
        .filter(|pair| matches!(pair[0].trim_start_matches('-'), "M" | "machine"));
    let machine = |value: &str| {
        let name = value.split(',').next().unwrap_or_default();
        let version = name.rsplit('-').next().unwrap_or_default();
        version.contains('.') && version.bytes().all(|b| b.is_ascii_digit() || b == b'.')
    };
    values.into_iter().any(|pair| machine(&pair[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prepared(line: &str, folder: &Path) -> Result<String, CommandError> {
        let command: Vec<_> = line.split(' ').map(str::to_owned).collect();
        let done = prepare(&command, Path::new("the,log"), folder)?;
        Ok(done.arguments.join(" ").replace(&folder.display().to_string(), "DIR"))
    }

    #[test]
    fn the_log_the_monitors_and_the_serial_lines_become_ours() {
        let folder = tempfile::tempdir().expect("a folder");
        let line = "qemu -M pc -s -icount shift=7,rr=record,rrfile=x,rrsnapshot=init -monitor stdio \
                    -chardev socket,id=c,path=/tmp/c,server=on -serial chardev:c -serial mon:stdio";
        let wanted = "-M pc -chardev socket,id=c,path=DIR/console-1,server=on,wait=on \
                      -serial chardev:c \
                      -chardev socket,id=rr-mem-1,path=DIR/console-2,server=on,wait=off \
                      -serial chardev:rr-mem-1 \
                      -icount shift=7,rrsnapshot=init,rr=replay,rrfile=the,,log \
                      -qmp unix:DIR/qmp,server=on,wait=off -display none -monitor none -S";
        assert_eq!(prepared(line, folder.path()).expect("is whole"), wanted);
    }

    #[test]
    fn images_that_are_written_are_copied_and_no_others() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = folder.path().join("disk");
        fs::write(&disk, b"image").expect("is writable");
        let disk = disk.display();
        let line = format!(
            "qemu -icount 7 -drive file={disk},if=none -drive file={disk},readonly=on -hda {disk} \
             -blockdev {{\"driver\":\"raw\",\"file\":{{\"filename\":\"{disk}\"}}}} -cdrom {disk}"
        );
        let text = prepared(&line, folder.path()).expect("is whole");
        assert!(
            text.starts_with(
                "-drive file=DIR/image-1,if=none -drive file=DIR/disk,readonly=on -hda DIR/image-2 \
             -blockdev {\"driver\":\"raw\",\"file\":{\"filename\":\"DIR/image-3\"}} -cdrom DIR/disk"
            ),
            "{text}"
        );
        assert_eq!(fs::read(folder.path().join("image-2")).expect("was made"), b"image");
    }

    #[test]
    fn a_command_line_that_records_nothing_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = prepared("qemu -M pc", folder.path()).expect_err("no -icount");
        assert!(matches!(error, CommandError::NoIcount));
    }
}
