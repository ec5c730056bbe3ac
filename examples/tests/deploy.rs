//! What is shipped for containers and for systemd is what it says it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

/// The calls that a ring needs, and all that it needs.
const CALLS: [&str; 3] = ["io_uring_enter", "io_uring_register", "io_uring_setup"];

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name)
}

fn read(name: &str) -> String {
    fs::read_to_string(path(name)).expect("it is shipped")
}

/// The values of each key of a unit, by section.
fn unit(text: &str) -> BTreeMap<(String, String), Vec<String>> {
    let (mut keys, mut section) = (BTreeMap::<_, Vec<_>>::new(), "");
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name;
            continue;
        }
        let (key, value) = line.split_once('=').expect("a key and a value");
        keys.entry((section.to_owned(), key.to_owned())).or_default().push(value.to_owned());
    }
    keys
}

#[test]
fn the_profile_allows_three_calls_and_no_more() {
    let profile: Value = serde_json::from_str(&read("seccomp.json")).expect("it is JSON");
    let profile = profile.as_object().expect("an object");
    // With an action for all other calls it would be taken for a whole profile.
    assert!(profile.keys().eq(["syscalls"]));
    let rules = profile["syscalls"].as_array().expect("rules");
    let [rule] = &**rules else { panic!("{rules:?} is not one rule") };
    let rule = rule.as_object().expect("an object");
    // Neither conditions nor arguments.
    assert!(rule.keys().eq(["action", "names"]), "{rule:?}");
    assert_eq!(rule["action"], "SCMP_ACT_ALLOW");
    let names = rule["names"].as_array().expect("names");
    let mut names: Vec<&str> = names.iter().filter_map(Value::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, CALLS);
}

#[test]
fn the_command_of_the_readme_merges_it() {
    let readme = read("README.md");
    let line = readme.lines().find(|line| line.starts_with("jq ")).expect("the command");
    let filter = line.split('\'').nth(1).expect("the filter of jq");
    let folder = std::env::temp_dir().join(format!("ringwire-{}-deploy", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let default = folder.join("default.json");
    let all = r#"{"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["read"],"action":"A"}]}"#;
    fs::write(&default, all).expect("a file");
    let files = [default, path("seccomp.json")];
    let merged = Command::new("jq").args(["-s", filter]).args(files).output();
    fs::remove_dir_all(&folder).expect("it is ours");
    // A machine without jq has nothing to try it with.
    let Ok(merged) = merged else { return };
    let merged: Value = serde_json::from_slice(&merged.stdout).expect("it is JSON");
    assert_eq!(merged["defaultAction"], "SCMP_ACT_ERRNO");
    assert_eq!(merged["syscalls"][0]["names"][0], "read");
    assert_eq!(merged["syscalls"][1]["names"].as_array().map(Vec::len), Some(3));
}

#[test]
fn the_unit_has_what_the_server_needs() {
    let service = unit(&read("ringwire-echo.service"));
    let all = |key: &str| service[&("Service".to_owned(), key.to_owned())].join(" ");
    assert!(all("ExecStart").ends_with(" --listen systemd"));
    assert_eq!((&*all("LimitNOFILE"), &*all("LimitMEMLOCK")), ("1048576", "infinity"));
    // What is refused must not end the process, or there would be no ladder.
    assert_eq!(all("SystemCallErrorNumber"), "EPERM");
    let allowed = all("SystemCallFilter");
    for call in CALLS {
        assert!(allowed.split(' ').any(|name| name == call), "{call}");
    }
    // The trial of the ring receives on a pair of sockets.
    for family in ["AF_INET", "AF_INET6", "AF_UNIX"] {
        assert!(all("RestrictAddressFamilies").split(' ').any(|name| name == family), "{family}");
    }
    let socket = unit(&read("ringwire-echo.socket"));
    let one = |key: &str| &socket[&("Socket".to_owned(), key.to_owned())][..];
    assert_eq!((one("ListenStream").len(), &*one("Accept")[0]), (1, "no"));
    let requires = &service[&("Unit".to_owned(), "Requires".to_owned())];
    assert_eq!(requires[..], ["ringwire-echo.socket"]);
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let folder = std::env::temp_dir().join(format!("ringwire-{}-units", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let units = ["ringwire-echo.service", "ringwire-echo.socket"].map(|name| {
        // It looks whether the program is there.
        let installed = read(name).replace("/usr/local/bin/ringwire-echo", "/bin/sh");
        let path = folder.join(name);
        fs::write(&path, installed).expect("a file");
        path
    });
    let verified = Command::new("systemd-analyze").arg("verify").args(&units).output();
    fs::remove_dir_all(&folder).expect("it is ours");
    // A machine without systemd has the test above.
    let Ok(verified) = verified else { return };
    let told = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && !told.contains("ringwire"), "{told}");
}
