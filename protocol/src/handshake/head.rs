//! Where a head ends, found while it arrives.
//!
//! Every byte that gives a head its structure, and every byte that is forbidden in one, is a
//! control byte, but for the first byte of a line. So the scan leaps from one control byte to
//! the next and steps through these states:
//!
//! ```text
//! Start ──CR──► EmptyLine ──LF──► First          one empty line before a request is skipped
//!   └──token──┐                     │token
//!             ▼                     │
//!           Line ◄──────────────────┘
//!          CR │ ▲ token
//!             ▼ │
//!         LineEnd ──LF──► Next ──CR──► End ──LF──► Complete
//! ```
//!
//! Everything without an arrow is refused at that byte, so the answer depends on the bytes and
//! never on how they were cut.

use super::limits::HEADERS_MAX;
use super::list::is_token_byte;
use super::{Limits, Refusal};

/// How far the head of one connection has been scanned. Two words, and no bytes are kept.
///
/// The caller keeps all bytes received so far and passes all of them each time; the scan looks
/// at the new ones only.
///
/// ```
/// use ringwire_protocol::handshake::{Head, Limits, Refusal};
///
/// let bytes = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\x81";
/// let mut head = Head::request();
/// assert_eq!(head.scan(&bytes[..20], &Limits::default()), Ok(None));
/// assert_eq!(head.scan(bytes, &Limits::default()), Ok(Some(27)));
///
/// // The first byte of a TLS ClientHello is enough.
/// assert_eq!(Head::request().scan(&[0x16], &Limits::default()), Err(Refusal::NotHttp));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Bytes whose effect is in `state`. At most the length last passed and `head_size_max`.
    scanned: usize,
    /// Header lines begun. At most `headers_max`.
    headers: u16,
    state: State,
}

/// What the next byte may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The first byte of a request: a token character, or the CR of an empty line.
    Start,
    /// The LF of the empty line before the request line.
    EmptyLine,
    /// The first byte of the start line: a token character.
    First,
    /// Inside the start line.
    StartLine,
    /// Inside a header line.
    Line,
    /// After the CR of a line: its LF.
    LineEnd,
    /// The first byte of a header line, or the CR of the blank line.
    Next,
    /// The LF of the blank line.
    End,
    /// The head is whole.
    Complete,
}

/// What a byte is to the structure of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// A character of a token (RFC 9110 5.6.2).
    Token,
    /// SP or HTAB.
    Blank,
    /// Visible but no token character, or above ASCII.
    Other,
    CarriageReturn,
    LineFeed,
    /// Any other control byte.
    Control,
}

impl Head {
    /// The state before the first byte of a request.
    #[must_use]
    pub const fn request() -> Self {
        Self { scanned: 0, headers: 0, state: State::Start }
    }

    /// The state before the first byte of a response, which no empty line may precede.
    #[must_use]
    pub const fn response() -> Self {
        Self { scanned: 0, headers: 0, state: State::First }
    }

    /// Scans the bytes that are new in `head`, which holds everything received so far.
    ///
    /// Returns the length of the head with its blank line once it is whole, and the same length
    /// from then on. The cost over all calls is linear in the length of the head.
    ///
    /// # Errors
    ///
    /// The [`Refusal`] of the first byte that cannot stand in a head that may yet be accepted:
    /// a forbidden control byte, a bare CR or LF, obsolete line folding, a first byte that
    /// starts no token, or the byte that reaches one of the `limits`. It is returned again by
    /// every later call.
    pub fn scan(&mut self, head: &[u8], limits: &Limits) -> Result<Option<usize>, Refusal> {
        let window = head.get(..limits.head_size_max).unwrap_or(head);
        while self.state != State::Complete {
            self.leap(head, window, limits)?;
            if self.begin_line(window, limits) {
                continue;
            }
            let Some(&byte) = window.get(self.scanned) else {
                let full = head.len() >= limits.head_size_max;
                return if full { Err(Refusal::HeadTooLarge) } else { Ok(None) };
            };
            self.step(classify(byte), limits)?;
            self.scanned += 1;
        }
        Ok(Some(self.scanned))
    }

    /// Passes over the bytes up to the next control byte where no other byte can matter.
    fn leap(&mut self, head: &[u8], window: &[u8], limits: &Limits) -> Result<(), Refusal> {
        let end = match self.state {
            State::StartLine => {
                // An empty line before the request line is no part of it.
                let start = if head.first() == Some(&b'\r') { 2 } else { 0 };
                limits.start_line_size_max.saturating_add(start)
            }
            State::Line => usize::MAX,
            State::Start
            | State::EmptyLine
            | State::First
            | State::LineEnd
            | State::Next
            | State::End
            | State::Complete => return Ok(()),
        };
        let line = window.get(self.scanned..window.len().min(end)).unwrap_or_default();
        self.scanned += control_position(line).unwrap_or(line.len());
        match window.get(self.scanned) {
            // Only the CR may stand at the first place past the longest start line.
            Some(&byte) if self.scanned >= end && byte != b'\r' => Err(Refusal::StartLineTooLarge),
            Some(_) | None => Ok(()),
        }
    }

    /// Takes the end of a line and the first byte of the next header line at once, as nearly all
    /// lines follow each other. `false`, and nothing taken, where anything else comes.
    fn begin_line(&mut self, window: &[u8], limits: &Limits) -> bool {
        let next = window.get(self.scanned..).and_then(<[u8]>::first_chunk);
        let is_line = matches!(self.state, State::StartLine | State::Line)
            && matches!(next, Some(&[b'\r', b'\n', first]) if is_token_byte(first))
            && usize::from(self.headers) < limits.headers_max.min(HEADERS_MAX);
        if is_line {
            self.headers += 1;
            self.state = State::Line;
            self.scanned += 3;
        }
        is_line
    }

    /// Takes one byte, or refuses it and stays.
    fn step(&mut self, class: Class, limits: &Limits) -> Result<(), Refusal> {
        use Class::{Blank, CarriageReturn, Control, LineFeed, Other, Token};
        self.state = match (self.state, class) {
            //= RFC 9112 2.2: a server that is expecting to receive and parse a request-line
            //= SHOULD ignore at least one empty line (CRLF) received prior to the
            //= request-line.
            (State::Start, CarriageReturn) => State::EmptyLine,
            (State::Start | State::First, Token) => State::StartLine,
            (State::Start | State::First, LineFeed) => return Err(Refusal::BareLineFeed),
            (State::Start, Blank | Other | Control)
            | (State::First, Blank | Other | Control | CarriageReturn) => {
                return Err(Refusal::NotHttp);
            }

            (State::EmptyLine, LineFeed) => State::First,
            (State::LineEnd, LineFeed) => State::Next,
            (State::End, LineFeed) => State::Complete,
            //= RFC 9112 2.2: A recipient of such a bare CR MUST consider that element to be invalid
            (
                State::EmptyLine | State::LineEnd | State::End,
                Token | Blank | Other | CarriageReturn | Control,
            ) => return Err(Refusal::BareCarriageReturn),

            (State::StartLine, Token | Blank | Other) => State::StartLine,
            (State::Line, Token | Blank | Other) => State::Line,
            (State::StartLine | State::Line, CarriageReturn) => State::LineEnd,
            (State::StartLine | State::Line | State::Next, Control) => {
                return Err(Refusal::ControlByte);
            }
            //= RFC 9112 2.2: a recipient MAY recognize a single LF as a line terminator
            // We do not: proxies that disagree about the end of a line can be made to disagree
            // about the end of a request.
            (State::StartLine | State::Line | State::Next, LineFeed) => {
                return Err(Refusal::BareLineFeed);
            }

            (State::Next, Token) => {
                if usize::from(self.headers) >= limits.headers_max.min(HEADERS_MAX) {
                    return Err(Refusal::TooManyHeaders);
                }
                self.headers += 1;
                State::Line
            }
            //= RFC 9112 5.2: A server that receives an obs-fold in a request message that is not
            //= within a message/http container MUST either reject the message by
            //= sending a 400 (Bad Request)
            //= RFC 9112 2.2: A recipient that receives whitespace between the start-line and the
            //= first header field MUST either reject the message as invalid
            (State::Next, Blank) => return Err(Refusal::ObsoleteFolding),
            (State::Next, Other) => return Err(Refusal::HeaderMalformed),
            (State::Next, CarriageReturn) => State::End,

            (State::Complete, Token | Blank | Other | CarriageReturn | LineFeed | Control) => {
                State::Complete
            }
        };
        Ok(())
    }
}

fn classify(byte: u8) -> Class {
    match byte {
        b'\r' => Class::CarriageReturn,
        b'\n' => Class::LineFeed,
        b' ' | b'\t' => Class::Blank,
        0..=0x1f | 0x7f => Class::Control,
        _ if is_token_byte(byte) => Class::Token,
        _ => Class::Other,
    }
}

/// The place of the first control byte other than HTAB.
///
/// Blocks are folded without a branch, which compiles to vector instructions, and the words of the
/// one that is not plain say where. A search for CR or LF alone would need a second pass for the
/// forbidden bytes.
fn control_position(bytes: &[u8]) -> Option<usize> {
    let (blocks, _) = bytes.as_chunks::<BLOCK_SIZE>();
    let is_plain =
        |block: &&[u8; BLOCK_SIZE]| !block.iter().fold(false, |any, &byte| any | is_control(byte));
    let plain = blocks.iter().take_while(is_plain).count() * BLOCK_SIZE;
    let (words, rest) = bytes.get(plain..).unwrap_or_default().as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let found = controls(u64::from_le_bytes(*word));
        if found != 0 {
            return Some(plain + index * 8 + found.trailing_zeros() as usize / 8);
        }
    }
    let position = rest.iter().position(|&byte| is_control(byte))?;
    Some(plain + words.len() * 8 + position)
}

/// The highest bit of each byte of `word` that is a control byte other than HTAB.
///
/// Without its highest bit a byte is at most 0x7F, so no sum carries into the next byte.
const fn controls(word: u64) -> u64 {
    let low = word & !HIGHEST;
    let from_space = low + (0x80 - 0x20) * EACH;
    let not_tab = (low ^ (b'\t' as u64 * EACH)) + 0x7f * EACH;
    let delete = low + EACH;
    ((!from_space & not_tab) | delete) & !word & HIGHEST
}

const fn is_control(byte: u8) -> bool {
    (byte < 0x20 && byte != b'\t') || byte == 0x7f
}

/// One vector register of every x86-64 and AArch64 machine.
const BLOCK_SIZE: usize = 16;

/// One in each byte of a word.
const EACH: u64 = u64::MAX / 0xff;

const HIGHEST: u64 = 0x80 * EACH;

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const SMALL: Limits = Limits { head_size_max: 40, start_line_size_max: 8, headers_max: 3 };

    /// The same rules told once more from the whole head, byte by byte, looking backwards.
    fn oracle(head: &[u8], limits: &Limits) -> Result<Option<usize>, Refusal> {
        let start = if head.starts_with(b"\r\n") { 2 } else { 0 };
        let mut headers = 0;
        for (index, &byte) in head.iter().enumerate() {
            if index >= limits.head_size_max {
                return Err(Refusal::HeadTooLarge);
            }
            let before = &head[..index];
            if before.ends_with(b"\r") {
                if byte != b'\n' {
                    return Err(Refusal::BareCarriageReturn);
                }
                if index > start && before.ends_with(b"\r\n\r") {
                    return Ok(Some(index + 1));
                }
                continue;
            }
            if index == 0 || index == start {
                match byte {
                    b'\r' if index == 0 => {}
                    b'\n' => return Err(Refusal::BareLineFeed),
                    _ if !is_token_byte(byte) => return Err(Refusal::NotHttp),
                    _ => {}
                }
                continue;
            }
            let first_line = !head[start..index].contains(&b'\n');
            if first_line && index - start >= limits.start_line_size_max && byte != b'\r' {
                return Err(Refusal::StartLineTooLarge);
            }
            if byte == b'\n' {
                return Err(Refusal::BareLineFeed);
            }
            if byte != b'\r' && is_control(byte) {
                return Err(Refusal::ControlByte);
            }
            if before.ends_with(b"\r\n") && byte != b'\r' {
                if byte == b' ' || byte == b'\t' {
                    return Err(Refusal::ObsoleteFolding);
                }
                if !is_token_byte(byte) {
                    return Err(Refusal::HeaderMalformed);
                }
                headers += 1;
                if headers > limits.headers_max {
                    return Err(Refusal::TooManyHeaders);
                }
            }
        }
        let full = head.len() >= limits.head_size_max;
        if full { Err(Refusal::HeadTooLarge) } else { Ok(None) }
    }

    /// Every prefix, scanned whole, scanned byte by byte and scanned in each two pieces, gives
    /// what the oracle gives.
    fn check(head: &[u8], limits: &Limits) {
        let mut bytewise = Head::request();
        for length in 0..=head.len() {
            let prefix = &head[..length];
            let expected = oracle(prefix, limits);
            assert_eq!(Head::request().scan(prefix, limits), expected, "{prefix:?}");
            assert_eq!(bytewise.scan(prefix, limits), expected, "{prefix:?}");
        }
        for cut in 0..=head.len() {
            let mut scan = Head::request();
            let first = scan.scan(&head[..cut], limits);
            let both = scan.scan(head, limits);
            assert_eq!(both, oracle(head, limits), "{head:?} cut at {cut}");
            assert!(first == Ok(None) || first == both, "{head:?} cut at {cut}");
        }
    }

    #[test]
    fn refuses_at_the_first_byte_that_cannot_stand() {
        let cases: [(&[u8], Refusal); 20] = [
            (b"\x16", Refusal::NotHttp),
            (b"\0", Refusal::NotHttp),
            (b" ", Refusal::NotHttp),
            (b"\x80", Refusal::NotHttp),
            (b"\n", Refusal::BareLineFeed),
            (b"\r\n\r", Refusal::NotHttp),
            (b"\r\n\n", Refusal::BareLineFeed),
            (b"\rG", Refusal::BareCarriageReturn),
            (b"GET\0", Refusal::ControlByte),
            (b"GET \x7f", Refusal::ControlByte),
            (b"GET\n", Refusal::BareLineFeed),
            (b"GET\rH", Refusal::BareCarriageReturn),
            (b"GET\r\r", Refusal::BareCarriageReturn),
            (b"GET\r\n ", Refusal::ObsoleteFolding),
            (b"GET\r\nA:b\r\n\t", Refusal::ObsoleteFolding),
            (b"GET\r\n:", Refusal::HeaderMalformed),
            (b"GET\r\n\n", Refusal::BareLineFeed),
            (b"GET\r\nA:b\r\n\r\r", Refusal::BareCarriageReturn),
            (b"GET\r\nA:\x01", Refusal::ControlByte),
            (b"GET\r\nA:b\n", Refusal::BareLineFeed),
        ];
        for (head, refusal) in cases {
            let before = &head[..head.len() - 1];
            assert_eq!(Head::request().scan(before, &Limits::default()), Ok(None), "{head:?}");
            assert_eq!(Head::request().scan(head, &Limits::default()), Err(refusal), "{head:?}");
            check(head, &Limits::default());
        }
    }

    #[test]
    fn every_class_in_every_state() {
        use Refusal::*;
        let (cr, lf, ctl) = (Some(BareCarriageReturn), Some(BareLineFeed), Some(ControlByte));
        let (not, fold, bad) = (Some(NotHttp), Some(ObsoleteFolding), Some(HeaderMalformed));
        // The columns: a token character, a blank, another visible one, CR, LF, control.
        let table: [(&[u8], [Option<Refusal>; 6]); 9] = [
            (b"", [None, not, not, None, lf, not]),
            (b"\r", [cr, cr, cr, cr, None, cr]),
            (b"\r\n", [None, not, not, not, lf, not]),
            (b"G", [None, None, None, None, lf, ctl]),
            (b"G\r", [cr, cr, cr, cr, None, cr]),
            (b"G\r\n", [None, fold, bad, None, lf, ctl]),
            (b"G\r\nA", [None, None, None, None, lf, ctl]),
            (b"G\r\n\r", [cr, cr, cr, cr, None, cr]),
            (b"G\r\n\r\n", [None; 6]),
        ];
        for (before, row) in table {
            for (byte, expected) in b"A :\r\n\0".iter().zip(row) {
                let head = [before, &[*byte]].concat();
                let answer = Head::request().scan(&head, &Limits::default());
                assert_eq!(answer.err(), expected, "{head:?}");
            }
        }
    }

    #[test]
    fn limits_hold_to_the_byte() {
        check(b"12345678\r\nA:b\r\n\r\n", &SMALL);
        check(b"\r\n12345678\r\nA:b\r\n\r\n", &SMALL);
        let long = b"\r\n123456789";
        assert_eq!(Head::request().scan(&long[..10], &SMALL), Ok(None));
        assert_eq!(Head::request().scan(long, &SMALL), Err(Refusal::StartLineTooLarge));
        assert_eq!(
            Head::request().scan(b"G\r\nA:\r\nB:\r\nC:\r\nD", &SMALL),
            Err(Refusal::TooManyHeaders)
        );
        let mut exact = b"G\r\nA:".to_vec();
        exact.resize(36, b'a');
        exact.extend_from_slice(b"\r\n\r\n");
        assert_eq!(Head::request().scan(&exact, &SMALL), Ok(Some(40)));
        exact.insert(10, b'a');
        assert_eq!(Head::request().scan(&exact, &SMALL), Err(Refusal::HeadTooLarge));
        assert_eq!(Head::request().scan(&exact[..39], &SMALL), Ok(None));
        assert_eq!(Head::request().scan(&exact[..40], &SMALL), Err(Refusal::HeadTooLarge));
        let none = Limits { head_size_max: 0, ..SMALL };
        assert_eq!(Head::request().scan(b"", &none), Err(Refusal::HeadTooLarge));
    }

    #[test]
    fn a_length_once_found_stays() {
        let head = b"GET / HTTP/1.1\r\n\r\nGET \x00\n";
        let mut scan = Head::request();
        assert_eq!(scan.scan(head, &Limits::default()), Ok(Some(18)));
        assert_eq!(scan.scan(head, &Limits::default()), Ok(Some(18)));
        assert_eq!(Head::response().scan(b"\r", &Limits::default()), Err(Refusal::NotHttp));
    }

    #[test]
    fn control_bytes_are_found_at_every_place() {
        for length in 0..70 {
            for place in 0..length {
                for control in [0, 0x08, 0x0a, 0x0d, 0x1f, 0x7f] {
                    let mut bytes = vec![b'\t'; length];
                    bytes[place] = control;
                    assert_eq!(control_position(&bytes), Some(place));
                }
            }
            assert_eq!(control_position(&vec![0x80; length]), None);
        }
    }

    #[test]
    fn a_byte_of_a_word_says_nothing_of_its_neighbour() {
        for (one, other) in (0..=255).flat_map(|one| (0..=255).map(move |other| (one, other))) {
            let word = [other, one, other, other, one, one, other, one];
            let expected = word.map(|byte| if is_control(byte) { 0x80 } else { 0 });
            assert_eq!(controls(u64::from_le_bytes(word)).to_le_bytes(), expected);
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_oracle_in_every_split(
            head in proptest::collection::vec(
                prop_oneof![
                    8 => Just(&b"G"[..]), 2 => Just(&b":"[..]), 2 => Just(&b" "[..]),
                    8 => Just(&b"\r\n"[..]), 2 => Just(&b"\r\nA:"[..]), 1 => Just(&b"\t"[..]),
                    1 => Just(&b"\r"[..]), 1 => Just(&b"\n"[..]), 1 => Just(&b"\0"[..]),
                    1 => Just(&b"\x80"[..]),
                ],
                0..40,
            ),
        ) {
            let head: Vec<u8> = head.concat();
            check(&head, &SMALL);
            check(&head, &Limits::default());
        }
    }
}
