//! Every echo server of this workspace echoes as ours does.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

#[path = "../../tests/echo/mod.rs"]
mod echo;

use echo::{check, refuses_compression};

#[test]
fn fastwebsockets() {
    check(env!("CARGO_BIN_EXE_echo_fastwebsockets"), &[]);
    refuses_compression(env!("CARGO_BIN_EXE_echo_fastwebsockets"), &["compressed"]);
}

#[test]
fn sockudo() {
    check(env!("CARGO_BIN_EXE_echo_sockudo"), &[]);
    check(env!("CARGO_BIN_EXE_echo_sockudo"), &["compressed"]);
}

#[test]
fn tungstenite() {
    check(env!("CARGO_BIN_EXE_echo_tungstenite"), &[]);
    refuses_compression(env!("CARGO_BIN_EXE_echo_tungstenite"), &["compressed"]);
}

#[test]
fn uwebsockets() {
    check(env!("CARGO_BIN_EXE_echo_uwebsockets"), &[]);
    check(env!("CARGO_BIN_EXE_echo_uwebsockets"), &["compressed"]);
}

#[test]
fn tokio_websockets() {
    check(env!("CARGO_BIN_EXE_echo_tokio_websockets"), &[]);
    refuses_compression(env!("CARGO_BIN_EXE_echo_tokio_websockets"), &["compressed"]);
}

#[test]
fn wtx() {
    check(env!("CARGO_BIN_EXE_echo_wtx"), &[]);
    refuses_compression(env!("CARGO_BIN_EXE_echo_wtx"), &["compressed"]);
}

#[test]
fn yawc() {
    check(env!("CARGO_BIN_EXE_echo_yawc"), &[]);
    check(env!("CARGO_BIN_EXE_echo_yawc"), &["compressed"]);
}
