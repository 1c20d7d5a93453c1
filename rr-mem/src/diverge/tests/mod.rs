//! The search, over a toy machine.

mod toy;

use proptest::prelude::*;

use super::{Found, Ignored, Parting, SearchOptions, Verdict, find_first_difference};
use crate::addr::Gpa;
use toy::{BASE, BYTES, Plant, Toy};

const LAST_BYTE: Gpa = Gpa(BASE + BYTES as u64 - 1);

fn search(a: &mut Toy, b: &mut Toy, options: &SearchOptions) -> Found {
    find_first_difference(a, b, options, &mut ()).expect("the toy never fails")
}

fn parting(found: Found) -> Parting {
    match found.verdict {
        Verdict::Parted(parting) => *parting,
        Verdict::Same { from, to, .. } => panic!("no difference from {from} to {to}"),
    }
}

fn pair(end: u64, stride: u64, plant: Plant) -> (Toy, Toy) {
    (Toy::new(end, stride, Plant::Nothing), Toy::new(end, stride, plant))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_register_that_differs_is_found_at_its_instruction(
        (end, at) in (2u64..20_000).prop_flat_map(|end| (Just(end), 0..end)),
    ) {
        let (mut a, mut b) = pair(end, 1, Plant::Register(at));
        let parting = parting(search(&mut a, &mut b, &SearchOptions::default()));
        prop_assert_eq!((parting.last_equal, parting.first), (Some(at), at + 1));
        prop_assert_eq!((parting.cpu, parting.pc), (Some(0), Some(at)));
        let registers: Vec<_> =
            parting.differences.registers.iter().map(|found| found.register.as_str()).collect();
        prop_assert_eq!(registers, ["acc"]);
        prop_assert_eq!(parting.differences.bytes, 0);
    }

    #[test]
    fn a_byte_that_differs_is_found_with_its_writer(
        (end, at) in (2u64..20_000).prop_flat_map(|end| (Just(end), 0..end)),
    ) {
        let (mut a, mut b) = pair(end, 1, Plant::Byte(at));
        let parting = parting(search(&mut a, &mut b, &SearchOptions::default()));
        prop_assert_eq!((parting.last_equal, parting.first), (Some(at), at + 1));
        let [run] = &parting.differences.runs[..] else { panic!("one byte differs") };
        prop_assert_eq!((run.gpa, &run.a[..], &run.b[..]), (LAST_BYTE, &[0][..], &[0x80][..]));
        let writer = parting.writer.expect("memory differs");
        prop_assert_eq!((writer.at, writer.gpa, writer.confirmed), (at + 1, Some(LAST_BYTE), true));
    }

    #[test]
    fn where_not_every_point_can_be_reached_the_writer_is_still_exact(
        (stride, steps, at) in (2u64..60, 20u64..300)
            .prop_flat_map(|(stride, steps)| (Just(stride), Just(steps), 0..stride * steps)),
    ) {
        let (mut a, mut b) = pair(stride * steps, stride, Plant::Byte(at));
        let parting = parting(search(&mut a, &mut b, &SearchOptions::default()));
        prop_assert_eq!(parting.last_equal, Some(at / stride * stride));
        prop_assert_eq!(parting.first, (at / stride + 1) * stride);
        prop_assert_eq!(parting.writer.map(|writer| writer.at), Some(at + 1));
    }

    #[test]
    fn probes_are_about_the_logarithm(end in 1_000u64..20_000, share in 0.0f64..1.0) {
        let at = (share * (end - 1) as f64) as u64;
        let (mut a, mut b) = pair(end, 1, Plant::Register(at));
        let found = search(&mut a, &mut b, &SearchOptions::default());
        let most = 2 + 16 + u64::from((end / 16).ilog2()) + 2;
        prop_assert!(found.points.len() as u64 <= most, "{} of {most}", found.points.len());
        prop_assert!(a.seeks as u64 <= most + 3, "{} seeks", a.seeks);
    }

    #[test]
    fn where_going_back_is_dear_it_is_done_seldom(end in 1_000u64..20_000, share in 0.0f64..1.0) {
        let at = (share * (end - 1) as f64) as u64;
        let (mut a, mut b) = pair(end, 1, Plant::Register(at));
        a.goes_back = false;
        let parting = parting(search(&mut a, &mut b, &SearchOptions::default()));
        prop_assert_eq!((parting.last_equal, parting.first), (Some(at), at + 1));
        prop_assert!(a.backs <= 5, "{} times", a.backs);
    }

    #[test]
    fn points_that_are_handier_lead_to_the_same(
        (end, at) in (2u64..20_000).prop_flat_map(|end| (Just(end), 0..end)),
        cheap_point in 2u64..3_000,
    ) {
        let (mut a, mut b) = pair(end, 1, Plant::Byte(at));
        a.cheap_point = cheap_point;
        let found = search(&mut a, &mut b, &SearchOptions::default());
        prop_assert!(found.points.len() <= 40, "{}", found.points.len());
        let parting = parting(found);
        prop_assert_eq!((parting.last_equal, parting.first), (Some(at), at + 1));
    }

    #[test]
    fn a_difference_that_heals_is_found_when_every_point_is_compared(
        at in 100u64..400, heals in 1u64..50,
    ) {
        let (mut a, mut b) = pair(500, 1, Plant::Healing(at, at + heals));
        let options = SearchOptions { exhaustive: Some(1), ..SearchOptions::default() };
        let parting = parting(search(&mut a, &mut b, &options));
        prop_assert_eq!(parting.first, at + 1);
    }

    #[test]
    fn what_an_earlier_search_compared_is_not_compared_again(at in 0u64..5_000) {
        let (mut a, mut b) = pair(5_000, 1, Plant::Byte(at));
        let first = search(&mut a, &mut b, &SearchOptions::default());
        let known = first.points.clone();
        let (mut a, mut b) = pair(5_000, 1, Plant::Byte(at));
        let again = search(&mut a, &mut b, &SearchOptions { known, ..SearchOptions::default() });
        prop_assert_eq!(&again.points, &first.points);
        prop_assert!(a.seeks <= 5, "{} seeks", a.seeks);
        prop_assert_eq!(parting(again).first, parting(first).first);
    }
}

#[test]
fn equal_executions_are_compared_to_the_end() {
    let (mut a, mut b) = pair(10_000, 1, Plant::Nothing);
    let found = search(&mut a, &mut b, &SearchOptions::default());
    assert!(matches!(found.verdict, Verdict::Same { from: 0, to: 10_000, ended: None }));
    assert_eq!(found.points.len(), 17);
    assert_eq!(found.unread, 0);
}

#[test]
fn what_is_ignored_is_no_difference() {
    let memory = [LAST_BYTE.0..=LAST_BYTE.0].into_iter().collect();
    let ignored = Ignored { memory, registers: vec!["ACC".to_owned()] };
    let options = SearchOptions { ignored, ..SearchOptions::default() };
    for plant in [Plant::Byte(70), Plant::Register(70)] {
        let (mut a, mut b) = pair(1_000, 1, plant);
        let found = search(&mut a, &mut b, &options);
        assert!(matches!(found.verdict, Verdict::Same { .. }), "{plant:?}");
    }
}

#[test]
fn executions_that_differ_from_the_start_have_no_last_equal_point() {
    let (mut a, mut b) = pair(1_000, 1, Plant::Byte(70));
    let options = SearchOptions { from: Some(500), ..SearchOptions::default() };
    let parting = parting(search(&mut a, &mut b, &options));
    assert_eq!((parting.last_equal, parting.first), (None, 500));
    assert_eq!(parting.differences.bytes, 1);
}

#[test]
fn the_shorter_execution_is_where_the_search_ends() {
    let mut a = Toy::new(1_000, 1, Plant::Nothing);
    let mut b = Toy::new(2_000, 1, Plant::Byte(1_500));
    let found = search(&mut a, &mut b, &SearchOptions::default());
    assert!(matches!(found.verdict, Verdict::Same { to: 1_000, .. }));
}
