//! What is written from the declaration of rows: the classes of the Python stub,
//! the tables of docs/json.md, and that of docs/limits.md. `ROWS=overwrite cargo test --test rows` writes
//! them anew.

use std::{fs, path::PathBuf};

use rr_mem::report::{FieldSchema, RowSchema, SCHEMAS, Shape, diverge, log};

/// The rows that a command prints, in the order of the documentation.
const COMMANDS: [(&str, &[&str]); 26] = [
    ("v2p", &["V2pRow"]),
    ("p2v", &["AliasRow"]),
    ("find", &["FindRow"]),
    ("x", &["XRow", "StopRow"]),
    ("read", &["ReadRow", "StopRow"]),
    ("write", &["WrittenRow"]),
    ("pt", &["MappingRow", "HitRow"]),
    ("roots", &["RootRow"]),
    ("ps", &["PsRow"]),
    ("cpus", &["CpuRow"]),
    ("regs", &["RegsRow"]),
    ("ram", &["RamRow"]),
    ("where", &["WhereRow"]),
    ("state", &["StateRow"]),
    ("slice", &["SliceRow"]),
    ("convert", &["ConvertRow"]),
    ("diff", &["RegisterChange", "MemoryChange", "PageChange", "MappingChange"]),
    ("diverge", &["DivergeRow"]),
    ("log print", &["LogRow"]),
    ("log stat", &["StatRow"]),
    ("log diff", &["LogDiffRow"]),
    ("log check", &["FindingRow"]),
    ("log regions", &["RegionChangeRow"]),
    ("log serial", &["SerialRow"]),
    ("log packets", &["PacketRow"]),
    ("log hash", &["HashRow"]),
];

/// The key that rows about a guest have, whatever else is in them.
const REMARKS: &str =
    "| `remarks` | list of [remark](#remark) | What is worth saying of the source. |\n";

/// Rows inside the rows of commands, by the word of the documentation.
const PARTS: [(&str, &str); 16] = [
    ("remark", "RemarkRow"),
    ("rights", "RightsRow"),
    ("rwx", "RwxRow"),
    ("fault", "FaultRow"),
    ("error", "ErrorRow"),
    ("step", "StepRow"),
    ("alias", "AliasRow"),
    ("place", "WherePlace"),
    ("mapped", "MappedTo"),
    ("register", "RegisterPairRow"),
    ("bytes", "BytesRow"),
    ("writer", "WriterRow"),
    ("entries", "LogEntries"),
    ("difference", "LogDifferenceRow"),
    ("count", "CountRow"),
    ("large", "LargeRow"),
];

/// Every row of the library.
fn schemas() -> impl Iterator<Item = &'static RowSchema> {
    [SCHEMAS, diverge::SCHEMAS, log::SCHEMAS, log::ENTRIES].into_iter().flatten()
}

fn schema(name: &str) -> &'static RowSchema {
    schemas().find(|row| row.name == name).unwrap_or_else(|| panic!("no row {name}"))
}

fn sentence(doc: &[&str]) -> String {
    doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// The type in Python; in a class of answers, what was found is there.
fn python(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "bool".into(),
        Shape::Number | Shape::Hex => "int".into(),
        Shape::Text => "str".into(),
        Shape::Bytes => "bytes".into(),
        Shape::Optional(inner) | Shape::IfAsked(inner) => format!("Optional[{}]", python(inner)),
        Shape::List(inner) => format!("List[{}]", python(inner)),
        Shape::Named(inner) => format!("List[Tuple[str, {}]]", python(inner)),
        Shape::Row(row) => row.classes.first().map_or_else(|| by_hand(row), ToString::to_string),
    }
}

/// The class that is written by hand.
fn by_hand(row: &RowSchema) -> String {
    assert_eq!(row.name, "RemarkRow", "only remarks have a class that is not declared");
    "Remark".into()
}

fn property(field: &FieldSchema, whole: bool) -> String {
    let kind = match field.shape {
        Shape::Optional(inner) if field.found && !whole => python(inner),
        shape => python(shape),
    };
    format!("    @property\n    def {}(self) -> {kind}: ...\n", field.name)
}

fn class(row: &RowSchema, name: &str, whole: bool) -> String {
    let fields = row.fields.iter().chain(row.beside);
    let properties: String = fields.map(|field| property(field, whole)).collect();
    let text =
        "    @property\n    def text(self) -> str: ...\n    def __hash__(self) -> int: ...\n";
    format!("@final\nclass {name}:\n    \"\"\"{}\"\"\"\n{properties}{text}\n", sentence(row.doc))
}

fn stub() -> String {
    let classes = schemas().flat_map(|row| {
        row.classes.iter().zip([false, true]).map(move |(name, whole)| class(row, name, whole))
    });
    format!("\n{}", classes.collect::<String>())
}

/// What JSON has, in words.
fn json(shape: &Shape) -> String {
    match shape {
        Shape::Bool => "true or false".into(),
        Shape::Number => "number".into(),
        Shape::Hex => "hex".into(),
        Shape::Text | Shape::Bytes => "text".into(),
        Shape::Optional(Shape::Bool) => "true, false or null".into(),
        Shape::Optional(inner) => format!("{} or null", json(inner)),
        Shape::IfAsked(inner) => format!("{}, or no such key", json(inner)),
        Shape::List(inner) => format!("list of {}", json(inner)),
        Shape::Named(inner) => format!("object of {} by name", json(inner)),
        Shape::Row(row) => part(row),
    }
}

fn part(row: &RowSchema) -> String {
    let (word, _) = PARTS.iter().find(|(_, name)| *name == row.name).expect("a word for it");
    format!("[{word}](#{word})")
}

fn table(row: &RowSchema, out: &mut String) {
    *out += &format!("\n{}\n\n| key | value | meaning |\n|---|---|---|\n", sentence(row.doc));
    for FieldSchema { name, shape, doc, .. } in row.fields {
        *out += &format!("| `{name}` | {} | {} |\n", json(shape), sentence(doc));
    }
}

/// Commands whose rows are not about one guest.
fn is_about_a_guest(command: &str) -> bool {
    !["ps", "state", "diverge"].contains(&command) && !command.starts_with("log ")
}

fn tables() -> String {
    let mut out = String::new();
    for (command, rows) in COMMANDS {
        out += &format!("\n### `{command}`\n");
        rows.iter().for_each(|name| {
            let row = schema(name);
            table(row, &mut out);
            if is_about_a_guest(command) && row.fields.iter().all(|field| field.name != "remarks") {
                out += REMARKS;
            }
        });
    }
    out += "\n## Parts of rows\n";
    for (word, name) in PARTS {
        out += &format!("\n### {word}\n");
        table(schema(name), &mut out);
    }
    out + "\n"
}

/// Compares what stands between two lines of a file with what should, or writes
/// it there.
fn check(path: &str, begin: &str, end: &str, wanted: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let text = fs::read_to_string(&path).expect("is text");
    let (before, rest) = text.split_once(begin).expect("the line before the rows");
    let (found, after) = rest.split_once(end).expect("the line behind the rows");
    if std::env::var("ROWS").is_ok_and(|word| word == "overwrite") {
        fs::write(&path, [before, begin, wanted, end, after].concat()).expect("is written");
    } else {
        assert!(found == wanted, "{}: run `ROWS=overwrite cargo test --test rows`", path.display());
    }
}

#[test]
fn the_stub_has_the_classes_of_the_declaration() {
    let (begin, end) = ("# Rows, as rr-mem/src/report/declared.rs has them.\n", "# End of rows.\n");
    check("rr-mem-py/python/rr_mem/_native.pyi", begin, end, &stub());
}

#[test]
fn every_class_is_a_name_of_the_package() {
    let package = include_str!("../rr-mem-py/python/rr_mem/__init__.py");
    for name in schemas().flat_map(|row| row.classes) {
        let imported = package.contains(&format!("\n    {name},\n"));
        let listed = package.contains(&format!("\"{name}\","));
        assert!(imported && listed, "rr_mem/__init__.py lacks {name}");
    }
}

#[test]
fn the_documentation_has_the_tables_of_the_declaration() {
    check("docs/json.md", "<!-- rows -->\n", "<!-- end of rows -->\n", &tables());
}

/// What steers paging, and what a walk makes of it.
fn controls() -> String {
    let mut out = String::new();
    for (kind, lines) in rr_mem::mmu::controls() {
        out +=
            &format!("\n### {kind}\n\n| field | bits | a walk | what it is |\n|---|---|---|---|\n");
        for line in lines {
            let (field, bits, verdict, about) = (line.field, line.bits, line.verdict, line.about);
            out += &format!("| {field} | {bits} | {verdict} | {about} |\n");
        }
    }
    out + "\n"
}

#[test]
fn the_limits_have_the_table_of_the_gate() {
    let (begin, end) = ("<!-- controls -->\n", "<!-- end of controls -->\n");
    check("docs/limits.md", begin, end, &controls());
}

/// The file whose head says what of a list is refused, by the beginnings of the lists'
/// names.
const HEADS: [(&str, &str); 11] = [
    ("x86", "x86/mod.rs"),
    ("ARM, above", "arm.rs"),
    ("ARM, SCTLR in AArch32", "arm.rs"),
    ("ARM, SCTLR of an MPU", "pmsa/mod.rs"),
    ("ARM, MPU_CTRL", "pmsa/mod.rs"),
    ("ARM, TTBCR of short", "arm_short/mod.rs"),
    ("ARM before v7", "arm_legacy/mod.rs"),
    ("ARMv", "arm_legacy/mod.rs"),
    ("ARM, TTBCR of long", "arm_long/mod.rs"),
    ("ARM, HTCR", "arm_long/mod.rs"),
    ("AArch64", "arm_long/mod.rs"),
];

/// The lines of a file's own documentation.
fn head(file: &str) -> String {
    let mmu = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/mmu");
    let text = fs::read_to_string(mmu.join(file)).expect("is text");
    text.lines().take_while(|line| line.starts_with("//!")).collect()
}

#[test]
fn the_heads_of_walkers_name_what_the_gate_refuses() {
    for (kind, lines) in rr_mem::mmu::controls() {
        let (_, file) = HEADS.iter().find(|(begin, _)| kind.starts_with(begin)).expect("a head");
        let (before, refused) = match head(file).split_once("Refused by the gate:") {
            Some((before, refused)) => (before.to_owned(), refused.to_owned()),
            None => (head(file), String::new()),
        };
        assert!(!before.is_empty());
        for line in lines.iter().filter(|line| line.verdict == "refused") {
            let (register, field) = line.field.split_once('.').expect("a field");
            let named = [field, register].iter().any(|name| refused.contains(name));
            assert!(named || field == "reserved", "{file} says nothing of {}", line.field);
        }
    }
}

#[test]
fn every_row_without_a_class_is_printed_by_a_command() {
    let printed = COMMANDS.iter().flat_map(|(_, rows)| *rows).copied();
    let printed: Vec<_> = printed.chain(PARTS.map(|(_, name)| name)).collect();
    let beside = |row: &RowSchema| row.name == "KindDifferenceRow";
    for row in schemas().filter(|row| row.classes.is_empty() && !beside(row)) {
        assert!(printed.contains(&row.name), "{} is printed by no command", row.name);
    }
}
