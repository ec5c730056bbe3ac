//! What has crossed the seam lately.

use std::collections::VecDeque;
use std::fmt::Arguments;

use crate::driver::Completion;
use crate::timer::Time;

/// Entries that are kept: what leads to a failure, and not the whole run.
const COUNT_MAX: usize = 50;

/// The last operations and completions, for whoever asks what led to a failure.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    lines: VecDeque<String>,
}

impl Journal {
    pub(crate) fn note(&mut self, now: Time, what: Arguments<'_>) {
        if self.lines.len() == COUNT_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(format!("{:?} {what}", now.since(Time::ZERO)));
    }

    /// Notes what the engine is told, without the bytes.
    pub(crate) fn completion(&mut self, now: Time, completion: &Completion) {
        match completion {
            Completion::Accepted { result, more } => {
                self.note(now, format_args!("  accepted {result:?}, more {more}"));
            }
            Completion::Received { key, result, more } => {
                self.note(now, format_args!("  received {key:?} {result:?}, more {more}"));
            }
            Completion::Filled { key, result, .. } => {
                self.note(now, format_args!("  filled {key:?} {result:?}"));
            }
            Completion::Sent { key, result, bytes } => {
                let size = bytes.len();
                self.note(now, format_args!("  sent {key:?} {result:?} of a buffer of {size}"));
            }
            Completion::Cancelled { key } => self.note(now, format_args!("  cancelled {key:?}")),
            Completion::Refused { result } => {
                self.note(now, format_args!("  refused {result:?}"));
            }
            Completion::Woken => self.note(now, format_args!("  woken")),
        }
    }

    /// The oldest first.
    pub(crate) fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }
}
