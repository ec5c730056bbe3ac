//! The source tree: every file in it, and how a finding in one is written.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::item::test_modules;
use crate::token::tokens;

/// A Rust file, named from the root of the repository.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
    /// The whole file is compiled for tests only.
    pub(crate) is_test: bool,
}

impl Source {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned(), is_test: false }
    }

    pub(crate) fn is_under(&self, places: &[&str]) -> bool {
        places.iter().any(|place| is_under(&self.path, place))
    }
}

/// A breach of a rule.
#[derive(Debug, PartialEq)]
pub(crate) struct Finding {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) what: String,
}

impl Finding {
    pub(crate) fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }
}

/// The whole tree, but for what is built or installed in it.
pub(crate) fn tree() -> Vec<Source> {
    let root = root();
    let mut files = Vec::new();
    list(&root, &root, &mut files);
    files.sort();
    let mut sources: Vec<_> =
        files.iter().map(|path| Source::new(path, &read(&root.join(path)))).collect();
    mark_tests(&mut sources);
    assert!(sources.len() > 10, "{} holds next to nothing", root.display());
    sources
}

pub(crate) fn manifest(path: &str) -> String {
    read(&root().join(path))
}

/// Fails with every finding, each on a line of its own.
#[track_caller]
pub(crate) fn assert_none(findings: &[Finding]) {
    let lines: Vec<_> = findings
        .iter()
        .map(|finding| format!("{}:{}: {}", finding.path, finding.line, finding.what))
        .collect();
    assert!(lines.is_empty(), "{} against the house rules:\n{}", lines.len(), lines.join("\n"));
}

/// Marks the files of modules under `#[cfg(test)]`, and all beneath them.
pub(crate) fn mark_tests(sources: &mut [Source]) {
    let mut modules = BTreeSet::new();
    for source in &*sources {
        let folder = module_folder(&source.path);
        for name in test_modules(&tokens(&source.text)) {
            modules.insert(format!("{folder}/{name}"));
        }
    }
    for source in sources {
        let module = source.path.trim_end_matches(".rs");
        source.is_test = modules.iter().any(|test| is_under(module, test));
    }
}

/// The folder in which the modules that a file declares stand.
pub(crate) fn module_folder(path: &str) -> &str {
    ["/mod.rs", "/lib.rs", "/main.rs", ".rs"]
        .into_iter()
        .find_map(|end| path.strip_suffix(end))
        .unwrap_or(path)
}

fn is_under(path: &str, place: &str) -> bool {
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn list(root: &Path, folder: &Path, files: &mut Vec<String>) {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    for entry in entries {
        let entry = entry.expect("an entry of a folder can be read");
        let path = entry.path();
        let name = path.strip_prefix(root).expect("it lies under the root").to_string_lossy();
        if SKIPPED.contains(&&*name) {
            continue;
        }
        // A link is not followed, so that no circle of links can hold the test.
        if entry.file_type().expect("a file has a type").is_dir() {
            list(root, &path, files);
        } else if name.ends_with(".rs") {
            files.push(name.into_owned());
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `protocol/fuzz/target` is where cargo-fuzz builds if it is started by hand, and cargo itself in
/// the other workspace.
const SKIPPED: [&str; 6] = [
    "target",
    ".git",
    "autobahn/.venv",
    "autobahn/reports",
    "protocol/fuzz/target",
    "benches/peers/target",
];

#[test]
fn a_place_is_a_file_or_a_folder_and_no_part_of_a_name() {
    let source = Source::new("engine/src/driver/mod.rs", "");
    assert!(source.is_under(&["engine/src/driver"]));
    assert!(source.is_under(&["engine/src/driver/mod.rs"]));
    assert!(!source.is_under(&["engine/src/drive", "protocol"]));
}

#[test]
fn the_files_of_test_modules_are_marked() {
    let mut sources = [
        Source::new("a/src/lib.rs", "#[cfg(test)] mod tests; mod b;"),
        Source::new("a/src/tests/mod.rs", "mod pair;"),
        Source::new("a/src/tests/pair.rs", ""),
        Source::new("a/src/b.rs", "#[cfg(test)] mod oracle;"),
        Source::new("a/src/b/oracle.rs", ""),
    ];
    mark_tests(&mut sources);
    assert_eq!(sources.map(|source| source.is_test), [false, true, true, false, true]);
}
