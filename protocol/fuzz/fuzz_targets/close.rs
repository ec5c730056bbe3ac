//! The payload of a close frame, in both directions.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringwire_protocol_fuzz::close::Input;

fuzz_target!(|input: Input<'_>| input.check());
