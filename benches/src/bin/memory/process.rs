//! The measured process from outside.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::process::{Child, Command, Stdio};
use std::{env, fs};

use crate::result::Result;

/// This program once more, as a server.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    /// Starts it and waits until it serves.
    pub(crate) fn start(scenario: usize) -> Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .args(["--serve".into(), scenario.to_string()])
            // As the echo server tells its allocator.
            .env("MIMALLOC_PURGE_DELAY", "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let port = line.trim().parse().map_err(|_| "the server does not serve")?;
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).into();
        Ok(Self { child, address })
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Bytes of its memory that no other process shares: `Private_Clean` and `Private_Dirty`
    /// (proc_pid_smaps(5)).
    pub(crate) fn private_memory(&self) -> Result<u64> {
        let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", self.child.id()))?;
        let mut bytes = 0;
        for line in rollup.lines().filter(|line| line.starts_with("Private_")) {
            let (name, size) = line.split_once(':').ok_or("a line has a colon")?;
            if ["Private_Clean", "Private_Dirty"].contains(&name) {
                bytes += 1024 * size.trim().trim_end_matches(" kB").parse::<u64>()?;
            }
        }
        Ok(bytes)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _status = self.child.wait();
    }
}
