//! What the servers of a fan-out are asked for: the same words for all of them.
//!
//! The peers' workspace compiles this file as well, so it leans on nothing but the standard
//! library.

use std::io::{self, Read, Write};
use std::{fmt, process, thread};

/// So many messages to every subscriber, published in one go.
///
/// It travels as a text message, `publish COUNT SIZE`, on any connection.
///
/// ```
/// use ringwire_benches::order::Order;
///
/// let order = Order { count: 64, size: 100 };
/// assert_eq!(order.to_string(), "publish 64 100");
/// assert_eq!(Order::parse("publish 64 100"), Some(order));
/// assert_eq!(Order::parse("publish 64"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Messages.
    pub count: u32,
    /// Bytes of each, at least [`NUMBER_SIZE`].
    pub size: usize,
}

/// Bytes of the number that every message begins with.
pub const NUMBER_SIZE: usize = 8;

impl Order {
    /// The order that a text says, if it says one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (count, size) = text.strip_prefix("publish ")?.split_once(' ')?;
        Some(Self { count: count.parse().ok()?, size: size.parse().ok()? })
    }
}

impl fmt::Display for Order {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "publish {} {}", self.count, self.size)
    }
}

/// Messages that a subscriber can tell apart: each begins with its number, from zero, its lowest
/// byte first.
#[derive(Debug, Default)]
pub struct Series {
    next: u64,
}

impl Series {
    /// The next message, of `size` bytes.
    #[must_use]
    pub fn message(&mut self, size: usize) -> Vec<u8> {
        let mut message = Vec::with_capacity(size.max(NUMBER_SIZE));
        message.extend_from_slice(&self.next.to_le_bytes());
        message.resize(size.max(NUMBER_SIZE), b'x');
        self.next += 1;
        message
    }
}

/// Tells whoever started this process at which port it serves. The process ends when they close
/// its input, or end.
///
/// # Errors
/// Nobody listens.
pub fn announce(port: u16) -> io::Result<()> {
    writeln!(io::stdout(), "{port}")?;
    thread::spawn(|| {
        let mut nothing = Vec::new();
        let _closed = io::stdin().read_to_end(&mut nothing);
        process::exit(0);
    });
    Ok(())
}
