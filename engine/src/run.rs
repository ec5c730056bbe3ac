//! Publications that stand one behind the other in the mail, and reach each subscriber together.

use std::sync::Arc;

use crate::publication::Publication;

/// Publications to one topic, in their order. Each subscriber is visited once for all of them.
#[derive(Debug, Default)]
pub(crate) struct Run {
    publications: Vec<Arc<Publication>>,
    /// Bytes of all messages.
    size: usize,
}

/// Bytes of the messages of a run, beside a single larger one: as many as one flight has.
const SIZE_MAX: usize = 64 << 10;

/// Messages of a run, so that empty ones are bounded as well.
const COUNT_MAX: usize = 1024;

impl Run {
    /// Adds a publication behind the others. Gives it back where it is not of this run.
    pub(crate) fn push(&mut self, publication: Arc<Publication>) -> Result<(), Arc<Publication>> {
        let size = self.size.saturating_add(publication.payload().as_bytes().len());
        if let Some(last) = self.publications.last() {
            let fits = self.publications.len() < COUNT_MAX && size <= SIZE_MAX;
            // What has a key or stays is more than bytes to its topic.
            let is_ordered = last.post.is_ordered() || publication.post.is_ordered();
            let is_same = last.topic == publication.topic && last.except == publication.except;
            if is_ordered || !fits || !is_same {
                return Err(publication);
            }
        }
        self.size = size;
        self.publications.push(publication);
        Ok(())
    }

    /// All of them.
    pub(crate) fn publications(&self) -> &[Arc<Publication>] {
        &self.publications
    }

    /// Begins anew.
    pub(crate) fn clear(&mut self) {
        self.publications.clear();
        self.size = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conn::ConnectionId;
    use crate::driver::Key;
    use crate::publication::Post;
    use crate::topic::Topic;

    fn publication(topic: &str, post: Post, except: Option<u32>) -> Arc<Publication> {
        let topic = Topic::new(topic).unwrap();
        let id = |slot| ConnectionId { worker: 0, key: Key { slot, generation: 0 } };
        Arc::new(Publication::new(topic, post, except.map(id)).unwrap())
    }

    #[test]
    fn only_the_like_of_it_goes_together() {
        let post = || Post::new("one");
        let mut run = Run::default();
        assert!(run.push(publication("a", post(), None)).is_ok());
        for other in [
            publication("b", post(), None),
            publication("a", post(), Some(1)),
            publication("a", post().retained(), None),
            publication("a", post().with_key("k"), None),
            publication("a", Post::new("x".repeat(SIZE_MAX)), None),
        ] {
            let refused = run.push(Arc::clone(&other)).unwrap_err();
            assert!(Arc::ptr_eq(&refused, &other));
        }
        assert!(run.push(publication("a", Post::new("x".repeat(SIZE_MAX - 3)), None)).is_ok());
        assert!(run.push(publication("a", post(), None)).is_err());
        assert_eq!(run.publications().len(), 2);
        run.clear();
        // Whatever it is, it may be alone.
        assert!(run.push(publication("a", post().retained(), None)).is_ok());
        assert!(run.push(publication("a", post(), None)).is_err());
        run.clear();
        let empty = || publication("a", Post::new(""), None);
        assert_eq!((0..2000).take_while(|_| run.push(empty()).is_ok()).count(), COUNT_MAX);
    }
}
