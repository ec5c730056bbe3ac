//! A list that keeps little to spare.

/// A list without order whose capacity is at most a quarter more than its length after a push, and
/// twice its length after a removal.
///
/// Doubling, as `Vec` does, would be half of the memory of a server's subscriptions. What is copied
/// for it is four entries more for each that is pushed.
#[derive(Debug)]
pub(super) struct Tight<T>(Vec<T>);

impl<T> Tight<T> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) const fn as_slice(&self) -> &[T] {
        self.0.as_slice()
    }

    pub(super) const fn as_mut_slice(&mut self) -> &mut [T] {
        self.0.as_mut_slice()
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, value: T) {
        if self.0.len() == self.0.capacity() {
            self.0.reserve_exact((self.0.len() / 4).max(1));
        }
        self.0.push(value);
    }

    /// Removes the value at this index. The last one takes its place.
    pub(super) fn swap_remove(&mut self, index: usize) -> Option<T> {
        if index >= self.0.len() {
            return None;
        }
        let value = self.0.swap_remove(index);
        let len = self.0.len();
        if len <= self.0.capacity() / 2 {
            self.0.shrink_to(len + len / 4);
        }
        Some(value)
    }

    /// Bytes that it has allocated.
    #[cfg(any(test, feature = "simulation"))]
    pub(super) const fn allocated(&self) -> usize {
        self.0.capacity() * size_of::<T>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn little_is_spare() {
        let mut list = Tight::new();
        for value in 0..10_000_u64 {
            list.push(value);
            assert!(list.allocated() <= list.len() * 10 + 8);
        }
        while let Some(value) = list.swap_remove(list.len() / 2) {
            assert!(value < 10_000);
            assert!(list.allocated() <= list.len() * 16 + 8);
        }
        assert_eq!((list.len(), list.allocated()), (0, 0));
        assert_eq!(list.swap_remove(0), None);
    }
}
