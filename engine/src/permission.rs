//! What the system says about who may use io_uring: the filter of the calling thread, and the
//! sysctls of the kernel.

use std::fs;

/// `CAP_SYS_ADMIN`, as a bit of `CapEff`.
const SYS_ADMIN: u64 = 1 << 21;

/// The mode of a thread under a seccomp filter.
const SECCOMP_MODE_FILTER: u8 = 2;

/// What is known. What the system does not say is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Permission {
    /// Whether a seccomp filter stands between this thread and the kernel.
    is_filtered: Option<bool>,
    /// `kernel.io_uring_disabled`. Kernels before 6.6 do not have it, and neither do those without
    /// io_uring.
    disabled: Option<u8>,
    /// `kernel.io_uring_group`, where it names one.
    group: Option<u32>,
    /// Whether this thread is of that group, or may administer the system.
    is_exempt: bool,
}

impl Permission {
    /// Asks the system, for the calling thread: filters are a thread's, not a process's.
    pub(crate) fn read() -> Self {
        let read = |path| fs::read_to_string(path).ok();
        Self::parse(
            read("/proc/thread-self/status").as_deref(),
            read("/proc/sys/kernel/io_uring_disabled").as_deref(),
            read("/proc/sys/kernel/io_uring_group").as_deref(),
        )
    }

    /// From what these files say.
    pub(crate) fn parse(status: Option<&str>, disabled: Option<&str>, group: Option<&str>) -> Self {
        let field = |name: &str| {
            let mut lines = status?.lines();
            lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let seccomp = field("Seccomp").and_then(|mode| mode.parse::<u8>().ok());
        // It is -1 where there is none.
        let group = group.and_then(|group| group.trim().parse::<u32>().ok());
        let capabilities = field("CapEff").and_then(|set| u64::from_str_radix(set, 16).ok());
        // The last of the four is the one that files and this sysctl go by.
        let own = field("Gid").and_then(|groups| groups.split_ascii_whitespace().last());
        let others = field("Groups").unwrap_or_default().split_ascii_whitespace();
        let is_member = own.into_iter().chain(others).any(|number| number.parse().ok() == group);
        Self {
            is_filtered: seccomp.map(|mode| mode == SECCOMP_MODE_FILTER),
            disabled: disabled.and_then(|value| value.trim().parse().ok()),
            group,
            is_exempt: group.is_some() && is_member
                || capabilities.is_some_and(|set| set & SYS_ADMIN != 0),
        }
    }

    /// Whether a filter is known to stand between this thread and the kernel.
    pub(crate) fn is_filtered(&self) -> bool {
        self.is_filtered == Some(true)
    }

    /// Whether the kernel is known to have io_uring: it has the sysctl for it.
    pub(crate) const fn is_built_in(&self) -> bool {
        self.disabled.is_some()
    }

    /// The value of the sysctl where it refuses this thread: 2 refuses everybody, 1 all but a group
    /// and who administers the system.
    pub(crate) const fn refusing(&self) -> Option<u8> {
        match self.disabled {
            Some(1) if self.is_exempt => None,
            Some(value @ 1..) => Some(value),
            Some(0) | None => None,
        }
    }

    /// The group that a value of 1 lets in.
    pub(crate) const fn group(&self) -> Option<u32> {
        self.group
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(seccomp: u8, gid: u32, groups: &str, capabilities: u64) -> String {
        format!(
            "Name:\techo\nGid:\t1\t2\t3\t{gid}\nGroups:\t{groups} \nCapEff:\t{capabilities:016x}\n\
             Seccomp:\t{seccomp}\nSeccomp_filters:\t7\n"
        )
    }

    fn permission(status: &str, disabled: &str, group: &str) -> Permission {
        Permission::parse(Some(status), Some(disabled), Some(group))
    }

    #[test]
    fn a_filter_is_the_mode_and_not_the_number_of_filters() {
        for (mode, is_filtered) in [(0, false), (1, false), (2, true)] {
            let status = status(mode, 5, "", 0);
            assert_eq!(permission(&status, "0\n", "-1\n").is_filtered(), is_filtered);
        }
        assert!(!Permission::parse(None, None, None).is_filtered());
    }

    #[test]
    fn one_refuses_all_but_a_group_and_administrators() {
        let refused = |status: &str, group| permission(status, "1\n", group).refusing();
        let nobody = status(0, 5, "6 77", 0);
        assert_eq!(refused(&nobody, "-1\n"), Some(1));
        assert_eq!(refused(&nobody, "7\n"), Some(1));
        assert_eq!(refused(&nobody, "3\n"), Some(1), "the saved group does not count");
        assert_eq!(refused(&nobody, "5\n"), None);
        assert_eq!(refused(&nobody, "77\n"), None);
        assert_eq!(refused(&status(0, 5, "", u64::MAX), "-1\n"), None);
        assert_eq!(refused(&status(0, 5, "", !SYS_ADMIN), "-1\n"), Some(1));
    }

    #[test]
    fn two_refuses_everybody_and_zero_nobody() {
        let all = status(0, 5, "", u64::MAX);
        assert_eq!(permission(&all, "2\n", "5\n").refusing(), Some(2));
        assert_eq!(permission(&all, "0\n", "5\n").refusing(), None);
        let unknown = Permission::parse(Some(&all), None, None);
        assert_eq!((unknown.refusing(), unknown.is_built_in()), (None, false));
    }

    #[test]
    fn what_makes_no_sense_is_unknown() {
        let permission = permission("Seccomp:\tmany\nGid\n", "x", "");
        assert_eq!(permission, Permission::default());
    }

    #[test]
    fn this_thread_is_told_about() {
        // Whatever it is here: the file has the line on every kernel that runs this engine.
        assert!(Permission::read().is_filtered.is_some());
    }
}
