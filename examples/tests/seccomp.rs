//! The echo server under a seccomp filter that refuses io_uring, as that of most containers does:
//! it serves on epoll and says why, and where io_uring is demanded it says what to change.

#![expect(unsafe_code, reason = "a filter is put on a process between fork and exec")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use libc::{BPF_ABS, BPF_JGE, BPF_JGT, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};
use program::Program;
use tungstenite::{Message, client};

mod program;

/// Has these errors for the three calls of io_uring, and lets all others through.
///
/// It looks at the number of the call alone, which for these is the same on all architectures: who
/// wants to be safe from a program must look at its architecture first, and this is a test.
fn filter(errno: i32) -> [libc::sock_filter; 5] {
    let first = libc::SYS_io_uring_setup.try_into().expect("a number of a call");
    let last = libc::SYS_io_uring_register.try_into().expect("a number of a call");
    let step = |code: u32, jt, jf, k| libc::sock_filter {
        code: code.try_into().expect("a code of sixteen bits"),
        jt,
        jf,
        k,
    };
    [
        // The number of the call is the first word of what a filter sees.
        step(BPF_LD | BPF_W | BPF_ABS, 0, 0, 0),
        step(BPF_JMP | BPF_JGE | BPF_K, 0, 1, first),
        step(BPF_JMP | BPF_JGT | BPF_K, 0, 1, last),
        step(BPF_RET | BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
        step(BPF_RET | BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno.cast_unsigned()),
    ]
}

/// The echo server, which is refused io_uring with this error.
fn refused(errno: i32) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_echo"));
    command.env_remove("RINGWIRE_DRIVER");
    let filter = filter(errno);
    // SAFETY: between fork and exec it makes two system calls and allocates nothing.
    unsafe { command.pre_exec(move || put_on(filter)) };
    command
}

/// Puts a filter on this thread, and all that it becomes.
fn put_on(mut filter: [libc::sock_filter; 5]) -> io::Result<()> {
    let program = libc::sock_fprog { len: 5, filter: filter.as_mut_ptr() };
    // SAFETY: it takes numbers only.
    let given_up = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: the program names five steps that live until the call returns, and are copied.
    let filtered = unsafe {
        libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program, 0, 0)
    };
    if given_up == 0 && filtered == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether the kernel says that it has io_uring: then a filter that says otherwise is found out.
fn is_known() -> bool {
    std::fs::exists("/proc/sys/kernel/io_uring_disabled").unwrap_or(false)
}

fn assert_echoes(server: &Program) {
    let url = format!("ws://{}/", server.address);
    let (mut socket, _) = client(&url, server.connect()).expect("it opens");
    for size in [0, 1, 200, 70_000] {
        socket.send(Message::binary(vec![7; size])).expect("it reads");
        assert_eq!(socket.read().expect("it echoes").len(), size);
    }
    socket.close(None).expect("it was open");
}

#[test]
fn it_serves_on_epoll_and_says_why() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        let server = Program::start(refused(errno), &[]);
        let (first, second) = (&server.lines[0], &server.lines[1]);
        assert!(first.contains("(driver epoll, 2 workers)"), "{first}");
        let begins = "driver: epoll, because io_uring is not usable here: setting up a ring: ";
        assert!(second.starts_with(begins), "{second}");
        assert!(second.contains(&format!("(os error {errno})")), "{second}");
        let is_told = errno == libc::EPERM || is_known();
        assert_eq!(second.contains("A seccomp filter refuses it"), is_told, "{second}");
        assert!(second.contains("io_uring_setup, io_uring_enter and io_uring_register"));
        assert_echoes(&server);
        let (_, metrics) = server.page("/metrics");
        let reason = if is_told { "seccomp_filter" } else { "missing_or_filter" };
        let line = format!(
            "ringwire_driver_info{{driver=\"epoll\",lacks=\"\",refused=\"{reason}\",\
             errno=\"{errno}\"}} 1\n"
        );
        assert!(metrics.contains(&line), "{metrics}");
    }
}

#[test]
fn what_is_demanded_and_refused_is_an_error_that_says_what_to_change() {
    for errno in [libc::EPERM, libc::ENOSYS] {
        let environment = |mut command: Command| {
            command.env("RINGWIRE_DRIVER", "uring");
            command
        };
        let option = |mut command: Command| {
            command.args(["--driver", "uring"]);
            command
        };
        let by = [
            ("RINGWIRE_DRIVER", environment(refused(errno))),
            ("Config::driver", option(refused(errno))),
        ];
        for (demand, mut command) in by {
            let output = command.args(["--listen", "127.0.0.1:0"]).output().expect("it starts");
            assert_eq!(output.status.code(), Some(1));
            assert!(output.stdout.is_empty(), "it does not listen");
            let told = String::from_utf8(output.stderr).expect("text");
            let begins = format!("echo: {demand} demands io_uring: io_uring is not usable here: ");
            assert!(told.starts_with(&begins) && told.lines().count() == 1, "{told}");
            assert!(told.contains("io_uring_setup, io_uring_enter and io_uring_register"));
        }
    }
}

#[test]
fn epoll_needs_no_leave() {
    let mut command = refused(libc::EPERM);
    command.env("RINGWIRE_DRIVER", "epoll");
    let server = Program::start(command, &[]);
    assert_eq!(server.lines[1], "driver: epoll, as RINGWIRE_DRIVER demands");
    assert_echoes(&server);
}

#[test]
fn a_variable_that_names_no_driver_is_an_error() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_echo"));
    command.args(["--listen", "127.0.0.1:0"]).env("RINGWIRE_DRIVER", "iouring");
    let output = command.output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let told = String::from_utf8(output.stderr).expect("text");
    let says = "echo: RINGWIRE_DRIVER is \"iouring\", and neither auto, uring nor epoll: unset it \
                or set it to one of these\n";
    assert_eq!(told, says);
}
