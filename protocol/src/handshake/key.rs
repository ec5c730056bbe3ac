//! The key a client sends and the proof that its server understood it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::block_api::compress;

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
        let (mut first, second) = BLOCKS;
        if let Some(place) = first.first_chunk_mut() {
            *place = self.0;
        }
        let mut hash = HASH;
        compress(&mut hash, &[first, second]);
        let mut digest = [0; 20];
        for (place, word) in digest.as_chunks_mut().0.iter_mut().zip(hash) {
            *place = word.to_be_bytes();
        }
        let mut text = [0; 28];
        // 20 bytes are 28 characters; a smaller text cannot come about.
        let written = STANDARD.encode_slice(digest, &mut text);
        debug_assert_eq!(written, Ok(28));
        text
    }
}

const GUID: &[u8; 36] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The message to be hashed, as SHA-1 pads it (FIPS 180-4, 5.1.1): 24 bytes for the key, the GUID,
/// one bit, zeros, and the length in bits. Every key makes as long a message.
const BLOCKS: ([u8; 64], [u8; 64]) = {
    let (mut first, mut second) = ([0; 64], [0; 64]);
    let mut index = 0;
    while index < GUID.len() {
        first[24 + index] = GUID[index];
        index += 1;
    }
    first[60] = 0x80;
    [second[62], second[63]] = ((24 + 36) * 8_u16).to_be_bytes();
    (first, second)
};

/// What SHA-1 begins with (FIPS 180-4, 5.3.1).
const HASH: [u32; 5] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha1::{Digest, Sha1};

    use super::*;

    proptest! {
        #[test]
        fn the_blocks_are_padded_as_the_hash_pads_them(bytes in any::<[u8; 16]>()) {
            let key = Key::new(bytes);
            let digest = Sha1::new().chain_update(key.as_bytes()).chain_update(GUID).finalize();
            let accept = key.accept();
            let mut decoded = [0; 21];
            prop_assert_eq!(STANDARD.decode_slice(accept, &mut decoded), Ok(20));
            prop_assert_eq!(&decoded[..20], &digest[..]);
        }
    }

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
