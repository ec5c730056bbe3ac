//! One suite over every implementation, against the scalar oracle.

use alloc::{vec, vec::Vec};

use super::*;

/// Longer than the widest vector, so that a write too far is seen.
const GUARD: usize = 80;

/// Bytes without a period that a key or a vector has.
fn bytes(size: usize) -> Vec<u8> {
    (0..=250).cycle().step_by(17).take(size).collect()
}

fn check(name: &str, apply: impl Fn(&mut [u8], [u8; 4], usize), sizes: &[usize]) {
    let key = [0x12, 0x9a, 0xf0, 0x4d];
    let longest = sizes.iter().max().copied().unwrap_or_default();
    let original = bytes(GUARD + 64 + longest + GUARD);
    for &size in sizes {
        for offset in 0..64 {
            for phase in 0..4 {
                let range = GUARD + offset..GUARD + offset + size;
                let mut expected = original.clone();
                scalar::apply(&mut expected[range.clone()], key, phase);
                let mut actual = original.clone();
                apply(&mut actual[range], key, phase);
                assert!(actual == expected, "{name}: size {size}, offset {offset}, phase {phase}");
            }
        }
    }
}

/// Every length to 300; under an interpreter, those around the widths.
fn sizes() -> Vec<usize> {
    if cfg!(miri) { vec![0, 1, 3, 7, 20, 33, 65, 129, 300] } else { (0..=300).collect() }
}

#[test]
fn every_implementation_agrees_with_the_oracle() {
    for implementation in implementations() {
        let apply = |payload: &mut [u8], key, phase| implementation.apply(payload, key, phase);
        check(implementation.name(), apply, &sizes());
    }
    check("chosen", apply, &sizes());
}

#[test]
fn nothing_beside_the_payload_is_touched() {
    let key = [0x12, 0x9a, 0xf0, 0x4d];
    for size in sizes() {
        let mut expected = bytes(size);
        scalar::apply(&mut expected, key, 1);
        for implementation in implementations() {
            // An allocation of just this size: what is read beside it, an address sanitizer sees.
            let mut payload = bytes(size).into_boxed_slice();
            implementation.apply(&mut payload, key, 1);
            assert_eq!(*payload, *expected, "{}: size {size}", implementation.name());
        }
    }
}

#[test]
fn large_payloads_agree_with_the_oracle() {
    let sizes = [1000, 1023, 1024, 1025, 4099];
    for implementation in implementations() {
        let apply = |payload: &mut [u8], key, phase| implementation.apply(payload, key, phase);
        check(implementation.name(), apply, &sizes);
    }
}

#[test]
fn the_oracle_is_the_example_of_the_rfc() {
    //= RFC 6455 5.7: A single-frame masked text message
    let mut payload = [0x7f, 0x9f, 0x4d, 0x51, 0x58];
    scalar::apply(&mut payload, [0x37, 0xfa, 0x21, 0x3d], 0);
    assert_eq!(&payload, b"Hello");
}

#[test]
fn any_split_gives_the_same_bytes() {
    let key = [1, 2, 4, 8];
    let mut whole = bytes(200);
    apply(&mut whole, key, 0);
    for split in 0..=200 {
        let mut parts = bytes(200);
        let (first, rest) = parts.split_at_mut(split);
        apply(first, key, 0);
        apply(rest, key, split);
        assert_eq!(parts, whole, "split at {split}");
    }
}

#[test]
fn only_the_remainder_of_the_phase_counts() {
    for phase in [0_usize, 5, 10, 4_000_003, usize::MAX] {
        let mut actual = bytes(100);
        apply(&mut actual, [9, 8, 7, 6], phase);
        let mut expected = bytes(100);
        scalar::apply(&mut expected, [9, 8, 7, 6], phase % 4);
        assert_eq!(actual, expected, "phase {phase}");
    }
}

#[test]
fn the_chosen_implementation_is_the_last_listed() {
    let last = implementations().last().map(Implementation::name);
    assert_eq!(last, Some(Implementation(chosen()).name()));
}
