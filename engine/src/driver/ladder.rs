//! The ladder: io_uring with all that helps, with less, and epoll, found by trying.

use std::ffi::OsString;

use super::epoll::Epoll;
use super::uring::{self, Uring};
use super::{BufferPool, Step, errno};
use crate::error::Error;
use crate::probe::{Demand, DriverChoice, DriverKind, Probe};
use crate::refusal::{Refusal, RingFeature, RingStep};

/// The variable that decides where the configuration does not.
pub(crate) const VARIABLE: &str = "RINGWIRE_DRIVER";

/// Finds the driver for a server, on the calling thread, with buffers as it will have them.
/// `variable` is the value of [`VARIABLE`].
///
/// # Errors
/// [`Error::DriverUnknown`], [`Error::DriverDemanded`] and [`Error::Epoll`].
pub(crate) fn probe(
    choice: DriverChoice,
    variable: Option<OsString>,
    pool: BufferPool,
) -> Result<Probe, Error> {
    let (choice, demand) = demanded(choice, variable)?;
    let epoll = Probe { demand, ..Probe::new(DriverKind::Epoll) };
    if choice == DriverChoice::Epoll {
        try_epoll(pool)?;
        return Ok(epoll);
    }
    match (try_uring(pool), demand) {
        (Ok(lacks), _) => Ok(Probe { kind: DriverKind::Uring, lacks, ..epoll }),
        (Err(refusal), Some(demand)) => Err(Error::DriverDemanded { demand, refusal }),
        (Err(refusal), None) => {
            try_epoll(pool)?;
            Ok(Probe { refusal: Some(refusal), ..epoll })
        }
    }
}

/// What is wanted, and who demands it.
fn demanded(
    choice: DriverChoice,
    variable: Option<OsString>,
) -> Result<(DriverChoice, Option<Demand>), Error> {
    if choice != DriverChoice::Auto {
        return Ok((choice, Some(Demand::Config)));
    }
    let Some(value) = variable else { return Ok((DriverChoice::Auto, None)) };
    match value.to_str() {
        Some("auto") => Ok((DriverChoice::Auto, None)),
        Some("uring") => Ok((DriverChoice::Uring, Some(Demand::Environment))),
        Some("epoll") => Ok((DriverChoice::Epoll, Some(Demand::Environment))),
        _ => Err(Error::DriverUnknown { value: value.to_string_lossy().into_owned() }),
    }
}

/// What a ring has to go without, or why there is none.
fn try_uring(pool: BufferPool) -> Result<Vec<RingFeature>, Refusal> {
    match Uring::new(None, pool) {
        Ok(driver) => Ok(driver.lacks().to_vec()),
        Err((step, source)) => Err(refusal(step, source)),
    }
}

fn try_epoll(pool: BufferPool) -> Result<(), Error> {
    Epoll::new(None, pool).map(|_| ()).map_err(Error::Epoll)
}

/// Why a ring could not be had.
pub(crate) fn refusal(step: Step, source: std::io::Error) -> Refusal {
    let is_old = source.raw_os_error() == Some(errno::EINVAL);
    let (step, lacks) = match step {
        Step::Ring => (RingStep::SetUp, is_old.then(uring::lacks).flatten()),
        Step::Buffers => (RingStep::Buffers, Some(RingFeature::BufferRing)),
        Step::Trial => (RingStep::MultishotReceive, Some(RingFeature::MultishotReceive)),
        Step::Descriptors => (RingStep::Descriptors, None),
    };
    Refusal::new(step, source, lacks)
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: BufferPool = BufferPool { count: 2, size: 64 };

    #[test]
    fn the_configuration_comes_before_the_variable() {
        let demanded = |choice, variable: Option<&str>| demanded(choice, variable.map(Into::into));
        let (auto, config) = (DriverChoice::Auto, Some(Demand::Config));
        let environment = Some(Demand::Environment);
        assert_eq!(demanded(auto, None).unwrap(), (auto, None));
        assert_eq!(demanded(auto, Some("auto")).unwrap(), (auto, None));
        for (name, driver) in [("uring", DriverChoice::Uring), ("epoll", DriverChoice::Epoll)] {
            assert_eq!(demanded(auto, Some(name)).unwrap(), (driver, environment));
            for variable in [None, Some("auto"), Some("uring"), Some("epoll"), Some("none")] {
                assert_eq!(demanded(driver, variable).unwrap(), (driver, config));
            }
        }
    }

    #[test]
    fn what_names_no_driver_is_an_error() {
        for value in ["", "io_uring", "Epoll", " epoll", "auto,epoll"] {
            let error = probe(DriverChoice::Auto, Some(value.into()), POOL).unwrap_err();
            assert!(matches!(&error, Error::DriverUnknown { value: told } if told == value));
            assert!(error.to_string().contains("neither auto, uring nor epoll"));
        }
    }

    #[test]
    fn what_is_demanded_is_had_here() {
        let probe = |choice| probe(choice, None, POOL).unwrap();
        let epoll = probe(DriverChoice::Epoll);
        assert_eq!((epoll.kind(), epoll.demand()), (DriverKind::Epoll, Some(Demand::Config)));
        assert!(epoll.refusal().is_none() && epoll.lacks().is_empty());
        // The tests of the ring itself need one as well.
        let uring = probe(DriverChoice::Uring);
        assert_eq!((uring.kind(), uring.demand()), (DriverKind::Uring, Some(Demand::Config)));
        assert_eq!(probe(DriverChoice::Auto).kind(), DriverKind::Uring);
    }

    #[test]
    fn what_the_kernel_lacks_is_nothing_where_it_lacks_nothing() {
        // The last resort: everything was there one by one, and not all of it together.
        assert_eq!(uring::lacks(), Some(RingFeature::FileTable));
    }
}
