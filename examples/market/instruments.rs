//! What is traded here: invented instruments at invented venues.
//!
//! ```text
//!   prices.NORD.KIDUME      one instrument
//!   prices.NORD.*           all of a venue
//!   prices.>                all
//! ```

use std::fmt::Write;

/// One thing that is traded.
#[derive(Debug)]
pub(crate) struct Instrument {
    /// The topic of its quotes, as clients name it.
    pub(crate) topic: String,
    /// Digits behind the point of its prices, 2 to 4: its tick is the last of them.
    pub(crate) decimals: u8,
}

/// All that is traded. The place of an instrument is its number.
#[derive(Debug)]
pub(crate) struct Instruments {
    all: Box<[Instrument]>,
}

const VENUES: [&str; 16] = [
    "ALTA", "BORA", "CALA", "DUNE", "ESTA", "FJOR", "GALE", "HELM", "ISLA", "JUNO", "KITE", "LUNA",
    "MARE", "NORD", "OPAL", "PIKE",
];

const SYLLABLES: [&str; 16] = [
    "BA", "CO", "DI", "DU", "FE", "GO", "KI", "LA", "ME", "NO", "PU", "RI", "SA", "TE", "VI", "ZO",
];

/// Symbols of one venue: of three syllables each.
const SYMBOLS: usize = SYLLABLES.len().pow(3);

impl Instruments {
    /// How many there can be: as many as symbols, and as a number of two bytes can tell apart.
    pub(crate) const COUNT_MAX: usize = VENUES.len() * SYMBOLS;

    /// The first `count` of them, spread over the venues.
    pub(crate) fn new(count: usize) -> Self {
        Self { all: (0..count.min(Self::COUNT_MAX)).map(Instrument::new).collect() }
    }

    pub(crate) fn count(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn get(&self, number: usize) -> Option<&Instrument> {
        self.all.get(number)
    }

    #[cfg(test)]
    fn iter(&self) -> impl Iterator<Item = &Instrument> {
        self.all.iter()
    }

    /// All of them as JSON: an array, in which the index of each is its number in the binary
    /// encoding, of topics and decimals.
    pub(crate) fn json(&self) -> String {
        let mut text = String::from("[");
        for (number, Instrument { topic, decimals }) in self.all.iter().enumerate() {
            let comma = if number == 0 { "" } else { ",\n" };
            // Writing to a string does not fail.
            let _written = write!(text, "{comma}[\"{topic}\",{decimals}]");
        }
        text.push_str("]\n");
        text
    }
}

impl Instrument {
    fn new(number: usize) -> Self {
        let (venue, index) = (number % VENUES.len(), number / VENUES.len());
        // Any odd factor makes all of them different; this one makes neighbours look so.
        let symbol = (index * 1621 + venue * 731) % SYMBOLS;
        let [first, second, third] =
            [256, 16, 1].map(|weight| SYLLABLES[symbol / weight % SYLLABLES.len()]);
        Self {
            topic: format!("prices.{}.{first}{second}{third}", VENUES[venue]),
            decimals: [2, 3, 2, 4][venue % 4],
        }
    }
}

const _: () = assert!(Instruments::COUNT_MAX == 1 << 16);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ringwire::topic::{Pattern, Topic};

    use super::*;

    #[test]
    fn all_differ_and_are_topics() {
        let instruments = Instruments::new(usize::MAX);
        assert_eq!(instruments.count(), Instruments::COUNT_MAX);
        let topics: BTreeSet<_> = instruments.iter().map(|one| one.topic.as_str()).collect();
        assert_eq!(topics.len(), Instruments::COUNT_MAX);
        let venue = Pattern::new("prices.NORD.*").unwrap();
        let topics: Vec<_> = topics.into_iter().map(|name| Topic::new(name).unwrap()).collect();
        assert_eq!(topics.iter().filter(|topic| venue.matches(**topic)).count(), SYMBOLS);
        assert!(topics.iter().all(|topic| topic.as_str().len() == "prices.NORD.KIDUME".len()));
    }

    #[test]
    fn the_first_are_spread_over_the_venues() {
        let few = Instruments::new(32);
        for venue in VENUES {
            let found =
                few.iter().filter(|one| one.topic.starts_with(&format!("prices.{venue}."))).count();
            assert_eq!(found, 2, "{venue}");
        }
        let mut json = few.json().into_bytes();
        // As the parser sees it: 32 pairs.
        let value = simd_json::to_tape(&mut json).unwrap();
        assert_eq!(value.0.first(), Some(&simd_json::Node::Array { len: 32, count: 96 }));
    }
}
