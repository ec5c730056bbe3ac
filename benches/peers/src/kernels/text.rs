//! Texts: validated, and unmasked and validated.

use std::hint::black_box;

use ringwire_protocol::{mask, utf8};

use super::contest::{Contest, Job};
use super::place::{AFTER_HEADER, Place};
use crate::text::{KINDS, Kind};

/// From one byte to what no near cache holds.
const SIZES: [usize; 10] = [1, 20, 64, 65, 125, 256, 1 << 10, 4 << 10, 16 << 10, 1 << 20];

/// Validation alone.
pub(super) fn validations() -> Vec<Contest> {
    each(|kind, size, offset| {
        let place = || Place::new(kind.text(size).as_bytes(), offset);
        let mut jobs = vec![
            validate("ringwire", place(), |bytes| utf8::text(bytes).is_ok()),
            validate("simdutf8", place(), |bytes| simdutf8::basic::from_utf8(bytes).is_ok()),
            validate("core", place(), |bytes| std::str::from_utf8(bytes).is_ok()),
        ];
        // What machines without the widest vectors run.
        if let Some(avx2) = utf8::implementations().find(|it| it.name() == "avx2") {
            jobs.push(validate("ringwire-avx2", place(), move |bytes| {
                let mut validator = utf8::Validator::new();
                avx2.push(&mut validator, bytes).and_then(|()| validator.finish()).is_ok()
            }));
        }
        (format!("utf8-{}", kind.name), jobs)
    })
}

/// The mask and the validation, in one pass and in two. `fastwebsockets` does what it does to a
/// text of one frame.
pub(super) fn fusions() -> Vec<Contest> {
    each(|kind, size, offset| {
        let place = || Place::new(kind.text(size).as_bytes(), offset);
        let jobs = vec![
            fuse("ringwire", place(), |bytes, key| utf8::masked_text(bytes, key).is_ok()),
            fuse("ringwire-apart", place(), |bytes, key| {
                mask::apply(bytes, key, 0);
                utf8::text(bytes).is_ok()
            }),
            fuse("fastwebsockets", place(), |bytes, key| {
                fastwebsockets::unmask(bytes, key);
                simdutf8::basic::from_utf8(bytes).is_ok()
            }),
        ];
        (format!("fused-{}", kind.name), jobs)
    })
}

/// For each kind, size and place.
fn each(jobs: impl Fn(Kind, usize, usize) -> (String, Vec<Job>)) -> Vec<Contest> {
    let mut contests = Vec::new();
    for kind in KINDS {
        for size in SIZES {
            for offset in [0, AFTER_HEADER] {
                let (kernel, jobs) = jobs(kind, size, offset);
                let case = format!("{size}+{offset}");
                contests.push(Contest { kernel, case, size, jobs });
            }
        }
    }
    contests
}

fn validate(
    name: &'static str,
    mut place: Place,
    is_valid: impl Fn(&mut [u8]) -> bool + 'static,
) -> Job {
    Job::new(name, move || {
        black_box(is_valid(black_box(place.bytes_mut())));
    })
}

/// With a key of zeros, which does the same work and leaves text for the next time.
fn fuse(
    name: &'static str,
    mut place: Place,
    is_valid: impl Fn(&mut [u8], [u8; 4]) -> bool + 'static,
) -> Job {
    Job::new(name, move || {
        black_box(is_valid(black_box(place.bytes_mut()), black_box([0; 4])));
    })
}
