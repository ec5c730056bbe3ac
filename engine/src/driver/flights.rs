//! What is being sent or filled. It belongs to the driver until its completion, so that nothing
//! above can free or change what the kernel works on.

/// Operations in flight. As large as there were ever so many at the same time.
#[derive(Debug)]
pub(super) struct Flights<T> {
    entries: Vec<Option<T>>,
    /// Indexes of the entries that are `None`.
    free: Vec<u32>,
}

impl<T> Default for Flights<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), free: Vec::new() }
    }
}

impl<T> Flights<T> {
    /// Keeps a flight until `end` is called with the returned index.
    pub(super) fn begin(&mut self, flight: T) -> u32 {
        if let Some(index) = self.free.pop() {
            self.entries[index as usize] = Some(flight);
            return index;
        }
        self.entries.push(Some(flight));
        // There are fewer flights than slots, and a slot is named by 32 bits.
        u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
    }

    /// Gives the flight back that has come to its end.
    pub(super) fn end(&mut self, index: u32) -> Option<T> {
        let flight = self.entries.get_mut(index as usize)?.take()?;
        self.free.push(index);
        Some(flight)
    }
}
