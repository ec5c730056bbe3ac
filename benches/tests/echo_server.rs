//! The echo servers of our own, which the peers are compared with.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

mod echo;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::Duration;
use std::{iter, thread};

use echo::{Server, check, refuses_compression};

const PROGRAM: &str = env!("CARGO_BIN_EXE_echo_server");

#[test]
fn ringwire() {
    check(PROGRAM, &["ringwire"]);
    check(PROGRAM, &["ringwire", "compressed"]);
    check(PROGRAM, &["ringwire", "spin"]);
}

/// Every byte comes back in its order, also while the kernel takes only a part of what is sent.
#[test]
fn raw() {
    for words in [&["raw"][..], &["raw", "spin"]] {
        let server = Server::start(PROGRAM, words);
        let echoes: Vec<_> = (1..=8)
            .map(|seed| {
                let mut stream = TcpStream::connect(server.address).unwrap();
                thread::spawn(move || echo_of_bytes(&mut stream, seed))
            })
            .collect();
        // Who leaves in the middle is no matter to the others.
        drop(TcpStream::connect(server.address).unwrap());
        for echo in echoes {
            echo.join().unwrap();
        }
        server.end();
    }
    refuses_compression(PROGRAM, &["raw", "compressed"]);
}

fn echo_of_bytes(stream: &mut TcpStream, seed: u32) {
    const SIZE: usize = 8 << 20;
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let bytes: Vec<u8> = iter::successors(Some(seed), |last| {
        Some(last.wrapping_mul(1_664_525).wrapping_add(1_013_904_223))
    })
    .map(|number| number.to_be_bytes()[0])
    .take(SIZE)
    .collect();
    for size in [1, 20, 4096] {
        stream.write_all(&bytes[..size]).unwrap();
        let mut back = vec![0; size];
        stream.read_exact(&mut back).unwrap();
        assert!(back == bytes[..size]);
    }
    let (mut writer, sent) = (stream.try_clone().unwrap(), bytes.clone());
    let writer = thread::spawn(move || {
        writer.write_all(&sent).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    // So that the server's sends fall short.
    thread::sleep(Duration::from_millis(100));
    let mut back = Vec::new();
    stream.read_to_end(&mut back).unwrap();
    writer.join().unwrap();
    assert!(back == bytes);
}

#[test]
fn what_is_not_understood_is_refused() {
    for words in [&[][..], &["other"], &["raw", "other"]] {
        let output = Command::new(PROGRAM).args(words).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(output.stderr.starts_with(b"echo_server: "), "{words:?}");
    }
}
