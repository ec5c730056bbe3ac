//! The frames of a server, taken as they come: nothing is put together.

use ringwire_protocol::Role;
use ringwire_protocol::frame::Opcode;
use ringwire_protocol::frame::header::{CONTROL_SIZE_MAX, Header, SIZE_MAX};

use crate::wrong::Wrong;

/// What stands between the start of a connection and its close frame, cut anywhere.
///
/// The caller's contract: [`Stream::next`] is called with what was read until it returns `None`;
/// then all of it has been used.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stream {
    /// The start of a header that has not arrived whole.
    header: [u8; SIZE_MAX],
    header_size: usize,
    /// The frame whose payload is arriving, and what is missing of it.
    frame: Option<(Header, u64)>,
    /// The message that is arriving.
    message: Option<Opcode>,
    /// The payload of a control frame that is arriving.
    control: Vec<u8>,
}

/// The next thing in a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part<'s, 'i> {
    /// Some of a message, nothing where it is empty.
    Data { kind: Opcode, bytes: &'i [u8], is_last: bool },
    /// What a pong has to say.
    Ping(&'s [u8]),
    /// The server's close frame.
    Close,
}

impl Stream {
    /// The next part of `input`, which is advanced past it.
    pub(crate) fn next<'s, 'i>(
        &'s mut self,
        input: &mut &'i [u8],
    ) -> Result<Option<Part<'s, 'i>>, Wrong> {
        loop {
            let (header, missing) = match self.frame.take() {
                Some(frame) => frame,
                None => match self.begin(input)? {
                    Some(header) => (header, header.length),
                    None => return Ok(None),
                },
            };
            if missing > 0 && input.is_empty() {
                self.frame = Some((header, missing));
                return Ok(None);
            }
            let size = usize::try_from(missing).unwrap_or(usize::MAX).min(input.len());
            let (bytes, rest) = input.split_at(size);
            *input = rest;
            let missing = missing - size as u64;
            if missing > 0 {
                self.frame = Some((header, missing));
            }
            if !header.opcode.is_control() {
                let kind = self.message.ok_or(Wrong::Fragment)?;
                let is_last = missing == 0 && header.fin;
                if is_last {
                    self.message = None;
                }
                return Ok(Some(Part::Data { kind, bytes, is_last }));
            }
            self.control.extend_from_slice(bytes);
            match header.opcode {
                _ if missing > 0 => return Ok(None),
                Opcode::Ping => return Ok(Some(Part::Ping(&self.control))),
                Opcode::Close => return Ok(Some(Part::Close)),
                // A pong that nobody asked for says nothing.
                _ => {}
            }
        }
    }

    /// The header of the next frame, once it is whole.
    fn begin(&mut self, input: &mut &[u8]) -> Result<Option<Header>, Wrong> {
        let kept = self.header_size;
        let decoded = if kept == 0 {
            Header::decode(input, Role::Server)?
        } else {
            let more = input.len().min(SIZE_MAX - kept);
            self.header[kept..kept + more].copy_from_slice(&input[..more]);
            Header::decode(&self.header[..kept + more], Role::Server)?
        };
        let Some((header, size)) = decoded else {
            self.header[kept..kept + input.len()].copy_from_slice(input);
            self.header_size += input.len();
            *input = &[];
            return Ok(None);
        };
        *input = &input[size - kept..];
        self.header_size = 0;
        match (header.opcode, self.message) {
            (Opcode::Continuation, None) => return Err(Wrong::Fragment),
            (Opcode::Continuation, Some(_)) => {}
            (Opcode::Text | Opcode::Binary, Some(_)) => return Err(Wrong::Fragment),
            (Opcode::Text | Opcode::Binary, None) => self.message = Some(header.opcode),
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => {
                self.control.clear();
                self.control.reserve(CONTROL_SIZE_MAX);
            }
        }
        Ok(Some(header))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(out: &mut Vec<u8>, opcode: Opcode, fin: bool, payload: &[u8]) {
        let length = payload.len() as u64;
        Header { fin, compressed: false, opcode, masking_key: None, length }.encode(out);
        out.extend_from_slice(payload);
    }

    /// What has been heard: messages whole, and the rest.
    #[derive(Debug, Default, PartialEq, Eq)]
    struct Heard {
        messages: Vec<(Opcode, Vec<u8>)>,
        open: Vec<u8>,
        pings: Vec<Vec<u8>>,
        closes: usize,
    }

    impl Heard {
        fn hear(&mut self, stream: &mut Stream, mut input: &[u8]) -> Result<(), Wrong> {
            while let Some(part) = stream.next(&mut input)? {
                match part {
                    Part::Data { kind, bytes, is_last } => {
                        self.open.extend_from_slice(bytes);
                        if is_last {
                            self.messages.push((kind, std::mem::take(&mut self.open)));
                        }
                    }
                    Part::Ping(payload) => self.pings.push(payload.to_vec()),
                    Part::Close => self.closes += 1,
                }
            }
            assert!(input.is_empty());
            Ok(())
        }
    }

    #[test]
    fn whatever_the_cuts() {
        let (mut bytes, long) = (Vec::new(), vec![b'l'; 300]);
        frame(&mut bytes, Opcode::Text, false, b"");
        frame(&mut bytes, Opcode::Ping, true, b"are you there");
        frame(&mut bytes, Opcode::Continuation, false, b"one");
        frame(&mut bytes, Opcode::Pong, true, b"I am");
        frame(&mut bytes, Opcode::Continuation, true, b"");
        frame(&mut bytes, Opcode::Binary, true, b"");
        frame(&mut bytes, Opcode::Binary, true, &long);
        frame(&mut bytes, Opcode::Ping, true, b"");
        frame(&mut bytes, Opcode::Close, true, &[3, 232]);
        let messages = vec![
            (Opcode::Text, b"one".to_vec()),
            (Opcode::Binary, Vec::new()),
            (Opcode::Binary, long),
        ];
        let pings = vec![b"are you there".to_vec(), Vec::new()];
        let expected = Heard { messages, open: Vec::new(), pings, closes: 1 };
        for step in 1..=bytes.len() {
            let (mut stream, mut heard) = (Stream::default(), Heard::default());
            bytes.chunks(step).for_each(|cut| heard.hear(&mut stream, cut).unwrap());
            assert_eq!(heard, expected, "{step}");
        }
        for cut in 0..bytes.len() {
            let (mut stream, mut heard) = (Stream::default(), Heard::default());
            heard.hear(&mut stream, &bytes[..cut]).unwrap();
            heard.hear(&mut stream, &bytes[cut..]).unwrap();
            assert_eq!(heard, expected, "{cut}");
        }
    }

    #[test]
    fn what_breaks_the_protocol_is_wrong() {
        let wrong = |frames: &[(Opcode, bool)]| {
            let mut bytes = Vec::new();
            frames.iter().for_each(|(opcode, fin)| frame(&mut bytes, *opcode, *fin, b"a"));
            Heard::default().hear(&mut Stream::default(), &bytes)
        };
        let (text, more) = (Opcode::Text, Opcode::Continuation);
        assert!(wrong(&[(text, true), (text, false), (more, true)]).is_ok());
        assert!(matches!(wrong(&[(text, true), (more, true)]), Err(Wrong::Fragment)));
        assert!(matches!(wrong(&[(text, false), (text, true)]), Err(Wrong::Fragment)));
        let masked = [0x81, 0x80, 1, 2, 3, 4];
        let heard = Heard::default().hear(&mut Stream::default(), &masked);
        assert!(matches!(heard, Err(Wrong::Violation(_))));
    }
}
