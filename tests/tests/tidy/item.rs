//! The items in a file's tokens: functions, imports, and what is compiled for tests only.

use crate::token::{Token, starts_with};

/// A function with a body.
#[derive(Debug, PartialEq)]
pub(crate) struct Function<'a> {
    pub(crate) name: &'a str,
    pub(crate) line: usize,
    /// From the line of `fn` to that of the closing brace, both counted.
    pub(crate) line_count: usize,
}

/// One leaf of a `use`: `use a::{b, c as d};` has two.
#[derive(Debug, PartialEq)]
pub(crate) struct Import<'a> {
    pub(crate) path: Vec<&'a str>,
    /// What the rest of the file calls it.
    pub(crate) name: &'a str,
    /// `pub use` and its restricted forms.
    pub(crate) is_public: bool,
    pub(crate) line: usize,
}

pub(crate) fn functions<'a>(tokens: &[Token<'a>]) -> Vec<Function<'a>> {
    let mut found = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        // A pointer type, `fn(u8)`, has no name.
        if pair[0].text != "fn" || !pair[1].is_name() {
            continue;
        }
        let end = item_end(tokens, at);
        let Some(last) = tokens[..end].last().filter(|last| last.text == "}") else { continue };
        let line = pair[0].line;
        found.push(Function { name: pair[1].text, line, line_count: last.line - line + 1 });
    }
    found
}

/// The tokens without the items under `#[cfg(test)]` or `#[cfg(all(test, ...))]`.
pub(crate) fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is_test_attribute(&tokens[at..]) {
            at = item_end(tokens, after_attributes(tokens, at));
        } else {
            kept.push(tokens[at]);
            at += 1;
        }
    }
    kept
}

/// The modules in files of their own that are compiled for tests only.
pub(crate) fn test_modules<'a>(tokens: &[Token<'a>]) -> Vec<&'a str> {
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        if !is_test_attribute(&tokens[at..]) {
            continue;
        }
        let item = &tokens[after_attributes(tokens, at)..];
        if let [keyword, name, end, ..] = item
            && keyword.text == "mod"
            && end.text == ";"
        {
            found.push(name.text);
        }
    }
    found
}

pub(crate) fn imports<'a>(tokens: &[Token<'a>]) -> Vec<Import<'a>> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        // `impl Trait + use<'a>` imports nothing.
        if token.text != "use" || starts_with(&tokens[at..], "use <") {
            continue;
        }
        let before = at.checked_sub(1).map(|before| tokens[before].text);
        let is_public = matches!(before, Some("pub" | ")"));
        let first = found.len();
        import_tree(&tokens[at + 1..], Vec::new(), &mut found);
        found[first..].iter_mut().for_each(|import| import.is_public = is_public);
    }
    found
}

/// Reads one tree of a `use`, and gives the number of its tokens.
fn import_tree<'a>(
    tokens: &[Token<'a>],
    mut path: Vec<&'a str>,
    found: &mut Vec<Import<'a>>,
) -> usize {
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token.text {
            ":" => at += 1,
            "{" => {
                at += 1;
                while let Some(next) = tokens.get(at).filter(|next| next.text != "}") {
                    at += match next.text {
                        "," => 1,
                        _ => import_tree(&tokens[at..], path.clone(), found).max(1),
                    };
                }
                return at + 1;
            }
            "," | ";" | "}" => break,
            "as" => {
                let name = tokens.get(at + 1).map_or("_", |name| name.text);
                push_import(path, Some(name), token.line, found);
                return at + 2;
            }
            segment => {
                path.push(segment);
                at += 1;
            }
        }
    }
    let line = tokens.first().map_or(0, |first| first.line);
    push_import(path, None, line, found);
    at
}

fn push_import<'a>(
    mut path: Vec<&'a str>,
    name: Option<&'a str>,
    line: usize,
    found: &mut Vec<Import<'a>>,
) {
    if path.len() > 1 && path.last() == Some(&"self") {
        path.pop();
    }
    let Some(last) = path.last().copied() else { return };
    found.push(Import { path, name: name.unwrap_or(last), is_public: false, line });
}

fn is_test_attribute(tokens: &[Token<'_>]) -> bool {
    if !starts_with(tokens, "# [ cfg (") {
        return false;
    }
    let attribute = &tokens[..group_end(tokens, 1)];
    let any = attribute.iter().any(|token| token.text == "any");
    !any && (0..attribute.len())
        .any(|at| attribute[at].text == "test" && !starts_with(&attribute[at - 2..], "not ("))
}

fn after_attributes(tokens: &[Token<'_>], mut at: usize) -> usize {
    while starts_with(&tokens[at..], "# [") {
        at = group_end(tokens, at + 1);
    }
    at
}

/// Where the item that starts here ends: behind its braces or its semicolon. A field or an arm,
/// which have neither, end before their comma.
fn item_end(tokens: &[Token<'_>], start: usize) -> usize {
    let is_item = tokens[start..].first().is_some_and(|first| ITEMS.contains(&first.text));
    let mut at = start;
    while at < tokens.len() {
        match tokens[at].text {
            "(" | "[" => at = group_end(tokens, at),
            "{" => return group_end(tokens, at),
            ";" => return at + 1,
            "," if !is_item => return at,
            ")" | "]" | "}" => return at,
            _ => at += 1,
        }
    }
    at
}

/// Where the group ends that opens here.
fn group_end(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// The words that an item can start with.
const ITEMS: [&str; 14] = [
    "const",
    "enum",
    "extern",
    "fn",
    "impl",
    "macro_rules",
    "mod",
    "pub",
    "static",
    "struct",
    "trait",
    "type",
    "unsafe",
    "use",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::tokens;

    #[test]
    fn a_function_is_counted_from_its_name_to_its_brace() {
        let text = "trait A { fn none(&self) -> [u8; 2]; }\nfn one() -> [u8; 2] {\n\"}\"; '{';\n}\n\
                    const F: fn(u8) = f; fn two() { fn inner() {} }";
        let found: Vec<_> =
            functions(&tokens(text)).iter().map(|found| (found.name, found.line_count)).collect();
        assert_eq!(found, [("one", 3), ("two", 1), ("inner", 1)]);
    }

    #[test]
    fn a_use_is_read_to_its_leaves() {
        let text = "pub(crate) use a::{self, b::*, c as d}; use e; fn f() -> impl G + use<'_> {}";
        let text = tokens(text);
        let found: Vec<_> = imports(&text)
            .iter()
            .map(|import| (import.path.join("::"), import.name, import.is_public))
            .collect();
        let expected = [("a", "a", true), ("a::b::*", "*", true), ("a::c", "d", true)];
        let mut expected: Vec<_> = expected
            .iter()
            .map(|(path, name, public)| ((*path).to_owned(), *name, *public))
            .collect();
        expected.push(("e".to_owned(), "e", false));
        assert_eq!(found, expected);
    }

    #[test]
    fn test_code_is_found() {
        let text = "a; #[cfg(test)] #[expect(b)] mod c { d } #[cfg(all(test, not(loom)))] fn e() {}
            #[cfg(not(test))] fn f() {} #[cfg(any(test, g))] mod h; #[cfg(test)] mod i; struct J {
            #[cfg(test)] k: u8, l: u8 }";
        let text = tokens(text);
        let kept: Vec<_> = without_tests(&text)
            .iter()
            .filter(|token| token.is_name() && token.text.len() == 1)
            .map(|token| token.text)
            .collect();
        assert_eq!(kept, ["a", "f", "g", "h", "J", "l"]);
        assert_eq!(test_modules(&text), ["i"]);
    }
}
