//! Which driver moves the bytes: what was asked for, and what was found at the start by trying.

use std::fmt;

use crate::refusal::{Refusal, RingFeature};

/// Which driver a server is to have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DriverChoice {
    /// The best that the system gives: io_uring, or epoll where that is refused. The variable
    /// `RINGWIRE_DRIVER` (`auto`, `uring` or `epoll`) may demand one.
    #[default]
    Auto,
    /// io_uring, or an error.
    Uring,
    /// epoll, even where io_uring could be had.
    Epoll,
}

/// What moves the bytes of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DriverKind {
    /// The kernel's rings.
    Uring,
    /// Readiness, and a system call for each read and write.
    Epoll,
    /// A seeded ring, and peers that a test plays.
    #[cfg(feature = "simulation")]
    Simulation,
}

impl fmt::Display for DriverKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Uring => "io_uring",
            Self::Epoll => "epoll",
            #[cfg(feature = "simulation")]
            Self::Simulation => "simulation",
        })
    }
}

/// Who has demanded a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Demand {
    /// [`Config::driver`](crate::Config::driver).
    Config,
    /// The variable `RINGWIRE_DRIVER`.
    Environment,
}

impl fmt::Display for Demand {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Config => "Config::driver",
            Self::Environment => "RINGWIRE_DRIVER",
        })
    }
}

/// What was found when the server began to listen: which driver it has, and why not a better one.
///
/// It is found by trying, not by versions: a ring with buffers as configured, and a receive of two
/// pieces through it, on the thread that called [`Server::bind`](crate::Server::bind). Its text is
/// a line for people.
///
/// ```
/// use ringwire::{Config, DriverKind, Server};
///
/// let server = Server::bind("127.0.0.1:0", Config::default())?;
/// if let Some(refusal) = server.probe().refusal() {
///     assert_eq!(server.driver(), DriverKind::Epoll);
///     eprintln!("slower than it could be: {refusal}");
/// }
/// # Ok::<(), ringwire::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Probe {
    pub(crate) kind: DriverKind,
    pub(crate) demand: Option<Demand>,
    pub(crate) lacks: Vec<RingFeature>,
    pub(crate) refusal: Option<Refusal>,
}

impl Probe {
    /// Of a driver that nobody demanded, and that lacks nothing.
    pub(crate) const fn new(kind: DriverKind) -> Self {
        Self { kind, demand: None, lacks: Vec::new(), refusal: None }
    }

    /// What moves the bytes.
    #[must_use]
    pub const fn kind(&self) -> DriverKind {
        self.kind
    }

    /// Who demanded that it be this one, if anybody did.
    #[must_use]
    pub const fn demand(&self) -> Option<Demand> {
        self.demand
    }

    /// The parts of io_uring that the ring has to go without. Empty for epoll.
    #[must_use]
    pub fn lacks(&self) -> &[RingFeature] {
        &self.lacks
    }

    /// Why io_uring was not taken, where it was tried.
    #[must_use]
    pub const fn refusal(&self) -> Option<&Refusal> {
        self.refusal.as_ref()
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, demand, lacks, refusal } = self;
        write!(formatter, "{kind}")?;
        if let Some(demand) = demand {
            write!(formatter, ", as {demand} demands")?;
        }
        for (index, feature) in lacks.iter().enumerate() {
            formatter.write_str(if index == 0 { ", without " } else { " and " })?;
            feature.fmt(formatter)?;
        }
        if let Some(refusal) = refusal {
            write!(formatter, ", because {refusal}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::RingStep;
    use std::io;

    #[test]
    fn the_line_says_what_was_chosen_and_why() {
        assert_eq!(Probe::new(DriverKind::Uring).to_string(), "io_uring");
        let lacks = vec![RingFeature::DeferTaskrun, RingFeature::NoSubmissionArray];
        assert_eq!(
            Probe { lacks, ..Probe::new(DriverKind::Uring) }.to_string(),
            "io_uring, without defer_taskrun (Linux 6.1) and no_submission_array (Linux 6.6)"
        );
        let demand = Some(Demand::Environment);
        assert_eq!(
            Probe { demand, ..Probe::new(DriverKind::Epoll) }.to_string(),
            "epoll, as RINGWIRE_DRIVER demands"
        );
        let full = io::Error::from_raw_os_error(crate::driver::errno::ENOMEM);
        let refusal = Some(Refusal::new(RingStep::Buffers, full, None));
        let line = Probe { refusal, ..Probe::new(DriverKind::Epoll) }.to_string();
        let begins = "epoll, because io_uring is not usable here: registering a ring of receive";
        assert!(line.starts_with(begins) && line.contains("LimitMEMLOCK="), "{line}");
        assert!(!line.contains('\n'));
    }
}
