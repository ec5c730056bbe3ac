//! How a connection opens.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use ringwire_benches::client;
use ringwire_protocol::deflate::{self, Agreed, Offer};
use ringwire_protocol::handshake::{ClientRequest, Head, Limits};

use crate::plan::{Plan, Protocol};
use crate::wrong::Wrong;

/// No side keeps a window, so that messages can be compressed once for all connections, and every
/// server does the same work.
const OFFER: Offer = Offer {
    server_no_context_takeover: true,
    client_no_context_takeover: true,
    server_max_window_bits: None,
    client_max_window_bits: None,
};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a connection asks for.
#[derive(Debug)]
pub(crate) struct Door {
    address: SocketAddr,
    protocol: Protocol,
    extensions: Option<String>,
}

impl Door {
    pub(crate) fn new(plan: &Plan) -> Self {
        Self {
            address: SocketAddr::new(Ipv4Addr::LOCALHOST.into(), plan.port),
            protocol: plan.protocol,
            extensions: plan.compressed.then(|| OFFER.offer_header()),
        }
    }

    /// Where the server listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Opens a connection, and waits until it is open. What was agreed on is about compression.
    ///
    /// # Errors
    /// What the socket says; an answer that opens nothing.
    pub(crate) fn open(&self) -> Result<(TcpStream, Option<Agreed>), Wrong> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        if self.protocol == Protocol::Tcp {
            stream.set_nodelay(true)?;
            return Ok((stream, None));
        }
        let head = client::exchange(&mut stream, &self.request())?;
        let agreed = self.verify(&head)?;
        Ok((stream, agreed))
    }

    /// The request for a WebSocket.
    pub(crate) fn request(&self) -> ClientRequest<'_> {
        ClientRequest { extensions: self.extensions.as_deref(), ..client::request() }
    }

    /// Where the head of an answer ends that opens what was asked for. `None`: it is not whole.
    /// `right` becomes the last that was looked at: the same again is not.
    ///
    /// # Errors
    /// As [`Door::verify`].
    pub(crate) fn find_end(
        &self,
        answer: &[u8],
        right: &mut Vec<u8>,
    ) -> Result<Option<usize>, Wrong> {
        if !right.is_empty() && answer.starts_with(right) {
            return Ok(Some(right.len()));
        }
        let Some(end) = Head::response().scan(answer, &Limits::default())? else {
            return Ok(None);
        };
        let head = &answer[..end];
        self.verify(head)?;
        head.clone_into(right);
        Ok(Some(end))
    }

    /// Whether the head of an answer opens what was asked for.
    ///
    /// # Errors
    /// It does not. A server that does not compress where it is asked to is not what is measured.
    fn verify(&self, head: &[u8]) -> Result<Option<Agreed>, Wrong> {
        let accepted = self.request().verify(head)?;
        if self.extensions.is_none() {
            return Ok(None);
        }
        let agreed = deflate::accept(accepted.extensions(), &OFFER).map_err(io::Error::other)?;
        let declined = || io::Error::other("the server does not compress");
        agreed.map(Some).ok_or_else(|| declined().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with this of the sample nonce, and more headers.
    fn answer(accept: &str, more: &str) -> String {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
        )
    }

    fn door(line: &str) -> Door {
        Door::new(&Plan::read(line.split_whitespace().map(str::to_owned)).unwrap())
    }

    const RIGHT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

    #[test]
    fn every_answer_is_looked_at_but_the_same_again() {
        let (door, mut right) = (door(""), Vec::new());
        for more in ["", "Date: today\r\n"] {
            let head = answer(RIGHT, more);
            for cut in 0..head.len() {
                let found = door.find_end(&head.as_bytes()[..cut], &mut right).unwrap();
                assert_eq!(found, None, "{cut}");
            }
            for rest in ["", "\u{1}"] {
                let found = door.find_end((head.clone() + rest).as_bytes(), &mut right);
                assert_eq!(found.unwrap(), Some(head.len()));
                assert_eq!(right, head.as_bytes());
            }
        }
        let other = answer("s3pPLMBiTxaQ9kYGzzhZRbK+xOx=", "");
        assert!(matches!(door.find_end(other.as_bytes(), &mut right), Err(Wrong::Handshake(_))));
    }

    #[test]
    fn whoever_is_to_compress_must_agree() {
        let door = door("--compressed 1");
        let verify = |more: &str| door.verify(answer(RIGHT, more).as_bytes());
        let agrees = "Sec-WebSocket-Extensions: permessage-deflate; \
                      server_no_context_takeover; client_no_context_takeover\r\n";
        assert!(verify(agrees).unwrap().unwrap().server_no_context_takeover);
        let keeps = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
        for more in ["", keeps] {
            assert!(matches!(verify(more), Err(Wrong::Io(_))), "{more}");
        }
    }
}
