//! The table of a worker's connections.

use crate::driver::Key;

/// Slots of one chunk. A table grows by chunks, so that no connection is ever moved: growing costs
/// the same with a hundred thousand connections as with none.
const CHUNK: usize = 256;

/// Values in numbered slots, each with a generation.
pub(crate) struct Slots<T> {
    chunks: Vec<Box<[Slot<T>; CHUNK]>>,
    /// Free slots, the last freed on top: its memory is warm.
    free: Vec<u32>,
    /// Occupied slots. `count + free.len() == chunks.len() * CHUNK`.
    count: usize,
    count_max: usize,
}

struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slots<T> {
    /// Bytes of one place, with its number in the list of free ones.
    pub(crate) const SLOT_SIZE: usize = size_of::<Slot<T>>() + 2 * size_of::<u32>();

    /// A table for at most `count_max` values.
    pub(crate) const fn new(count_max: usize) -> Self {
        Self { chunks: Vec::new(), free: Vec::new(), count: 0, count_max }
    }

    pub(crate) const fn count(&self) -> usize {
        self.count
    }

    /// Puts what `make` returns into a free slot. `None` where the table is full.
    pub(crate) fn insert(&mut self, make: impl FnOnce(Key) -> T) -> Option<Key> {
        if self.count >= self.count_max {
            return None;
        }
        if self.free.is_empty() {
            self.grow()?;
        }
        let number = self.free.pop()?;
        let slot = self.slot_mut(number)?;
        let key = Key { slot: number, generation: slot.generation };
        slot.value = Some(make(key));
        self.count += 1;
        Some(key)
    }

    /// The value, unless its slot has been freed since.
    #[inline]
    pub(crate) fn at(&mut self, key: Key) -> Option<&mut T> {
        let slot = self.slot_mut(key.slot)?;
        if slot.generation == key.generation { slot.value.as_mut() } else { None }
    }

    /// Frees the slot: its key is never valid again.
    pub(crate) fn remove(&mut self, key: Key) -> Option<T> {
        let slot = self.slot_mut(key.slot)?;
        if slot.generation != key.generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = Key::next_generation(slot.generation);
        self.free.push(key.slot);
        self.count -= 1;
        Some(value)
    }

    /// The key of the occupied slot with this number.
    pub(crate) fn key(&self, number: u32) -> Option<Key> {
        let (chunk, index) = place(number);
        let slot = self.chunks.get(chunk)?.get(index)?;
        slot.value.as_ref().map(|_| Key { slot: number, generation: slot.generation })
    }

    /// Numbers from 0 up to this one are slots, free or not.
    pub(crate) fn end(&self) -> u32 {
        u32::try_from(self.chunks.len() * CHUNK).unwrap_or(u32::MAX)
    }

    fn slot_mut(&mut self, number: u32) -> Option<&mut Slot<T>> {
        let (chunk, index) = place(number);
        self.chunks.get_mut(chunk)?.get_mut(index)
    }

    fn grow(&mut self) -> Option<()> {
        let first = self.end();
        let last = first.checked_add(u32::try_from(CHUNK).ok()?)?;
        let chunk = (0..CHUNK).map(|_| Slot { generation: 0, value: None });
        self.chunks.push(chunk.collect::<Box<[_]>>().try_into().ok()?);
        self.free.extend((first..last).rev());
        Some(())
    }
}

const fn place(number: u32) -> (usize, usize) {
    (number as usize / CHUNK, number as usize % CHUNK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_tell_the_late_from_the_present() {
        let mut slots = Slots::new(1000);
        let first = slots.insert(|key| key.slot).unwrap();
        assert_eq!(slots.at(first), Some(&mut 0));
        assert_eq!(slots.remove(first), Some(0));
        assert_eq!(slots.remove(first), None);
        let second = slots.insert(|key| key.slot).unwrap();
        assert_eq!((second.slot, second.generation), (first.slot, first.generation + 1));
        assert_eq!(slots.at(first), None);
        assert!(slots.at(second).is_some());
        assert_eq!(slots.key(second.slot), Some(second));
        assert_eq!(slots.key(second.slot + 1), None);
        assert_eq!(slots.at(Key { slot: u32::MAX, generation: 0 }), None);
    }

    #[test]
    fn full_is_full() {
        let mut slots = Slots::new(CHUNK + 3);
        let keys: Vec<Key> = (0..CHUNK + 3).map(|_| slots.insert(|_| ()).unwrap()).collect();
        assert_eq!(slots.insert(|_| ()), None);
        assert_eq!(slots.count(), CHUNK + 3);
        assert!(slots.remove(keys[7]).is_some());
        assert_eq!(slots.insert(|_| ()).map(|key| key.slot), Some(7));
        assert_eq!(slots.end() as usize, 2 * CHUNK);
    }
}
