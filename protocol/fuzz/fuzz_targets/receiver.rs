//! Any bytes after the handshake, in any pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringwire_protocol_fuzz::receiver::Input;

fuzz_target!(|input: Input<'_>| input.check());
