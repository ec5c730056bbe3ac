//! The key a client sends and the proof that its server understood it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The text of a `Sec-WebSocket-Key`: base64 of 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key([u8; 24]);

impl Key {
    /// The key of these 16 bytes.
    pub(super) fn new(bytes: [u8; 16]) -> Self {
        let mut text = [0; 24];
        // 16 bytes are 24 characters; a smaller text cannot come about.
        let written = STANDARD.encode_slice(bytes, &mut text);
        debug_assert_eq!(written, Ok(24));
        Self(text)
    }

    /// The key in this value. Base64 that is unpadded, or padded with bits that are not zero,
    /// is none.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        //= RFC 6455 4.2.1: A |Sec-WebSocket-Key| header field with a base64-encoded (see Section 4
        //= of [RFC4648]) value that, when decoded, is 16 bytes in length.
        let text: [u8; 24] = value.try_into().ok()?;
        let mut bytes = [0; 18];
        let length = STANDARD.decode_slice(text, &mut bytes).ok()?;
        (length == 16).then_some(Self(text))
    }

    pub(super) const fn as_bytes(&self) -> &[u8; 24] {
        &self.0
    }

    /// The `Sec-WebSocket-Accept` that answers this key.
    pub(super) fn accept(&self) -> [u8; 28] {
        //= RFC 6455 4.2.2: constructed by concatenating /key/, defined above in step 4 in Section
        //= 4.2.2, with the string "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", taking the SHA-1 hash of
        //= this concatenated value to obtain a 20-byte value and base64-encoding (see Section 4 of
        //= [RFC4648]) this 20-byte hash.
        let digest = Sha1::new().chain_update(self.0).chain_update(GUID).finalize();
        let mut text = [0; 28];
        // 20 bytes are 28 characters; a smaller text cannot come about.
        let written = STANDARD.encode_slice(digest, &mut text);
        debug_assert_eq!(written, Ok(28));
        text
    }
}

const GUID: &[u8; 36] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard() {
        let key = Key::parse(b"dGhlIHNhbXBsZSBub25jZQ==").unwrap();
        assert_eq!(key, Key::new(*b"the sample nonce"));
        assert_eq!(&key.accept(), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn only_canonical_base64_of_16_bytes_is_a_key() {
        let bad: [&[u8]; 8] = [
            b"",
            b"dGhlIHNhbXBsZSBub25jZQ",
            b"dGhlIHNhbXBsZSBub25jZQ=",
            b"dGhlIHNhbXBsZSBub25jZR==",
            b"dGhlIHNhbXBsZSBub25jZQ= ",
            b"dGhlIHNhbXBsZSBub25jZSE=",
            b"dGhlIHNhbXBsZSBub25jZSEh",
            b"dGhlIHNhbXBsZSBub2_jZQ==",
        ];
        for value in bad {
            assert_eq!(Key::parse(value), None, "{value:?}");
        }
    }
}
