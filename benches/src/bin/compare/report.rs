//! The report: what was compared, where and how, and what has come of it.

use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use crate::record::Record;
use crate::workload::LATENCY_ROUNDS;
use crate::{goal, plot, table};

/// Between these two the report stands in a file that has more.
const BEGIN: &str = "<!-- compare:begin -->";
const END: &str = "<!-- compare:end -->";

/// More than this before anything has run, and somebody else uses the machine.
const LOAD_MAX: f64 = 0.5;

/// Fewer than this, and spreads say next to nothing.
const ROUNDS_MIN: u64 = 3;

/// Prints everything.
pub(crate) fn print(out: &mut impl Write, record: &Record) -> io::Result<()> {
    writeln!(out, "{}", summary(record))?;
    table::sections(record)
        .iter()
        .try_for_each(|section| writeln!(out, "{}\n\n{}", section.title, section.text))
}

/// Puts everything between the marks of `RESULTS.md` in a folder, and plots into `plots` there.
pub(crate) fn write(record: &Record, folder: &Path) -> Result<(), Box<dyn Error>> {
    let path = folder.join("RESULTS.md");
    let failed = |error: &dyn Error| format!("{}: {error}", path.display());
    let text = fs::read_to_string(&path).map_err(|error| failed(&error))?;
    let mut report = summary(record);
    for plot in plot::write(record, &folder.join("plots"))? {
        report.push_str(&format!("![{}](plots/{})\n\n", plot.title, plot.file));
    }
    for section in table::sections(record) {
        let (title, text) = (section.title, section.text);
        report.push_str(&format!("<details><summary>{title}</summary>\n\n{text}\n</details>\n\n"));
    }
    let text = between_marks(&text, &report).ok_or_else(|| {
        let missing = format!("it has no {BEGIN} before a {END}");
        failed(&io::Error::other(missing))
    })?;
    fs::write(&path, text).map_err(|error| failed(&error))?;
    Ok(())
}

/// The text with something else between its marks. `None`: it has none.
fn between_marks(text: &str, inner: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", inner.trim()))
}

/// All but the tables of single workloads.
fn summary(record: &Record) -> String {
    let mut text = conditions(record);
    text.push_str(
        "\n≈: the spreads overlap, or there are fewer than three rounds; which of the two is ahead \
         is noise. **Bold**: a peer is ahead in every round. –: not measured, or too few messages \
         for such a percentile. Calls: system calls of the server for a message, counted by \
         `strace`, under which it is slower and may gather more at a time. × stands behind what \
         it is of: ringwire's by this one's. How time is split into user and system is the \
         kernel's estimate. The raw TCP echo is the limit: it knows nothing of WebSocket.\n\n",
    );
    for (title, lines) in
        [("A peer is ahead in:", table::lost(record)), ("Failed:", table::failed(record))]
    {
        if !lines.is_empty() {
            text.push_str(&format!("{title}\n\n{lines}\n"));
        }
    }
    text + &goal::table(record) + "\n" + &table::ratios(record)
}

/// Where, when and how.
fn conditions(record: &Record) -> String {
    let Record { machine, command, versions, rounds, milliseconds, .. } = record;
    let version = |(name, version): (&String, &String)| format!("{name} {version}");
    let versions: Vec<String> = versions.iter().map(version).collect();
    let mut text = format!(
        "`{command}`: medians of {rounds} rounds of {milliseconds} ms ({} of latencies), each in \
         an order of its own, the least and the most in brackets. {}, {} cores, Linux {}, {}; load \
         {:.2} before, {:.2} after. The server has core 1, what loads it core 0. The peers are \
         built for this very processor, ringwire is not. Versions: {}.\n",
        LATENCY_ROUNDS * rounds,
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.congestion,
        record.load_before,
        record.load_after,
        versions.join(", "),
    );
    for (holds, warning) in [
        (record.load_before > LOAD_MAX, "Others used the machine: all times here are noise."),
        (machine.cores < 2, "There is one core for both: all times here are noise."),
        (*rounds < ROUNDS_MIN, "So few rounds have no spread: all of it is noise."),
    ] {
        if holds {
            text.push_str(&format!("\n**{warning}**\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::{env, process};

    use super::*;

    fn recorded() -> Record {
        let text = include_str!("../../../tests/recorded.json");
        serde_json::from_str(text).expect("it is a record")
    }

    fn printed(record: &Record) -> String {
        let mut out = Vec::new();
        print(&mut out, record).expect("a vector takes all");
        String::from_utf8(out).expect("it is text")
    }

    #[test]
    fn medians_spreads_and_ratios() {
        let text = printed(&recorded());
        for line in [
            "| messages/s | ringwire | raw TCP | uWebSockets | sockudo-ws | yawc |",
            "| echo-20-100 | 122000 (120000–124000) | ≈ 0.98 | 1.22 | **0.86** | – |",
            "| echo-20-100 | 5.100 (5.100–5.100) | 1.02 | 0.94 | **1.01** | – |",
            "| ping-pong | 51.0 (50.0–52.0) | ≈ 0.99 |",
            "| ping-pong, spinning | 20.4 (20.0–20.8) | 0.40 |",
            "| idle | 201 (200–202) | 0.50 |",
            "- echo-20-100: sockudo-ws, 142000 (140000–144000) messages/s; \
             ringwire 122000 (120000–124000)",
            "- echo-20-100: yawc: a wrong echo | of 20 bytes",
            "echo-20-100: 20 B, binary, 100 connections",
            "| uWebSockets | 401 (400–402) | 0.50 | 5.0 (5.0–5.0) |",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}\n{text}");
        }
        assert_eq!(text.matches("- echo-20-100: sockudo-ws").count(), 3, "{text}");
        assert!(!text.contains("- echo-20-100: uWebSockets"), "{text}");
    }

    #[test]
    fn a_row_has_a_cell_for_each_column() {
        let text = printed(&recorded());
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        let mut columns = 0;
        let mut rows = 0;
        for line in text.lines() {
            if !line.starts_with('|') {
                columns = 0;
                continue;
            }
            columns = if columns == 0 { cells(line) } else { columns };
            assert_eq!(cells(line), columns, "{line}");
            rows += 1;
        }
        assert!(rows > 30, "{text}");
        for cell in ["| 0.250 |", "| there is no strace |", "failed: a wrong echo \\| of 20 bytes"]
        {
            assert!(text.contains(cell), "{cell}\n{text}");
        }
        // 5,000 messages have no such percentile.
        assert!(text.contains("| 102.0 (100.0–104.0) | – |"), "{text}");
    }

    #[test]
    fn what_cannot_be_trusted_is_said() {
        let mut record = recorded();
        assert!(!printed(&record).contains("**Others"));
        (record.load_before, record.rounds, record.machine.cores) = (3.0, 1, 1);
        let text = printed(&record);
        for warning in ["Others used the machine", "There is one core", "So few rounds"] {
            assert!(text.contains(&format!("**{warning}")), "{text}");
        }
    }

    #[test]
    fn the_file_is_written_between_its_marks() {
        let folder = env::temp_dir().join(format!("ringwire-compare-{}", process::id()));
        let path = folder.join("RESULTS.md");
        let read = || fs::read_to_string(&path).expect("it is there");
        fs::create_dir_all(&folder).expect("there is room");
        fs::write(&path, format!("# Before\n\n{BEGIN}\nstale words\n{END}\n\nafter\n"))
            .expect("as above");
        // What was written and read again is the same.
        let file = folder.join("inner/record.json");
        recorded().write(&file).expect("as above");
        let record = Record::read(&file).expect("it is there");
        write(&record, &folder).expect("as above");
        let text = read();
        assert!(text.starts_with(&format!("# Before\n\n{BEGIN}\n\n`compare")), "{text}");
        assert!(text.ends_with(&format!("</details>\n\n{END}\n\nafter\n")), "{text}");
        assert!(
            !text.contains("stale words") && text.contains("<details><summary>idle: "),
            "{text}"
        );
        write(&record, &folder).expect("as above");
        assert_eq!(read(), text);
        for (file, names) in [
            (
                "echo-20-100",
                &["ringwire", "raw TCP", "uWebSockets", "sockudo-ws", "yawc: failed"][..],
            ),
            ("ping-pong", &["ringwire", "ringwire, spinning", "uWebSockets"]),
        ] {
            let link = format!("](plots/{file}.svg)");
            assert!(text.contains(&link), "{text}");
            let plot = fs::read_to_string(folder.join(format!("plots/{file}.svg")));
            let plot = plot.expect("it is there");
            let words: Vec<_> = plot.lines().map(str::trim).collect();
            assert!(plot.len() < 32 << 10 && plot.contains("#FFFFFF"), "{plot}");
            assert!(names.iter().all(|name| words.contains(name)), "{names:?}\n{plot}");
        }
        fs::write(&path, "no marks").expect("as above");
        let error = write(&record, &folder).expect_err("it has no marks").to_string();
        assert!(error.contains("RESULTS.md: it has no <!-- compare:begin -->"), "{error}");
        fs::remove_dir_all(&folder).expect("it is there");
    }
}
