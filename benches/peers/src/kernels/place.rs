//! Bytes at a known place.

/// The boundary from which places are counted: a cache line, and the widest vector.
const BOUNDARY: usize = 64;

/// Where the payload of a frame begins that itself begins at a boundary and has a short header.
pub(super) const AFTER_HEADER: usize = 6;

/// Bytes that begin so many bytes after a boundary.
pub(super) struct Place {
    buffer: Vec<u8>,
    start: usize,
    size: usize,
}

impl Place {
    /// A copy of `bytes`, `offset` bytes after a boundary.
    pub(super) fn new(bytes: &[u8], offset: usize) -> Self {
        let mut buffer = vec![0; bytes.len() + 2 * BOUNDARY];
        // The buffer never grows, so it stays where it is.
        let start = BOUNDARY - buffer.as_ptr().addr() % BOUNDARY + offset % BOUNDARY;
        buffer[start..start + bytes.len()].copy_from_slice(bytes);
        Self { buffer, start, size: bytes.len() }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.start + self.size]
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.start + self.size]
    }
}
