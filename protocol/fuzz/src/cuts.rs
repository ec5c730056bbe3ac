//! How a stream of bytes is cut into pieces.

use arbitrary::Arbitrary;

/// The sizes of the pieces, which begin anew after the last one: up to 127 each is a size less one,
/// and above that 256 bytes each.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Cuts(pub [u8; 4]);

impl Cuts {
    /// Pieces of one byte.
    pub const BYTEWISE: Self = Self([0; 4]);

    /// The pieces of `bytes`, none of them empty.
    pub fn pieces<'b>(&self, bytes: &'b [u8]) -> impl Iterator<Item = &'b [u8]> + use<'b> {
        let mut rest = bytes;
        let mut sizes = self.0.into_iter().cycle();
        std::iter::from_fn(move || {
            let size = match sizes.next()? {
                size @ 0..=127 => usize::from(size) + 1,
                size => usize::from(size - 127) * 256,
            };
            let (piece, after) = rest.split_at(size.min(rest.len()));
            rest = after;
            (!piece.is_empty()).then_some(piece)
        })
    }
}
