//! Messages as a trading feed has them.

use std::fmt::Write;

/// An endless series of JSON messages, the same for the same seed.
///
/// A message holds as many entries as fit, about two quotes to one order. What repeats from entry
/// to entry are the field names, 32 symbols and the leading digits of prices, which wander, and of
/// times and numbers, which count up; sizes, identifiers and trailing digits are random. So a
/// message of one entry hardly shrinks by itself, and a large one to about a quarter.
///
/// ```
/// use ringwire_benches::feed::Feed;
///
/// let mut feed = Feed::new(7);
/// let message = feed.message(512);
/// assert!((256..=512).contains(&message.len()));
/// assert_eq!(Feed::new(7).message(512), message);
/// ```
#[derive(Debug)]
pub struct Feed {
    seed: u64,
    sequence: u64,
    /// Microseconds since 1970.
    time: u64,
    /// Of each symbol, in hundredths.
    prices: [u64; SYMBOLS.len()],
}

/// What is quoted.
const SYMBOLS: [&str; 32] = [
    "AAPL", "ADBE", "AMD", "AMZN", "AVGO", "BAC", "BTC-USD", "COST", "CRM", "CSCO", "CVX",
    "ETH-USD", "GOOG", "HD", "INTC", "JNJ", "JPM", "KO", "MA", "META", "MRK", "MSFT", "NFLX",
    "NVDA", "ORCL", "PEP", "PG", "TSLA", "UNH", "V", "WMT", "XOM",
];

impl Feed {
    /// The feed of this seed; zero stands for one.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut feed = Self {
            seed: seed.max(1),
            sequence: 48_201_337,
            time: 1_700_000_000_000_000,
            prices: [0; SYMBOLS.len()],
        };
        feed.prices = std::array::from_fn(|_| 2_000 + feed.draw(60_000));
        feed
    }

    /// The next message, at most `size` bytes long and at most one entry shorter.
    #[must_use]
    pub fn message(&mut self, size: usize) -> String {
        const END: &str = "]}";
        self.sequence += 1 + self.draw(3);
        let mut message = format!(r#"{{"channel":"book","sequence":{},"data":["#, self.sequence);
        let mut separator = "";
        loop {
            let entry = if self.draw(3) < 2 { self.quote() } else { self.order() };
            if message.len() + separator.len() + entry.len() + END.len() > size {
                message.push_str(END);
                return message;
            }
            message.push_str(separator);
            message.push_str(&entry);
            separator = ",";
        }
    }

    fn quote(&mut self) -> String {
        let (symbol, price) = self.tick();
        let ask = price + 1 + self.draw(4);
        let sizes = [(); 2].map(|()| 100 * (1 + self.draw(40)));
        let mut entry = format!(r#"{{"type":"quote","symbol":"{symbol}","bid":"#);
        write_price(&mut entry, price);
        entry.push_str(r#","ask":"#);
        write_price(&mut entry, ask);
        let [bid_size, ask_size] = sizes;
        let rest =
            format!(r#","bid_size":{bid_size},"ask_size":{ask_size},"time":{}}}"#, self.time);
        entry + &rest
    }

    fn order(&mut self) -> String {
        let (symbol, price) = self.tick();
        let side = if self.draw(2) == 0 { "buy" } else { "sell" };
        let identifier = self.next();
        let quantity = 1 + self.draw(500);
        let mut entry = format!(r#"{{"type":"order","id":"{identifier:016x}","#);
        entry.push_str(&format!(r#""symbol":"{symbol}","side":"{side}","price":"#));
        write_price(&mut entry, price);
        entry + &format!(r#","quantity":{quantity},"time":{}}}"#, self.time)
    }

    /// Lets time pass and one price move.
    fn tick(&mut self) -> (&'static str, u64) {
        self.time += self.draw(900);
        let (up, down) = (self.draw(6), self.draw(6));
        // `draw` stays below its bound, which is the number of symbols.
        let index = usize::try_from(self.draw(SYMBOLS.len() as u64)).unwrap_or(0);
        let price = (self.prices[index] + up).saturating_sub(down).max(100);
        self.prices[index] = price;
        (SYMBOLS[index], price)
    }

    fn draw(&mut self, bound: u64) -> u64 {
        (self.next() >> 32) % bound
    }

    /// Marsaglia's xorshift: good enough to be incompressible.
    fn next(&mut self) -> u64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        self.seed
    }
}

fn write_price(text: &mut String, hundredths: u64) {
    // A `String` takes all that is written to it.
    let _written = write!(text, "{}.{:02}", hundredths / 100, hundredths % 100);
}
