//! Whether what comes back on a connection is what was sent, byte by byte and in order.

use ringwire_protocol::frame::Opcode;
use ringwire_protocol::{Event, Receiver, Role, Sender, Workspace};

use crate::messages::Messages;
use crate::stream::{Part, Stream};
use crate::wrong::Wrong;

/// What one connection has got back.
#[derive(Debug)]
pub(crate) enum Check {
    /// The bytes that were sent, frames and all.
    Bytes(Cursor),
    /// The messages, however their frames are cut.
    Frames(Stream, Cursor),
    /// The messages, which are compressed anew.
    Compressed(Box<Compressed>),
}

/// A connection whose messages are decompressed.
#[derive(Debug)]
pub(crate) struct Compressed {
    pub(crate) receiver: Receiver,
    pub(crate) sender: Sender,
    pub(crate) cursor: Cursor,
}

/// The next byte that is to come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor {
    /// Of the message.
    number: usize,
    /// Within it.
    at: usize,
}

impl Cursor {
    /// The start of a message.
    pub(crate) const fn new(number: usize) -> Self {
        Self { number, at: 0 }
    }
}

impl Check {
    /// Takes what has been read, and says how many messages that completes. What the connection has
    /// to say by itself is appended to `reply`.
    ///
    /// # Errors
    /// It is not what was sent.
    pub(crate) fn take(
        &mut self,
        read: &mut [u8],
        messages: &Messages,
        workspace: &mut Workspace,
        reply: &mut Vec<u8>,
    ) -> Result<usize, Wrong> {
        match self {
            Self::Bytes(cursor) => cursor.take_bytes(read, messages),
            Self::Frames(stream, cursor) => {
                cursor.take_frames(stream, read, messages, workspace, reply)
            }
            Self::Compressed(compressed) => compressed.take(read, messages, workspace, reply),
        }
    }
}

impl Cursor {
    fn take_bytes(&mut self, mut read: &[u8], messages: &Messages) -> Result<usize, Wrong> {
        let before = self.number;
        while !read.is_empty() {
            let expected = messages.frame(self.number);
            let size = (expected.len() - self.at).min(read.len());
            self.compare(expected, &read[..size])?;
            if self.at == expected.len() {
                *self = Self::new(self.number + 1);
            }
            read = &read[size..];
        }
        Ok(self.number - before)
    }

    fn take_frames(
        &mut self,
        stream: &mut Stream,
        mut read: &[u8],
        messages: &Messages,
        workspace: &mut Workspace,
        reply: &mut Vec<u8>,
    ) -> Result<usize, Wrong> {
        let before = self.number;
        while let Some(part) = stream.next(&mut read)? {
            match part {
                Part::Data { kind, bytes, is_last } => {
                    self.take_data(kind, bytes, is_last, messages)?;
                }
                Part::Ping(payload) => pong(payload, workspace, reply),
                Part::Close => return Err(Wrong::Gone),
            }
        }
        Ok(self.number - before)
    }

    fn take_data(
        &mut self,
        kind: Opcode,
        bytes: &[u8],
        is_last: bool,
        messages: &Messages,
    ) -> Result<(), Wrong> {
        if kind != messages.kind() {
            return Err(Wrong::Kind);
        }
        let expected = messages.payload(self.number);
        self.compare(expected, bytes)?;
        if is_last {
            if self.at < expected.len() {
                return Err(Wrong::Size { at: self.at });
            }
            *self = Self::new(self.number + 1);
        }
        Ok(())
    }

    /// Goes past `bytes`, which are the next of the message.
    fn compare(&mut self, expected: &[u8], bytes: &[u8]) -> Result<(), Wrong> {
        let end = self.at + bytes.len();
        let part = expected.get(self.at..end).ok_or(Wrong::Size { at: end })?;
        if part != bytes {
            let same = part.iter().zip(bytes).take_while(|(one, other)| one == other).count();
            return Err(Wrong::Byte { at: self.at + same });
        }
        self.at = end;
        Ok(())
    }
}

impl Compressed {
    fn take(
        &mut self,
        mut read: &mut [u8],
        messages: &Messages,
        workspace: &mut Workspace,
        reply: &mut Vec<u8>,
    ) -> Result<usize, Wrong> {
        let Self { receiver, sender, cursor } = self;
        let before = cursor.number;
        while let Some(event) = receiver.next(&mut read, sender, workspace, reply) {
            match event {
                Event::Message(message) => {
                    let kind = message.as_text().map_or(Opcode::Binary, |_| Opcode::Text);
                    cursor.take_data(kind, message.as_bytes(), true, messages)?;
                }
                Event::Close(_) => return Err(Wrong::Gone),
                Event::Failed(violation) => return Err(violation.into()),
                Event::Ping(_) | Event::Pong(_) | Event::Inflated(_) | Event::Chunk(_) => {}
            }
        }
        Ok(cursor.number - before)
    }
}

/// Appends the answer to a ping.
pub(crate) fn pong(payload: &[u8], workspace: &mut Workspace, reply: &mut Vec<u8>) {
    // It fails for a payload that is too long, and that of a ping never is.
    let _appended = Sender::new(Role::Client).pong(payload, workspace, reply);
}

#[cfg(test)]
mod tests {
    use ringwire_protocol::Limits;
    use ringwire_protocol::deflate::{Agreed, Policy};
    use ringwire_protocol::frame::header::Header;

    use super::*;
    use crate::plan::Plan;

    fn messages(line: &str) -> Messages {
        let plan = Plan::read(line.split_whitespace().map(str::to_owned)).unwrap();
        Messages::new(&plan).unwrap()
    }

    fn workspace() -> Workspace {
        Workspace::new(Limits::default()).with_masking_keys(|| [1, 2, 3, 4])
    }

    fn frame(out: &mut Vec<u8>, opcode: Opcode, fin: bool, payload: &[u8]) {
        let length = payload.len() as u64;
        Header { fin, compressed: false, opcode, masking_key: None, length }.encode(out);
        out.extend_from_slice(payload);
    }

    fn frames() -> Check {
        Check::Frames(Stream::default(), Cursor::new(0))
    }

    fn take(check: &mut Check, read: &[u8], messages: &Messages) -> Result<usize, Wrong> {
        check.take(&mut read.to_vec(), messages, &mut workspace(), &mut Vec::new())
    }

    /// Takes `bytes` in two pieces, cut at each place, and expects `count` messages of them.
    fn cut_everywhere(new: impl Fn() -> Check, bytes: &[u8], messages: &Messages, count: usize) {
        for cut in 0..=bytes.len() {
            let mut check = new();
            let first = take(&mut check, &bytes[..cut], messages).unwrap();
            let second = take(&mut check, &bytes[cut..], messages).unwrap();
            assert_eq!(first + second, count, "{cut}");
            assert!(cut == bytes.len() || first < count, "{cut}");
        }
    }

    #[test]
    fn echoes_cut_at_every_byte() {
        for size in [0, 1, 125, 126, 300] {
            let messages = messages(&format!("--size {size}"));
            let mut bytes = Vec::new();
            for number in 0..3 {
                frame(&mut bytes, Opcode::Binary, true, messages.payload(number));
            }
            cut_everywhere(frames, &bytes, &messages, 3);
        }
    }

    #[test]
    fn echoes_in_fragments_with_pings_between() {
        let messages = messages("--size 200 --kind text");
        let (first, second) = messages.payload(0).split_at(77);
        let mut bytes = Vec::new();
        frame(&mut bytes, Opcode::Text, false, first);
        frame(&mut bytes, Opcode::Ping, true, b"?");
        frame(&mut bytes, Opcode::Continuation, false, second);
        frame(&mut bytes, Opcode::Continuation, true, b"");
        cut_everywhere(frames, &bytes, &messages, 1);
        let mut reply = Vec::new();
        let mut check = frames();
        let taken = check.take(&mut bytes, &messages, &mut workspace(), &mut reply);
        assert_eq!(taken.unwrap(), 1);
        assert_eq!(reply, [0x8A, 0x81, 1, 2, 3, 4, b'?' ^ 1]);
    }

    #[test]
    fn bytes_cut_at_every_byte() {
        let messages = messages("--size 130 --protocol tcp");
        let bytes = [messages.frame(0), messages.frame(1), messages.frame(2)].concat();
        cut_everywhere(|| Check::Bytes(Cursor::new(0)), &bytes, &messages, 3);
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            let taken = take(&mut Check::Bytes(Cursor::new(0)), &other, &messages);
            assert!(matches!(taken, Err(Wrong::Byte { .. })), "{at}");
        }
    }

    #[test]
    fn another_echo_is_wrong() {
        let messages = messages("--size 200");
        let payload = messages.payload(0);
        let wrong = |opcode, payload: &[u8]| {
            let mut bytes = Vec::new();
            frame(&mut bytes, opcode, true, payload);
            take(&mut frames(), &bytes, &messages).unwrap_err()
        };
        for at in 0..payload.len() {
            let mut other = payload.to_vec();
            other[at] ^= 1;
            let wrong = wrong(Opcode::Binary, &other);
            assert!(matches!(wrong, Wrong::Byte { at: found } if found == at), "{wrong}");
        }
        let longer = [payload, b"a"].concat();
        assert!(matches!(wrong(Opcode::Binary, &longer), Wrong::Size { at: 201 }));
        assert!(matches!(wrong(Opcode::Binary, &payload[..199]), Wrong::Size { at: 199 }));
        assert!(matches!(wrong(Opcode::Text, payload), Wrong::Kind));
        assert!(matches!(wrong(Opcode::Close, b""), Wrong::Gone));
        assert!(matches!(wrong(Opcode::Binary, messages.payload(1)), Wrong::Byte { .. }));
    }

    #[test]
    fn compressed_echoes_are_decompressed() {
        let messages = messages("--size 900 --compressed 1 --kind text");
        let agreed = Agreed {
            server_no_context_takeover: true,
            client_no_context_takeover: true,
            server_max_window_bits: None,
            client_max_window_bits: None,
        };
        let new = || {
            let receiver = Receiver::new(Role::Client).with_deflate(&agreed, u32::MAX);
            let sender = Sender::new(Role::Client);
            Check::Compressed(Box::new(Compressed { receiver, sender, cursor: Cursor::new(0) }))
        };
        let mut server = Sender::new(Role::Server).with_deflate(&agreed, &Policy::default());
        let (mut bytes, mut workspace) = (Vec::new(), workspace());
        for number in 0..2 {
            let text = str::from_utf8(messages.payload(number)).unwrap();
            server.message(text, &mut workspace, &mut bytes).unwrap();
        }
        assert!(bytes.len() < 1800, "{}", bytes.len());
        cut_everywhere(new, &bytes, &messages, 2);
        let mut other = Vec::new();
        server.message("none of these", &mut workspace, &mut other).unwrap();
        assert!(matches!(take(&mut new(), &other, &messages), Err(Wrong::Byte { at: 0 })));
    }
}
