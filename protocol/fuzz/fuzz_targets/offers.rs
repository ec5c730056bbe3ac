//! Any offer of permessage-deflate to any policy, and any answer to any offer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ringwire_protocol_fuzz::offers::Input;

fuzz_target!(|input: Input<'_>| input.check());
