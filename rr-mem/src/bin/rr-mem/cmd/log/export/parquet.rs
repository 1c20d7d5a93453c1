//! Entries as columns of an Apache Parquet file.

use std::{fs::File, path::Path, sync::Arc};

use parquet::{
    basic::Compression,
    data_type::{ByteArray, ByteArrayType, DataType, Int64Type},
    errors::ParquetError,
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::parser::parse_message_type,
};
use rr_mem::replay::Entry;

use super::refused;
use crate::{
    cli::log::Export,
    cmd::log::{each, open},
    output::{Outcome, Output, failed},
};

const SCHEMA: &str = "
message log {
    required int64 index (INTEGER(64, false));
    required int64 instr (INTEGER(64, false));
    required binary kind (UTF8);
    optional binary callsite (UTF8);
    optional binary call (UTF8);
    optional int64 address (INTEGER(64, false));
    optional int64 length (INTEGER(64, false));
    optional int64 value (INTEGER(64, false));
    optional binary payload;
}";

/// Entries of a row group.
const MOST_ROWS: usize = 1 << 16;
/// Bytes of data of a row group, about.
const MOST_BYTES: usize = 8 << 20;

pub fn to_parquet(args: &Export, path: &Path, output: &mut Output) -> anyhow::Result<Outcome> {
    let mut filter = args.filters.filter()?;
    let mut log = open(&args.file.log)?;
    let wrong = |error: ParquetError| {
        failed(format!("{}: {error}", path.display()), "check the path and the disk")
    };
    let file = File::create(path).map_err(refused(path))?;
    let schema = Arc::new(parse_message_type(SCHEMA).map_err(wrong)?);
    let properties =
        Arc::new(WriterProperties::builder().set_compression(Compression::SNAPPY).build());
    let mut writer = SerializedFileWriter::new(file, schema, properties).map_err(wrong)?;
    let mut rows = Rows::default();
    let outcome = each(&args.file.log, &mut log, &mut filter, output, |entry, _| {
        rows.add(entry);
        if rows.is_full() { rows.write(&mut writer).map_err(wrong) } else { Ok(()) }
    });
    rows.write(&mut writer).map_err(wrong)?;
    writer.close().map_err(wrong)?;
    outcome
}

/// A column of which rows may be null.
struct Column<T> {
    values: Vec<T>,
    /// 1 for each row that has a value.
    levels: Vec<i16>,
}

impl<T> Default for Column<T> {
    fn default() -> Self {
        Self { values: Vec::new(), levels: Vec::new() }
    }
}

impl<T> Column<T> {
    fn add(&mut self, value: Option<T>) {
        self.levels.push(value.is_some().into());
        self.values.extend(value);
    }
}

/// Rows of the next row group.
#[derive(Default)]
struct Rows {
    index: Column<i64>,
    instr: Column<i64>,
    kind: Column<ByteArray>,
    callsite: Column<ByteArray>,
    call: Column<ByteArray>,
    address: Column<i64>,
    length: Column<i64>,
    value: Column<i64>,
    payload: Column<ByteArray>,
    bytes: usize,
}

impl Rows {
    /// The format keeps unsigned numbers as the bits of signed ones.
    fn add(&mut self, entry: &Entry) {
        let fields = entry.fields();
        let bits = |number: Option<u64>| number.map(|number| number as i64);
        let name = |name: Option<&'static str>| name.map(ByteArray::from);
        self.index.add(bits(Some(entry.index)));
        self.instr.add(bits(Some(entry.instructions)));
        self.kind.add(name(Some(fields.kind)));
        self.callsite.add(name(fields.callsite));
        self.call.add(name(fields.call));
        self.address.add(bits(fields.address));
        self.length.add(bits(fields.length));
        self.value.add(bits(fields.value));
        self.payload.add(fields.payload.map(|data| ByteArray::from(data.to_vec())));
        self.bytes += fields.payload.map_or(0, <[u8]>::len);
    }

    fn is_full(&self) -> bool {
        self.index.levels.len() >= MOST_ROWS || self.bytes >= MOST_BYTES
    }

    /// Writes a row group, and starts the next.
    fn write(&mut self, writer: &mut SerializedFileWriter<File>) -> Result<(), ParquetError> {
        let rows = std::mem::take(self);
        if rows.index.levels.is_empty() {
            return Ok(());
        }
        let mut group = writer.next_row_group()?;
        column::<Int64Type>(&mut group, &rows.index, false)?;
        column::<Int64Type>(&mut group, &rows.instr, false)?;
        column::<ByteArrayType>(&mut group, &rows.kind, false)?;
        column::<ByteArrayType>(&mut group, &rows.callsite, true)?;
        column::<ByteArrayType>(&mut group, &rows.call, true)?;
        column::<Int64Type>(&mut group, &rows.address, true)?;
        column::<Int64Type>(&mut group, &rows.length, true)?;
        column::<Int64Type>(&mut group, &rows.value, true)?;
        column::<ByteArrayType>(&mut group, &rows.payload, true)?;
        group.close().map(drop)
    }
}

fn column<T: DataType>(
    group: &mut SerializedRowGroupWriter<File>,
    column: &Column<T::T>,
    optional: bool,
) -> Result<(), ParquetError> {
    let Some(mut writer) = group.next_column()? else {
        return Err(ParquetError::General("the schema has fewer columns".into()));
    };
    let levels = optional.then_some(&column.levels[..]);
    writer.typed::<T>().write_batch(&column.values, levels, None)?;
    writer.close()
}
