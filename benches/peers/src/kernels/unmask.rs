//! The mask of a payload. The limit is `memcpy`, which moves the same bytes.

use std::hint::black_box;

use ringwire_protocol::mask;

use super::contest::{Contest, Job};
use super::place::{AFTER_HEADER, Place};

/// From one byte to what no near cache holds.
const SIZES: [usize; 14] =
    [1, 4, 7, 20, 64, 65, 125, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];

const KEY: [u8; 4] = [0x1d, 0xb6, 0xf0, 0x4d];

pub(super) fn contests() -> Vec<Contest> {
    SIZES.iter().flat_map(|&size| [0, AFTER_HEADER].map(|offset| contest(size, offset))).collect()
}

fn contest(size: usize, offset: usize) -> Contest {
    let bytes = vec![0x5a; size];
    let place = || Place::new(&bytes, offset);
    let mut jobs = vec![unmask("ringwire", place(), |payload, key| mask::apply(payload, key, 0))];
    let (mut to, from) = (place(), place());
    jobs.push(Job::new("memcpy", move || {
        black_box(to.bytes_mut()).copy_from_slice(black_box(from.bytes()));
    }));
    jobs.push(unmask("fastwebsockets", place(), fastwebsockets::unmask));
    jobs.push(unmask("sockudo-ws", place(), sockudo_ws::mask::apply_mask));
    // What machines without the widest vectors run.
    if let Some(avx2) = mask::implementations().find(|it| it.name() == "avx2") {
        jobs.push(unmask("ringwire-avx2", place(), move |payload, key| {
            avx2.apply(payload, key, 0);
        }));
    }
    Contest { kernel: "unmask".to_owned(), case: format!("{size}+{offset}"), size, jobs }
}

fn unmask(
    name: &'static str,
    mut place: Place,
    apply: impl Fn(&mut [u8], [u8; 4]) + 'static,
) -> Job {
    Job::new(name, move || apply(black_box(place.bytes_mut()), black_box(KEY)))
}
