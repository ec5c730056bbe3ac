//! What the servers of this workspace share, with each other and with the programs that compare
//! them; and the kernels that are compared without a server.

pub mod burst;
pub mod kernels;
#[path = "../../src/order.rs"]
pub mod order;
#[path = "../../src/random.rs"]
pub mod random;
#[path = "../../src/text.rs"]
pub mod text;
pub mod upgraded;
pub mod word;
