//! Why connections end: one cause for each end, the same for `error` and for `close`.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::io;
use std::sync::mpsc;
use std::time::Duration;

use ringwire::{Cause, Closed, Config, Connection, ConnectionId, Handler, Limits, Message};
use ringwire_tests::{
    BINARY, CONTINUATION, Client, FIN, Length, PATIENCE, REQUEST, TEXT, TestServer, close, config,
    frame, header, text,
};

const SHORT: Duration = Duration::from_millis(100);

/// An end, as a handler was told of it.
#[derive(Debug)]
struct End {
    /// Of `close`.
    labels: (&'static str, &'static str),
    text: String,
    code: u16,
    clean: bool,
    /// The labels that `error` had, where it was called.
    error: Option<(&'static str, &'static str)>,
}

/// Does what a message says, and tells the test of openings and ends.
struct Obedient {
    opened: mpsc::Sender<ConnectionId>,
    ended: mpsc::Sender<End>,
}

impl Handler for Obedient {
    type State = Option<(&'static str, &'static str)>;

    fn open(&mut self, connection: &mut Connection<'_, Self::State>) {
        self.opened.send(connection.id()).unwrap();
    }

    fn message(&mut self, connection: &mut Connection<'_, Self::State>, message: Message<'_>) {
        match message.as_bytes() {
            b"close" => connection.close(4000, "as asked").unwrap(),
            b"terminate" => connection.terminate(),
            _ => drop(connection.send(&message)),
        }
    }

    fn error(&mut self, connection: &mut Connection<'_, Self::State>, cause: &Cause) {
        assert_eq!(*connection.state(), None, "an error too many");
        *connection.state() = Some(cause.labels());
    }

    fn close(&mut self, connection: &mut Connection<'_, Self::State>, closed: Closed<'_>) {
        let error = connection.state().take();
        let (labels, text) = (closed.cause.labels(), closed.cause.to_string());
        let end = End { labels, text, code: closed.code, clean: closed.clean, error };
        self.ended.send(end).unwrap();
    }
}

/// A server, and a client whose connection is open.
struct Served {
    server: TestServer,
    client: Client,
    id: ConnectionId,
    ended: mpsc::Receiver<End>,
}

fn serve(config: Config) -> Served {
    let (opened, openings) = mpsc::channel();
    let (end, ended) = mpsc::channel();
    let factory = move |_worker| Obedient { opened: opened.clone(), ended: end.clone() };
    let server = TestServer::start(config, factory);
    let client = server.client();
    let id = openings.recv_timeout(PATIENCE).unwrap();
    Served { server, client, id, ended }
}

impl Served {
    /// The one end of the connection.
    fn end(self) -> End {
        let end = self.ended.recv_timeout(PATIENCE).unwrap();
        drop(self.client);
        drop(self.server);
        assert!(self.ended.try_recv().is_err(), "a connection ends once");
        assert_eq!(end.error.is_some(), !end.clean, "an error is an end that is not clean");
        assert!(end.error.is_none_or(|error| error == end.labels), "one cause for both");
        end
    }
}

#[test]
fn the_peer_closes() {
    let mut served = serve(config());
    served.client.write(close(3000, "bye"));
    served.client.expect_close(Some(3000));
    let end = served.end();
    assert_eq!((end.labels, end.code, end.clean), (("peer_closed", ""), 3000, true));
    assert_eq!(end.text, "the peer closed with code 3000");
}

#[test]
fn the_handler_closes() {
    let mut served = serve(config());
    served.client.write(text("close"));
    served.client.write(close(4001, ""));
    served.client.expect_close(Some(4000));
    let end = served.end();
    assert_eq!((end.labels, end.code, end.clean), (("handler_closed", ""), 4001, true));
}

#[test]
fn another_thread_closes() {
    let mut served = serve(config());
    served.server.handle().close(served.id, 4002, "").unwrap();
    let frame = served.client.read_frame().unwrap();
    assert_eq!(frame.close_code(), Some(4002));
    served.client.write(close(4002, ""));
    assert_eq!(served.client.read_frame(), None);
    assert_eq!(served.end().labels, ("handler_closed", ""));
}

#[test]
fn a_close_of_the_handlers_that_is_not_answered() {
    let mut served = serve(Config { close_timeout: SHORT, ..config() });
    served.client.write(text("close"));
    served.client.expect_close(Some(4000));
    let end = served.end();
    assert_eq!((end.labels, end.code, end.clean), (("time_out", "close"), 1006, false));
}

#[test]
fn an_idle_connection() {
    let idle = || Config { idle_timeout: Some(SHORT), close_timeout: SHORT, ..config() };
    let mut served = serve(idle());
    assert_eq!(served.client.read_frame().unwrap().close_code(), Some(1001));
    served.client.write(close(1001, ""));
    assert_eq!(served.client.read_frame(), None);
    let end = served.end();
    assert_eq!((end.labels, end.clean), (("time_out", "idle"), true));
    // That it did not answer, or went away, changes nothing about why.
    let mut served = serve(idle());
    served.client.expect_close(Some(1001));
    let end = served.end();
    assert_eq!((end.labels, end.clean), (("time_out", "idle"), false));
    let mut served = serve(idle());
    assert_eq!(served.client.read_frame().unwrap().close_code(), Some(1001));
    served.client.end();
    let end = served.end();
    assert_eq!((end.labels, end.clean), (("time_out", "idle"), false));
}

#[test]
fn a_server_that_stops() {
    let mut served = serve(config());
    served.server.handle().stop();
    assert_eq!(served.client.read_frame().unwrap().close_code(), Some(1001));
    served.client.write(close(1001, ""));
    let end = served.end();
    assert_eq!((end.labels, end.clean), (("stopped", ""), true));
    let mut served = serve(Config { close_timeout: SHORT, ..config() });
    served.server.handle().stop();
    served.client.expect_close(Some(1001));
    let end = served.end();
    assert_eq!((end.labels, end.clean), (("stopped", ""), false));
    let served = serve(config());
    served.server.handle().stop_now();
    let end = served.end();
    assert_eq!((end.labels, end.clean), (("stopped", ""), false));
}

#[test]
fn the_handler_terminates() {
    let mut served = serve(config());
    served.client.write(text("terminate"));
    let end = served.end();
    assert_eq!((end.labels, end.code, end.clean), (("terminated", ""), 1006, false));
}

#[test]
fn the_peer_leaves() {
    let served = serve(config());
    served.client.end();
    assert_eq!(served.end().labels, ("gone", ""));
    let mut served = serve(Config { ping_interval: Some(SHORT), pong_timeout: SHORT, ..config() });
    assert_eq!(served.client.read_frames().len(), 1);
    assert_eq!(served.end().labels, ("time_out", "pong"));
}

#[test]
fn a_violation_names_its_section_and_its_byte() {
    let before = [text("before"), frame(TEXT, "in pieces")].concat();
    // The request counts, so that the number is that of a capture.
    let start = REQUEST.len() + before.len();
    let cases = [
        (frame(0x40 | FIN | CONTINUATION, "x"), "reserved_bits", "RFC 6455 5.2", 0),
        (header(FIN | CONTINUATION, Length::Short(1), None), "unmasked", "RFC 6455 5.1", 0),
        (frame(FIN | CONTINUATION, b"ab\xFFcd"), "invalid_utf8", "RFC 6455 8.1", 6 + 2),
        (text("another"), "continuation_expected", "RFC 6455 5.4", 0),
        (close(1005, ""), "close_code", "RFC 6455 7.4", 6),
    ];
    for (bytes, detail, section, at) in cases {
        let mut served = serve(config());
        served.client.write(&before);
        served.client.write(bytes);
        let end = served.end();
        assert_eq!((end.labels, end.code, end.clean), (("violation", detail), 1006, false));
        let place = format!("({section}), at byte {}", start + at);
        assert!(end.text.ends_with(&place), "{}, not {place}", end.text);
    }
}

#[test]
fn a_limit_is_no_violation() {
    let limits =
        Limits { message_size_max: 50, frame_size_max: 40, fragments_max: 2, ..Limits::default() };
    let begun = frame(BINARY, [0; 40]);
    let cases = [
        (header(FIN | BINARY, Length::Short(41), Some([0; 4])), "frame_size"),
        ([begun, frame(FIN | CONTINUATION, [0; 11])].concat(), "message_size"),
        ([frame(BINARY, ""), frame(0, ""), frame(0, "")].concat(), "fragments"),
    ];
    for (bytes, detail) in cases {
        let mut served = serve(Config { limits, ..config() });
        served.client.write(bytes);
        let end = served.end();
        assert_eq!((end.labels, end.clean), (("limit", detail), false));
    }
}

#[test]
fn an_error_of_the_system_has_its_number() {
    let error = io::Error::from_raw_os_error(104);
    let cause = Cause::Io(error);
    assert_eq!(cause.labels(), ("io", ""));
    let source = std::error::Error::source(&cause).unwrap();
    let source = source.downcast_ref::<io::Error>().unwrap();
    assert_eq!(source.kind(), io::ErrorKind::ConnectionReset);
}
