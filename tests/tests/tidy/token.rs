//! The tokens of a Rust file: what is left of it without its comments.
//!
//! Literals and lifetimes stay whole, quotes included, so that no word inside them can be taken
//! for a name.

/// One name, literal, lifetime or single mark, and the line on which it starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: usize,
}

impl Token<'_> {
    pub(crate) fn is_name(self) -> bool {
        self.text.starts_with(is_name_start) && !self.text.contains(['"', '\''])
    }
}

pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { text, at: 0, line: 1 };
    std::iter::from_fn(|| lexer.next_token()).collect()
}

/// Whether the tokens start with these words, which stand separated by spaces.
pub(crate) fn starts_with(tokens: &[Token<'_>], words: &str) -> bool {
    let mut tokens = tokens.iter();
    words.split(' ').all(|word| tokens.next().is_some_and(|token| token.text == word))
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: usize,
}

impl<'a> Lexer<'a> {
    fn next_token(&mut self) -> Option<Token<'a>> {
        self.skip_blank();
        let rest = &self.text[self.at..];
        let first = rest.chars().next()?;
        let line = self.line;
        if let Some(name) = raw_name(rest) {
            self.advance(2 + name.len());
            return Some(Token { text: name, line });
        }
        let size = literal_size(rest).unwrap_or_else(|| match first {
            '\'' => lifetime_size(rest),
            _ if is_name_start(first) => name_size(rest),
            _ if first.is_ascii_digit() => number_size(rest),
            _ => first.len_utf8(),
        });
        self.advance(size);
        Some(Token { text: &rest[..size], line })
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            let size = if rest.starts_with("//") {
                rest.find('\n').unwrap_or(rest.len())
            } else if rest.starts_with("/*") {
                block_comment_size(rest)
            } else {
                rest.len() - rest.trim_start().len()
            };
            if size == 0 {
                return;
            }
            self.advance(size);
        }
    }

    fn advance(&mut self, size: usize) {
        let passed = &self.text[self.at..self.at + size];
        self.line += passed.matches('\n').count();
        self.at += size;
    }
}

fn is_name_start(first: char) -> bool {
    first == '_' || first.is_alphabetic()
}

fn name_size(rest: &str) -> usize {
    rest.find(|next: char| next != '_' && !next.is_alphanumeric()).unwrap_or(rest.len())
}

/// A range, `0..9`, is two numbers; a fraction, `0.9`, is one.
fn number_size(rest: &str) -> usize {
    let whole = name_size(rest);
    match rest[whole..].strip_prefix('.') {
        Some(fraction) if fraction.starts_with(|next: char| next.is_ascii_digit()) => {
            whole + 1 + name_size(fraction)
        }
        _ => whole,
    }
}

fn lifetime_size(rest: &str) -> usize {
    1 + name_size(&rest[1..])
}

/// `name` of `r#name`.
fn raw_name(rest: &str) -> Option<&str> {
    let name = rest.strip_prefix("r#")?;
    name.starts_with(is_name_start).then(|| &name[..name_size(name)])
}

fn block_comment_size(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += rest[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The size of the string or character that `rest` starts with.
fn literal_size(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""]
        .into_iter()
        .find(|prefix| {
            let after = rest.strip_prefix(prefix);
            after.is_some_and(|after| after.starts_with(['"', '\'', '#']))
        })?
        .len();
    let after = &rest[prefix..];
    let hashes = after.len() - after.trim_start_matches('#').len();
    if rest[..prefix].ends_with('r') {
        let body = after[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let size = body.find(&end).map_or(body.len(), |at| at + end.len());
        return Some(prefix + hashes + 1 + size);
    }
    match after.chars().next()? {
        '"' => Some(prefix + quoted_size(after, '"')),
        '\'' if is_character(after) => Some(prefix + quoted_size(after, '\'')),
        _ => None,
    }
}

/// A quote starts a character when it is closed after one, and otherwise a lifetime.
fn is_character(rest: &str) -> bool {
    let mut characters = rest.chars().skip(1);
    characters.next() == Some('\\') || characters.next() == Some('\'')
}

fn quoted_size(rest: &str, quote: char) -> usize {
    let mut escaped = true;
    for (at, next) in rest.char_indices() {
        if !escaped && next == quote {
            return at + 1;
        }
        // The opening quote counts as escaped, and so does not close itself.
        escaped = !escaped && next == '\\';
    }
    rest.len()
}

#[test]
fn comments_vanish_and_literals_stay_whole() {
    let text = r###"a /* b /* c */ d */ "e \" // f" 'g' '\'' 'h r#"i " j"# b'k' r#fn b"l" // m
        n 0..9 0.5 'é' cr"\" o"###;
    let found: Vec<_> = tokens(text).iter().map(|token| token.text).collect();
    let expected = [
        "a",
        r#""e \" // f""#,
        "'g'",
        r"'\''",
        "'h",
        r##"r#"i " j"#"##,
        "b'k'",
        "fn",
        "b\"l\"",
        "n",
        "0",
        ".",
        ".",
        "9",
        "0.5",
        "'é'",
        r#"cr"\""#,
        "o",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_token_knows_the_line_it_starts_on() {
    let found = tokens("a\n/*\n*/ \"b\nc\" d");
    let lines: Vec<_> = found.iter().map(|token| token.line).collect();
    assert_eq!(lines, [1, 3, 4]);
}

#[test]
fn only_names_are_names() {
    let names: Vec<_> = tokens("a 'b \"c\" r\"d\" 'e' 1 _f")
        .into_iter()
        .filter(|token| token.is_name())
        .map(|token| token.text)
        .collect();
    assert_eq!(names, ["a", "_f"]);
}
