//! Remarks of a source as they go with the rows of answers about it.

use serde::Serialize;

use super::RemarkRow;
use crate::{advice::Face, source::Remark};

impl RemarkRow {
    /// The row of a remark; `face` words the hint.
    #[must_use]
    pub fn new(remark: &Remark, face: &dyn Face) -> Self {
        let (text, hint) = (remark.to_string(), remark.advice().words(face));
        Self { kind: remark.kind(), text, hint }
    }

    /// The rows of those that go with each answer.
    #[must_use]
    pub fn of_answers(remarks: &[Remark], face: &dyn Face) -> Vec<Self> {
        let going = remarks.iter().filter(|remark| remark.goes_with_answers());
        going.map(|remark| Self::new(remark, face)).collect()
    }
}

/// A row, with what is worth saying of the source that it is about.
#[derive(Debug, Serialize)]
pub struct Remarked<'a, R> {
    /// The row, an object.
    #[serde(flatten)]
    pub row: &'a R,
    /// The remarks.
    pub remarks: &'a [RemarkRow],
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{advice::Library, regs::Register};

    #[test]
    fn how_a_source_was_read_does_not_go_with_answers() {
        let assumed = Remark::Assumed { register: Register::Efer, value: 0x500 };
        let format = Remark::Format { name: "ELF core", blocks: 1, bytes: 16 };
        let rows = RemarkRow::of_answers(&[format, assumed], &Library);
        let row = serde_json::json!({"gpa": "0x1"});
        let text = serde_json::to_string(&Remarked { row: &row, remarks: &rows });
        assert_eq!(
            text.expect("is an object"),
            r#"{"gpa":"0x1","remarks":[{"kind":"assumed","text":"EFER is not known, the usual value 0x500 is taken","hint":"give efer"}]}"#
        );
    }
}
