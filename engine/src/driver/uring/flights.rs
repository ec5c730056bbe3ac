//! The bytes that are being sent. They belong to the driver until their completion, so that nothing
//! above can free or change what the kernel reads.

use crate::driver::{Bytes, Key};

/// Sends in flight. As large as there were ever sends at the same time.
#[derive(Debug, Default)]
pub(super) struct Flights {
    entries: Vec<Option<Flight>>,
    /// Indexes of the entries that are `None`.
    free: Vec<u32>,
}

/// One send.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) key: Key,
    pub(super) bytes: Bytes,
}

impl Flights {
    /// Keeps a send until `end` is called with the returned index.
    pub(super) fn begin(&mut self, flight: Flight) -> u32 {
        if let Some(index) = self.free.pop() {
            self.entries[index as usize] = Some(flight);
            return index;
        }
        self.entries.push(Some(flight));
        // There are fewer sends than slots, and a slot is named by 32 bits.
        u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
    }

    /// Gives the send back whose completion has come.
    pub(super) fn end(&mut self, index: u32) -> Option<Flight> {
        let flight = self.entries.get_mut(index as usize)?.take()?;
        self.free.push(index);
        Some(flight)
    }
}
