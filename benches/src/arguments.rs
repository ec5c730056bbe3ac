//! A command line of numbers and words: `--name value`.

use std::fmt;

/// The options of a program: a name, what it means, its default.
pub type Known<'a> = &'a [(&'a str, &'a str, u64)];

/// The options of a program whose values are not numbers, likewise.
pub type Words<'a> = &'a [(&'a str, &'a str, &'a str)];

/// What was asked for.
#[derive(Debug)]
pub struct Arguments {
    values: Vec<(String, u64)>,
    words: Vec<(String, String)>,
}

/// What is wrong with a command line, or the help that was asked for.
#[derive(Debug)]
pub struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

impl Arguments {
    /// Reads the arguments that follow the program's name.
    ///
    /// # Errors
    /// How the program is to be called, where it was called otherwise.
    pub fn read(
        known: Known<'_>,
        arguments: impl IntoIterator<Item = String>,
    ) -> Result<Self, Usage> {
        Self::read_with_words(&[], known, arguments)
    }

    /// As [`Arguments::read`], for a program that takes words as well. Which words are right is for
    /// the program to say.
    ///
    /// # Errors
    /// As [`Arguments::read`].
    pub fn read_with_words(
        words: Words<'_>,
        known: Known<'_>,
        arguments: impl IntoIterator<Item = String>,
    ) -> Result<Self, Usage> {
        let mut read = Self {
            values: known.iter().map(|(name, _, value)| ((*name).to_owned(), *value)).collect(),
            words: words.iter().map(|(name, _, word)| ((*name).into(), (*word).into())).collect(),
        };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let name = argument.strip_prefix("--").unwrap_or_default();
            let value = arguments.next();
            if value.and_then(|value| read.set(name, value)).is_none() {
                return Err(usage(words, known, &argument));
            }
        }
        Ok(read)
    }

    /// `None`: there is no such option, or it is one with a number and this is none.
    fn set(&mut self, name: &str, value: String) -> Option<()> {
        if let Some((_, word)) = self.words.iter_mut().find(|(known, _)| known == name) {
            *word = value;
            return Some(());
        }
        let (_, number) = self.values.iter_mut().find(|(known, _)| known == name)?;
        *number = value.parse().ok()?;
        Some(())
    }

    /// The value of an option.
    ///
    /// # Panics
    /// If it is not one of the known.
    #[must_use]
    pub fn value(&self, name: &str) -> u64 {
        let value = self.values.iter().find(|(known, _)| known == name);
        value.expect("the option is known").1
    }

    /// The value of an option that takes a word.
    ///
    /// # Panics
    /// If it is not one of the known.
    #[must_use]
    pub fn word(&self, name: &str) -> &str {
        let word = self.words.iter().find(|(known, _)| known == name);
        &word.expect("the option is known").1
    }

    /// As [`Arguments::value`], for what is counted in memory.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        usize::try_from(self.value(name)).unwrap_or(usize::MAX)
    }
}

fn usage(words: Words<'_>, known: Known<'_>, argument: &str) -> Usage {
    let mut text = match argument {
        "--help" => String::new(),
        _ if words.is_empty() => format!("{argument} is not an option with a number\n"),
        _ => format!("{argument} is not an option with such a value\n"),
    };
    for (name, meaning, default) in words {
        let default = if default.is_empty() { "none" } else { default };
        text.push_str(&format!("  --{name} WORD  {meaning} [default: {default}]\n"));
    }
    for (name, meaning, default) in known {
        text.push_str(&format!("  --{name} N  {meaning} [default: {default}]\n"));
    }
    Usage(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        let known: Known<'_> = &[("seconds", "how long", 60), ("seed", "of all chance", 1)];
        let read = |line: &[&str]| Arguments::read(known, line.iter().map(ToString::to_string));
        let arguments = read(&["--seed", "7"]).expect("it is right");
        assert_eq!((arguments.value("seconds"), arguments.count("seed")), (60, 7));
        for line in [&["--seed"][..], &["--seed", "x"], &["seed", "1"], &["--else", "1"]] {
            let usage = read(line).expect_err("it is wrong").to_string();
            assert!(usage.contains("--seconds N  how long [default: 60]"), "{usage}");
        }
    }

    #[test]
    fn words_beside_numbers() {
        let words: Words<'_> = &[("mode", "echo or idle", "echo"), ("file", "to write", "")];
        let known: Known<'_> = &[("seconds", "how long", 60)];
        let read = |line: &[&str]| {
            Arguments::read_with_words(words, known, line.iter().map(ToString::to_string))
        };
        let arguments = read(&["--seconds", "7", "--mode", "idle"]).expect("it is right");
        assert_eq!((arguments.word("mode"), arguments.word("file")), ("idle", ""));
        assert_eq!(arguments.value("seconds"), 7);
        for line in [&["--mode"][..], &["--seconds", "idle"], &["mode", "idle"], &["--help"]] {
            let usage = read(line).expect_err("it is wrong").to_string();
            assert!(usage.contains("--mode WORD  echo or idle [default: echo]"), "{usage}");
            assert!(usage.contains("--file WORD  to write [default: none]"), "{usage}");
            assert!(usage.contains("--seconds N  how long [default: 60]"), "{usage}");
        }
    }
}
