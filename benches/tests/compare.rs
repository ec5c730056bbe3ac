//! The comparison runs: with the servers of our own, for moments.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, str};

/// A folder of this test's own, empty.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _nothing_there = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// What it prints. Peers are looked for in the folder, where there are none.
fn compare(folder: &Path, options: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_compare"));
    command.current_dir(folder).env("CARGO_TARGET_DIR", folder).args(options);
    let output = command.output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// The cells of all rows that begin with a name.
fn rows<'a>(text: &'a str, name: &str) -> Vec<Vec<&'a str>> {
    let cells = |line: &'a str| line.trim_matches('|').split('|').map(str::trim).collect();
    let all = text.lines().filter(|line| line.starts_with('|')).map(cells);
    all.filter(|row: &Vec<&str>| row[0] == name).collect()
}

/// The number before its spread.
fn median(cell: &str) -> f64 {
    cell.split(" (").next().unwrap().parse().unwrap()
}

#[test]
fn rounds_tables_and_plots() {
    let folder = folder("compare-rounds");
    let only = "echo-20-100,pipelined-32,compressed-1k,connect,idle,fan-out,latency-half";
    let contestants = "ringwire,ringwire-spin,ringwire-epoll,raw";
    let options = ["--quick", "1", "--build", "0", "--calls", "0", "--contestants", contestants];
    let text = compare(&folder, &[&options[..], &["--only", only]].concat());
    assert!(!text.contains("Failed:"), "{text}");
    for (row, ratios) in [("echo-20-100", 2), ("connect", 2), ("latency-half, spinning", 2)] {
        let rows = rows(&text, row);
        assert!(rows[0].len() == 2 + ratios && median(rows[0][1]) > 0.0, "{row}\n{text}");
    }
    // Of each workload but `fan-out` and `connect`, `compressed-1k` and `idle`, one with latencies.
    assert_eq!(rows(&text, "raw TCP").len(), 4, "{text}");
    for row in rows(&text, "ringwire").iter().filter(|row| row.len() > 5) {
        assert!(row[1..].iter().all(|cell| !cell.starts_with("failed")), "{text}");
    }
    // One round is no spread.
    assert!(text.contains("So few rounds have no spread") && text.contains("≈ "), "{text}");

    fs::write(folder.join("RESULTS.md"), "<!-- compare:begin -->\n<!-- compare:end -->\n").unwrap();
    compare(&folder, &["--report", "compare.json", "--folder", "."]);
    let report = fs::read_to_string(folder.join("RESULTS.md")).unwrap();
    assert_eq!(rows(&report, "raw TCP"), rows(&text, "raw TCP"));
    for plot in ["echo-20-100", "pipelined-32", "compressed-1k", "latency-half"] {
        let plot = fs::read_to_string(folder.join(format!("plots/{plot}.svg"))).unwrap();
        assert!(plot.starts_with("<svg") && plot.contains("ringwire"), "{plot}");
    }
}

#[test]
fn who_fails_is_shown_and_the_others_go_on() {
    let folder = folder("compare-failure");
    let text = compare(
        &folder,
        &["--quick", "1", "--build", "0", "--contestants", "wtx,ringwire", "--only", "connect"],
    );
    assert!(text.contains("Failed:\n\n- connect: wtx: "), "{text}");
    assert!(rows(&text, "wtx")[0][1].starts_with("failed: "), "{text}");
    let row = &rows(&text, "ringwire")[0];
    assert!(median(row[1]) > 0.0, "{text}");
    // A number, or why it is not known.
    let calls = *row.last().unwrap();
    assert!(calls.parse::<f64>().map_or(calls.len() > 5, |calls| calls > 0.0), "{text}");
}

#[test]
fn what_is_not_understood_is_refused() {
    for arguments in [&["--only", "none"][..], &["--contestants", "none"], &["--rounds"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_compare")).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(str::from_utf8(&output.stderr).unwrap().starts_with("compare: "), "{arguments:?}");
    }
}
