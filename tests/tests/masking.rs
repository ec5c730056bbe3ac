//! RFC 6455 sections 5.1 and 5.3: a client's frames are masked, and unmasked with their own key.

use ringwire::Config;
use ringwire_tests::{
    BINARY, CONTINUATION, FIN, Frame, Length, TEXT, TestServer, close, config, fails, header, mask,
};

const KEYS: [[u8; 4]; 6] =
    [[0; 4], [0xFF; 4], [1, 2, 3, 4], [0x80, 0, 0, 0], [0, 0, 0, 0x7F], [0xDE, 0xAD, 0xBE, 0xEF]];

#[test]
fn unmasked_frames() {
    let (server, _events) = TestServer::echo(config());
    //= RFC 6455 5.1: The server MUST close the connection upon receiving a frame that is not
    //= masked.  In this case, a server MAY send a Close frame with a status code of 1002
    //= (protocol error)
    for opcode in [0x1, 0x2, 0x8, 0x9, 0xA] {
        fails(&server, &header(FIN | opcode, Length::Short(0), None), 1002);
        fails(
            &server,
            &[&header(FIN | opcode, Length::Short(2), None)[..], b"\x03\xE8"].concat(),
            1002,
        );
    }
    fails(&server, &header(TEXT, Length::Medium(126), None), 1002);
    fails(&server, &header(BINARY, Length::Long(65_536), None), 1002);
    let masked = header(TEXT, Length::Short(0), Some([1, 2, 3, 4]));
    let continued = header(FIN | CONTINUATION, Length::Short(0), None);
    fails(&server, &[masked, continued].concat(), 1002);
}

#[test]
fn it_shows_before_the_frame_is_whole() {
    let (server, _events) = TestServer::echo(config());
    let mut client = server.client();
    client.write([FIN | TEXT, 125]);
    client.expect_close(Some(1002));
}

#[test]
fn every_key_at_every_length() {
    //= RFC 6455 5.3: Octet i of the transformed data ("transformed-octet-i") is the XOR of octet i
    //= of the original data ("original-octet-i") with octet at index i modulo 4 of the masking key
    for buffer_size in [64, 97, 32 << 10] {
        let (server, _events) = TestServer::echo(Config { buffer_size, ..config() });
        let mut client = server.client();
        for (length, key) in (0..200).flat_map(|length| KEYS.map(|key| (length, key))) {
            let payload: Vec<u8> = (0..length).map(|at: u8| at.wrapping_mul(37)).collect();
            let head = header(FIN | BINARY, Length::shortest(payload.len()), Some(key));
            client.write([head, mask(&payload, key)].concat());
            client.expect(&Frame::binary(&payload));
        }
        client.write(close(1000, ""));
        client.expect_close(Some(1000));
    }
}

#[test]
fn each_fragment_has_its_own_key() {
    let (server, _events) = TestServer::echo(config());
    let mut client = server.client();
    let pieces = ["the ", "quick", " brown fo", "", "x jump", "s"];
    let frames = pieces.iter().zip(KEYS).enumerate().map(|(number, (piece, key))| {
        let first = match number {
            0 => TEXT,
            5 => FIN | CONTINUATION,
            _ => CONTINUATION,
        };
        let head = header(first, Length::shortest(piece.len()), Some(key));
        [head, mask(piece.as_bytes(), key)].concat()
    });
    let stream = frames.collect::<Vec<_>>().concat();
    client.write(&stream);
    client.expect(&Frame::text(pieces.concat()));
    for byte in &stream {
        client.write([*byte]);
    }
    client.expect(&Frame::text(pieces.concat()));
}
