//! The house rules that a program can check, each as a test that names every breach of it.
//!
//! They are checked from the first day: a ceiling cannot be put in later.

// Named one by one, because a file straight in the folder above would be a test of its own.
#[path = "tidy/graph.rs"]
mod graph;
#[path = "tidy/item.rs"]
mod item;
#[path = "tidy/layout.rs"]
mod layout;
#[path = "tidy/manifest.rs"]
mod manifest;
#[path = "tidy/place.rs"]
mod place;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/token.rs"]
mod token;

use source::{Finding, Source, assert_none, tree};

#[track_caller]
fn assert_everywhere(rule: fn(&Source) -> Vec<Finding>) {
    let findings: Vec<_> = tree().iter().flat_map(rule).collect();
    assert_none(&findings);
}

#[test]
fn every_file_opens_with_docs() {
    assert_everywhere(layout::opening);
}

#[test]
fn every_file_is_short() {
    assert_everywhere(layout::file_length);
}

#[test]
fn every_line_is_short() {
    assert_everywhere(layout::line_length);
}

#[test]
fn every_function_is_short() {
    assert_everywhere(layout::function_length);
}

#[test]
fn nothing_is_left_unfinished() {
    assert_everywhere(layout::unfinished);
}

#[test]
fn every_citation_is_in_form() {
    assert_everywhere(layout::citations);
}

#[test]
fn unsafe_code_stands_where_it_may() {
    assert_everywhere(place::unsafe_code);
}

#[test]
fn only_drivers_know_the_kernel() {
    assert_everywhere(place::kernel_interfaces);
}

#[test]
fn only_drivers_read_clocks() {
    assert_everywhere(place::clocks);
}

#[test]
fn sockets_stand_where_they_may() {
    assert_everywhere(place::sockets);
}

#[test]
fn only_the_server_starts_threads() {
    assert_everywhere(place::threads);
}

#[test]
fn no_files_lean_on_each_other_in_a_circle() {
    let sources = tree();
    let roots = sources
        .iter()
        .filter(|source| ["/src/lib.rs", "/main.rs"].iter().any(|end| source.path.ends_with(end)));
    let findings: Vec<_> = roots.flat_map(|root| graph::circles(&sources, &root.path)).collect();
    assert_none(&findings);
}

#[test]
fn packages_lean_one_way() {
    let outer = ["examples", "autobahn", "benches", "tests"];
    let mut outer: Vec<_> = outer.map(|folder| (format!("ringwire-{folder}"), folder)).into();
    outer.push(("ringwire-protocol-fuzz".to_owned(), "protocol/fuzz"));
    outer.push(("ringwire-axum".to_owned(), "examples/axum"));
    let mut findings = Vec::new();
    for inner in ["protocol", "protocol/fuzz", "engine"] {
        let path = format!("{inner}/Cargo.toml");
        let text = source::manifest(&path);
        let above = (inner != "engine").then(|| ("ringwire".to_owned(), "engine"));
        for (name, folder) in outer.iter().cloned().chain(above) {
            let lines = manifest::dependency_lines(&text, &name, folder);
            findings.extend(lines.into_iter().map(|line| Finding::new(&path, line, &*name)));
        }
    }
    assert_none(&findings);
}
