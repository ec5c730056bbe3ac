//! What a file looks like: its opening, its lengths, its citations, and what is not left in it.

use crate::item::functions;
use crate::source::{Finding, Source};
use crate::token::{starts_with, tokens};

/// The maxima of the house style. A file, a function or a line that wants more holds two ideas.
const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 70;
const LINE_SIZE_MAX: usize = 100;

/// Calls that stand for code yet to be written, or watched while it was.
const UNFINISHED_MACROS: [&str; 3] = ["dbg !", "todo !", "unimplemented !"];

/// Put together here, so that this file passes its own rule.
const UNFINISHED_WORDS: [&str; 3] = [concat!("FIX", "ME"), concat!("TO", "DO"), concat!("XX", "X")];

pub(crate) fn opening(source: &Source) -> Vec<Finding> {
    if source.text.starts_with("//!") {
        return Vec::new();
    }
    vec![Finding::new(&source.path, 1, "does not open with //!")]
}

pub(crate) fn file_length(source: &Source) -> Vec<Finding> {
    let count = source.text.lines().count();
    if count <= FILE_LINES_MAX {
        return Vec::new();
    }
    vec![Finding::new(&source.path, count, format!("{count} lines, at most {FILE_LINES_MAX}"))]
}

/// An address cannot be broken, so its line may be longer.
pub(crate) fn line_length(source: &Source) -> Vec<Finding> {
    let lines = source.text.lines().enumerate();
    lines
        .map(|(index, line)| (index, line, line.chars().count()))
        .filter(|(_, line, size)| *size > LINE_SIZE_MAX && !line.contains("://"))
        .map(|(index, _, size)| {
            let what = format!("{size} columns, at most {LINE_SIZE_MAX}");
            Finding::new(&source.path, index + 1, what)
        })
        .collect()
}

pub(crate) fn function_length(source: &Source) -> Vec<Finding> {
    functions(&tokens(&source.text))
        .into_iter()
        .filter(|function| function.line_count > FUNCTION_LINES_MAX)
        .map(|function| {
            let (name, count) = (function.name, function.line_count);
            let what = format!("fn {name} has {count} lines, at most {FUNCTION_LINES_MAX}");
            Finding::new(&source.path, function.line, what)
        })
        .collect()
}

pub(crate) fn unfinished(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    let code = tokens(&source.text);
    for at in 0..code.len() {
        for call in UNFINISHED_MACROS {
            if starts_with(&code[at..], call) {
                found.push(Finding::new(&source.path, code[at].line, call.replace(' ', "")));
            }
        }
    }
    // Words count wherever they stand: most stand in comments.
    for (index, line) in source.text.lines().enumerate() {
        let words = line.split(|next: char| next != '_' && !next.is_alphanumeric());
        for word in words.filter(|word| UNFINISHED_WORDS.contains(word)) {
            found.push(Finding::new(&source.path, index + 1, word));
        }
    }
    found
}

/// A citation is `//= RFC 6455 5.5.1: text`, and goes on in lines that start with `//=` as well.
pub(crate) fn citations(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut is_citing = false;
    for (index, line) in source.text.lines().enumerate() {
        let Some(cited) = line.trim_start().strip_prefix("//=") else {
            is_citing = false;
            continue;
        };
        let is_start = is_citation_start(cited);
        let goes_on = is_citing && is_continuation(cited);
        if !is_start && !goes_on {
            let what = "a citation reads `//= RFC NNNN S.S: text`";
            found.push(Finding::new(&source.path, index + 1, what));
        }
        is_citing = is_start || goes_on;
    }
    found
}

fn is_citation_start(cited: &str) -> bool {
    let Some((place, text)) = cited.split_once(": ") else { return false };
    let Some((number, section)) =
        place.strip_prefix(" RFC ").and_then(|place| place.split_once(' '))
    else {
        return false;
    };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    number.len() == 4
        && is_number(number)
        && section.split('.').all(is_number)
        && text.starts_with(|first: char| !first.is_whitespace())
}

/// A start that went wrong is not taken for a continuation.
fn is_continuation(cited: &str) -> bool {
    let text = cited.strip_prefix(' ').unwrap_or_default();
    text.starts_with(|first: char| !first.is_whitespace()) && !text.starts_with("RFC ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(rule: fn(&Source) -> Vec<Finding>, text: &str) -> Vec<usize> {
        rule(&Source::new("a.rs", text)).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn a_file_without_docs_is_found() {
        assert_eq!(lines(opening, "//! A noun."), []);
        assert_eq!(lines(opening, "// A noun."), [1]);
        assert_eq!(lines(opening, ""), [1]);
    }

    #[test]
    fn a_long_file_is_found() {
        assert_eq!(lines(file_length, &"\n".repeat(600)), []);
        assert_eq!(lines(file_length, &"\n".repeat(601)), [601]);
    }

    #[test]
    fn a_long_line_is_found() {
        let fits = "é".repeat(100);
        let address = format!("https://{fits}");
        assert_eq!(lines(line_length, &format!("{fits}\n{address}\n{fits}é\n")), [3]);
    }

    #[test]
    fn a_long_function_is_found() {
        let fits = format!("fn a() {{{}}}", "\n".repeat(69));
        let long = format!("\nfn b() {{ \"{{\"; '}}' {}}}", "\n".repeat(70));
        assert_eq!(lines(function_length, &fits), []);
        assert_eq!(lines(function_length, &long), [2]);
    }

    #[test]
    fn unfinished_work_is_found() {
        for word in UNFINISHED_WORDS {
            assert_eq!(lines(unfinished, &format!("\n// {word}: a\n// {word}S")), [2]);
        }
        for call in UNFINISHED_MACROS {
            assert_eq!(lines(unfinished, &format!("{call}(a);\n// {call}\n \"{call}\"")), [1]);
        }
    }

    #[test]
    fn a_citation_out_of_form_is_found() {
        let good = "//= RFC 6455 5.5.1: If so,\n//= it \"MUST\": always.\n//= RFC 3629 4: Then.";
        assert_eq!(lines(citations, good), []);
        for bad in [
            "//= it MUST",
            "//=RFC 6455 5.5: a",
            "//= RFC6455 5.5: a",
            "//= RFC 6455 5.5 a",
            "//= RFC 6455 5.5:a",
            "//= RFC 6455 5..5: a",
            "//= RFC 6455 5.: a",
            "//= RFC 6455 section 5: a",
            "//= RFC 645 5: a",
            "//= RFC 6455 5:  a",
        ] {
            assert_eq!(lines(citations, bad), [1], "{bad}");
        }
        assert_eq!(lines(citations, "//= RFC 6455 5.5: a\n//= RFC 6455 5.6 b"), [2]);
        assert_eq!(lines(citations, "//= RFC 6455 5.5: a\n//=\n//= b"), [2, 3]);
        assert_eq!(lines(citations, "//= RFC 6455 5.5: a\n\n//= b"), [3]);
    }
}
