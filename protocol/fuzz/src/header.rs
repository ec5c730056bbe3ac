//! The header of a frame.

use arbitrary::Arbitrary;
use ringwire_protocol::frame::header::{Header, SIZE_MAX};
use ringwire_protocol::{Role, Violation};

/// Bytes that a peer sent.
#[derive(Arbitrary, Debug)]
pub struct Input<'a> {
    /// Whether a client sent them.
    pub from_client: bool,
    /// Whether compression was negotiated.
    pub deflate: bool,
    /// From the first byte of the header on.
    pub bytes: &'a [u8],
}

impl Input<'_> {
    /// A whole header is encoded to the bytes it was decoded from. A violation shows at one byte
    /// and remains.
    pub fn check(&self) {
        let decoded = self.decode(self.bytes.len());
        let size = match decoded {
            Ok(Some((header, size))) => {
                assert!(size <= SIZE_MAX);
                let mut encoded = Vec::new();
                header.encode(&mut encoded);
                assert_eq!(self.bytes.get(..size), Some(&encoded[..]), "{header:?}");
                size
            }
            Ok(None) => {
                assert!(self.bytes.len() < SIZE_MAX);
                self.bytes.len() + 1
            }
            Err(_) => self.first_wrong(),
        };
        for length in 0..=self.bytes.len().min(SIZE_MAX) {
            let expected = if length < size { Ok(None) } else { decoded };
            assert_eq!(self.decode(length), expected, "{length} bytes");
        }
    }

    fn decode(&self, length: usize) -> Result<Option<(Header, usize)>, Violation> {
        let sender = if self.from_client { Role::Client } else { Role::Server };
        // A copy of just this size, so that the sanitizer sees who reads on.
        let prefix = self.bytes[..length].to_vec();
        let decoded = Header::decode_negotiated(&prefix, sender, self.deflate);
        if !self.deflate {
            assert_eq!(Header::decode(&prefix, sender), decoded);
        }
        decoded
    }

    /// The length of the shortest prefix that is wrong.
    fn first_wrong(&self) -> usize {
        let mut lengths = 0..=SIZE_MAX.min(self.bytes.len());
        lengths.find(|length| self.decode(*length).is_err()).expect("a header shows what it is")
    }
}
