//! DWARF that no compiler writes, and what is rarely written.

use gimli::write::Expression;
use object::Architecture;

use super::{Found, Sections, read};
use crate::debuginfo::{
    Field, MemberList, StructLayout,
    elf::Elf,
    synthetic::{Entries, Section, Value, c, dwarf, elf, named, size, typed},
};

fn wanted() -> MemberList {
    [("A", "x"), ("A", "y"), ("A", "in.z")].into_iter().collect()
}

fn of_sections(sections: &[Section]) -> Result<Found, String> {
    let bytes = elf(Architecture::X86_64, sections, &[]);
    let sections = Sections::load(&Elf::parse(&bytes)?)?;
    read(&sections, None, &wanted(), None)
}

fn of(version: u16, build: impl FnOnce(&mut Entries)) -> Result<Found, String> {
    of_sections(&dwarf(version, build))
}

/// Struct A of what `build` wrote.
fn a(version: u16, build: impl FnOnce(&mut Entries)) -> StructLayout {
    of(version, build).expect("is sound").structs.remove("A").expect("there is an A")
}

fn complaint(build: impl FnOnce(&mut Entries)) -> String {
    of(5, build).expect_err("is not sound")
}

fn at(offset: u64, size: u64) -> Field {
    Field { offset, size }
}

#[test]
fn members_have_offset_and_size_in_every_version() {
    for version in 2..=5 {
        let a = a(version, |unit| {
            let (int, of) = (unit.int(), unit.structure("A"));
            unit.member(of, "x", int, 4);
            unit.member(of, "unwanted", int, 8);
        });
        assert_eq!(a.size, Some(64));
        assert_eq!(a.fields, [("x".into(), at(4, 4))].into());
    }
}

#[test]
fn offsets_of_dwarf_2_are_operations() {
    let place = |code: Vec<u8>| {
        of(2, |unit| {
            let (int, of) = (unit.int(), unit.structure("A"));
            let x = unit.member(of, "x", int, 0);
            let value = Value::Exprloc(Expression::raw(code));
            unit.set(x, c::DW_AT_data_member_location, value);
        })
    };
    let found = place(vec![c::DW_OP_plus_uconst.0, 0x28]).expect("is sound");
    assert_eq!(found.structs["A"].fields["x"], at(0x28, 4));
    for other in [vec![c::DW_OP_dup.0], vec![c::DW_OP_plus_uconst.0, 1, c::DW_OP_dup.0]] {
        assert!(place(other).is_err_and(|error| error.contains("place of the member")));
    }
}

#[test]
fn members_of_members_without_a_name_count_as_the_structs_own() {
    let a = a(5, |unit| {
        let (int, of) = (unit.int(), unit.structure("A"));
        let union = unit.add(None, c::DW_TAG_union_type, &[size(8)]);
        let inner = unit.add(None, c::DW_TAG_structure_type, &[size(8)]);
        unit.member(inner, "y", int, 4);
        unit.member(inner, "z", int, 0);
        unit.add(Some(union), c::DW_TAG_member, &[typed(inner)]);
        unit.member(of, "", union, 16);
        unit.member(of, "in", inner, 24);
    });
    assert_eq!(a.fields, [("y".into(), at(20, 4)), ("in.z".into(), at(24, 4))].into());
}

#[test]
fn bit_fields_have_no_place_in_bytes() {
    let a = a(5, |unit| {
        let (int, of) = (unit.int(), unit.structure("A"));
        for (name, attribute) in [("x", c::DW_AT_bit_size), ("y", c::DW_AT_data_bit_offset)] {
            let member = unit.member(of, name, int, 0);
            unit.set(member, attribute, Value::Udata(3));
        }
    });
    assert_eq!(a.fields, [].into());
}

/// The size of an array of int with these dimensions.
fn array_size(dimensions: &[&[(c::DwAt, Value)]]) -> Result<u64, String> {
    let found = of(5, |unit| {
        let (int, of) = (unit.int(), unit.structure("A"));
        let array = unit.add(None, c::DW_TAG_array_type, &[typed(int)]);
        for dimension in dimensions {
            unit.add(Some(array), c::DW_TAG_subrange_type, dimension);
        }
        unit.member(of, "x", array, 0);
    });
    found.map(|found| found.structs["A"].fields["x"].size)
}

#[test]
fn arrays_have_elements_by_count_or_by_their_last() {
    let count = |count| [(c::DW_AT_count, Value::Udata(count))];
    let last = |last| [(c::DW_AT_upper_bound, Value::Udata(last))];
    let from = [(c::DW_AT_lower_bound, Value::Udata(2)), (c::DW_AT_upper_bound, Value::Udata(4))];
    assert_eq!(array_size(&[&count(3), &last(4)]), Ok(3 * 5 * 4));
    assert_eq!(array_size(&[&from]), Ok(3 * 4));
    assert_eq!(array_size(&[&[]]), Ok(0));
    assert_eq!(array_size(&[&[(c::DW_AT_upper_bound, Value::Sdata(-1))]]), Ok(0));
}

#[test]
fn arrays_without_a_size_that_can_be_known_are_errors() {
    let huge = [(c::DW_AT_count, Value::Udata(u64::MAX))];
    let negative = [(c::DW_AT_upper_bound, Value::Sdata(-2))];
    let backwards =
        [(c::DW_AT_lower_bound, Value::Udata(9)), (c::DW_AT_upper_bound, Value::Udata(4))];
    let computed = [(c::DW_AT_count, Value::Exprloc(Expression::raw(vec![c::DW_OP_dup.0])))];
    for dimension in [&huge[..], &negative, &backwards, &computed] {
        assert!(array_size(&[dimension]).is_err_and(|error| error.contains("size of the type")));
    }
}

#[test]
fn strides_pointers_and_enumerations_have_sizes() {
    let found = a(5, |unit| {
        let (int, of) = (unit.int(), unit.structure("A"));
        let pointer = unit.add(None, c::DW_TAG_pointer_type, &[]);
        let enumeration = unit.add(None, c::DW_TAG_enumeration_type, &[typed(int)]);
        let stride = (c::DW_AT_byte_stride, Value::Udata(16));
        let array = unit.add(None, c::DW_TAG_array_type, &[stride, typed(int)]);
        unit.add(Some(array), c::DW_TAG_subrange_type, &[(c::DW_AT_count, Value::Udata(2))]);
        let inner = unit.add(None, c::DW_TAG_structure_type, &[size(8)]);
        unit.member(inner, "z", pointer, 0);
        unit.member(of, "x", array, 0);
        unit.member(of, "y", enumeration, 32);
        unit.member(of, "in", inner, 40);
    });
    let sizes: Vec<_> = ["x", "y", "in.z"].map(|name| found.fields[name].size).into();
    assert_eq!(sizes, [32, 4, 8]);
}

#[test]
fn type_names_that_lead_in_circles_are_errors() {
    let text = complaint(|unit| {
        let of = unit.structure("A");
        let name = unit.add(None, c::DW_TAG_typedef, &[named("T")]);
        unit.set(name, c::DW_AT_type, Value::UnitRef(name));
        unit.member(of, "x", name, 0);
    });
    assert!(text.contains("never ends"), "{text}");
}

#[test]
fn structs_inside_themselves_are_errors() {
    let text = complaint(|unit| {
        let of = unit.structure("A");
        unit.member(of, "", of, 0);
    });
    assert!(text.contains("never ends"), "{text}");
}

#[test]
fn arrays_of_themselves_are_errors() {
    let text = complaint(|unit| {
        let of = unit.structure("A");
        let array = unit.add(None, c::DW_TAG_array_type, &[]);
        unit.set(array, c::DW_AT_type, Value::UnitRef(array));
        unit.member(of, "x", array, 0);
    });
    assert!(text.contains("never ends"), "{text}");
}

#[test]
fn structs_that_unfold_without_end_are_errors() {
    let text = complaint(|unit| {
        let int = unit.int();
        let mut inner = unit.structure("last");
        unit.member(inner, "x", int, 0);
        for level in 0..40 {
            let outer = unit.structure(if level == 39 { "A" } else { "between" });
            unit.member(outer, "", inner, 0);
            unit.member(outer, "", inner, 1);
            inner = outer;
        }
    });
    assert!(text.contains("more members than any program"), "{text}");
}

#[test]
fn entries_with_endless_attributes_are_errors() {
    let text = complaint(|unit| {
        let of = unit.structure("A");
        for attribute in 0x3000..0x3200 {
            unit.set(of, c::DwAt(attribute), Value::Udata(0));
        }
    });
    assert!(text.contains("more members than any program"), "{text}");
}

#[test]
fn offsets_beyond_the_address_space_are_errors() {
    let text = complaint(|unit| {
        let (int, of) = (unit.int(), unit.structure("A"));
        let inner = unit.add(None, c::DW_TAG_structure_type, &[size(8)]);
        unit.member(inner, "x", int, 8);
        unit.member(of, "", inner, u64::MAX - 4);
    });
    assert!(text.contains("place of the member"), "{text}");
}

#[test]
fn members_without_a_type_or_of_one_without_a_size_are_errors() {
    let text = complaint(|unit| {
        let of = unit.structure("A");
        unit.add(Some(of), c::DW_TAG_member, &[named("x")]);
    });
    assert!(text.contains("not there"), "{text}");
    let text = complaint(|unit| {
        let of = unit.structure("A");
        let function = unit.add(None, c::DW_TAG_subroutine_type, &[]);
        unit.member(of, "x", function, 0);
    });
    assert!(text.contains("size of the type"), "{text}");
}

#[test]
fn declarations_define_nothing() {
    let found = of(5, |unit| {
        let declared = (c::DW_AT_declaration, Value::Flag(true));
        let of = unit.add(None, c::DW_TAG_structure_type, &[named("A"), declared]);
        unit.add(None, c::DW_TAG_typedef, &[named("A"), typed(of)]);
        unit.add(None, c::DW_TAG_typedef, &[named("A")]);
    });
    assert_eq!(found.map(|found| found.structs), Ok([].into()));
}

#[test]
fn damaged_files_are_answered_without_a_panic() {
    let whole = dwarf(5, |unit| {
        let (int, of) = (unit.int(), unit.structure("A"));
        let name = unit.add(None, c::DW_TAG_typedef, &[named("T"), typed(int)]);
        unit.member(of, "x", name, 4);
        let array = unit.add(None, c::DW_TAG_array_type, &[typed(name)]);
        unit.add(Some(array), c::DW_TAG_subrange_type, &[(c::DW_AT_count, Value::Udata(2))]);
        unit.member(of, "y", array, 8);
    });
    let (mut errors, mut answers) = (0, 0);
    for section in 0..whole.len() {
        for byte in 0..whole[section].1.len() {
            for change in [0x00, 0x01, 0x7f, 0xff] {
                let mut damaged = whole.clone();
                damaged[section].1[byte] ^= change;
                if change == 0 {
                    damaged[section].1.truncate(byte);
                }
                match of_sections(&damaged) {
                    Ok(_) => answers += 1,
                    Err(_) => errors += 1,
                }
            }
        }
    }
    assert!(errors > 100 && answers > 10, "{errors} errors, {answers} answers");
}
