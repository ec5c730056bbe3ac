//! The direction of dependencies between packages, read from a manifest.

/// The lines on which a manifest depends on a package, by its name or by its folder.
pub(crate) fn dependency_lines(manifest: &str, name: &str, folder: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut is_dependency_table = false;
    for (index, line) in manifest.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(table) = line.strip_prefix('[') {
            let keys: Vec<_> = table.trim_end_matches(']').split('.').map(unquoted).collect();
            is_dependency_table = keys.iter().any(|key| key.ends_with("dependencies"));
            if is_dependency_table && keys.last() == Some(&name) {
                found.push(index + 1);
            }
            continue;
        }
        let key = line.split(['=', '.']).next().map(unquoted);
        // Under another name, a package is still given away by the value.
        let mut values = line.split('"').skip(1).step_by(2);
        let is_value = values.any(|value| value == name || value == format!("../{folder}"));
        if is_dependency_table && (key == Some(name) || is_value) {
            found.push(index + 1);
        }
    }
    found
}

fn unquoted(key: &str) -> &str {
    key.trim().trim_matches(['"', '\''])
}

#[test]
fn a_dependency_is_found_in_every_form() {
    for line in [
        "[dependencies]\nringwire = { path = \"a\" }",
        "[dev-dependencies]\nringwire.workspace = true",
        "[target.'cfg(a)'.build-dependencies]\n\"ringwire\" = \"1\"",
        "[dependencies]\nb = { package = \"ringwire\", version = \"1\" }",
        "[dependencies]\nb = { path = \"../engine\" }",
        "\n[dependencies.ringwire]",
    ] {
        assert_eq!(dependency_lines(line, "ringwire", "engine"), [2], "{line}");
    }
}

#[test]
fn a_longer_name_or_another_table_is_no_dependency() {
    for line in [
        "[dependencies]\nringwire-protocol.workspace = true",
        "[dependencies]\n# ringwire = \"1\"",
        "[package]\nringwire = \"1\"",
        "[package]\nname = \"ringwire\"",
    ] {
        assert_eq!(dependency_lines(line, "ringwire", "engine"), [], "{line}");
    }
}
