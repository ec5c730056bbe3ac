//! What the servers of this workspace share with the program that compares them.

#[path = "../../src/order.rs"]
pub mod order;
