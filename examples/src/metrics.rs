//! What the server has counted, as a page that Prometheus reads.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use ringwire::{Handle, Response, Sample};

/// The registry of one worker's handler.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
}

/// Asks for the numbers when they are wanted, and not before.
#[derive(Debug)]
struct Counted {
    handle: Handle,
}

impl Metrics {
    /// What the engine counts.
    #[must_use]
    pub fn new(handle: Handle) -> Self {
        let mut registry = Registry::with_prefix("ringwire");
        registry.register_collector(Box::new(Counted { handle }));
        Self { registry }
    }

    /// Where a server's own numbers are added.
    pub const fn registry(&mut self) -> &mut Registry {
        &mut self.registry
    }

    /// The answer to a request for them.
    #[must_use]
    pub fn response(&self) -> Response {
        let mut page = String::new();
        match text::encode(&mut page, &self.registry) {
            Ok(()) => Response::text(200, page)
                .header(
                    "Content-Type",
                    "application/openmetrics-text; version=1.0.0; charset=utf-8",
                )
                .header("Cache-Control", "no-store"),
            Err(fmt::Error) => Response::text(500, "The numbers cannot be written.\n"),
        }
    }
}

impl Collector for Counted {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let samples: Vec<Sample> = self.handle.stats().samples().collect();
        for family in samples.chunk_by(|one, next| one.name == next.name) {
            let Some(Sample { name, help, is_gauge, .. }) = family.first() else { continue };
            let kind = if *is_gauge { MetricType::Gauge } else { MetricType::Counter };
            let mut metric = encoder.encode_descriptor(name, help, None, kind)?;
            for Sample { labels, value, .. } in family {
                if *is_gauge {
                    metric.encode_gauge(value)?;
                } else if labels.is_empty() {
                    metric.encode_counter::<NoLabelSet, _, u64>(value, None)?;
                } else {
                    let mut metric = metric.encode_family(labels)?;
                    metric.encode_counter::<NoLabelSet, _, u64>(value, None)?;
                }
            }
        }
        Ok(())
    }
}
