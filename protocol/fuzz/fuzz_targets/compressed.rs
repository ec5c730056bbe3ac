//! Any messages, compressed by one side, come back from the other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringwire_protocol_fuzz::compressed::Input;

fuzz_target!(|input: Input<'_>| input.check());
