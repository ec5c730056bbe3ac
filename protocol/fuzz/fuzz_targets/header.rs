//! Any bytes as the header of a frame.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringwire_protocol_fuzz::header::Input;

fuzz_target!(|input: Input<'_>| input.check());
