//! The connections of a worker as its driver sees them: a few bytes for each, in one table.

use std::os::fd::OwnedFd;

use mio::Token;

use crate::driver::{Descriptor, Key};

/// All sockets of a worker. A [`Descriptor`] is the index of one, not the system's number of it.
#[derive(Default)]
pub(super) struct Sockets {
    places: Vec<Socket>,
    /// Indexes of the places without a socket.
    free: Vec<u32>,
    /// By the slot of its key: the index of the socket that was named last.
    named: Vec<u32>,
}

/// A place for a socket, what is in flight on it, and what it is ready for.
pub(super) struct Socket {
    /// `None`: the place is free.
    pub(super) descriptor: Option<OwnedFd>,
    /// Grows with each socket that leaves the place, so that an event of an earlier one is told
    /// from those of the present one.
    generation: u32,
    /// Whose it is, once something has been received or sent.
    pub(super) key: Key,
    pub(super) receive: Receive,
    /// The send that waits until the socket takes bytes again.
    pub(super) send: Option<u32>,
    /// The last call has not told that there is nothing to receive.
    pub(super) is_readable: bool,
    /// The last call has not told that there is no room to send.
    pub(super) is_writable: bool,
    /// The peer has ended its side, or all is over, or it has sent something urgent: a short read
    /// does not mean that the next one has to wait.
    pub(super) is_ending: bool,
    /// It stands in the list of those that are to be received from. That outlasts the socket.
    pub(super) is_listed: bool,
}

/// The receive that is armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receive {
    None,
    Multishot,
    Once,
    /// Into the buffer that flies under this index.
    Fill(u32),
}

// Very many sockets are idle.
const _: () = assert!(size_of::<Socket>() <= 40);

impl Sockets {
    /// Bytes that one socket takes here, of its place and two indexes.
    pub(super) const SOCKET_SIZE: usize = size_of::<Socket>() + 2 * size_of::<u32>();
}

impl Sockets {
    /// Takes a socket in, of which nothing is known but that it has just come.
    pub(super) fn insert(&mut self, descriptor: OwnedFd) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Socket::FREE);
            // Descriptors are numbered by 31 bits, and there are no more sockets than those.
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(place) = self.places.get_mut(index as usize) {
            let Socket { generation, is_listed, .. } = *place;
            let descriptor = Some(descriptor);
            *place = Socket { descriptor, generation, is_listed, ..Socket::FREE };
        }
        index
    }

    /// Frees the place of a socket, and gives the socket back.
    pub(super) fn remove(&mut self, index: u32) -> Option<OwnedFd> {
        let place = self.places.get_mut(index as usize)?;
        let descriptor = place.descriptor.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(index);
        Some(descriptor)
    }

    pub(super) fn at(&mut self, index: u32) -> Option<&mut Socket> {
        self.places.get_mut(index as usize)
    }

    /// The socket of a descriptor, under the index that it has here.
    pub(super) fn of(&mut self, descriptor: Descriptor) -> Option<(u32, &mut Socket)> {
        let index = u32::try_from(descriptor.0).ok()?;
        let socket = self.at(index).filter(|socket| socket.descriptor.is_some())?;
        Some((index, socket))
    }

    /// The system's descriptor of a socket.
    pub(super) fn descriptor(&self, descriptor: Descriptor) -> Option<&OwnedFd> {
        let index = usize::try_from(descriptor.0).ok()?;
        self.places.get(index)?.descriptor.as_ref()
    }

    /// As [`Sockets::of`], and it is this key's from here on.
    pub(super) fn name(&mut self, key: Key, descriptor: Descriptor) -> Option<(u32, &mut Socket)> {
        let (index, socket) = self.of(descriptor)?;
        if socket.key != key {
            let slot = key.slot as usize;
            if slot >= self.named.len() {
                self.named.resize(slot + 1, u32::MAX);
            }
            self.named[slot] = index;
        }
        let socket = self.at(index)?;
        socket.key = key;
        Some((index, socket))
    }

    /// The socket of a key.
    pub(super) fn of_key(&mut self, key: Key) -> Option<&mut Socket> {
        let index = *self.named.get(key.slot as usize)?;
        self.at(index).filter(|socket| socket.descriptor.is_some() && socket.key == key)
    }

    /// What the events of this socket carry. Where a word has 32 bits only the index is left of it.
    pub(super) fn token(&self, index: u32) -> Token {
        let generation = self.places.get(index as usize).map_or(0, |socket| socket.generation);
        let generation = (generation as usize).checked_shl(32).unwrap_or(0);
        Token(generation | index as usize)
    }

    /// The index of the socket that an event is about, unless that has been closed.
    #[expect(clippy::cast_possible_truncation, reason = "the parts of a token are taken apart")]
    pub(super) fn of_event(&self, token: Token) -> Option<u32> {
        let index = token.0 as u32;
        let is_here = self.places.get(index as usize)?.descriptor.is_some();
        (is_here && self.token(index) == token).then_some(index)
    }
}

impl Socket {
    /// No socket, or one that has just come: nothing is known to have arrived, and there is room.
    const FREE: Self = Self {
        descriptor: None,
        generation: 0,
        key: Key { slot: u32::MAX, generation: u32::MAX },
        receive: Receive::None,
        send: None,
        is_readable: false,
        is_writable: true,
        is_ending: false,
        is_listed: false,
    };

    /// Whether a receive is armed that has something to look for.
    pub(super) fn is_to_be_received(&self) -> bool {
        self.is_readable && self.receive != Receive::None
    }

    /// A receive has brought so many bytes, of so many that it had room for.
    pub(super) fn has_received(&mut self, size: usize, room: usize) {
        // Asking again would cost a call to hear that there is nothing. What comes from here on is
        // a new edge; only the end of the stream may have been told already.
        self.is_readable = size == room || self.is_ending;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    fn socket() -> OwnedFd {
        UnixStream::pair().unwrap().0.into()
    }

    #[test]
    fn an_event_of_an_earlier_socket_is_nobodys() {
        let mut sockets = Sockets::default();
        let first = sockets.insert(socket());
        let token = sockets.token(first);
        assert_eq!(sockets.of_event(token), Some(first));
        assert!(sockets.remove(first).is_some());
        assert!(sockets.remove(first).is_none());
        assert_eq!(sockets.of_event(token), None);
        let second = sockets.insert(socket());
        assert_eq!((second, sockets.of_event(token)), (first, None));
        assert_eq!(sockets.of_event(sockets.token(second)), Some(second));
        assert_eq!(sockets.of_event(Token(77)), None);
    }

    #[test]
    fn a_key_names_its_socket_alone() {
        let mut sockets = Sockets::default();
        let index = sockets.insert(socket());
        let descriptor = Descriptor(index.cast_signed());
        let old = Key { slot: 9, generation: 1 };
        assert!(sockets.of_key(old).is_none());
        assert!(sockets.name(old, descriptor).is_some());
        assert!(sockets.of_key(old).is_some());
        sockets.remove(index);
        assert!(sockets.of_key(old).is_none());
        assert!(sockets.name(old, descriptor).is_none());
        let other = sockets.insert(socket());
        let new = Key { slot: 9, generation: 2 };
        sockets.name(new, Descriptor(other.cast_signed())).unwrap();
        assert!(sockets.of_key(old).is_none());
        assert_eq!(sockets.of_key(new).unwrap().key, new);
    }
}
