//! The subprotocols that a client offers (RFC 6455 section 1.9).

use alloc::vec::Vec;

use super::Refusal;
use super::list::{elements, token};

/// The first of the client's `offered` subprotocols that is one of the `supported`.
///
/// The client's order decides, because it is the only one that RFC 6455 gives a meaning to
/// (section 4.1, item 10: "ordered by preference"). Names are compared byte for byte. `None`
/// means that the answer names no subprotocol; whether to accept then is the server's choice.
///
/// ```
/// use ringwire_protocol::handshake::choose_subprotocol;
///
/// assert_eq!(choose_subprotocol(["b", "a"], &["a", "b"]), Some("b"));
/// assert_eq!(choose_subprotocol(["c"], &["a", "b"]), None);
/// ```
pub fn choose_subprotocol<'o, 's>(
    offered: impl IntoIterator<Item = &'o str>,
    supported: &[&'s str],
) -> Option<&'s str> {
    offered
        .into_iter()
        .find_map(|offer| supported.iter().find(|supported| **supported == offer).copied())
}

/// Checks all lines of one head: one or more tokens, no two the same.
pub(super) fn check_subprotocols<'a>(
    values: impl Iterator<Item = &'a [u8]>,
) -> Result<(), Refusal> {
    let mut tokens = Vec::new();
    for value in values {
        for element in elements(value) {
            tokens.push(token(element).ok_or(Refusal::SubprotocolsMalformed)?);
        }
    }
    if tokens.is_empty() {
        return Err(Refusal::SubprotocolsMalformed);
    }
    //= RFC 6455 4.1: The elements that comprise this value MUST be non-empty strings with
    //= characters in the range U+0021 to U+007E not including separator characters
    //= as defined in [RFC2616] and MUST all be unique strings.
    if has_duplicate(&mut tokens) { Err(Refusal::SubprotocolDuplicate) } else { Ok(()) }
}

/// Whether two of `tokens` are the same. Sorts them: a head full of short tokens compared each
/// with each would cost the square of its length.
pub(super) fn has_duplicate(tokens: &mut [&str]) -> bool {
    tokens.sort_unstable();
    tokens.iter().zip(tokens.iter().skip(1)).any(|(one, next)| one == next)
}
