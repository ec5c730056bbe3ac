//! A command line of numbers: `--name value`.

use std::fmt;

/// The options of a program: a name, what it means, its default.
pub type Known<'a> = &'a [(&'a str, &'a str, u64)];

/// What was asked for.
#[derive(Debug)]
pub struct Arguments {
    values: Vec<(String, u64)>,
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
        let mut values: Vec<_> =
            known.iter().map(|(name, _, default)| ((*name).to_owned(), *default)).collect();
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let name = argument.strip_prefix("--").unwrap_or_default();
            let place = values.iter_mut().find(|(known, _)| known == name);
            let value = arguments.next().and_then(|value| value.parse().ok());
            let (Some((_, place)), Some(value)) = (place, value) else {
                return Err(usage(known, &argument));
            };
            *place = value;
        }
        Ok(Self { values })
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

    /// As [`Arguments::value`], for what is counted in memory.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        usize::try_from(self.value(name)).unwrap_or(usize::MAX)
    }
}

fn usage(known: Known<'_>, argument: &str) -> Usage {
    let mut text = match argument {
        "--help" => String::new(),
        _ => format!("{argument} is not an option with a number\n"),
    };
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
}
