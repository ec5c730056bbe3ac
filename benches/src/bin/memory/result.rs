//! What goes wrong here ends the program, which says so: it need not be told apart.

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
