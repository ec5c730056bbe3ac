//! How receives are carried out that need a buffer, which the ring of the host is asked first.

/// The ring is asked when something is to be received for the first time: buffers are shown to it,
/// and nothing is cancelled by descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Nothing has been received.
    Unknown,
    /// The ring has yet to answer.
    Asked(Question),
    /// By the ring, into a buffer of this group.
    Ring(u16),
    /// By a poll and a call: the kernel is older than 5.19, or has no memory for more buffers.
    Poll,
}

/// What has been answered so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Question {
    group: u16,
    can_show: bool,
    can_cancel: bool,
}

impl Way {
    pub(super) const fn ask(group: u16) -> Self {
        Self::Asked(Question { group, can_show: false, can_cancel: false })
    }

    /// Buffers have been shown, or could not be.
    pub(super) fn on_shown(&mut self, result: i32) {
        match self {
            _ if result < 0 => *self = Self::Poll,
            Self::Asked(question) => {
                question.can_show = true;
                self.decide();
            }
            Self::Unknown | Self::Ring(_) | Self::Poll => {}
        }
    }

    /// Something has been cancelled, for whatever reason, or could not be.
    pub(super) fn on_cancelled(&mut self, result: i32) {
        let Self::Asked(question) = self else { return };
        // It was not there any more, or is about to end by itself.
        question.can_cancel = result >= 0 || matches!(-result, libc::ENOENT | libc::EALREADY);
        if question.can_cancel {
            self.decide();
        } else {
            *self = Self::Poll;
        }
    }

    fn decide(&mut self) {
        if let Self::Asked(Question { group, can_show: true, can_cancel: true }) = *self {
            *self = Self::Ring(group);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Way;

    #[test]
    fn a_ring_that_can_both_receives() {
        for cancelled in [0, 1, -libc::ENOENT, -libc::EALREADY] {
            let mut way = Way::ask(7);
            way.on_cancelled(cancelled);
            // One more says nothing of the other.
            way.on_cancelled(cancelled);
            assert_ne!(way, Way::Ring(7));
            way.on_shown(0);
            assert_eq!(way, Way::Ring(7));
            let mut way = Way::ask(7);
            way.on_shown(0);
            way.on_shown(0);
            assert_ne!(way, Way::Ring(7));
            way.on_cancelled(cancelled);
            assert_eq!(way, Way::Ring(7));
        }
    }

    #[test]
    fn a_ring_that_cannot_is_not_asked_again() {
        let mut way = Way::ask(7);
        way.on_cancelled(-libc::EINVAL);
        assert_eq!(way, Way::Poll);
        way.on_shown(0);
        assert_eq!(way, Way::Poll);
        let mut way = Way::ask(7);
        way.on_shown(-libc::EINVAL);
        way.on_cancelled(0);
        assert_eq!(way, Way::Poll);
    }

    #[test]
    fn what_goes_wrong_later_counts_for_what_is_shown() {
        let mut way = Way::Ring(7);
        way.on_cancelled(-libc::EINVAL);
        assert_eq!(way, Way::Ring(7));
        way.on_shown(-libc::ENOMEM);
        assert_eq!(way, Way::Poll);
    }
}
