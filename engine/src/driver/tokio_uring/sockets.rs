//! The connections of a worker as its driver sees them, in one table.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use crate::driver::{Descriptor, Key};

/// All sockets of a worker. A [`Descriptor`] is the index of one, not the system's number of it.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    places: Vec<Option<Socket>>,
    /// Indexes of the places without a socket.
    free: Vec<u32>,
    /// By the slot of its key: the index of the socket that was named last.
    named: Vec<u32>,
}

/// A socket, and what is in flight on it.
#[derive(Debug)]
pub(super) struct Socket {
    /// What is in flight has it as well.
    pub(super) descriptor: Rc<OwnedFd>,
    /// Whose it is, once something has been received.
    pub(super) key: Option<Key>,
    pub(super) receive: Receive,
    /// The poll that is in flight, whether or not a receive is armed still.
    pub(super) poll: Option<u32>,
    /// There may be something to receive: it is tried before it is polled for.
    pub(super) is_readable: bool,
    /// A receive is in the ring.
    pub(super) receives: bool,
    pub(super) sends: bool,
    pub(super) cancel: Cancel,
    /// It stands in the list of those that are looked at next.
    pub(super) is_listed: bool,
}

/// The receive that is armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Receive {
    None,
    Multishot,
    Once,
    /// So many bytes at most, into the buffer that is kept for its key.
    Fill(usize),
}

/// How far the cancellation of a receive has come that is in the ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cancel {
    No,
    /// It waits for the end of the send that it would end as well.
    Waits,
    Begun,
}

impl Sockets {
    pub(super) fn insert(&mut self, descriptor: OwnedFd) -> Descriptor {
        let socket = Socket {
            descriptor: Rc::new(descriptor),
            key: None,
            receive: Receive::None,
            poll: None,
            is_readable: false,
            receives: false,
            sends: false,
            cancel: Cancel::No,
            is_listed: false,
        };
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            // Descriptors are numbered by 31 bits, and there are no more sockets than those.
            u32::try_from(self.places.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(place) = self.places.get_mut(index as usize) {
            *place = Some(socket);
        }
        Descriptor(index.cast_signed())
    }

    pub(super) fn remove(&mut self, descriptor: Descriptor) -> Option<Socket> {
        let index = u32::try_from(descriptor.0).ok()?;
        let socket = self.places.get_mut(index as usize)?.take()?;
        self.free.push(index);
        Some(socket)
    }

    pub(super) fn at(&mut self, index: u32) -> Option<&mut Socket> {
        self.places.get_mut(index as usize)?.as_mut()
    }

    pub(super) fn index(descriptor: Descriptor) -> u32 {
        descriptor.0.cast_unsigned()
    }

    /// As many as there ever were at the same time.
    pub(super) fn places(&self) -> usize {
        self.places.len()
    }

    /// All that there are.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Socket> {
        self.places.iter().flatten()
    }

    pub(super) fn of(&self, descriptor: Descriptor) -> Option<&Socket> {
        let index = usize::try_from(descriptor.0).ok()?;
        self.places.get(index)?.as_ref()
    }

    /// The socket of a descriptor, and its index. It is this key's from here on.
    pub(super) fn name(&mut self, key: Key, descriptor: Descriptor) -> Option<(u32, &mut Socket)> {
        let index = u32::try_from(descriptor.0).ok()?;
        let socket = self.places.get_mut(index as usize)?.as_mut()?;
        if socket.key != Some(key) {
            socket.key = Some(key);
            let slot = key.slot as usize;
            if slot >= self.named.len() {
                self.named.resize(slot + 1, u32::MAX);
            }
            self.named[slot] = index;
        }
        Some((index, socket))
    }

    /// The socket of a key.
    pub(super) fn of_key(&mut self, key: Key) -> Option<&mut Socket> {
        let index = *self.named.get(key.slot as usize)?;
        self.at(index).filter(|socket| socket.key == Some(key))
    }
}
