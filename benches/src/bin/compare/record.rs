//! All that a comparison has measured, as it stands in its file: every round, not only medians.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::workload::Plot;

/// One run of the command.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Where it ran.
    pub(crate) machine: Machine,
    /// How it was called.
    pub(crate) command: String,
    /// Of each, by its name in a registry.
    pub(crate) versions: BTreeMap<String, String>,
    /// Rounds of each contestant and the milliseconds of one.
    pub(crate) rounds: u64,
    pub(crate) milliseconds: u64,
    /// Of the last minute, before the first round and after the last one.
    pub(crate) load_before: f64,
    pub(crate) load_after: f64,
    pub(crate) results: Vec<Results>,
}

/// What one workload has come to.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) workload: String,
    pub(crate) title: String,
    /// As `load` is told.
    pub(crate) mode: String,
    /// What is plotted of it.
    pub(crate) plot: Option<Plot>,
    /// Messages a second, if a schedule has set them.
    pub(crate) rate: Option<u64>,
    pub(crate) entries: Vec<Entry>,
}

/// What one contestant has come to in one workload.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) contestant: String,
    pub(crate) title: String,
    /// What `load` was told, but for the server.
    pub(crate) arguments: Vec<String>,
    pub(crate) rounds: Vec<Outcome>,
    /// Why there are no more rounds.
    pub(crate) failure: Option<String>,
    /// System calls for a message, or why they were not counted. `None`: they were not to be.
    pub(crate) calls: Option<Result<f64, String>>,
}

/// One round, as `load` tells it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) mode: String,
    pub(crate) connections: u64,
    pub(crate) size: u64,
    pub(crate) depth: u64,
    pub(crate) messages: u64,
    pub(crate) seconds: f64,
    pub(crate) errors: u64,
    pub(crate) server_user_ns: u64,
    pub(crate) server_system_ns: u64,
    pub(crate) server_private_bytes: u64,
    pub(crate) server_private_bytes_before: u64,
    pub(crate) client_cpu_ns: u64,
    pub(crate) latency_ns: Latency,
}

/// Percentiles, in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) count: u64,
    pub(crate) p50: u64,
    pub(crate) p90: u64,
    pub(crate) p99: u64,
    #[serde(rename = "p99.9")]
    pub(crate) p99_9: u64,
    #[serde(rename = "p99.99")]
    pub(crate) p99_99: u64,
    pub(crate) max: u64,
}

impl Record {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, Box<dyn Error>> {
        let text = fs::read_to_string(path).map_err(|error| failed(path, &error))?;
        serde_json::from_str(&text).map_err(|error| failed(path, &error))
    }

    /// Writes a file, whose folder is made.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Box<dyn Error>> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| failed(path, &error))?;
        }
        let text = serde_json::to_string_pretty(self)?;
        fs::write(path, text + "\n").map_err(|error| failed(path, &error))
    }
}

fn failed(path: &Path, error: &dyn Error) -> Box<dyn Error> {
    format!("{}: {error}", path.display()).into()
}

impl Results {
    /// What a contestant has come to, if it took part and did not fail.
    pub(crate) fn entry(&self, contestant: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.contestant == contestant)
    }
}
