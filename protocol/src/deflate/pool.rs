//! Compressors and decompressors between two uses.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Compressor, Decompressor, Settings};

/// The idle state of one thread: tens to hundreds of kilobytes each, which are worth keeping
/// from one connection, or without takeover from one message, to the next.
///
/// What is taken has an empty window. What is given back need not.
///
/// ```
/// use ringwire_protocol::deflate::Pool;
///
/// let mut pool = Pool::new(8);
/// let decompressor = pool.decompressor();
/// pool.give_decompressor(decompressor);
/// ```
#[derive(Debug)]
pub struct Pool {
    /// `compressors.len() <= count_max`, and so for `decompressors`.
    count_max: usize,
    #[expect(clippy::vec_box, reason = "the boxes pass to connections, which keep a pointer each")]
    compressors: Vec<Box<Compressor>>,
    #[expect(clippy::vec_box, reason = "the boxes pass to connections, which keep a pointer each")]
    decompressors: Vec<Box<Decompressor>>,
}

impl Pool {
    /// An empty pool that keeps at most `count_max` of either kind.
    #[must_use]
    pub const fn new(count_max: usize) -> Self {
        Self { count_max, compressors: Vec::new(), decompressors: Vec::new() }
    }

    /// A compressor with `settings`; `None` as for [`Compressor::new`].
    #[must_use]
    pub fn compressor(&mut self, settings: Settings) -> Option<Box<Compressor>> {
        // The last one given is the one whose memory is still near.
        match self.compressors.iter().rposition(|idle| idle.settings() == settings) {
            Some(index) => Some(self.compressors.swap_remove(index)),
            None => Compressor::new(settings).map(Box::new),
        }
    }

    /// Takes a compressor back.
    pub fn give_compressor(&mut self, mut compressor: Box<Compressor>) {
        if self.compressors.len() < self.count_max {
            compressor.reset();
            self.compressors.push(compressor);
        }
    }

    /// A decompressor: any one serves any connection.
    #[must_use]
    pub fn decompressor(&mut self) -> Box<Decompressor> {
        self.decompressors.pop().unwrap_or_default()
    }

    /// Takes a decompressor back, also one that has failed.
    pub fn give_decompressor(&mut self, mut decompressor: Box<Decompressor>) {
        if self.decompressors.len() < self.count_max {
            decompressor.reset();
            self.decompressors.push(decompressor);
        }
    }
}

#[cfg(test)]
impl Pool {
    /// Compressors and decompressors that nobody holds.
    pub(crate) const fn idle(&self) -> (usize, usize) {
        (self.compressors.len(), self.decompressors.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_is_given_up_to_its_limit() {
        let settings = Settings { window_bits: 9, memory_level: 1, level: 1 };
        let other = Settings { level: 2, ..settings };
        let mut pool = Pool::new(2);
        for _ in 0..3 {
            let compressor = Box::new(Compressor::new(settings).unwrap());
            pool.give_compressor(compressor);
            pool.give_decompressor(Box::default());
        }
        assert_eq!((pool.compressors.len(), pool.decompressors.len()), (2, 2));
        assert_eq!(pool.compressor(other).unwrap().settings(), other);
        assert_eq!(pool.compressors.len(), 2);
        assert_eq!(pool.compressor(settings).unwrap().settings(), settings);
        let _taken = pool.decompressor();
        assert_eq!((pool.compressors.len(), pool.decompressors.len()), (1, 1));
        assert!(pool.compressor(Settings { window_bits: 8, ..settings }).is_none());
    }

    #[test]
    fn what_is_taken_remembers_nothing() {
        let settings = Settings { window_bits: 15, memory_level: 8, level: 6 };
        let mut pool = Pool::new(1);
        let mut payloads = [Vec::new(), Vec::new()];
        for payload in &mut payloads {
            let mut compressor = pool.compressor(settings).unwrap();
            compressor.compress(b"the same words", true, payload).unwrap();
            pool.give_compressor(compressor);
        }
        assert_eq!(payloads[0], payloads[1]);
    }
}
