//! Any bytes as the payload of compressed messages.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringwire_protocol_fuzz::decompressed::Input;

fuzz_target!(|input: Input<'_>| input.check());
