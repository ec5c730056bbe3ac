//! What the server has counted, as a page that Prometheus reads.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use ringwire::{Handle, Latencies, Probe, Response, Sample};

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
        encode_driver(self.handle.probe(), &mut encoder)?;
        encode_latencies(&self.handle.latencies(), &mut encoder)
    }
}

/// Which driver moves the bytes, what it lacks, and why it is not io_uring, where it is not.
fn encode_driver(probe: &Probe, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let help = "What moves the bytes, and why not something better.";
    let mut metric = encoder.encode_descriptor("driver", help, None, MetricType::Info)?;
    let lacks: Vec<_> = probe.lacks().iter().map(|feature| feature.label()).collect();
    let refusal = probe.refusal();
    let error = refusal.and_then(|refusal| refusal.error().raw_os_error());
    metric.encode_info(&[
        ("driver", probe.kind().to_string()),
        ("lacks", lacks.join(",")),
        ("refused", refusal.map_or("", |refusal| refusal.reason().label()).to_owned()),
        ("errno", error.map_or_else(String::new, |error| error.to_string())),
    ])
}

/// Nothing, where nothing is measured.
fn encode_latencies(latencies: &Latencies, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    if latencies.encoded.count() == 0 {
        return Ok(());
    }
    let help = "How long messages took from stage to stage";
    let (unit, kind) = (Unit::Seconds, MetricType::Histogram);
    let mut metric = encoder.encode_descriptor("latency", help, Some(&unit), kind)?;
    for (stage, times) in latencies.stages() {
        let mut within = 0;
        let mut buckets = Vec::new();
        for nanos in bounds() {
            let count = times.count_within(nanos);
            buckets.push((seconds(nanos), count - within));
            within = count;
        }
        // The encoder's name of infinity.
        buckets.push((f64::MAX, times.count() - within));
        let labels = [("stage", stage)];
        let mut metric = metric.encode_family(&labels)?;
        metric.encode_histogram::<NoLabelSet>(
            seconds(times.sum()),
            times.count(),
            &buckets,
            None,
        )?;
    }
    Ok(())
}

/// Where the buckets end, in nanoseconds: 1, 2 and 5 of each power of ten, from 1 µs to 5 s.
fn bounds() -> impl Iterator<Item = u64> {
    (3..10).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power)))
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
