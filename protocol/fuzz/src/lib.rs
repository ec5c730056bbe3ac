//! What the fuzz targets do: each turns any bytes into operations, carries them out, and holds the
//! result against a rule that is simpler than the code under test.
//!
//! Each module has an `Input`, whose `check` panics where the rule is broken. Its fields are read
//! from the front of the bytes that libFuzzer chooses, one byte for each, and the last one takes
//! what is left as it is. So an input can be written and read by hand: see `examples/seeds.rs`.
//!
//! | module | rule |
//! |---|---|
//! | [`header`] | what is decoded is encoded to the same bytes; every prefix agrees |
//! | [`close`] | what may be sent is what may be received |
//! | [`receiver`] | a second reader, told as the RFC tells it, sees the same in any split |
//! | [`compressed`] | what one side compresses is what the other side sees |
//! | [`decompressed`] | limits hold, and no split changes what is seen |
//! | [`offers`] | what is agreed obeys the policy, the offer, and our own other side |
//! | [`handshake`] | no split changes the answer, and the answer is HTTP |

pub mod close;
pub mod compressed;
pub mod cuts;
pub mod decompressed;
pub mod handshake;
pub mod header;
pub mod naive;
pub mod offers;
pub mod receiver;
pub mod side;
