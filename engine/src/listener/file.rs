//! Listening on a path of the file system.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, SockAddr, Socket, Type};

/// How long the kernel may need for what a killed process has left. Only who finds a path taken
/// waits for it.
const TEARDOWN: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// What a poll says when the other side has ended.
#[cfg(target_os = "linux")]
const HUNG_UP: PollFlags = PollFlags::RDHUP;
#[cfg(not(target_os = "linux"))]
const HUNG_UP: PollFlags = PollFlags::HUP;

/// Looks at a path that is taken. A server that is alive may end a peer as well, to whom it has
/// nothing to give.
const TRIES: usize = 3;

/// The name of a listening socket. It is removed when this is dropped, unless it has become
/// another's.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// The device of what it names, and the number on it.
    identity: (u64, u64),
    /// While this is open no other file can have the same number.
    #[cfg(target_os = "linux")]
    _held: OwnedFd,
}

/// Listens on `path`, of which `mode` says who may connect; without it that is what the umask
/// leaves. A socket on which nobody listens any more is replaced, and nothing else is.
///
/// Servers that begin and end take turns by a lock on the folder: otherwise one could remove what
/// another one has bound and does not listen on yet.
pub(super) fn bind(
    path: &Path,
    backlog: u32,
    mode: Option<u32>,
) -> io::Result<(OwnedFd, SocketFile)> {
    let address = SockAddr::unix(path)?;
    // The program may go to another folder before it ends.
    let path = std::path::absolute(path)?;
    let lock = lock(&path);
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    match socket.bind(&address) {
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_stale(&path, &address) => {
            fs::remove_file(&path)?;
            socket.bind(&address)?;
        }
        bound => bound?,
    }
    let file = SocketFile::hold(path)?;
    // Nobody can connect before somebody listens, so nobody gets in before this.
    let changed =
        mode.map_or(Ok(()), |mode| fs::set_permissions(&file.path, Permissions::from_mode(mode)));
    let listens = changed.and_then(|()| socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX)));
    // Where that fails, the name is removed, which takes the lock.
    drop(lock);
    listens?;
    Ok((socket.into(), file))
}

impl SocketFile {
    /// What `path` names now.
    fn hold(path: PathBuf) -> io::Result<Self> {
        Ok(Self {
            // First, so that the number below is of what is held.
            #[cfg(target_os = "linux")]
            _held: {
                use rustix::fs::{Mode, OFlags, open};
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                open(&path, flags, Mode::empty())?
            },
            identity: identity(&path)?,
            path,
        })
    }

    fn remove(&self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // Somebody may have been quicker, and then it is gone all the same.
            let _removed = fs::remove_file(&self.path);
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _lock = lock(&self.path);
        self.remove();
    }
}

/// Whether there is a socket on which nobody listens.
///
/// Of a process that has just been killed the kernel ends the rings a moment later, and with them
/// the listener. Who is connected by then is hung up on, and asks again; one that is alive would
/// wait for a request.
fn is_stale(path: &Path, address: &SockAddr) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if !is_socket {
        return false;
    }
    for _ in 0..TRIES {
        match connect(address) {
            Ok(client) if is_hung_up(&client) => {}
            Ok(_) => return false,
            Err(error) => return error.kind() == ErrorKind::ConnectionRefused,
        }
    }
    false
}

fn connect(address: &SockAddr) -> io::Result<Socket> {
    let client = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // It does not wait where the backlog is full.
    client.set_nonblocking(true)?;
    client.connect(address).map(|()| client)
}

/// Whether the other side ends within the time that the kernel may need.
fn is_hung_up(client: &Socket) -> bool {
    let mut waiting = [PollFd::new(client, HUNG_UP)];
    matches!(poll(&mut waiting, Some(&TEARDOWN)), Ok(1))
}

/// The device of what `path` names, and the number on it.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|file| (file.dev(), file.ino()))
}

/// Locks the folder of `path`. One that cannot be read cannot be locked, and goes without.
fn lock(path: &Path) -> Option<File> {
    let folder = File::open(path.parent()?).ok()?;
    folder.lock().ok()?;
    Some(folder)
}
