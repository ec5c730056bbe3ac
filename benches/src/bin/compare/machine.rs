//! Where a comparison runs, and of what versions it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use ringwire_benches::system;
use serde::{Deserialize, Serialize};

/// A machine, as far as it matters here. What the system does not say is empty.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    /// Those that this program may use.
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// How TCP shares the way.
    pub(crate) congestion: String,
}

impl Machine {
    /// This one.
    pub(crate) fn this() -> Self {
        let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Self {
            processor: processor(&information),
            cores: system::cores(),
            kernel: line_of("/proc/sys/kernel/osrelease"),
            congestion: line_of("/proc/sys/net/ipv4/tcp_congestion_control"),
        }
    }
}

/// Processes that wanted a core during the last minute.
pub(crate) fn load() -> f64 {
    let text = line_of("/proc/loadavg");
    text.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

/// Of the peers, of the compilers, and of this.
pub(crate) fn versions() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let lock = fs::read_to_string(folder.join("peers/Cargo.lock")).unwrap_or_default();
    let mut versions = locked(&lock, &PACKAGES);
    let ours = format!("{} {}", env!("CARGO_PKG_VERSION"), commit(folder));
    versions.insert("ringwire".to_owned(), ours.trim().to_owned());
    for compiler in ["rustc", "g++"] {
        let version = output(Command::new(compiler).arg("--version")).unwrap_or_default();
        let version = version.strip_prefix(compiler).unwrap_or(&version).trim();
        versions.insert(compiler.to_owned(), version.to_owned());
    }
    versions
}

/// The peers, by their names in the registry. uWebSockets is in the third.
const PACKAGES: [&str; 8] = [
    "fastwebsockets",
    "libuwebsockets-sys",
    "mimalloc",
    "sockudo-ws",
    "tokio-tungstenite",
    "tokio-websockets",
    "wtx",
    "yawc",
];

/// The versions of packages in a lock file.
fn locked(lock: &str, packages: &[&str]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for package in lock.split("[[package]]") {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key))?;
            line.strip_prefix(" = \"")?.strip_suffix('"')
        };
        if let (Some(name), Some(version)) = (value("name"), value("version"))
            && packages.contains(&name)
        {
            found.insert(name.to_owned(), version.to_owned());
        }
    }
    found
}

/// The commit that is compared, and whether something was changed since. Empty without `git`.
fn commit(folder: &Path) -> String {
    let words = ["describe", "--always", "--dirty", "--exclude=*"];
    output(Command::new("git").arg("-C").arg(folder).args(words)).unwrap_or_default()
}

fn processor(information: &str) -> String {
    let value = |key: &str| {
        let mut fields = information.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(name, _)| name.trim() == key).map_or("", |(_, value)| value.trim())
    };
    match (value("model name"), value("cpu family"), value("model")) {
        (name, "", _) | (name, _, "") => name.to_owned(),
        (name, family, model) => format!("{name} (family {family}, model {model})"),
    }
}

/// The first line that a command prints. `None`: there is no such command, or it fails.
fn output(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout);
    Some(text.lines().next().unwrap_or_default().to_owned())
}

fn line_of(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_a_lock_file() {
        let lock = "version = 4\n\n[[package]]\nname = \"wtx\"\nversion = \"0.46.0\"\n\n\
                    [[package]]\nname = \"yawc-more\"\nversion = \"1.0.0\"\n";
        let found = locked(lock, &["wtx", "yawc"]);
        assert_eq!(found, [("wtx".to_owned(), "0.46.0".to_owned())].into());
        let all = versions();
        assert!(all["rustc"].starts_with("1."), "{all:?}");
        assert!(all.contains_key("libuwebsockets-sys") && all.contains_key("sockudo-ws"));
    }

    #[test]
    fn the_name_of_a_processor() {
        let text = "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: EPYC: 9\n";
        assert_eq!(processor(text), "EPYC: 9 (family 25, model 17)");
        assert_eq!(processor("model name\t: Any"), "Any");
        let machine = Machine::this();
        assert!(machine.cores > 0 && machine.kernel.contains('.'), "{machine:?}");
    }
}
