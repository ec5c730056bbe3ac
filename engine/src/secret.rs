//! A number that no peer can guess.

use std::hash::{DefaultHasher, Hash, Hasher};

/// What a worker makes numbers of that must not be foreseen. The driver gives it, so that a
/// simulation's seed repeats them.
#[derive(Clone, Copy)]
pub(crate) struct Secret(u64);

impl Secret {
    pub(crate) const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number of `what`: always the same, and as good as random to who does not know the
    /// secret.
    pub(crate) fn number(self, what: impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.hash(&mut hasher);
        what.hash(&mut hasher);
        hasher.finish()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn numbers_depend_on_the_secret_and_on_what_they_are_of() {
        let secret = Secret::new(1);
        assert_eq!(secret.number(2), Secret::new(1).number(2));
        assert_ne!(secret.number(2), secret.number(3));
        assert_ne!(secret.number(2), Secret::new(2).number(2));
    }
}
