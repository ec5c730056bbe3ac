//! Any request, any response, and requests as our own client makes them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringwire_protocol_fuzz::handshake::Input;

fuzz_target!(|input: Input<'_>| input.check());
