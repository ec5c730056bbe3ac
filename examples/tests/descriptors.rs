//! The echo server where there are no descriptors left. It is a process of its own, so that nothing
//! but its two workers competes for them.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use program::{PATIENCE, Program};
use ringwire_tests::REQUEST;

mod program;

/// Descriptors of the server: its own, and some for connections.
const LIMIT: usize = 40;

/// Newcomers at once, and how often: enough for one worker to accept in the moment in which the
/// other refuses.
const BURST: usize = 128;
const BURSTS: usize = 60;

/// Whether a newcomer is let in. Otherwise it is ended.
fn is_let_in(stream: &mut TcpStream) -> bool {
    let mut start = [0; 12];
    match stream.write_all(REQUEST.as_bytes()).and_then(|()| stream.read_exact(&mut start)) {
        Ok(()) => start == *b"HTTP/1.1 101",
        Err(error) => {
            assert_ne!(error.kind(), ErrorKind::WouldBlock, "a newcomer is kept waiting");
            false
        }
    }
}

/// Peers that were ended because there was no descriptor, once there are so many.
fn assert_counted(server: &Program, mut expected: usize) {
    let begun = Instant::now();
    loop {
        let line =
            format!("unanswered_total{{cause=\"limit\",detail=\"descriptors\"}} {expected}\n");
        let page = server.try_page("/metrics");
        match &page {
            Ok((_, metrics)) if metrics.contains(&line) => return,
            Ok(_) => {}
            // The guests have gone, but the server does not know of all of them yet.
            Err(_) => expected += 1,
        }
        assert!(begun.elapsed() < PATIENCE, "{expected} were refused: {page:?}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn who_finds_no_descriptor_is_ended_whichever_worker_it_comes_to() {
    let mut limited = Command::new("sh");
    let script = format!("ulimit -n {LIMIT} && exec \"$0\" \"$@\"");
    limited.args(["-c", &script, env!("CARGO_BIN_EXE_echo")]);
    let server = Program::start(limited, &[]);
    let mut guests = Vec::new();
    loop {
        let mut guest = server.connect();
        if !is_let_in(&mut guest) {
            break;
        }
        guests.push(guest);
    }
    assert!(guests.len() > LIMIT / 2, "{} were let in", guests.len());
    for _ in 0..BURSTS {
        let mut newcomers: Vec<TcpStream> = (0..BURST).map(|_| server.connect()).collect();
        for newcomer in &mut newcomers {
            assert!(!is_let_in(newcomer), "there was a descriptor left");
        }
    }
    drop(guests);
    assert_counted(&server, 1 + BURST * BURSTS);
}
