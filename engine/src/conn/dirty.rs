//! The connections that have something for the driver: those of this turn, and those of a message
//! for many, which leave in slices so that nobody else waits for all of them.

use std::collections::VecDeque;

use crate::driver::Key;

/// Sends of a fan-out in one turn. One costs the kernel three to five microseconds: what arrives
/// meanwhile waits for half a millisecond, and not for ten thousand sends.
const SLICE: usize = 128;

/// In which list a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    None,
    /// In that of a fan-out.
    Later,
    /// In that of this turn. It may be in the other one as well.
    Now,
}

/// Both lists. A key whose mark is another one by now has left with the other list, and is passed
/// over.
#[derive(Debug, Default)]
pub(crate) struct Dirty {
    now: Vec<Key>,
    later: VecDeque<Key>,
    /// Whether what is marked belongs to a fan-out.
    fans_out: bool,
    /// Sends of the fan-out that this turn may still begin.
    slice: usize,
}

impl Dirty {
    /// Takes note of a connection, whose mark this is.
    #[inline]
    pub(crate) fn mark(&mut self, key: Key, mark: &mut Mark) {
        match (*mark, self.fans_out) {
            (Mark::Now, _) | (Mark::Later, true) => {}
            (Mark::None | Mark::Later, false) => {
                *mark = Mark::Now;
                self.now.push(key);
            }
            (Mark::None, true) => {
                *mark = Mark::Later;
                self.later.push_back(key);
            }
        }
    }

    /// What is marked from here on belongs to a fan-out, or no longer does.
    pub(crate) const fn set_fans_out(&mut self, fans_out: bool) {
        self.fans_out = fans_out;
    }

    /// A turn ends: another slice may leave.
    pub(crate) const fn begin_flush(&mut self) {
        self.slice = SLICE;
    }

    /// The next connection of this turn, and the list that it comes from.
    pub(crate) fn pop(&mut self) -> Option<(Key, Mark)> {
        if let Some(key) = self.now.pop() {
            return Some((key, Mark::Now));
        }
        let key = if self.slice > 0 { self.later.pop_front() } else { None };
        key.map(|key| (key, Mark::Later))
    }

    /// A connection that was popped with this mark has it still, and leaves.
    pub(crate) const fn spend(&mut self, mark: Mark) {
        if matches!(mark, Mark::Later) {
            self.slice = self.slice.saturating_sub(1);
        }
    }

    /// Whether a slice waits for the next turn.
    pub(crate) fn waits(&self) -> bool {
        !self.later.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(slot: u32) -> Key {
        Key { slot, generation: 0 }
    }

    #[test]
    fn a_fan_out_leaves_in_slices_behind_what_is_due_now() {
        let mut dirty = Dirty::default();
        let mut marks = [Mark::None; 300];
        dirty.set_fans_out(true);
        for (slot, mark) in (0..).zip(&mut marks) {
            dirty.mark(key(slot), mark);
            dirty.mark(key(slot), mark);
        }
        dirty.set_fans_out(false);
        // Its own answer does not wait for its turn in the fan-out.
        dirty.mark(key(299), &mut marks[299]);
        dirty.mark(key(299), &mut marks[299]);
        assert_eq!(marks[298..], [Mark::Later, Mark::Now]);
        let mut turns = Vec::new();
        while dirty.waits() {
            dirty.begin_flush();
            let mut left = Vec::new();
            while let Some((key, mark)) = dirty.pop() {
                let own = &mut marks[key.slot as usize];
                if *own == mark {
                    *own = Mark::None;
                    dirty.spend(mark);
                    left.push(key.slot);
                }
            }
            turns.push(left);
        }
        let expected: [Vec<u32>; 3] =
            [[299].into_iter().chain(0..128).collect(), (128..256).collect(), (256..299).collect()];
        assert_eq!(turns, expected);
    }
}
