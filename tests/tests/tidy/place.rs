//! Where the dangerous and the impure may stand: `unsafe`, the kernel, clocks, sockets, threads.

use crate::item::{imports, without_tests};
use crate::source::{Finding, Source};
use crate::token::{Token, starts_with, tokens};

const UNSAFE_PLACES: [&str; 14] = [
    "protocol/src/mask",
    "protocol/src/utf8",
    "engine/src/driver/uring",
    "engine/src/driver/readiness.rs",
    "engine/src/driver/memory.rs",
    // Bytes are received behind those of a message, where there are none yet.
    "engine/src/driver/epoll/transfer.rs",
    // What is inherited is a number, and a descriptor only by the word of who passed it on.
    "engine/src/listener/inherited.rs",
    "tests/tests/allocations.rs",
    // A process that has a filter before it runs.
    "examples/tests/seccomp.rs",
    "examples/src/allocator.rs",
    // What the engine is measured beside.
    "benches/src/bin/latency/ring.rs",
    "benches/src/bin/fanout/bare.rs",
    "benches/src/bin/echo_server/ring.rs",
    // What it is measured with.
    "benches/src/bin/load/ring.rs",
];
const KERNEL_PLACES: [&str; 9] = [
    // Not the driver on readiness, which other systems have as well.
    "engine/src/driver/mod.rs",
    "engine/src/driver/sim",
    "engine/src/driver/tokio_uring",
    "engine/src/driver/uring",
    "examples/tests/seccomp.rs",
    "benches/src/bin/latency/ring.rs",
    "benches/src/bin/fanout/bare.rs",
    "benches/src/bin/echo_server/ring.rs",
    "benches/src/bin/load/ring.rs",
];
const CLOCK_PLACES: [&str; 1] = ["engine/src/driver"];
const SOCKET_PLACES: [&str; 5] = [
    "engine/src/driver",
    "engine/src/listener",
    "engine/src/server.rs",
    "protocol/examples",
    "protocol/tests",
];
const THREAD_PLACES: [&str; 3] = [
    "engine/src/server.rs",
    // How many may run at once.
    "engine/src/affinity.rs",
    "protocol/examples",
];

/// What the rules on clocks, sockets and threads hold for: binaries and tests may do as they like.
const CRATES: [&str; 2] = ["protocol", "engine"];

const SOCKETS: [&str; 6] =
    ["TcpListener", "TcpStream", "UdpSocket", "UnixDatagram", "UnixListener", "UnixStream"];

pub(crate) fn unsafe_code(source: &Source) -> Vec<Finding> {
    if source.is_under(&UNSAFE_PLACES) {
        return Vec::new();
    }
    names(source, &tokens(&source.text), &["unsafe"])
}

pub(crate) fn kernel_interfaces(source: &Source) -> Vec<Finding> {
    if source.is_under(&KERNEL_PLACES) {
        return Vec::new();
    }
    names(source, &tokens(&source.text), &["libc", "io_uring"])
}

pub(crate) fn clocks(source: &Source) -> Vec<Finding> {
    if !source.is_under(&CRATES) || source.is_under(&CLOCK_PLACES) {
        return Vec::new();
    }
    let code = tokens(&source.text);
    let mut found = names(source, &code, &["SystemTime"]);
    let calls = sequences(&code, "Instant : : now");
    found.extend(calls.map(|at| Finding::new(&source.path, code[at].line, "Instant::now")));
    found
}

pub(crate) fn sockets(source: &Source) -> Vec<Finding> {
    if !source.is_under(&CRATES) || source.is_under(&SOCKET_PLACES) {
        return Vec::new();
    }
    names(source, &tokens(&source.text), &SOCKETS)
}

pub(crate) fn threads(source: &Source) -> Vec<Finding> {
    if !source.is_under(&CRATES) || source.is_under(&THREAD_PLACES) || source.is_test {
        return Vec::new();
    }
    let all = tokens(&source.text);
    let code = without_tests(&all);
    // `a::thread::b` is another's module.
    let is_path_start = |at: usize| at < 2 || !starts_with(&code[at - 2..], ": :");
    let mut found: Vec<_> = ["thread : :", "std : : thread"]
        .into_iter()
        .flat_map(|words| sequences(&code, words))
        .filter(|at| is_path_start(*at))
        .map(|at| Finding::new(&source.path, code[at].line, "std::thread"))
        .collect();
    for import in imports(&code) {
        if import.path.starts_with(&["std", "thread"]) {
            found.push(Finding::new(&source.path, import.line, import.path.join("::")));
        }
    }
    found.sort_by_key(|finding| finding.line);
    found.dedup_by_key(|finding| finding.line);
    found
}

fn names(source: &Source, code: &[Token<'_>], banned: &[&str]) -> Vec<Finding> {
    code.iter()
        .filter(|token| banned.contains(&token.text))
        .map(|token| Finding::new(&source.path, token.line, token.text))
        .collect()
}

/// Where these words stand in a row.
fn sequences(code: &[Token<'_>], words: &str) -> impl Iterator<Item = usize> {
    (0..code.len()).filter(move |at| starts_with(&code[*at..], words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(rule: fn(&Source) -> Vec<Finding>, path: &str, text: &str) -> Vec<usize> {
        rule(&Source::new(path, text)).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn unsafe_code_is_found() {
        let text = "#![expect(unsafe_code, reason = \"unsafe\")]\n// unsafe\nunsafe { a() }";
        assert_eq!(lines(unsafe_code, "engine/src/conn/mod.rs", text), [3]);
        assert_eq!(lines(unsafe_code, "examples/echo/main.rs", text), [3]);
        for place in ["protocol/src/mask/avx2.rs", "tests/tests/allocations.rs"] {
            assert_eq!(lines(unsafe_code, place, text), []);
        }
    }

    #[test]
    fn the_kernel_is_found() {
        let text = "// libc\nuse io_uring::IoUring;\nlet a = libc::close(\"libc\");";
        assert_eq!(lines(kernel_interfaces, "engine/src/worker.rs", text), [2, 3]);
        assert_eq!(lines(kernel_interfaces, "examples/echo/main.rs", text), [2, 3]);
        assert_eq!(lines(kernel_interfaces, "engine/src/driver/epoll/mod.rs", text), [2, 3]);
        assert_eq!(lines(kernel_interfaces, "engine/src/driver/uring/mod.rs", text), []);
    }

    #[test]
    fn clocks_are_found() {
        let text = "fn a(now: Instant);\nInstant::now();\nstd::time::Instant::now\nSystemTime";
        for path in ["protocol/src/event.rs", "engine/src/worker.rs", "engine/src/server.rs"] {
            let mut found = lines(clocks, path, text);
            found.sort_unstable();
            assert_eq!(found, [2, 3, 4]);
        }
        assert_eq!(lines(clocks, "engine/src/driver/uring/mod.rs", text), []);
        assert_eq!(lines(clocks, "tests/tests/a.rs", text), []);
    }

    #[test]
    fn sockets_are_found() {
        let text = "use std::net::{SocketAddr, TcpStream};\nfn a(b: UdpSocket);";
        for path in ["protocol/src/event.rs", "engine/src/worker.rs"] {
            assert_eq!(lines(sockets, path, text), [1, 2]);
        }
        for path in ["engine/src/driver/mod.rs", "engine/src/server.rs", "benches/benches/a.rs"] {
            assert_eq!(lines(sockets, path, text), []);
        }
    }

    #[test]
    fn threads_are_found() {
        let text = "use std::{sync, thread};\nthread::spawn(a);\nstd::thread::park();\n\
                    fn a(b: thread::Thread);\n\
                    use rustix::thread::b;\nlet thread = 1;\n#[cfg(test)] mod c { thread::d() }";
        for path in ["protocol/src/event.rs", "engine/src/mailbox.rs"] {
            assert_eq!(lines(threads, path, text), [1, 2, 3, 4]);
        }
        assert_eq!(lines(threads, "engine/src/server.rs", text), []);
        let mut test = Source::new("engine/src/timer/tests.rs", text);
        test.is_test = true;
        assert_eq!(threads(&test), []);
    }
}
