//! Validation by table lookup, written once for every width.
//!
//! The idea is of Keiser and Lemire, "Validating UTF-8 In Less Than One Instruction Per Byte"
//! (2020): whether two neighbouring bytes can stand together is decided by three of their four
//! half-bytes, apart from characters of three and four bytes, which only ask for more
//! continuations. Each half-byte looks up the set of faults it allows, as bits; a fault that all
//! three allow is one.
//!
//! ```text
//!   first byte of a pair       second byte
//!  ┌───────────┬───────────┐  ┌───────────┬───────────┐
//!  │ high half │ low half  │  │ high half │ low half  │
//!  └─────┬─────┴─────┬─────┘  └─────┬─────┴───────────┘
//!   FIRST_HIGH  &  FIRST_LOW  &  SECOND_HIGH   ≠ 0: a fault
//! ```

use super::short::CHECKED_SIZE_MAX;

/// The operations of one instruction set on vectors of `W` bytes.
///
/// Implemented by the capability itself, so that whoever holds a value may call the methods, and
/// the walk below needs no `unsafe`. The methods are inlined into a function that is compiled for
/// the instruction set.
pub(super) trait Vectors<const W: usize>: Copy {
    /// A register.
    type Vector: Copy;

    /// The byte in every lane.
    fn splat(self, byte: u8) -> Self::Vector;
    /// The word repeated, its lowest byte first in memory.
    fn splat_word(self, word: u32) -> Self::Vector;
    /// The table in every sixteen lanes.
    fn table(self, table: &[u8; 16]) -> Self::Vector;
    /// Reads at any alignment.
    fn load(self, from: &[u8; W]) -> Self::Vector;
    /// Writes at any alignment.
    fn store(self, to: &mut [u8; W], vector: Self::Vector);
    /// The last bytes of `text`, which are `tail` and shorter than a vector, and a vector to look
    /// back at from them; `previous` is what stands before `tail`.
    ///
    /// Unless the instruction set does better: the last two vectors of the text, of which most was
    /// seen already. To see a byte twice changes nothing.
    #[inline(always)]
    fn load_tail(
        self,
        previous: Self::Vector,
        text: &[u8],
        tail: &[u8],
    ) -> (Self::Vector, Self::Vector) {
        if let Some((before, last)) = text.split_last_chunk::<W>()
            && let Some(before) = before.last_chunk::<W>()
        {
            return (self.load(before), self.load(last));
        }
        let mut padded = [0; W];
        if let Some(to) = padded.get_mut(..tail.len()) {
            to.copy_from_slice(tail);
        }
        (previous, self.load(&padded))
    }
    /// Bit by bit.
    fn and(self, left: Self::Vector, right: Self::Vector) -> Self::Vector;
    /// Bit by bit.
    fn or(self, left: Self::Vector, right: Self::Vector) -> Self::Vector;
    /// Bit by bit.
    fn xor(self, left: Self::Vector, right: Self::Vector) -> Self::Vector;
    /// The upper half of each byte, as a number.
    fn high_half(self, bytes: Self::Vector) -> Self::Vector;
    /// Each byte less `right`, not below zero.
    fn saturating_sub(self, left: Self::Vector, right: Self::Vector) -> Self::Vector;
    /// For each index of 0..16, the table's byte there.
    fn look_up(self, table: Self::Vector, indices: Self::Vector) -> Self::Vector;
    /// `current` moved `N` lanes up, `N` in 1..=3, and below it the last lanes of `previous`.
    fn shift_in<const N: usize>(
        self,
        current: Self::Vector,
        previous: Self::Vector,
    ) -> Self::Vector;
    /// Whether no byte has its highest bit set.
    fn is_ascii(self, bytes: Self::Vector) -> bool;
    /// Whether every byte is zero.
    fn is_zero(self, bytes: Self::Vector) -> bool;
}

/// The bytes looked at together when asking for ASCII.
const BLOCK: usize = 64;

/// How far a byte's neighbours reach back that decide about it.
const LOOK_BACK: usize = 3;

/// Whether `text` is well-formed.
#[inline(always)]
pub(super) fn is_valid<const W: usize, V: Vectors<W>>(vectors: V, text: &[u8]) -> bool {
    if text.len() < CHECKED_SIZE_MAX {
        return is_valid_short(vectors, text);
    }
    not_ascii(vectors, text).is_none_or(|rest| walk(vectors, rest))
}

/// As [`is_valid`], for what is shorter than [`CHECKED_SIZE_MAX`]: there are too few blocks to ask
/// where they are ASCII and where not.
#[inline(always)]
pub(super) fn is_valid_short<const W: usize, V: Vectors<W>>(vectors: V, text: &[u8]) -> bool {
    let (blocks, tail) = text.as_chunks::<BLOCK>();
    let mut walk = Walk::new(vectors);
    if let Some((first, others)) = blocks.split_first() {
        // Most texts end here.
        let last = text.last_chunk::<BLOCK>();
        if is_ascii(vectors, first)
            && others.iter().all(|block| is_ascii(vectors, block))
            && (tail.is_empty() || last.is_some_and(|last| is_ascii(vectors, last)))
        {
            return true;
        }
        walk.chunks(first);
        for (number, block) in (1..).zip(others) {
            walk.block(text, BLOCK * number, block);
        }
    }
    if !tail.is_empty() {
        walk.rest(text, tail);
    }
    walk.finish()
}

/// The rest of a long text from where it is not ASCII any more, which is well-formed if the text
/// is. It may begin a little earlier. `None`: all of it is ASCII, as most texts are.
#[inline(always)]
pub(super) fn not_ascii<const W: usize, V: Vectors<W>>(vectors: V, text: &[u8]) -> Option<&[u8]> {
    let text = aligned(vectors, text);
    let (blocks, _) = text.as_chunks::<BLOCK>();
    let rest = after_ascii(vectors, blocks);
    if !rest.is_empty() {
        return text.get(BLOCK * (blocks.len() - rest.len())..);
    }
    text.last_chunk::<BLOCK>().filter(|last| !is_ascii(vectors, *last)).map(|last| &last[..])
}

/// Whether `text` is well-formed, of which the first block is not ASCII.
#[inline(always)]
pub(super) fn walk<const W: usize, V: Vectors<W>>(vectors: V, text: &[u8]) -> bool {
    let (blocks, tail) = text.as_chunks::<BLOCK>();
    let mut walk = Walk::new(vectors);
    let mut rest = blocks;
    // What is left begins with a block that is not ASCII, here and at each turn.
    while let Some((block, mut after)) = rest.split_first() {
        walk.block(text, BLOCK * (blocks.len() - rest.len()), block);
        while let Some((block, next)) = after.split_first()
            && !is_ascii(vectors, block)
        {
            walk.block(text, BLOCK * (blocks.len() - after.len()), block);
            after = next;
        }
        rest = after;
        if !rest.is_empty() {
            walk.ascii();
            rest = after_ascii(vectors, rest);
        }
    }
    if !tail.is_empty() {
        walk.rest(text, tail);
    }
    walk.finish()
}

/// What follows the first cache line's end, if all before is ASCII: a vector that lies in two lines
/// takes two loads.
#[inline(always)]
fn aligned<const W: usize, V: Vectors<W>>(vectors: V, text: &[u8]) -> &[u8] {
    let skip = BLOCK - text.as_ptr().addr() % BLOCK;
    match text.first_chunk::<BLOCK>() {
        Some(first) if is_ascii(vectors, first) => text.get(skip..).unwrap_or(text),
        _ => text,
    }
}

/// What follows the blocks of ASCII at the beginning. They come in runs, which need one look at
/// four of them.
#[inline(always)]
fn after_ascii<const W: usize, V: Vectors<W>>(
    vectors: V,
    mut blocks: &[[u8; BLOCK]],
) -> &[[u8; BLOCK]] {
    while let Some((quad, after)) = blocks.split_first_chunk::<4>()
        && is_ascii(vectors, quad.as_flattened())
    {
        blocks = after;
    }
    while let Some((block, after)) = blocks.split_first()
        && is_ascii(vectors, block)
    {
        blocks = after;
    }
    blocks
}

/// Whether no byte has its highest bit set, for whole vectors.
#[inline(always)]
fn is_ascii<const W: usize, V: Vectors<W>>(vectors: V, bytes: &[u8]) -> bool {
    let (chunks, _) = bytes.as_chunks::<W>();
    let none = vectors.splat(0);
    let all = chunks.iter().fold(none, |all, chunk| vectors.or(all, vectors.load(chunk)));
    vectors.is_ascii(all)
}

/// Faults of a pair, as bits. All but the last are decided by the pair alone.
mod fault {
    /// A lead byte, and no continuation after it.
    pub(super) const TOO_SHORT: u8 = 1 << 0;
    /// ASCII, and a continuation after it.
    pub(super) const TOO_LONG: u8 = 1 << 1;
    /// E0 before 80..9F: fits in two bytes.
    pub(super) const OVERLONG_3: u8 = 1 << 2;
    /// F4..FF before 90..BF: above U+10FFFF.
    pub(super) const TOO_LARGE: u8 = 1 << 3;
    /// ED before A0..BF: a surrogate.
    pub(super) const SURROGATE: u8 = 1 << 4;
    /// C0 or C1 before a continuation: ASCII in two bytes.
    pub(super) const OVERLONG_2: u8 = 1 << 5;
    /// F0 before 80..8F: fits in three bytes. F5..FF before 80..8F, too large, shares the bit: F4
    /// is good there, so `TOO_LARGE` cannot cover that half.
    pub(super) const OVERLONG_4: u8 = 1 << 6;
    /// Two continuations: a fault unless a lead byte two or three before asks for them.
    pub(super) const CONTINUATIONS: u8 = 1 << 7;
}

use fault::{
    CONTINUATIONS, OVERLONG_2, OVERLONG_3, OVERLONG_4, SURROGATE, TOO_LARGE, TOO_LONG, TOO_SHORT,
};

/// By the upper half of the first byte.
const FIRST_HIGH: [u8; 16] = {
    let mut table = [TOO_LONG; 16];
    table[0x8] = CONTINUATIONS;
    table[0x9] = CONTINUATIONS;
    table[0xa] = CONTINUATIONS;
    table[0xb] = CONTINUATIONS;
    table[0xc] = TOO_SHORT | OVERLONG_2;
    table[0xd] = TOO_SHORT;
    table[0xe] = TOO_SHORT | OVERLONG_3 | SURROGATE;
    table[0xf] = TOO_SHORT | TOO_LARGE | OVERLONG_4;
    table
};

/// By the lower half of the first byte: what does not depend on it, in each.
const FIRST_LOW: [u8; 16] = {
    let mut table = [TOO_SHORT | TOO_LONG | CONTINUATIONS; 16];
    table[0x0] |= OVERLONG_2 | OVERLONG_3 | OVERLONG_4;
    table[0x1] |= OVERLONG_2;
    table[0x4] |= TOO_LARGE;
    table[0xd] |= SURROGATE;
    let mut low = 0x5;
    while low <= 0xf {
        table[low] |= TOO_LARGE | OVERLONG_4;
        low += 1;
    }
    table
};

/// By the upper half of the second byte.
const SECOND_HIGH: [u8; 16] = {
    let mut table = [TOO_SHORT; 16];
    let continuation = TOO_LONG | OVERLONG_2 | CONTINUATIONS;
    table[0x8] = continuation | OVERLONG_3 | OVERLONG_4;
    table[0x9] = continuation | OVERLONG_3 | TOO_LARGE;
    table[0xa] = continuation | SURROGATE | TOO_LARGE;
    table[0xb] = continuation | SURROGATE | TOO_LARGE;
    table
};

/// The state of a pass over one text.
pub(super) struct Walk<const W: usize, V: Vectors<W>> {
    vectors: V,
    /// The last vector, for the lanes that its successor looks back at.
    previous: V::Vector,
    /// Not zero in some lane once there was a fault.
    faults: V::Vector,
}

impl<const W: usize, V: Vectors<W>> Walk<W, V> {
    #[inline(always)]
    pub(super) fn new(vectors: V) -> Self {
        Self { vectors, previous: vectors.splat(0), faults: vectors.splat(0) }
    }

    /// In the last three lanes, the highest byte that leaves no character open at the end of its
    /// vector.
    const CLOSED: [u8; W] = {
        let mut highest = [0xff; W];
        highest[W - 3] = 0xef;
        highest[W - 2] = 0xdf;
        highest[W - 1] = 0xbf;
        highest
    };

    /// The next bytes were ASCII: a fault if a character was open.
    #[inline(always)]
    pub(super) fn ascii(&mut self) {
        let v = self.vectors;
        let open = v.saturating_sub(self.previous, v.load(&Self::CLOSED));
        self.faults = v.or(self.faults, open);
        self.previous = v.splat(0);
    }

    /// The next block of `text`, which begins at `at`.
    ///
    /// What stands before each byte is loaded from where it lies: a load costs less than to move
    /// the lanes of two vectors. Only at the very beginning nothing lies there.
    #[inline(always)]
    fn block(&mut self, text: &[u8], at: usize, block: &[u8; BLOCK]) {
        let window = at.checked_sub(LOOK_BACK).and_then(|from| text.get(from..));
        let Some(window) = window.and_then(|window| window.first_chunk::<{ BLOCK + LOOK_BACK }>())
        else {
            return self.chunks(block);
        };
        let v = self.vectors;
        for from in (0..BLOCK).step_by(W) {
            let load = |index| window.get(from + index..)?.first_chunk::<W>().map(|at| v.load(at));
            let (Some(third), Some(second), Some(first), Some(current)) =
                (load(0), load(1), load(2), load(3))
            else {
                return self.chunks(block);
            };
            self.check(current, [first, second, third]);
        }
    }

    #[inline(always)]
    fn chunks(&mut self, bytes: &[u8]) {
        for chunk in bytes.as_chunks::<W>().0 {
            self.vector(self.vectors.load(chunk));
        }
    }

    /// What follows the last block of `text`.
    ///
    /// It is seen as the end of the last bytes that make a block: to see a byte twice changes
    /// nothing.
    #[inline(always)]
    fn rest(&mut self, text: &[u8], rest: &[u8]) {
        if let Some((before, last)) = text.split_last_chunk::<BLOCK>() {
            if is_ascii(self.vectors, last) {
                return self.ascii();
            }
            if before.len() >= LOOK_BACK {
                return self.block(text, before.len(), last);
            }
        }
        self.chunks(rest);
        let (_, tail) = rest.as_chunks::<W>();
        if !tail.is_empty() {
            let current;
            (self.previous, current) = self.vectors.load_tail(self.previous, text, tail);
            self.vector(current);
        }
    }

    /// The first bytes, fewer than a vector: they are seen behind as many zeros as make it whole.
    #[inline(always)]
    pub(super) fn head(&mut self, head: &[u8]) {
        let mut padded = [0; W];
        if let Some(to) = padded.get_mut(W - head.len().min(W)..) {
            to.copy_from_slice(head);
        }
        self.vector(self.vectors.load(&padded));
    }

    /// The last bytes, fewer than a vector.
    #[inline(always)]
    pub(super) fn tail(&mut self, tail: &[u8]) {
        let mut padded = [0; W];
        if let Some(to) = padded.get_mut(..tail.len()) {
            to.copy_from_slice(tail);
        }
        self.vector(self.vectors.load(&padded));
    }

    /// The end of the text: whether there was no fault.
    #[inline(always)]
    pub(super) fn finish(mut self) -> bool {
        self.ascii();
        self.vectors.is_zero(self.faults)
    }

    /// The next vector.
    #[inline(always)]
    pub(super) fn vector(&mut self, current: V::Vector) {
        let (v, previous) = (self.vectors, self.previous);
        let first = v.shift_in::<1>(current, previous);
        let second = v.shift_in::<2>(current, previous);
        let third = v.shift_in::<3>(current, previous);
        self.check(current, [first, second, third]);
    }

    /// The next vector, and what stands one, two and three bytes before each of its own.
    #[inline(always)]
    fn check(&mut self, current: V::Vector, [first, second, third]: [V::Vector; LOOK_BACK]) {
        let v = self.vectors;
        let low = v.and(first, v.splat(0x0f));
        let pair = v.and(
            v.and(
                v.look_up(v.table(&FIRST_HIGH), v.high_half(first)),
                v.look_up(v.table(&FIRST_LOW), low),
            ),
            v.look_up(v.table(&SECOND_HIGH), v.high_half(current)),
        );
        // Above 0x7f where a byte of three or four bytes stands two before, or one of four bytes
        // three before.
        let asked = v.or(
            v.saturating_sub(second, v.splat(0xe0 - 0x80)),
            v.saturating_sub(third, v.splat(0xf0 - 0x80)),
        );
        let asked = v.and(asked, v.splat(CONTINUATIONS));
        self.faults = v.or(self.faults, v.xor(pair, asked));
        self.previous = current;
    }
}
