//! RFC 6455 section 5.5: pings, pongs, and what no control frame may be.

use ringwire_tests::{
    CLOSE, FIN, Frame, Length, PING, PONG, TestServer, answers, close, config, fails, frame,
    header, ping, pong, text,
};

#[test]
fn pings_of_every_size() {
    let (server, _events) = TestServer::echo(config());
    let mut client = server.client();
    //= RFC 6455 5.5.3: A Pong frame sent in response to a Ping frame must have identical
    //= "Application data" as found in the message body of the Ping frame being replied to.
    for size in 0..=125 {
        let payload: Vec<u8> = (0..size).map(|at: u8| at.wrapping_mul(91)).collect();
        client.write(ping(&payload));
        client.expect(&Frame::pong(&payload));
    }
    // In pieces, and many at once.
    for byte in ping([0xFE; 125]) {
        client.write([byte]);
    }
    client.expect(&Frame::pong([0xFE; 125]));
    client.write(ping("many").repeat(1000));
    for _ in 0..1000 {
        client.expect(&Frame::pong("many"));
    }
}

#[test]
fn pongs_that_nobody_asked_for() {
    let (server, _events) = TestServer::echo(config());
    //= RFC 6455 5.5.3: A Pong frame MAY be sent unsolicited.  This serves as a unidirectional
    //= heartbeat.  A response to an unsolicited Pong frame is not expected.
    let stream = [pong(""), pong("x"), text("y"), pong([0; 125]), close(1000, "")];
    answers(&server, &stream.concat(), &[Frame::text("y")], Some(1000));
}

#[test]
fn pings_and_messages_are_answered_in_order() {
    let (server, _events) = TestServer::echo(config());
    let stream = [ping("1"), text("a"), ping("2"), text("b"), ping("3"), close(1000, "")];
    let answer =
        [Frame::pong("1"), Frame::text("a"), Frame::pong("2"), Frame::text("b"), Frame::pong("3")];
    answers(&server, &stream.concat(), &answer, Some(1000));
}

#[test]
fn no_pong_after_a_close() {
    let (server, _events) = TestServer::echo(config());
    //= RFC 6455 5.5.2: Upon receipt of a Ping frame, an endpoint MUST send a Pong frame in
    //= response, unless it already received a Close frame.
    let stream = [ping("before"), close(1000, ""), ping("after")];
    answers(&server, &stream.concat(), &[Frame::pong("before")], Some(1000));
}

#[test]
fn control_frames_that_are_too_long() {
    let (server, _events) = TestServer::echo(config());
    //= RFC 6455 5.5: All control frames MUST have a payload length of 125 bytes or less and MUST
    //= NOT be fragmented.
    for opcode in [CLOSE, PING, PONG] {
        for size in [126, 127, 200, 65_535, 65_536] {
            fails(&server, &frame(FIN | opcode, vec![b'x'; size]), 1002);
        }
        // The second byte says it.
        for length in [Length::Short(126), Length::Short(127)] {
            fails(&server, &header(FIN | opcode, length, None), 1002);
            fails(&server, &header(FIN | opcode, length, Some([0; 4]))[..2], 1002);
        }
        fails(&server, &header(FIN | opcode, Length::Medium(5), Some([0; 4])), 1002);
    }
}

#[test]
fn control_frames_in_fragments() {
    let (server, _events) = TestServer::echo(config());
    for opcode in [CLOSE, PING, PONG] {
        fails(&server, &frame(opcode, ""), 1002);
        fails(&server, &frame(opcode, "ab"), 1002);
        let continued = [frame(opcode, "a"), frame(FIN, "b")].concat();
        fails(&server, &continued, 1002);
    }
}
