//! A quote, and the two forms in which it is sent.
//!
//! As JSON, a text message, with prices as decimal numbers and the time in nanoseconds since 1970.
//! JavaScript, whose numbers have 53 bits, reads the time to some 256 ns:
//!
//! ```text
//! {"type":"quote","topic":"prices.NORD.KIDUME","sequence":7,"time":1763694895123456789,
//!  "bid":101.24,"ask":101.26,"last":101.25,"size":300}
//! ```
//!
//! In the binary encoding, a binary message of 40 bytes, little endian:
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 1 | what it is and in which version: 1, a quote as described here |
//! | 1 | 1 | digits behind the point: a price is so many ticks of 10 to the minus that |
//! | 2 | 2 | number of the instrument: its index in what `/instruments` lists |
//! | 4 | 4 | size of the last trade |
//! | 8 | 8 | sequence |
//! | 16 | 8 | time, in nanoseconds since 1970 |
//! | 24 | 4 | bid, in ticks |
//! | 28 | 4 | ask, in ticks |
//! | 32 | 4 | last, in ticks |
//! | 36 | 4 | zero |
//!
//! The sequence counts the quotes of the instrument from 1, one by one. A client that misses some
//! has been slower than the market, or its worker was: `quotes_refused` in `/metrics` counts those
//! that a full mailbox did not take.

use std::fmt::Write;

use crate::instruments::Instrument;
use crate::walk::Prices;

/// A form in which quotes are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Encoding {
    #[default]
    Json,
    Binary,
}

impl Encoding {
    pub(crate) const ALL: [Self; 2] = [Self::Json, Self::Binary];

    /// The subprotocol that asks for it.
    pub(crate) const fn subprotocol(self) -> &'static str {
        match self {
            Self::Json => "market.json.v1",
            Self::Binary => "market.binary.v1",
        }
    }

    /// What stands before a topic or pattern, so that each encoding has topics of its own.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Json => "json.",
            Self::Binary => "binary.",
        }
    }
}

/// The newest of an instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quote {
    /// Of this instrument's quotes, from 1.
    pub(crate) sequence: u64,
    /// Nanoseconds since 1970.
    pub(crate) time: u64,
    pub(crate) prices: Prices,
}

impl Quote {
    /// Bytes of the binary encoding.
    pub(crate) const BINARY_SIZE: usize = 40;

    /// More bytes than JSON takes, with all numbers at their longest.
    pub(crate) const JSON_SIZE_MAX: usize = 256;

    /// Appends the quote as JSON.
    pub(crate) fn write_json(&self, instrument: &Instrument, out: &mut String) {
        let Self { sequence, time, prices: Prices { bid, ask, last, size } } = self;
        let Instrument { topic, decimals } = instrument;
        let [bid, ask, last] = [bid, ask, last].map(|ticks| Decimal(*ticks, *decimals));
        // Writing to a string does not fail.
        let _written = write!(
            out,
            r#"{{"type":"quote","topic":"{topic}","sequence":{sequence},"time":{time},"#,
        );
        let _written = write!(out, r#""bid":{bid},"ask":{ask},"last":{last},"size":{size}}}"#);
    }

    /// The quote in the binary encoding.
    pub(crate) fn binary(&self, number: u16, decimals: u8) -> [u8; Self::BINARY_SIZE] {
        let mut out = [0; Self::BINARY_SIZE];
        let Self { sequence, time, prices: Prices { bid, ask, last, size } } = self;
        (out[0], out[1]) = (1, decimals);
        out[2..4].copy_from_slice(&number.to_le_bytes());
        out[4..8].copy_from_slice(&size.to_le_bytes());
        out[8..16].copy_from_slice(&sequence.to_le_bytes());
        out[16..24].copy_from_slice(&time.to_le_bytes());
        out[24..28].copy_from_slice(&bid.to_le_bytes());
        out[28..32].copy_from_slice(&ask.to_le_bytes());
        out[32..36].copy_from_slice(&last.to_le_bytes());
        out
    }
}

/// Ticks, written as a price with so many decimals, at most 9.
struct Decimal(u32, u8);

impl std::fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self(ticks, decimals) = *self;
        let one = 10_u32.pow(u32::from(decimals.min(9)));
        let width = usize::from(decimals);
        write!(formatter, "{}.{:0width$}", ticks / one, ticks % one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTE: Quote = Quote {
        sequence: 7,
        time: 1_763_694_895_123_456_789,
        prices: Prices { bid: 10_099, ask: 10_101, last: 10_100, size: 300 },
    };

    fn json(quote: &Quote, decimals: u8) -> String {
        let mut text = String::new();
        let topic = "prices.NORD.KIDUME".into();
        quote.write_json(&Instrument { topic, decimals }, &mut text);
        text
    }

    #[test]
    fn json_as_documented() {
        let text = "{\"type\":\"quote\",\"topic\":\"prices.NORD.KIDUME\",\"sequence\":7,\
            \"time\":1763694895123456789,\
            \"bid\":100.99,\"ask\":101.01,\"last\":101.00,\"size\":300}";
        assert_eq!(json(&QUOTE, 2), text);
        assert!(json(&QUOTE, 3).contains("\"bid\":10.099,"));
        assert!(json(&QUOTE, 4).contains("\"bid\":1.0099,"));
    }

    #[test]
    fn the_longest_json_fits() {
        let all = Prices { bid: u32::MAX, ask: u32::MAX, last: u32::MAX, size: u32::MAX };
        let longest = Quote { sequence: u64::MAX, time: u64::MAX, prices: all };
        assert!(json(&longest, 4).len() <= Quote::JSON_SIZE_MAX);
    }

    #[test]
    fn binary_as_documented() {
        let bytes = QUOTE.binary(0x1234, 2);
        assert_eq!(bytes[..4], [1, 2, 0x34, 0x12]);
        assert_eq!(bytes[4..8], [0x2c, 1, 0, 0]);
        assert_eq!(bytes[8..16], [7, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[16..24], 1_763_694_895_123_456_789_u64.to_le_bytes());
        assert_eq!(bytes[24..36], [0x73, 0x27, 0, 0, 0x75, 0x27, 0, 0, 0x74, 0x27, 0, 0]);
        assert_eq!(bytes[36..], [0; 4]);
    }
}
