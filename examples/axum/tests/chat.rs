//! The chat as a process: who is let in, what is said and told, however the bytes come.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use hyper::header::{CONNECTION, COOKIE, HOST, UPGRADE};
use hyper_util::rt::TokioIo;
use ringwire_protocol::deflate::{self, Offer, Policy};
use ringwire_protocol::handshake::{self, ClientRequest, Head};
use ringwire_protocol::{Event, Limits, Receiver, Role, Sender, Workspace};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

const KEY: [u8; 16] = *b"0123456789abcdef";

/// The application, until it is dropped.
struct Program {
    process: Child,
    address: String,
}

impl Program {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_ringwire-axum"))
            .arg("127.0.0.1:0")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut told = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        told.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on http://").unwrap().to_owned();
        // Its log is read, so that it never waits for a reader.
        thread::spawn(move || {
            told.lines().map_while(Result::ok).for_each(|line| eprintln!("{line}"))
        });
        Self { process, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    }

    /// The whole answer to a request whose connection ends with it.
    fn ask(&self, start: &str, headers: &str, body: &str) -> String {
        let mut stream = self.connect();
        let request = format!(
            "{start} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\
             {headers}\r\n{body}",
            self.address,
            body.len()
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Logs in, and says what the `Cookie` header is.
    fn log_in(&self, name: &str) -> String {
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        let answer = self.ask("POST /login", form, &format!("name={name}"));
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
        let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        cookie.split(';').next().unwrap().to_owned()
    }

    /// The answer to a request for the WebSocket, by its status.
    fn status(&self, cookie: Option<&str>, origin: Option<&str>) -> u16 {
        let mut stream = self.connect();
        let headers = cookie.map(|cookie| ("Cookie", cookie));
        let headers = headers.as_slice();
        let plain = ClientRequest::new(&self.address, "/chat", KEY);
        let request = ClientRequest { headers, origin, ..plain };
        let mut out = Vec::new();
        request.encode(&mut out).unwrap();
        stream.write_all(&out).unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        str::from_utf8(&status[9..]).unwrap().parse().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _killed = self.process.kill();
        let _ended = self.process.wait();
    }
}

/// One who chats.
struct Client {
    stream: TcpStream,
    read: Vec<u8>,
    receiver: Receiver,
    sender: Sender,
    workspace: Workspace,
    told: std::collections::VecDeque<Value>,
    closed: Option<Option<u16>>,
}

impl Client {
    /// Connects, and says the first things before it has the answer, all of it in pieces of `size`.
    fn open(server: &Program, cookie: &str, first: &[Value], size: usize, offers: bool) -> Self {
        let mut stream = server.connect();
        let offer = Offer::default();
        let (header, headers) = (offer.offer_header(), [("Cookie", cookie)]);
        let request = ClientRequest {
            headers: &headers,
            subprotocols: &["chat.v1"],
            extensions: offers.then_some(header.as_str()),
            ..ClientRequest::new(&server.address, "/chat", KEY)
        };
        let mut workspace = Workspace::new(Limits::default()).with_masking_keys(|| [9, 8, 7, 6]);
        let (mut sender, mut out) = (Sender::new(Role::Client), Vec::new());
        request.encode(&mut out).unwrap();
        for wish in first {
            sender.message(&wish.to_string(), &mut workspace, &mut out).unwrap();
        }
        for piece in out.chunks(size) {
            stream.write_all(piece).unwrap();
        }
        let (mut read, mut scan) = (Vec::new(), Head::response());
        let end = loop {
            receive(&mut stream, &mut read);
            if let Some(end) = scan.scan(&read, &handshake::Limits::default()).unwrap() {
                break end;
            }
        };
        let accepted = request.verify(&read[..end]).unwrap();
        assert_eq!(accepted.subprotocol(), Some("chat.v1"));
        let agreed = deflate::accept(accepted.extensions(), &offer).unwrap();
        assert_eq!(agreed.is_some(), offers);
        let mut receiver = Receiver::new(Role::Client);
        if let Some(agreed) = agreed {
            receiver = receiver.with_deflate(&agreed, u32::MAX);
            let policy = Policy { size_min: 8, ..Policy::default() };
            sender = Sender::new(Role::Client).with_deflate(&agreed, &policy);
        }
        read.drain(..end);
        let (told, closed) = Default::default();
        let mut client = Self { stream, read, receiver, sender, workspace, told, closed };
        client.take();
        client
    }

    fn send(&mut self, wish: &Value) {
        let mut out = Vec::new();
        self.sender.message(&wish.to_string(), &mut self.workspace, &mut out).unwrap();
        self.stream.write_all(&out).unwrap();
    }

    /// Reads events out of what has come.
    fn take(&mut self) {
        let (mut input, mut out) = (&mut self.read[..], Vec::new());
        let (sender, workspace) = (&mut self.sender, &mut self.workspace);
        while let Some(event) = self.receiver.next(&mut input, sender, workspace, &mut out) {
            match event {
                Event::Message(message) => {
                    self.told.push_back(serde_json::from_slice(message.as_bytes()).unwrap());
                }
                Event::Close(close) => self.closed = Some(close.code),
                Event::Failed(violation) => panic!("{violation}"),
                _ => {}
            }
        }
        self.read.clear();
        self.stream.write_all(&out).unwrap();
    }

    /// The next thing of this type that it is told.
    fn next(&mut self, kind: &str) -> Value {
        loop {
            while let Some(told) = self.told.pop_front() {
                if told["type"] == kind {
                    return told;
                }
            }
            assert_eq!(self.closed, None, "closed, and no {kind} has come");
            receive(&mut self.stream, &mut self.read);
            self.take();
        }
    }

    fn expect_close(&mut self, code: u16) {
        while self.closed.is_none() {
            receive(&mut self.stream, &mut self.read);
            self.take();
        }
        assert_eq!(self.closed, Some(Some(code)));
    }
}

fn receive(stream: &mut TcpStream, read: &mut Vec<u8>) {
    let mut buffer = [0; 16 << 10];
    let size = stream.read(&mut buffer).unwrap();
    assert!(size > 0, "the connection ends");
    read.extend_from_slice(&buffer[..size]);
}

fn join() -> Value {
    json!({ "type": "join", "room": "lobby" })
}

fn say(text: &str) -> Value {
    json!({ "type": "say", "room": "lobby", "text": text })
}

#[test]
fn who_has_no_session_is_refused() {
    let server = Program::start();
    assert_eq!(server.status(None, None), 401);
    assert_eq!(server.status(Some("session=0123"), None), 401);
    let cookie = server.log_in("Ada");
    let own = format!("http://{}", server.address);
    let other = "http://127.0.0.1:1";
    assert_eq!(server.status(Some(&cookie), Some(other)), 403);
    assert_eq!(server.status(Some(&cookie), Some(&own)), 101);
    let cookie_line = format!("Cookie: {cookie}\r\n");
    let plain = server.ask("GET /chat", &cookie_line, "");
    assert!(plain.starts_with("HTTP/1.1 426 "), "{plain}");
    assert!(server.ask("GET /me", &cookie_line, "").ends_with("{\"name\":\"Ada\"}"));
    assert!(server.ask("GET /me", "", "").ends_with("{\"name\":null}"));
}

#[test]
fn the_page_lets_nothing_in_that_is_not_its_own() {
    let server = Program::start();
    let answer = server.ask("GET /", "", "");
    let (head, page) = answer.split_once("\r\n\r\n").unwrap();
    let policy = head.lines().find_map(|line| line.strip_prefix("content-security-policy: "));
    let policy = policy.unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'nonce-"), "{policy}");
    let nonce = policy.split("'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert_eq!(page.matches(&format!("nonce=\"{nonce}\"")).count(), 2);
    assert!(!page.contains("innerHTML") && !page.contains("NONCE"));
    let again = server.ask("GET /", "", "");
    assert!(!again.contains(nonce), "each page has its own");
}

#[test]
fn what_comes_with_the_request_is_neither_lost_nor_doubled() {
    const COUNT: usize = 200;
    let server = Program::start();
    let mut last = 0;
    let cookie = server.log_in("Ada");
    let mut other = Client::open(&server, &server.log_in("Bob"), &[join()], usize::MAX, false);
    other.next("history");
    // All of it in one segment, or cut anywhere.
    for size in [usize::MAX, 1000, 77, 5] {
        let words: Vec<String> = (0..COUNT).map(|number| format!("{size} {number}")).collect();
        let first = [join()].into_iter().chain(words.iter().map(|word| say(word)));
        let mut client = Client::open(&server, &cookie, &first.collect::<Vec<_>>(), size, false);
        assert_eq!(client.next("welcome")["name"], "Ada");
        for reader in [&mut client, &mut other] {
            for (number, word) in (last + 1..).zip(&words) {
                let said = reader.next("said");
                assert_eq!((&said["number"], &said["text"]), (&json!(number), &json!(word)));
                assert_eq!(said["name"], "Ada");
            }
        }
        last += COUNT;
    }
    // The last of them are history.
    let mut third = Client::open(&server, &server.log_in("Eve"), &[join()], usize::MAX, false);
    let history = third.next("history");
    let messages = history["messages"].as_array().unwrap();
    assert_eq!(messages.len(), 50);
    assert_eq!(messages[49]["number"], json!(last));
}

#[test]
fn compressed_messages_go_both_ways() {
    let server = Program::start();
    let mut client = Client::open(&server, &server.log_in("Ada"), &[], usize::MAX, true);
    client.send(&join());
    for number in 0..30 {
        let text = format!("{number} {}", "and again ".repeat(50));
        client.send(&say(&text));
        assert_eq!(client.next("said")["text"], json!(text));
    }
}

#[test]
fn who_is_there_is_told() {
    let server = Program::start();
    let mut ada = Client::open(&server, &server.log_in("Ada"), &[join()], usize::MAX, false);
    assert_eq!(ada.next("present")["names"], json!(["Ada"]));
    let mut bob = Client::open(&server, &server.log_in("Bob"), &[join()], usize::MAX, false);
    for client in [&mut ada, &mut bob] {
        assert_eq!(client.next("present")["names"], json!(["Ada", "Bob"]));
    }
    drop(bob);
    assert_eq!(ada.next("present")["names"], json!(["Ada"]));
    ada.send(&json!({ "type": "say", "room": "elsewhere", "text": "hello" }));
    assert_eq!(ada.next("error")["text"], "You are not there.");
    ada.send(&json!({ "type": "join", "room": "No Such Room" }));
    assert_eq!(ada.next("error")["text"], "There is no such room.");
    ada.send(&say(" "));
    ada.next("error");
    ada.send(&json!("nothing"));
    assert_eq!(ada.next("error")["text"], "That is no request.");
}

#[test]
fn to_log_out_ends_what_is_open() {
    let server = Program::start();
    let cookie = server.log_in("Ada");
    let mut client = Client::open(&server, &cookie, &[join()], usize::MAX, false);
    client.next("history");
    let answer = server.ask("POST /logout", &format!("Cookie: {cookie}\r\n"), "");
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    client.expect_close(4001);
    assert_eq!(server.status(Some(&cookie), None), 401);
}

#[test]
fn a_signal_ends_it_properly() {
    let mut server = Program::start();
    let mut client = Client::open(&server, &server.log_in("Ada"), &[join()], usize::MAX, false);
    client.next("history");
    let id = server.process.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    client.expect_close(1001);
    drop(client);
    assert!(server.process.wait().unwrap().success());
}

#[tokio::test]
async fn a_client_of_hyper_upgrades() {
    let server = Program::start();
    let cookie = server.log_in("Ada");
    let stream = tokio::net::TcpStream::connect(&server.address).await.unwrap();
    let (mut asks, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection.with_upgrades());
    let request = hyper::Request::get("/chat")
        .header(HOST, &server.address)
        .header(COOKIE, cookie)
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "websocket")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Sec-WebSocket-Version", "13")
        .body(http_body_util::Empty::<&[u8]>::new())
        .unwrap();
    let response = asks.send_request(request).await.unwrap();
    assert_eq!(response.status(), 101);
    assert_eq!(response.headers()["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let upgraded = hyper::upgrade::on(response).await.unwrap();
    let mut workspace = Workspace::new(Limits::default()).with_masking_keys(|| [1, 2, 3, 4]);
    let (mut sender, mut out) = (Sender::new(Role::Client), Vec::new());
    for wish in [join(), say("from hyper")] {
        sender.message(&wish.to_string(), &mut workspace, &mut out).unwrap();
    }
    let mut stream = TokioIo::new(upgraded);
    stream.write_all(&out).await.unwrap();
    // Another client sees it.
    let cookie = server.log_in("Bob");
    let mut other = Client::open(&server, &cookie, &[join()], usize::MAX, false);
    let history = other.next("history");
    let said = match history["messages"].as_array().unwrap().first() {
        Some(said) => said.clone(),
        None => other.next("said"),
    };
    assert_eq!((&said["name"], &said["text"]), (&json!("Ada"), &json!("from hyper")));
}
