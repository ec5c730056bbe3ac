//! What a run has come to: one JSON object, and the percentiles as a text.

use std::fmt::Write;

use hdrhistogram::Histogram;

use crate::plan::Plan;
use crate::window::Window;

/// The percentiles, and what they are called.
const PERCENTILES: [(&str, f64); 5] =
    [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("p99.99", 99.99)];

/// Steps of the text between a quantile and the next one that halves the distance to all.
const STEPS: u32 = 5;

/// One line. After an error it says what had been measured until then.
pub(crate) fn json(plan: &Plan, window: &Window<'_>, errors: u64) -> String {
    let [before, after] = window.edges();
    let delays = window.delays();
    let mut latency = format!(r#"{{"count":{}"#, delays.len());
    for (name, percentile) in PERCENTILES {
        // A `String` takes all that is written to it.
        let _written = write!(latency, r#","{name}":{}"#, delays.value_at_percentile(percentile));
    }
    let _written = write!(latency, r#","max":{}}}"#, delays.max());
    #[expect(clippy::cast_precision_loss, reason = "a run is some minutes")]
    let seconds = after.at.saturating_sub(before.at) as f64 / 1e9;
    let fields = [
        ("mode", format!(r#""{}""#, plan.mode.name())),
        ("connections", plan.connections.to_string()),
        ("size", plan.size.to_string()),
        ("depth", plan.depth.to_string()),
        ("messages", window.messages().to_string()),
        ("seconds", format!("{seconds:.6}")),
        ("errors", errors.to_string()),
        ("server_user_ns", after.server.user.saturating_sub(before.server.user).to_string()),
        ("server_system_ns", after.server.system.saturating_sub(before.server.system).to_string()),
        ("server_private_bytes", after.server_private.to_string()),
        ("server_private_bytes_before", before.server_private.to_string()),
        ("client_cpu_ns", after.client.saturating_sub(before.client).to_string()),
        ("latency_ns", latency),
    ];
    let fields = fields.map(|(name, value)| format!(r#""{name}":{value}"#));
    format!("{{{}}}", fields.join(","))
}

/// A line for each step: the delay in nanoseconds, the quantile, and how many are up to it.
pub(crate) fn percentiles(delays: &Histogram<u64>) -> String {
    let mut text = "nanoseconds quantile count\n".to_owned();
    let mut count = 0;
    for step in delays.iter_quantiles(STEPS) {
        count += step.count_since_last_iteration();
        let (value, quantile) = (step.value_iterated_to(), step.quantile_iterated_to());
        let _written = writeln!(text, "{value} {quantile:.9} {count}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_is_this_one() {
        let line = "--connections 3 --size 20 --depth 2 --warm-up 0 --milliseconds 0";
        let plan = Plan::read(line.split_whitespace().map(str::to_owned)).unwrap();
        let window = Window::new(&plan).unwrap();
        let expected = concat!(
            r#"{"mode":"echo","connections":3,"size":20,"depth":2,"messages":0,"#,
            r#""seconds":0.000000,"errors":1,"server_user_ns":0,"server_system_ns":0,"#,
            r#""server_private_bytes":0,"server_private_bytes_before":0,"client_cpu_ns":0,"#,
            r#""latency_ns":{"count":0,"p50":0,"p90":0,"p99":0,"p99.9":0,"p99.99":0,"max":0}}"#,
        );
        assert_eq!(json(&plan, &window, 1), expected);
    }

    #[test]
    fn the_text_ends_with_the_largest() {
        let mut delays = Histogram::new_with_bounds(1, 1_000_000, 3).unwrap();
        (1..=1000).for_each(|delay| delays.record(delay).unwrap());
        let text = percentiles(&delays);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "nanoseconds quantile count");
        assert!(lines.contains(&"500 0.500000000 500"), "{text}");
        assert_eq!(lines.last(), Some(&"1000 1.000000000 1000"));
    }
}
