//! Which file of a crate leans on which: the graph of their imports and paths, and its circles.
//!
//! A path is followed to the file that defines what it names, through every re-export on the way,
//! so that a `mod.rs` which only hands names on is not part of a circle. Test code is left out: a
//! test may look wherever it likes.

use std::collections::{BTreeMap, BTreeSet};

use crate::item::{Import, imports, without_tests};
use crate::source::{Finding, Source, module_folder};
use crate::token::{Token, starts_with, tokens};

/// More than any chain of re-exports: a chain that closes on itself ends here.
const REEXPORTS_MAX: usize = 16;

/// The files of one crate by the paths of their modules, `crate` being the empty one.
struct Crate<'a> {
    modules: BTreeMap<Vec<&'a str>, Module<'a>>,
}

struct Module<'a> {
    path: &'a str,
    code: Vec<Token<'a>>,
    imports: Vec<Import<'a>>,
}

/// The file leaned on, and the line that first does.
type Edges<'a> = BTreeMap<&'a str, BTreeMap<&'a str, usize>>;

/// The circles of the crate whose root file is `root`, each at the line that closes it.
pub(crate) fn circles(sources: &[Source], root: &str) -> Vec<Finding> {
    let edges = Crate::new(sources, root).edges();
    let mut finished = BTreeSet::new();
    let mut found = Vec::new();
    for file in edges.keys().copied() {
        visit(&edges, file, &mut Vec::new(), &mut finished, &mut found);
    }
    found
}

/// Walks on from the last file of `way`. A file met again on the way closes a circle.
fn visit<'a>(
    edges: &Edges<'a>,
    file: &'a str,
    way: &mut Vec<&'a str>,
    finished: &mut BTreeSet<&'a str>,
    found: &mut Vec<Finding>,
) {
    way.push(file);
    for (next, line) in edges.get(file).into_iter().flatten() {
        if let Some(start) = way.iter().position(|passed| passed == next) {
            let circle = format!("a circle: {} -> {next}", way[start..].join(" -> "));
            found.push(Finding::new(file, *line, circle));
        } else if !finished.contains(next) {
            visit(edges, next, way, finished, found);
        }
    }
    way.pop();
    finished.insert(file);
}

impl<'a> Crate<'a> {
    fn new(sources: &'a [Source], root: &str) -> Self {
        let folder = format!("{}/", module_folder(root));
        let modules = sources
            .iter()
            .filter(|source| !source.is_test)
            .filter_map(|source| {
                let inner = source.path.strip_prefix(&folder)?;
                let mut path: Vec<_> = module_folder(inner).split('/').collect();
                if source.path == root {
                    path.clear();
                }
                let code = without_tests(&tokens(&source.text));
                let imports = imports(&code);
                Some((path, Module { path: &source.path, code, imports }))
            })
            .collect();
        Self { modules }
    }

    fn edges(&self) -> Edges<'a> {
        let mut edges = Edges::new();
        for (path, module) in &self.modules {
            let onward = edges.entry(module.path).or_default();
            for (named, line) in module.names() {
                let target = self.resolve(path, &named, 0);
                if let Some(file) = target.filter(|file| *file != module.path) {
                    let first = onward.entry(file).or_insert(line);
                    *first = line.min(*first);
                }
            }
        }
        edges
    }

    /// The file that defines what `named` names in the module `from`. A module by itself defines
    /// nothing, and other crates are none of ours.
    fn resolve(&self, from: &[&'a str], named: &[&'a str], depth: usize) -> Option<&'a str> {
        let mut at = from.to_vec();
        let mut rest = named;
        let mut is_rooted = false;
        while let Some((first, after)) = rest.split_first() {
            match *first {
                "crate" if !is_rooted => at.clear(),
                "self" => {}
                "super" => _ = at.pop()?,
                _ => break,
            }
            is_rooted = true;
            rest = after;
        }
        while let Some((first, after)) = rest.split_first() {
            let module = self.modules.get(&at)?;
            at.push(first);
            if self.modules.contains_key(&at) {
                is_rooted = true;
                rest = after;
                continue;
            }
            at.pop();
            let import = module.imports.iter().find(|import| import.name == *first);
            if let Some(import) = import.filter(|import| import.path != named)
                && depth < REEXPORTS_MAX
            {
                let onward: Vec<_> = import.path.iter().chain(after).copied().collect();
                return self.resolve(&at, &onward, depth + 1);
            }
            return is_rooted.then_some(module.path);
        }
        None
    }
}

impl<'a> Module<'a> {
    /// Every path that this file names, but for those it only hands on.
    fn names(&self) -> Vec<(Vec<&'a str>, usize)> {
        let taken = self.imports.iter().filter(|import| !import.is_public);
        let mut found: Vec<_> = taken.map(|import| (import.path.clone(), import.line)).collect();
        let mut inline = InlineModules::default();
        let mut at = 0;
        while at < self.code.len() {
            inline.pass(&self.code, at);
            if self.code[at].text == "use" && !starts_with(&self.code[at..], "use <") {
                let end = self.code[at..].iter().position(|token| token.text == ";");
                at += end.unwrap_or(0) + 1;
                continue;
            }
            let (path, size) = path_at(&self.code, at);
            if path.len() > 1 {
                found.push((inline.outward(path), self.code[at].line));
            }
            at += size.max(1);
        }
        found
    }
}

/// The modules that stand within a file: a `super` in one of them is still this file.
#[derive(Default)]
struct InlineModules {
    depth: usize,
    opened: Vec<usize>,
}

impl InlineModules {
    fn pass(&mut self, code: &[Token<'_>], at: usize) {
        match code[at].text {
            "{" => {
                self.depth += 1;
                if at > 1 && code[at - 2].text == "mod" {
                    self.opened.push(self.depth);
                }
            }
            "}" => {
                if self.opened.last() == Some(&self.depth) {
                    self.opened.pop();
                }
                self.depth = self.depth.saturating_sub(1);
            }
            _ => {}
        }
    }

    fn outward<'a>(&self, path: Vec<&'a str>) -> Vec<&'a str> {
        let supers = path.iter().take_while(|segment| **segment == "super").count();
        path[supers.min(self.opened.len())..].to_vec()
    }
}

/// The path that starts at this token, if one does, and the number of its tokens.
fn path_at<'a>(code: &[Token<'a>], start: usize) -> (Vec<&'a str>, usize) {
    let mut path = Vec::new();
    let mut at = start;
    while let Some(token) = code.get(at).filter(|token| token.is_name()) {
        path.push(token.text);
        at += 1;
        if !starts_with(&code[at..], ": :") {
            break;
        }
        at += 2;
    }
    (path, at - start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::mark_tests;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let mut sources: Vec<_> =
            files.iter().map(|(path, text)| Source::new(&format!("a/src/{path}"), text)).collect();
        mark_tests(&mut sources);
        let found = circles(&sources, "a/src/lib.rs");
        found.into_iter().map(|finding| finding.what.replace("a/src/", "")).collect()
    }

    #[test]
    fn a_circle_of_two_is_found() {
        let files = [("lib.rs", ""), ("b.rs", "use crate::c::C;"), ("c.rs", "use super::b::B;")];
        assert_eq!(found(&files), ["a circle: b.rs -> c.rs -> b.rs"]);
    }

    #[test]
    fn a_circle_of_three_through_re_exports_is_found() {
        let files = [
            ("lib.rs", "mod b; mod c; pub use b::B; pub(crate) use c::{C, E as F};"),
            ("b.rs", "use crate::F;"),
            ("c/mod.rs", "mod d; mod e; pub use d::C; pub use self::e::E;"),
            ("c/d.rs", "fn a() { crate::B::new() }"),
            ("c/e.rs", "use crate::c; fn f() { c::C::new() }"),
        ];
        assert_eq!(found(&files), ["a circle: b.rs -> c/e.rs -> c/d.rs -> b.rs"]);
    }

    #[test]
    fn a_module_and_its_parent_are_a_circle_when_both_define() {
        let child = ("b/c.rs", "use super::shared;");
        let user = ("b/mod.rs", "mod c; fn shared() {} fn user() { c::leaf() }");
        assert_eq!(
            found(&[("lib.rs", ""), user, child]),
            ["a circle: b/c.rs -> b/mod.rs -> b/c.rs"]
        );
        let facade = ("b/mod.rs", "mod c; pub use c::leaf; fn shared() {}");
        assert_eq!(found(&[("lib.rs", ""), facade, child]), [""; 0]);
    }

    #[test]
    fn siblings_through_a_facade_are_no_circle() {
        let files = [
            ("lib.rs", "mod b; mod e; pub use b::{C, D};"),
            ("b/mod.rs", "mod c; mod d; pub use c::C; pub use d::D;"),
            ("b/c.rs", "use super::D; use std::fmt; mod f { super::G::new() } enum G { super::D }"),
            ("b/d.rs", "#[cfg(test)] mod tests { use crate::C; }"),
            ("e.rs", "use crate::{C, b}; fn a() { b::D::new() }"),
        ];
        assert_eq!(found(&files), [""; 0]);
    }

    #[test]
    fn test_files_make_no_circle() {
        let files = [
            ("lib.rs", "#[cfg(test)] mod tests; mod b;"),
            ("b.rs", "use crate::tests::T;"),
            ("tests.rs", "use crate::b::B;"),
        ];
        assert_eq!(found(&files), [""; 0]);
    }
}
