//! The programs that print tables still do.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::process::Command;

/// The rows that `memory` prints with these arguments, as cells.
fn memory(arguments: &[&str]) -> Vec<Vec<String>> {
    let output = Command::new(env!("CARGO_BIN_EXE_memory")).args(arguments).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    let table = String::from_utf8(output.stdout).unwrap();
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect();
    table.lines().skip(2).map(cells).collect()
}

#[test]
fn memory_of_every_compression() {
    let rows = memory(&["--connections", "20", "--quick"]);
    assert_eq!(rows.len(), 8);
    for row in &rows {
        let [_, name, numbers @ .., _] = &row[..] else { panic!("{row:?}") };
        assert_eq!(numbers.len(), 6, "{row:?}");
        let numbers: Vec<f64> = numbers.iter().map(|number| number.parse().unwrap()).collect();
        let [alone, _, _, filled, closed, _] = numbers[..] else { panic!("{row:?}") };
        assert!(alone > 0.0 && closed > 0.0, "{row:?}");
        // A window that is kept takes more than 128 KiB, of hashes alone; one that is not, nothing.
        assert_eq!(name.starts_with("dedicated"), filled > 65_536.0, "{row:?}");
    }
}

#[test]
fn memory_of_idle_connections() {
    let rows = memory(&["--idle", "50", "--quick"]);
    let names: Vec<_> = rows.iter().map(|row| row[1].as_str()).collect();
    assert_eq!(names, ["off"]);
}

/// The cells of each line of a table, numbers with their spread as the number alone.
fn cells(line: &str) -> Vec<String> {
    let first = |cell: &str| cell.split(" (").next().unwrap_or_default().trim().to_owned();
    line.trim_matches('|').split('|').map(first).collect()
}

#[test]
fn a_fan_out_of_every_server_of_our_own() {
    let options = "--peers 0 --rounds 1 --subscribers 60 --singles 3 --bursts 2 --stuck 5 \
                   --stuck-rounds 1 --stuck-total 16 --stuck-size 16384";
    let output =
        Command::new(env!("CARGO_BIN_EXE_fanout")).args(options.split(' ')).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with('|')).map(cells).collect();
    let names: Vec<_> = rows.iter().map(|row| row[0].as_str()).collect();
    let (ours, bare, thread) = ("ringwire", "bare ring loop", "ringwire, from a thread");
    let (costs, patience) = ("µs a message", "some read nothing");
    assert_eq!(names, [costs, "---", ours, bare, thread, patience, "---", ours, thread]);
    for row in rows.iter().filter(|row| row[0].starts_with(ours) || row[0] == bare) {
        let numbers: Vec<f64> = row[1..].iter().map(|cell| cell.parse().unwrap()).collect();
        assert!(numbers[0] > 0.0, "{row:?}");
    }
}

#[test]
fn what_is_not_understood_is_refused() {
    for arguments in [&["--idle"][..], &["--idle", "many"], &["--connections", "1", "more"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_memory")).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert!(output.stderr.starts_with(b"memory: "), "{arguments:?}");
    }
}
