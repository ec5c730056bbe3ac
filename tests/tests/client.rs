//! A client that others wrote, against the running engine.

use std::net::{SocketAddr, TcpStream};
use std::thread;

use ringwire::Config;
use ringwire_tests::{PATIENCE, TestServer, config};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

type Socket = WebSocket<TcpStream>;

fn connect(address: SocketAddr) -> Socket {
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("the socket takes options");
    stream.set_write_timeout(Some(PATIENCE)).expect("the socket takes options");
    stream.set_nodelay(true).expect("the socket takes options");
    let url = format!("ws://{address}/");
    let (socket, response) = tungstenite::client(url, stream).expect("the handshake succeeds");
    assert_eq!(response.status(), 101);
    socket
}

fn echoes(socket: &mut Socket, message: Message) {
    socket.send(message.clone()).expect("the message is sent");
    let echo = socket.read().expect("the echo comes");
    // The whole is too much to print.
    assert!(echo == message, "{} bytes came back as {}", message.len(), echo.len());
}

/// Closes, and reads to the end of the stream.
fn ends(mut socket: Socket) {
    let close = CloseFrame { code: CloseCode::Normal, reason: "bye".into() };
    socket.close(Some(close)).expect("the close is sent");
    match socket.read() {
        Ok(Message::Close(Some(frame))) => assert_eq!(frame.code, CloseCode::Normal),
        other => panic!("{other:?} is no answer to a close"),
    }
    //= RFC 6455 7.1.1: the server MUST close the underlying TCP connection immediately; a client
    //= SHOULD wait for the server to close the connection
    assert!(matches!(socket.read(), Err(Error::ConnectionClosed)));
}

#[test]
fn messages_of_every_size() {
    for buffer_size in [512, 32 << 10] {
        let (server, _events) = TestServer::echo(Config { buffer_size, ..config() });
        let mut socket = connect(server.address());
        let sizes = [0, 1, 2, 124, 125, 126, 127, 1000, 16_384, 65_535, 65_536, 65_537];
        for size in sizes.into_iter().chain([300_000, 1 << 20]) {
            let letters = ('a'..='z').chain("äöü€😀".chars());
            let text: String = letters.cycle().take(size).collect();
            echoes(&mut socket, Message::text(text));
            let bytes: Vec<u8> = (0..=255).cycle().take(size).collect();
            echoes(&mut socket, Message::binary(bytes));
        }
        ends(socket);
    }
}

#[test]
fn many_messages_under_way() {
    let (server, _events) = TestServer::echo(config());
    let mut socket = connect(server.address());
    for round in 0..20 {
        for number in 0..100 {
            let text = format!("{round}: {number}");
            socket.write(Message::text(text)).expect("the message is taken");
        }
        socket.flush().expect("the messages are sent");
        for number in 0..100 {
            let expected = Message::text(format!("{round}: {number}"));
            assert_eq!(socket.read().expect("the echo comes"), expected);
        }
    }
    ends(socket);
}

#[test]
fn pings_and_pongs() {
    let (server, _events) = TestServer::echo(config());
    let mut socket = connect(server.address());
    for size in [0, 1, 20, 125] {
        let payload: Vec<u8> = (0..size).collect();
        socket.send(Message::Ping(payload.clone().into())).expect("the ping is sent");
        let pong = socket.read().expect("the pong comes");
        assert_eq!(pong, Message::Pong(payload.clone().into()));
        socket.send(Message::Pong(payload.into())).expect("the pong is sent");
    }
    echoes(&mut socket, Message::text("still here"));
    ends(socket);
}

#[test]
fn a_close_that_says_nothing() {
    let (server, _events) = TestServer::echo(config());
    let mut socket = connect(server.address());
    socket.close(None).expect("the close is sent");
    assert!(matches!(socket.read(), Ok(Message::Close(None))));
    assert!(matches!(socket.read(), Err(Error::ConnectionClosed)));
}

#[test]
fn a_client_that_does_not_mask_is_told() {
    let (server, _events) = TestServer::echo(config());
    let stream = connect(server.address()).into_inner();
    // As a server it does not mask what it sends, and takes nothing that is masked.
    let mut wrong = WebSocket::from_raw_socket(stream, Role::Server, None);
    wrong.send(Message::text("unmasked")).expect("the message is sent");
    let stream = wrong.into_inner();
    let mut right =
        WebSocket::from_raw_socket(stream, Role::Client, Some(WebSocketConfig::default()));
    match right.read() {
        Ok(Message::Close(Some(frame))) => assert_eq!(frame.code, CloseCode::Protocol),
        other => panic!("{other:?} is no answer to a violation"),
    }
}

#[test]
fn fifty_at_the_same_time() {
    let (server, _events) = TestServer::echo(Config { workers: 2, ..config() });
    thread::scope(|scope| {
        for client in 0..50 {
            let address = server.address();
            scope.spawn(move || {
                let mut socket = connect(address);
                for round in 0..40_u8 {
                    echoes(&mut socket, Message::text(format!("{client} in {round}")));
                    let size = (client * 977 + usize::from(round) * 131) % 9000;
                    echoes(&mut socket, Message::binary(vec![round; size]));
                }
                ends(socket);
            });
        }
    });
}
