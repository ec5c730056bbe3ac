//! A second reader of frames, told as RFC 6455 section 5 tells it: it has all bytes at once, copies
//! them as it likes and knows nothing of compression.

use ringwire_protocol::frame::close::code_may_be_sent;
use ringwire_protocol::{Limits, Role, Violation};

use crate::side::{MASKING_KEY, Seen};

/// What a side of this `role` sees of all the `bytes` that its peer sent.
#[must_use]
pub fn read(role: Role, limits: &Limits, bytes: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    let mut rest = bytes;
    let mut message = None;
    loop {
        match frame(role, limits, &mut rest, &mut message) {
            Ok(Some(event)) => seen.extend(event),
            Ok(None) => return seen,
            Err(violation) => seen.push(Seen::Failed(violation)),
        }
        if seen.last().is_some_and(Seen::is_last) {
            return seen;
        }
    }
}

/// What a side of this `role`, which has `closed` before or has not, answers to what it saw.
#[must_use]
pub fn answers(role: Role, closed: bool, seen: &[Seen]) -> Vec<u8> {
    let mut out = Vec::new();
    for event in seen {
        let (first, payload) = match event {
            Seen::Ping(payload) => (0x8a, payload.clone()),
            Seen::Close(code, _) if !closed => {
                (0x88, code.map_or(Vec::new(), |code| code.to_be_bytes().to_vec()))
            }
            Seen::Failed(violation) if !closed => {
                let code = violation.close_code().to_be_bytes();
                (0x88, [&code, violation.reason().as_bytes()].concat())
            }
            _ => continue,
        };
        let size = u8::try_from(payload.len()).expect("a control frame is short");
        match role {
            Role::Server => out.extend([first, size]),
            Role::Client => out.extend([&[first, 0x80 | size], &MASKING_KEY[..]].concat()),
        }
        match role {
            Role::Server => out.extend(payload),
            Role::Client => out.extend(masked(&payload, MASKING_KEY)),
        }
    }
    out
}

/// Each byte with the byte of the key that RFC 6455 section 5.3 gives it.
#[must_use]
pub fn masked(payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    payload.iter().zip(key.into_iter().cycle()).map(|(byte, key)| byte ^ key).collect()
}

/// The message whose fragments are arriving.
struct Unfinished {
    is_text: bool,
    bytes: Vec<u8>,
    fragments: u32,
}

/// Takes one frame off `rest`. `Ok(None)` where it is not whole, and `Ok(Some(None))` where it
/// shows nothing yet.
fn frame(
    role: Role,
    limits: &Limits,
    rest: &mut &[u8],
    message: &mut Option<Unfinished>,
) -> Result<Option<Option<Seen>>, Violation> {
    let Some((fin, opcode, key, length, after)) = header(role, rest)? else { return Ok(None) };
    if opcode < 8 {
        begin(opcode, length, limits, message)?;
    }
    let size = usize::try_from(length).unwrap_or(usize::MAX);
    let payload = masked(&after[..size.min(after.len())], key);
    let is_whole = payload.len() == size;
    *rest = &after[payload.len()..];
    if opcode >= 8 {
        return if is_whole {
            control(opcode, payload).map(|seen| Some(Some(seen)))
        } else {
            Ok(None)
        };
    }
    let Some(unfinished) = message else { return Ok(None) };
    unfinished.bytes.extend(payload);
    if unfinished.is_text {
        let checked = str::from_utf8(&unfinished.bytes);
        // What is only cut short may yet become right.
        let is_cut = !(fin && is_whole) && checked.is_err_and(|error| error.error_len().is_none());
        if checked.is_err() && !is_cut {
            return Err(Violation::InvalidUtf8);
        }
    }
    if !is_whole {
        return Ok(None);
    }
    if !fin {
        return Ok(Some(None));
    }
    Ok(Some(message.take().map(|Unfinished { is_text, bytes, .. }| match is_text {
        true => Seen::Text(String::from_utf8(bytes).expect("it has just been checked")),
        false => Seen::Binary(bytes),
    })))
}

/// Checks a data frame of `length` bytes, and makes room for its bytes.
fn begin(
    opcode: u8,
    length: u64,
    limits: &Limits,
    message: &mut Option<Unfinished>,
) -> Result<(), Violation> {
    match (opcode, &message) {
        (0, None) => return Err(Violation::ContinuationUnexpected),
        (1 | 2, Some(_)) => return Err(Violation::ContinuationExpected),
        _ => {}
    }
    let (before, fragments) =
        message.as_ref().map_or((0, 0), |message| (message.bytes.len(), message.fragments));
    if length > limits.frame_size_max as u64 {
        return Err(Violation::FrameTooBig);
    }
    if before as u64 + length > limits.message_size_max as u64 {
        return Err(Violation::MessageTooBig);
    }
    if fragments == limits.fragments_max {
        return Err(Violation::TooManyFragments);
    }
    let is_text = opcode == 1;
    let unfinished = Unfinished { is_text, bytes: Vec::new(), fragments: 0 };
    message.get_or_insert(unfinished).fragments += 1;
    Ok(())
}

/// What a control frame says.
fn control(opcode: u8, payload: Vec<u8>) -> Result<Seen, Violation> {
    match (opcode, &payload[..]) {
        (9, _) => Ok(Seen::Ping(payload)),
        (10, _) => Ok(Seen::Pong(payload)),
        (_, []) => Ok(Seen::Close(None, String::new())),
        (_, [_]) => Err(Violation::CloseTruncated),
        (_, [high, low, reason @ ..]) => {
            let code = u16::from_be_bytes([*high, *low]);
            if !code_may_be_sent(code) {
                return Err(Violation::CloseCode(code));
            }
            let reason = str::from_utf8(reason).map_err(|_| Violation::InvalidUtf8)?;
            Ok(Seen::Close(Some(code), reason.to_owned()))
        }
    }
}

/// FIN, opcode, masking key, length of the payload, and what follows the header.
type Fields<'b> = (bool, u8, [u8; 4], u64, &'b [u8]);

/// The fields of the header that `bytes` start with, or what is wrong with the first bytes of it.
fn header(role: Role, bytes: &[u8]) -> Result<Option<Fields<'_>>, Violation> {
    let [first, rest @ ..] = bytes else { return Ok(None) };
    let (fin, opcode) = (first & 0x80 != 0, first & 0x0f);
    if first & 0x70 != 0 {
        return Err(Violation::ReservedBits);
    }
    match opcode {
        3..=7 | 11.. => return Err(Violation::ReservedOpcode(opcode)),
        8.. if !fin => return Err(Violation::ControlFragmented),
        _ => {}
    }
    let [second, rest @ ..] = rest else { return Ok(None) };
    let is_masked = second & 0x80 != 0;
    match (role, is_masked) {
        (Role::Server, false) => return Err(Violation::Unmasked),
        (Role::Client, true) => return Err(Violation::Masked),
        _ => {}
    }
    let (size, least) = match second & 0x7f {
        126.. if opcode >= 8 => return Err(Violation::ControlTooLong),
        126 => (2, 126),
        127 => (8, 65_536),
        _ => (0, 0),
    };
    if rest.len() < size {
        return Ok(None);
    }
    let (extended, rest) = rest.split_at(size);
    let length = match size {
        0 => u64::from(second & 0x7f),
        _ => extended.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
    };
    if length >> 63 != 0 {
        return Err(Violation::LengthTooLarge);
    }
    if length < least {
        return Err(Violation::LengthNotMinimal);
    }
    match (is_masked, rest) {
        (true, [a, b, c, d, rest @ ..]) => Ok(Some((fin, opcode, [*a, *b, *c, *d], length, rest))),
        (true, _) => Ok(None),
        (false, _) => Ok(Some((fin, opcode, [0; 4], length, rest))),
    }
}
