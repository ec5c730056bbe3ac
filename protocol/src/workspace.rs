//! What the connections of one thread share, so that an idle one need not own it.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::deflate::Pool;
use crate::message::{Assembly, Kind};
use crate::shelf::Shelf;
use crate::{Limits, Misuse, Traffic};

/// Idle compressors and decompressors, up to 495 and 56 kilobytes each. Without takeover one of
/// each serves a thread; the rest is for several settings and for messages that arrive in pieces.
const POOL_COUNT_MAX: usize = 4;

/// Buffers that wait for their next message. More would only serve that many messages in pieces at
/// the same time.
const SPARE_COUNT_MAX: usize = 64;

/// Bytes of the largest message that is taken the quick way: two bytes say how long it is.
const QUICK_MAX: usize = 0xFFFF;

/// Bytes of the largest of these. Larger ones are kept apart.
const SPARE_SIZE_MAX: usize = 64 << 10;

/// The limits, the spare message buffers and, for clients, the masking keys of all connections that
/// one thread serves. One for each set of limits.
///
/// ```
/// use ringwire_protocol::{Limits, Workspace};
///
/// let server = Workspace::new(Limits { message_size_max: 64 << 10, ..Limits::default() });
/// // A client's keys must come from a source that no one can predict; this one is for a test.
/// let client = Workspace::new(Limits::default()).with_masking_keys(|| [1, 2, 3, 4]);
/// # let _ = (server, client);
/// ```
pub struct Workspace {
    limits: Limits,
    /// Empty, each with some capacity. `spare.len() <= SPARE_COUNT_MAX`.
    spare: Vec<Vec<u8>>,
    /// Larger ones.
    shelf: Shelf,
    /// Messages that have ended, for their memory. `ended.len() <= SPARE_COUNT_MAX`.
    #[expect(clippy::vec_box, reason = "the boxes are what is kept: they pass to receivers")]
    ended: Vec<Box<Assembly>>,
    /// The compressors and decompressors that no connection holds.
    pool: Pool,
    masking_keys: Option<Box<dyn FnMut() -> [u8; 4]>>,
    pub(crate) traffic: Traffic,
    /// Bytes of a message that is taken the quick way, at most.
    quick_max: usize,
}

const fn least(one: usize, other: usize) -> usize {
    if one < other { one } else { other }
}

impl Workspace {
    /// Bytes of the largest spare buffer in which a message may begin, however short it is.
    pub const SPARE_SIZE_MAX: usize = SPARE_SIZE_MAX;

    /// Bytes of everything that is kept between messages, but for compressors.
    pub const SPARE_MAX: usize =
        SPARE_COUNT_MAX * (SPARE_SIZE_MAX + size_of::<Assembly>()) + Shelf::SIZE_MAX;

    /// Compressors that are kept, and as many decompressors.
    pub const POOL_COUNT_MAX: usize = POOL_COUNT_MAX;

    /// A workspace for servers.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            spare: Vec::new(),
            shelf: Shelf::new(),
            ended: Vec::new(),
            pool: Pool::new(POOL_COUNT_MAX),
            masking_keys: None,
            traffic: Traffic::NONE,
            quick_max: least(QUICK_MAX, least(limits.frame_size_max, limits.message_size_max)),
        }
    }

    /// Adds what clients need: a source of masking keys.
    #[must_use]
    pub fn with_masking_keys(mut self, source: impl FnMut() -> [u8; 4] + 'static) -> Self {
        //= RFC 6455 5.3: The masking key needs to be unpredictable; thus, the masking key MUST be
        //= derived from a strong source of entropy.
        self.masking_keys = Some(Box::new(source));
        self
    }

    /// Bytes of a message that is taken the quick way, at most.
    pub(crate) const fn quick_max(&self) -> usize {
        self.quick_max
    }

    /// The limits that hold for all connections of this workspace.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What has passed through so far.
    #[must_use]
    pub const fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// Bytes of what is kept between messages, without compressors. At most
    /// [`SPARE_MAX`](Self::SPARE_MAX).
    #[must_use]
    pub fn allocated(&self) -> usize {
        let spare: usize = self.spare.iter().map(Vec::capacity).sum();
        spare + self.shelf.size() + self.ended.len() * size_of::<Assembly>()
    }

    pub(crate) fn masking_key(&mut self) -> Result<[u8; 4], Misuse> {
        match &mut self.masking_keys {
            Some(source) => Ok(source()),
            None => Err(Misuse::MaskingKeysMissing),
        }
    }

    pub(crate) const fn pool(&mut self) -> &mut Pool {
        &mut self.pool
    }

    /// A message of which nothing has arrived.
    pub(crate) fn begin(&mut self, kind: Kind, streams: bool) -> Box<Assembly> {
        let assembly =
            if streams { Assembly::streamed(kind) } else { Assembly::new(kind, self.take()) };
        match self.ended.pop() {
            Some(mut place) => {
                *place = assembly;
                place
            }
            None => Box::new(assembly),
        }
    }

    /// Takes back what [`Workspace::begin`] gave.
    pub(crate) fn end(&mut self, mut assembly: Box<Assembly>) {
        let ended = core::mem::replace(&mut *assembly, Assembly::new(Kind::Binary, Vec::new()));
        self.give(ended.into_buffer());
        if self.ended.len() < SPARE_COUNT_MAX {
            self.ended.push(assembly);
        }
    }

    /// An empty buffer, with the capacity of an earlier message where one is spare.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// The larger buffers.
    pub(crate) const fn shelf(&mut self) -> &mut Shelf {
        &mut self.shelf
    }

    /// An empty buffer for `size` bytes, for what is to be sent: where many are needed, one that
    /// has been used before and has at most twice that capacity. [`Workspace::give`] takes it back.
    ///
    /// ```
    /// use ringwire_protocol::{Limits, Workspace};
    ///
    /// let mut workspace = Workspace::new(Limits::default());
    /// let buffer = workspace.buffer(1 << 20);
    /// let address = buffer.as_ptr();
    /// workspace.give(buffer);
    /// assert_eq!(workspace.buffer(1_000_000).as_ptr(), address);
    /// ```
    #[must_use]
    pub fn buffer(&mut self, size: usize) -> Vec<u8> {
        self.shelf.take(size).unwrap_or_else(|| Vec::with_capacity(size))
    }

    /// Gives back to the system what is kept of large buffers.
    pub fn clear(&mut self) {
        self.shelf.clear();
    }

    /// Takes a buffer that is needed no more, for its capacity.
    pub fn give(&mut self, mut buffer: Vec<u8>) {
        if buffer.capacity() > SPARE_SIZE_MAX {
            self.shelf.give(buffer);
            return;
        }
        if buffer.capacity() > 0 && self.spare.len() < SPARE_COUNT_MAX {
            buffer.clear();
            self.spare.push(buffer);
        }
    }
}

impl fmt::Debug for Workspace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Workspace")
            .field("limits", &self.limits)
            .field("spare", &self.spare.len())
            .field("masking_keys", &self.masking_keys.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_little() {
        let mut workspace = Workspace::new(Limits::default());
        workspace.give(Vec::with_capacity(SPARE_SIZE_MAX + 1));
        workspace.give(Vec::new());
        assert!(workspace.spare.is_empty());
        assert_eq!(workspace.allocated(), SPARE_SIZE_MAX + 1);
        workspace.clear();
        for _ in 0..2 * SPARE_COUNT_MAX {
            workspace.give(vec![1; 16]);
        }
        assert_eq!(workspace.spare.len(), SPARE_COUNT_MAX);
        assert_eq!(workspace.allocated(), 16 * SPARE_COUNT_MAX);
        let buffer = workspace.take();
        assert!(buffer.is_empty());
        assert!(buffer.capacity() >= 16);
    }
}
