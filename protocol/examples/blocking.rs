//! An echo server without an engine: `std::net`, a thread for each connection, and the protocol.

use ringwire_protocol::handshake::{self, Accept, Head, Refusal, Request};
use ringwire_protocol::{Event, Limits, Receiver, Role, Sender, Workspace};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::{env, error::Error, thread, time::Duration};

fn main() -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(env::args().nth(1).as_deref().unwrap_or("127.0.0.1:9004"))?;
    eprintln!("listening on {}", listener.local_addr()?);
    loop {
        let stream = listener.accept()?.0;
        thread::spawn(move || serve(&stream).unwrap_or_else(|error| eprintln!("{error}")));
    }
}

fn serve(mut stream: &TcpStream) -> Result<(), Box<dyn Error>> {
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let (mut head, mut read, mut out, mut is_open) = (Head::request(), vec![], vec![], false);
    let (mut receiver, mut sender) = (Receiver::new(Role::Server), Sender::new(Role::Server));
    let (mut workspace, mut buffer) = (Workspace::new(Limits::default()), [0; 16 << 10]);
    while !sender.closing().is_over() {
        match stream.read(&mut buffer)? {
            0 => return Err("the peer has gone without a close frame".into()),
            size => read.extend_from_slice(&buffer[..size]),
        }
        if !is_open {
            is_open = answer(&mut head, &mut read, &mut out).or_else(|refusal| {
                sender.abandon();
                refusal.response().encode(&mut out).map(|()| false)
            })?;
        }
        if is_open {
            let mut input = &mut read[..];
            while let Some(it) = receiver.next(&mut input, &mut sender, &mut workspace, &mut out) {
                if let Event::Message(message) = it {
                    sender.message(&message, &mut workspace, &mut out)?;
                }
            }
            read.clear();
        }
        // Pongs and close frames stand in there as well, in their places between the echoes.
        stream.write_all(&out)?;
        out.clear();
    }
    // What still comes is read, or the kernel would answer it with a reset that overtakes the end.
    stream.shutdown(Shutdown::Write)?;
    io::copy(&mut stream.take(1 << 20), &mut io::sink()).map(drop).map_err(Into::into)
}

/// Answers a request once it is whole; what has come behind it are frames, and stay in `read`.
fn answer(head: &mut Head, read: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<bool, Refusal> {
    let Some(size) = head.scan(read, &handshake::Limits::default())? else { return Ok(false) };
    let request = Request::parse(&read[..size])?;
    let upgrade = request.upgrade()?.ok_or(Refusal::UpgradeMissing)?;
    let is_open = Accept::default().encode(&upgrade, out).is_ok();
    read.drain(..size);
    Ok(is_open)
}
