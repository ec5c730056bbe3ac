//! What the server is told about compression.

use ringwire::{Compression, DeflatePolicy};

/// One way to compress, or none.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) compression: Option<Compression>,
}

impl Scenario {
    /// The number of the one without compression.
    pub(crate) const OFF: usize = 0;

    /// All of them. A process knows one by its number here.
    pub(crate) fn all() -> Vec<Self> {
        let mut all =
            vec![Self { compression: None }, Self { compression: Some(Compression::shared()) }];
        let default = DeflatePolicy::default();
        for memory_level in [default.memory_level, 1] {
            for bits in [15, 12, 9] {
                let policy = DeflatePolicy {
                    server_max_window_bits: bits,
                    client_max_window_bits: bits,
                    memory_level,
                    ..default
                };
                let compression = Compression { policy, ..Compression::dedicated() };
                all.push(Self { compression: Some(compression) });
            }
        }
        all
    }

    /// As the table has it.
    pub(crate) fn name(&self) -> String {
        match self.compression {
            None => "off".into(),
            Some(compression) if compression == Compression::shared() => "shared".into(),
            Some(Compression { policy, .. }) => format!(
                "dedicated, {} bits, memory level {}",
                policy.server_max_window_bits, policy.memory_level
            ),
        }
    }
}
