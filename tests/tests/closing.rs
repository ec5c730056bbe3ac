//! RFC 6455 sections 5.5.1 and 7: the closing handshake that a client begins, and its end.

use ringwire::Violation;
use ringwire_tests::{
    CLOSE, Client, End, Event, FIN, Frame, Neighbor, TestServer, answers, close, config, ended,
    fails, frame, ping, text, writes,
};

fn clean(code: u16, reason: &str) -> Event {
    Event::Close { code, reason: reason.to_owned(), clean: true }
}

fn abnormal() -> Event {
    Event::Close { code: 1006, reason: String::new(), clean: false }
}

#[test]
fn every_code() {
    let (server, _events) = TestServer::echo(config());
    let mut neighbor = Neighbor::new(&server);
    for code in (0..=5010).chain([9999, 32_767, 32_768, 65_534, 65_535]) {
        //= RFC 6455 5.5.1: When sending a Close frame in response, the endpoint typically echos the
        //= status code it received.
        //= RFC 6455 7.4.2: Status codes in the range 0-999 are not used.
        //= RFC 6455 7.4.1: 1005 is a reserved value and MUST NOT be set as a status code in a Close
        //= control frame by an endpoint.
        let legal = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        let mut client = server.client();
        client.write(close(code, ""));
        client.expect_close(Some(if legal { code } else { 1002 }));
        if code % 500 == 0 {
            neighbor.check();
        }
    }
}

#[test]
fn a_close_without_a_code() {
    let (server, events) = TestServer::echo(config());
    let stream = frame(FIN | CLOSE, "");
    answers(&server, &stream, &[], None);
    drop(server);
    //= RFC 6455 7.1.5: If this Close control frame contains no status code, _The WebSocket
    //= Connection Close Code_ is considered to be 1005.
    let told = events.try_iter().filter(|event| *event == clean(1005, "")).count();
    assert_eq!(told, writes(&stream).count());
}

#[test]
fn reasons() {
    let (server, events) = TestServer::echo(config());
    let longest = "é".repeat(61) + "!";
    for reason in ["", "bye", "grüß \u{10FFFF}", &longest] {
        let mut client = server.client();
        client.write(close(1000, reason));
        client.expect_close(Some(1000));
        assert_eq!(ended(&events), [clean(1000, reason)]);
    }
    //= RFC 6455 5.5.1: Following the 2-byte integer, the body MAY contain UTF-8-encoded data with
    //= value /reason/
    for reason in [&b"\xFF"[..], b"good \xC2", b"\xED\xA0\x80"] {
        fails(&server, &close(1000, reason), 1007);
    }
}

#[test]
fn a_close_of_one_byte() {
    let (server, _events) = TestServer::echo(config());
    //= RFC 6455 5.5.1: If there is a body, the first two bytes of the body MUST be a 2-byte
    //= unsigned integer (in network byte order) representing a status code
    fails(&server, &frame(FIN | CLOSE, "\x03"), 1002);
    fails(&server, &frame(FIN | CLOSE, "\0"), 1002);
}

#[test]
fn what_comes_after_a_close_is_discarded() {
    let (server, events) = TestServer::echo(config());
    //= RFC 6455 1.4: After receiving a control frame indicating the connection should be closed, a
    //= peer discards any further data received.
    let late: [&[u8]; 4] = [&text("late"), &ping("late"), &close(1001, ""), b"\xFF\xFF\xFF\xFF"];
    for late in late {
        let mut client = server.client();
        client.write([&text("early")[..], &close(1000, ""), late].concat());
        client.expect(&Frame::text("early"));
        client.expect_close(Some(1000));
        // Also in a write of its own, to a server that has ended its side.
        client.write(late);
        assert_eq!(ended(&events), [Event::Message("early".into()), clean(1000, "")]);
    }
}

#[test]
fn what_comes_after_a_violation_is_discarded() {
    let (server, events) = TestServer::echo(config());
    let mut client = server.client();
    client.write(frame(FIN | 0x3, ""));
    client.write(text("late"));
    client.expect_close(Some(1002));
    client.write(close(1000, ""));
    let error = Event::Error(End::Violation(Violation::ReservedOpcode(3)));
    assert_eq!(ended(&events), [error, abnormal()]);
}

#[test]
fn a_peer_that_ends_its_side_gets_its_answers() {
    let (server, events) = TestServer::echo(config());
    let mut neighbor = Neighbor::new(&server);
    let _opened = events.recv();
    let payload = "x".repeat(10_000);
    let mut client = server.client();
    client.write(text(&payload).repeat(50));
    client.end();
    assert_eq!(client.read_frames(), vec![Frame::text(&payload); 50]);
    neighbor.check();
    let told = ended(&events);
    assert_eq!(told[50..], [Event::Error(End::Gone), abnormal()]);
}

#[test]
fn a_peer_that_ends_inside_a_frame() {
    let (server, events) = TestServer::echo(config());
    let stream = text("never whole");
    for cut in 0..stream.len() {
        let mut client = server.client();
        client.write([&text("whole")[..], &stream[..cut]].concat());
        client.end();
        assert_eq!(client.read_frames(), [Frame::text("whole")]);
        let expected = [Event::Message("whole".into()), Event::Error(End::Gone), abnormal()];
        assert_eq!(ended(&events), expected);
    }
}

#[test]
fn peers_that_vanish() {
    let (server, _events) = TestServer::echo(config());
    let mut neighbor = Neighbor::new(&server);
    for number in 0..100 {
        let mut client = server.client();
        client.write(text("x".repeat(number * 1000)));
        // What it does not read makes its end a reset.
        drop(client);
        let _silent = Client::connect(server.address());
    }
    neighbor.check();
}
