//! The last values that a worker retains, and the frames that snapshots have made of them.

use std::cell::RefCell;
use std::sync::Arc;

use ringwire_protocol::{Frames, Prepared};

use crate::message::OwnedMessage;
use crate::publication::Publication;
use crate::topic::{Pattern, Retained, RetainedLimits, Topic};

/// The last value of each topic and key: a reference to what all workers share.
///
/// The frames that one newcomer's snapshot has made serve the next one's, so that ten thousand that
/// come at once are not ten thousand compressions. They may take as many bytes as the values;
/// beyond that they are made anew.
#[derive(Debug)]
pub(crate) struct LastValues {
    values: Retained<LastValue>,
    /// Bytes of the frames that are kept. `frames_size <= frames_size_max`.
    frames_size: usize,
    frames_size_max: usize,
}

#[derive(Debug)]
struct LastValue {
    publication: Arc<Publication>,
    /// Taken and put back in each snapshot.
    frames: RefCell<Frames>,
}

/// Bytes of a value at most that [`RetainedLimits::size_max`] does not count, apart from its names,
/// which it has twice, and from its frames: places of the table that are not used, and what the
/// allocator is asked for besides.
pub(crate) const LAST_VALUE_SIZE: usize =
    2 * LAST_VALUE_SIZE_MIN + size_of::<Publication>() + 4 * size_of::<usize>();

const _: () = assert!(LAST_VALUE_SIZE <= 264, "`Config::memory_max` says so");

/// Bytes that [`RetainedLimits::size_max`] counts of each value at the least.
pub(crate) const LAST_VALUE_SIZE_MIN: usize = size_of::<(Box<str>, LastValue)>();

impl LastValues {
    pub(crate) const fn new(limits: RetainedLimits) -> Self {
        let values = Retained::new(limits);
        Self { values, frames_size: 0, frames_size_max: limits.size_max }
    }

    /// Retains a value in place of the last one; an empty one clears it. `false`: there is no room,
    /// and no value any more, for an older one must not pass for the last.
    pub(crate) fn set(&mut self, publication: &Arc<Publication>) -> bool {
        let (topic, key) = (publication.topic.as_topic(), publication.key());
        let value = LastValue { publication: Arc::clone(publication), frames: RefCell::default() };
        let (older, fits) = match self.values.set(topic, key, value) {
            Ok(older) => (older, true),
            Err(_) => (self.values.clear(topic, key), false),
        };
        if let Some(older) = older {
            self.frames_size -= older.frames.into_inner().size();
        }
        fits
    }

    /// The last value of a topic and key.
    pub(crate) fn value(&self, topic: Topic<'_>, key: &str) -> Option<&OwnedMessage> {
        self.values.value(topic, key).map(|value| &value.publication.post.message)
    }

    /// The topic and the bytes of each value that matches, in the order of topic and key.
    pub(crate) fn sizes<'a>(
        &'a self,
        pattern: Pattern<'a>,
    ) -> impl Iterator<Item = (Topic<'a>, usize)> {
        self.values.matching(pattern).map(|(topic, _, value)| (topic, value.as_ref().len()))
    }

    /// Visits each value that matches and whose topic is wanted, in the order of topic and key,
    /// until `visit` says `false`.
    pub(crate) fn visit(
        &mut self,
        pattern: Pattern<'_>,
        mut is_wanted: impl FnMut(Topic<'_>) -> bool,
        mut visit: impl FnMut(&mut Prepared<'_>) -> bool,
    ) -> bool {
        let mut goes_on = true;
        for (topic, _, value) in self.values.matching(pattern) {
            if !is_wanted(topic) {
                continue;
            }
            let frames = value.frames.take();
            self.frames_size -= frames.size();
            let mut prepared = Prepared::with_frames(value.publication.payload(), frames);
            goes_on = visit(&mut prepared);
            let frames = prepared.into_frames();
            let size = self.frames_size.saturating_add(frames.size());
            if size <= self.frames_size_max {
                self.frames_size = size;
                value.frames.replace(frames);
            }
            if !goes_on {
                break;
            }
        }
        goes_on
    }
}

impl Default for LastValues {
    fn default() -> Self {
        Self::new(RetainedLimits::default())
    }
}

impl AsRef<[u8]> for LastValue {
    fn as_ref(&self) -> &[u8] {
        self.publication.payload().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use ringwire_protocol::{Limits, Role, Sender, Workspace};

    use super::*;
    use crate::publication::Post;

    const LIMITS: RetainedLimits = RetainedLimits { count_max: 6, size_max: 1000 };

    fn publication(topic: &str, key: &str, message: String) -> Arc<Publication> {
        let post = Post::new(message).with_key(key).retained();
        Arc::new(Publication::new(Topic::new(topic).unwrap(), post, None).unwrap())
    }

    fn counted(topic: &str, key: &str, size: usize) -> usize {
        LAST_VALUE_SIZE_MIN + topic.len() + 1 + key.len() + size
    }

    proptest! {
        /// Beside a table that is looked through: the same values, and bytes that add up.
        #[test]
        fn holds_the_last_of_each_or_none(
            acts in prop::collection::vec(("[ab]", "[a-d]{0,1}", 0..400_usize), 0..100),
        ) {
            let mut values = LastValues::new(LIMITS);
            let mut table: BTreeMap<(String, String), String> = BTreeMap::new();
            let mut sender = Sender::new(Role::Server);
            let mut workspace = Workspace::new(Limits::default());
            for (number, (topic, key, size)) in acts.into_iter().enumerate() {
                let message =
                    if size == 0 { String::new() } else { format!("{number:0>size$}") };
                table.remove(&(topic.clone(), key.clone()));
                let bytes = table.iter().map(|((topic, key), value)| {
                    counted(topic, key, value.len())
                });
                let all = bytes.sum::<usize>() + counted(&topic, &key, message.len());
                let fits = message.is_empty()
                    || all <= LIMITS.size_max && table.len() < LIMITS.count_max;
                let publication = publication(&topic, &key, message.clone());
                prop_assert_eq!(values.set(&publication), fits);
                if fits && !message.is_empty() {
                    table.insert((topic.clone(), key.clone()), message);
                }
                let found = values.value(Topic::new(&topic).unwrap(), &key);
                let expected = table.get(&(topic.clone(), key)).map(|text| &**text);
                prop_assert_eq!(found.map(|message| message.payload().as_bytes()),
                    expected.map(str::as_bytes));
                let mut visited = Vec::new();
                values.visit(Pattern::new(">").unwrap(), |_| true, |prepared| {
                    visited.push(prepared.payload().as_bytes().to_vec());
                    sender.prepared(prepared, &mut workspace).is_ok()
                });
                prop_assert!(table.values().map(|value| value.as_bytes()).eq(visited));
                let kept = values.values.matching(Pattern::new(">").unwrap());
                let kept = kept.map(|(_, _, value)| value.frames.borrow().size());
                prop_assert_eq!(kept.sum::<usize>(), values.frames_size);
                prop_assert!(values.frames_size <= LIMITS.size_max);
            }
        }
    }

    #[test]
    fn a_frame_is_made_once_for_all_newcomers() {
        let mut values = LastValues::default();
        values.set(&publication("a", "", "value".into()));
        let mut workspace = Workspace::new(Limits::default());
        let mut frames = Vec::new();
        for _ in 0..3 {
            let mut sender = Sender::new(Role::Server);
            values.visit(
                Pattern::new("a").unwrap(),
                |_| true,
                |prepared| {
                    frames.push(sender.prepared(prepared, &mut workspace).unwrap());
                    true
                },
            );
        }
        assert!(frames.iter().all(|frame| std::ptr::eq(&**frame, &*frames[0])));
        assert_eq!(frames.len(), 3);
        // What is too large to be kept is made each time.
        let limits = RetainedLimits { size_max: 1, ..LIMITS };
        values.frames_size_max = limits.size_max;
        values.set(&publication("a", "", "newer".into()));
        values.visit(
            Pattern::new("a").unwrap(),
            |_| true,
            |prepared| {
                frames.push(Sender::new(Role::Server).prepared(prepared, &mut workspace).unwrap());
                true
            },
        );
        assert_eq!((&*frames[3], values.frames_size), (&b"\x81\x05newer"[..], 0));
    }
}
