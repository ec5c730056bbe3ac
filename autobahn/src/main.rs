//! Compares an Autobahn run with its expectation.
fn main() {}
