//! Why io_uring cannot be had here, and what would change that.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use crate::driver::errno;
use crate::permission::Permission;

/// What of io_uring the system refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RingStep {
    /// To set up a ring.
    SetUp,
    /// To register a ring of receive buffers (Linux 5.19).
    Buffers,
    /// A multishot receive into these buffers (Linux 6.0).
    MultishotReceive,
    /// A few more descriptors.
    Descriptors,
}

impl fmt::Display for RingStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::SetUp => "setting up a ring",
            Self::Buffers => "registering a ring of receive buffers",
            Self::MultishotReceive => "a multishot receive",
            Self::Descriptors => "opening its descriptors",
        })
    }
}

/// A part of io_uring that not all kernels have. The engine goes without those that say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RingFeature {
    /// A wrong submission does not hold up those behind it (Linux 5.18).
    SubmitAll,
    /// The kernel does its share of the work when it is entered (Linux 5.19).
    CooperativeTaskrun,
    /// Rings of receive buffers (Linux 5.19).
    BufferRing,
    /// A ring's own table of files (Linux 5.19).
    FileTable,
    /// A ring that one thread alone submits to (Linux 6.0).
    SingleIssuer,
    /// A receive that completes again and again (Linux 6.0).
    MultishotReceive,
    /// The kernel does its share only in the worker's own wait (Linux 6.1). Goes without: it then
    /// does so at other entries to the kernel as well.
    DeferTaskrun,
    /// Submissions without an array of indexes (Linux 6.6). Goes without, for a few nanoseconds.
    NoSubmissionArray,
    /// A ring that is found without its descriptor (Linux 5.18). Goes without, for some tens of
    /// nanoseconds at each entry to the kernel.
    RegisteredRing,
}

impl RingFeature {
    /// The first kernel that has it, as in `6.1`.
    #[must_use]
    pub const fn since(self) -> &'static str {
        match self {
            Self::SubmitAll | Self::RegisteredRing => "5.18",
            Self::CooperativeTaskrun | Self::BufferRing | Self::FileTable => "5.19",
            Self::SingleIssuer | Self::MultishotReceive => "6.0",
            Self::DeferTaskrun => "6.1",
            Self::NoSubmissionArray => "6.6",
        }
    }

    /// Its name as a label: small letters and underscores.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::SubmitAll => "submit_all",
            Self::CooperativeTaskrun => "cooperative_taskrun",
            Self::BufferRing => "buffer_ring",
            Self::FileTable => "file_table",
            Self::SingleIssuer => "single_issuer",
            Self::MultishotReceive => "multishot_receive",
            Self::DeferTaskrun => "defer_taskrun",
            Self::NoSubmissionArray => "no_submission_array",
            Self::RegisteredRing => "registered_ring",
        }
    }
}

impl fmt::Display for RingFeature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (Linux {})", self.label(), self.since())
    }
}

/// Whose refusal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RefusalReason {
    /// A seccomp filter's, as that of a container with the default profile.
    SeccompFilter,
    /// That of the sysctl `kernel.io_uring_disabled`.
    Sysctl {
        /// 2 refuses everybody; 1 all but those of the group and who has `CAP_SYS_ADMIN`.
        value: u8,
        /// `kernel.io_uring_group`, where it names one.
        group: Option<u32>,
        /// A seccomp filter is there as well, and may refuse what the sysctl will let through.
        is_filtered: bool,
    },
    /// Neither of these forbids it, as far as can be seen: a security module, or a sandbox.
    Forbidden,
    /// The kernel's, which has been built without io_uring.
    Missing,
    /// The kernel's, which may have none, or a seccomp filter's, which pretends so.
    MissingOrFilter,
    /// The kernel's, which is too old.
    TooOld {
        /// What it lacks, where that is known.
        lacks: Option<RingFeature>,
    },
    /// Memory that may be locked, or that of the control group, has run out.
    Memory,
    /// Descriptors have run out.
    Descriptors,
    /// It is there, and does not work as it should.
    Faulty,
}

impl RefusalReason {
    /// A name for it, for a label: small letters and underscores.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::SeccompFilter => "seccomp_filter",
            Self::Sysctl { .. } => "sysctl",
            Self::Forbidden => "forbidden",
            Self::Missing => "missing",
            Self::MissingOrFilter => "missing_or_filter",
            Self::TooOld { .. } => "too_old",
            Self::Memory => "memory",
            Self::Descriptors => "descriptors",
            Self::Faulty => "faulty",
        }
    }

    /// What the system's error means, beside what it says about who may use io_uring.
    fn of(error: Option<i32>, lacks: Option<RingFeature>, permission: &Permission) -> Self {
        match error {
            // The filter is asked first and the sysctl next. Where both may have been it, the
            // sysctl has to be changed in any case.
            Some(errno::EPERM | errno::EACCES) => match permission.refusing() {
                Some(value) => Self::Sysctl {
                    value,
                    group: permission.group(),
                    is_filtered: permission.is_filtered(),
                },
                None if permission.is_filtered() => Self::SeccompFilter,
                None => Self::Forbidden,
            },
            Some(errno::ENOSYS) => match (permission.is_filtered(), permission.is_built_in()) {
                (true, true) => Self::SeccompFilter,
                (true, false) => Self::MissingOrFilter,
                (false, _) => Self::Missing,
            },
            Some(errno::EINVAL) => Self::TooOld { lacks },
            Some(errno::ENOMEM) => Self::Memory,
            Some(errno::EMFILE | errno::ENFILE) => Self::Descriptors,
            _ => Self::Faulty,
        }
    }
}

/// Why a ring could not be had: what was tried, what the system said, and whose refusal it is. Its
/// text ends with what would change that.
#[derive(Clone, Debug)]
pub struct Refusal {
    step: RingStep,
    reason: RefusalReason,
    source: Arc<io::Error>,
}

impl Refusal {
    /// `lacks` is what a kernel lacks that says `EINVAL`, where that is known.
    pub(crate) fn new(step: RingStep, source: io::Error, lacks: Option<RingFeature>) -> Self {
        let reason = RefusalReason::of(source.raw_os_error(), lacks, &Permission::read());
        Self { step, reason, source: Arc::new(source) }
    }

    /// What was tried.
    #[must_use]
    pub const fn step(&self) -> RingStep {
        self.step
    }

    /// Whose refusal it is, as far as can be told.
    #[must_use]
    pub const fn reason(&self) -> RefusalReason {
        self.reason
    }

    /// What the system said; its number is that of errno(3).
    #[must_use]
    pub fn error(&self) -> &io::Error {
        &self.source
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, reason, source } = self;
        write!(formatter, "io_uring is not usable here: {step}: {source}")?;
        reason.fmt(formatter)
    }
}

/// As the end of a sentence that has said what failed.
impl fmt::Display for RefusalReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const CALLS: &str = "io_uring_setup, io_uring_enter and io_uring_register";
        match self {
            Self::SeccompFilter => write!(
                formatter,
                ". A seccomp filter refuses it, as in a container with the default profile: allow \
                 {CALLS} (examples/deploy shows how)"
            ),
            Self::Sysctl { value: 1, group, is_filtered } => {
                formatter.write_str(". The sysctl kernel.io_uring_disabled is 1: set it to 0")?;
                match group {
                    Some(group) => write!(formatter, ", or run this as one of group {group}")?,
                    None => formatter.write_str(", or name a group in kernel.io_uring_group")?,
                }
                filter_as_well(*is_filtered, formatter)
            }
            Self::Sysctl { value, is_filtered, .. } => {
                write!(formatter, ". The sysctl kernel.io_uring_disabled is {value}: set it to 0")?;
                filter_as_well(*is_filtered, formatter)
            }
            Self::Forbidden => formatter.write_str(
                ". It is forbidden, and neither by a seccomp filter nor by the sysctl \
                 kernel.io_uring_disabled: look for the rules of a security module (SELinux, \
                 AppArmor) or of a sandbox",
            ),
            Self::Missing => formatter
                .write_str(". This kernel has none: Linux 6.0 or newer with CONFIG_IO_URING is it"),
            Self::MissingOrFilter => write!(
                formatter,
                ". Either this kernel has none (Linux 6.0 or newer is needed), or the seccomp \
                 filter that is there hides it (allow {CALLS})"
            ),
            Self::TooOld { lacks: Some(feature) } => {
                write!(formatter, ". This kernel is too old, it lacks {feature}")?;
                formatter.write_str(": Linux 6.0 or newer is needed")
            }
            Self::TooOld { lacks: None } => {
                formatter.write_str(". This kernel is too old: Linux 6.0 or newer is needed")
            }
            Self::Memory => formatter.write_str(
                ". Memory that may be locked ran out: raise it (ulimit -l, LimitMEMLOCK=), or that \
                 of the control group, or use fewer workers",
            ),
            Self::Descriptors => {
                formatter.write_str(". Raise the limit of open files (ulimit -n, LimitNOFILE=)")
            }
            Self::Faulty => Ok(()),
        }
    }
}

fn filter_as_well(is_filtered: bool, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
    if is_filtered {
        formatter.write_str(". There is a seccomp filter besides, which may refuse it as well")?;
    }
    Ok(())
}

impl Error for Refusal {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LACKS: Option<RingFeature> = Some(RingFeature::SingleIssuer);

    /// With this mode of seccomp, this value of the sysctl, and this group.
    fn permission(seccomp: u8, disabled: Option<&str>, group: &str) -> Permission {
        let status = format!("Gid:\t5\t5\t5\t5\nSeccomp:\t{seccomp}\n");
        Permission::parse(Some(&status), disabled, Some(group))
    }

    fn reason(error: i32, permission: &Permission) -> RefusalReason {
        RefusalReason::of(Some(error), LACKS, permission)
    }

    #[test]
    fn a_filter_is_told_from_the_sysctl_and_from_neither() {
        for error in [errno::EPERM, errno::EACCES] {
            let reason = |seccomp, disabled| reason(error, &permission(seccomp, disabled, "-1"));
            let sysctl =
                |value, is_filtered| RefusalReason::Sysctl { value, group: None, is_filtered };
            assert_eq!(reason(2, Some("0")), RefusalReason::SeccompFilter);
            assert_eq!(reason(2, None), RefusalReason::SeccompFilter);
            assert_eq!(reason(0, Some("2")), sysctl(2, false));
            assert_eq!(reason(0, Some("1")), sysctl(1, false));
            assert_eq!(reason(2, Some("2")), sysctl(2, true));
            assert_eq!(reason(0, Some("0")), RefusalReason::Forbidden);
            assert_eq!(reason(0, None), RefusalReason::Forbidden);
        }
        let member = permission(2, Some("1"), "5");
        assert_eq!(reason(errno::EPERM, &member), RefusalReason::SeccompFilter);
    }

    #[test]
    fn a_kernel_without_is_told_from_one_that_is_hidden() {
        let reason = |seccomp, disabled| reason(errno::ENOSYS, &permission(seccomp, disabled, ""));
        assert_eq!(reason(2, Some("0")), RefusalReason::SeccompFilter);
        assert_eq!(reason(2, None), RefusalReason::MissingOrFilter);
        assert_eq!(reason(0, None), RefusalReason::Missing);
    }

    #[test]
    fn other_errors_are_what_they_say() {
        let nobody = permission(2, Some("2"), "");
        assert_eq!(reason(errno::EINVAL, &nobody), RefusalReason::TooOld { lacks: LACKS });
        assert_eq!(reason(errno::ENOMEM, &nobody), RefusalReason::Memory);
        assert_eq!(reason(errno::EMFILE, &nobody), RefusalReason::Descriptors);
        assert_eq!(RefusalReason::of(None, LACKS, &nobody), RefusalReason::Faulty);
    }

    #[test]
    fn each_says_what_to_change() {
        let filter = RefusalReason::SeccompFilter;
        let all = RefusalReason::Sysctl { value: 2, group: None, is_filtered: true };
        let group = RefusalReason::Sysctl { value: 1, group: Some(9), is_filtered: false };
        let old = RefusalReason::TooOld { lacks: LACKS };
        for (reason, change) in [
            (filter, "allow io_uring_setup, io_uring_enter and io_uring_register"),
            (all, "kernel.io_uring_disabled is 2: set it to 0. There is a seccomp filter besides"),
            (group, "kernel.io_uring_disabled is 1: set it to 0, or run this as one of group 9"),
            (RefusalReason::Forbidden, "security module"),
            (RefusalReason::Missing, "CONFIG_IO_URING"),
            (RefusalReason::MissingOrFilter, "or the seccomp filter that is there hides it"),
            (old, "it lacks single_issuer (Linux 6.0): Linux 6.0 or newer is needed"),
            (RefusalReason::Memory, "LimitMEMLOCK="),
            (RefusalReason::Descriptors, "LimitNOFILE="),
        ] {
            let text = reason.to_string();
            assert!(text.starts_with(". ") && text.contains(change), "{text}");
        }
    }
}
