//! A message that is being sent, and where it comes from.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use ringwire_protocol::{Payload, Prepared};

use crate::conn::content::Content;
use crate::conn::name::Name;
use crate::message::OwnedMessage;
use crate::publication::Publication;

/// A message that is being sent.
pub(crate) enum Outgoing<'a, 'm> {
    Message(Payload<'m>),
    Uncompressed(Payload<'m>),
    Prepared(&'a mut Prepared<'m>),
}

impl<'m> Outgoing<'_, 'm> {
    pub(crate) fn payload(&self) -> Payload<'m> {
        match self {
            Self::Message(payload) | Self::Uncompressed(payload) => *payload,
            Self::Prepared(message) => message.payload(),
        }
    }

    pub(crate) const fn compresses(&self) -> bool {
        !matches!(self, Self::Uncompressed(_))
    }
}

/// What a message is known by, and who else holds its bytes.
pub(crate) enum Origin<'a, 'p> {
    /// It is sent to one connection, from bytes that are lent.
    Lent,
    /// It is sent to many.
    Shared(&'a Arc<OwnedMessage>),
    /// A subscription brings it.
    Published(&'a mut Delivery<'p>),
}

impl Origin<'_, '_> {
    /// The message as it can wait: a reference to what others hold, or else a copy.
    pub(crate) fn content(&self, message: &Outgoing<'_, '_>) -> Content {
        match self {
            Self::Lent => Content::copy(message.payload(), message.compresses()),
            Self::Shared(message) => Content::Shared(Arc::clone(message)),
            Self::Published(delivery) => Content::Published(Arc::clone(delivery.publication)),
        }
    }

    pub(crate) fn name(&mut self) -> Option<&Arc<Name>> {
        match self {
            Self::Lent | Self::Shared(_) => None,
            Self::Published(delivery) => Some(delivery.name()),
        }
    }
}

/// A publication on its way to the subscribers of one worker.
pub(crate) struct Delivery<'p> {
    publication: &'p Arc<Publication>,
    hashes: RandomState,
    /// Made for the first connection that needs it: none does where all keep up.
    name: Option<Arc<Name>>,
}

impl<'p> Delivery<'p> {
    pub(crate) const fn new(publication: &'p Arc<Publication>, hashes: RandomState) -> Self {
        Self { publication, hashes, name: None }
    }

    /// What it is known by, hashed once for all.
    fn name(&mut self) -> &Arc<Name> {
        let Self { publication, hashes, name } = self;
        name.get_or_insert_with(|| {
            let (topic, key) = (publication.topic.clone(), publication.key());
            let hash = hashes.hash_one((topic.as_topic(), key));
            Arc::new(Name::new(topic, key, hash))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publication::Post;
    use crate::topic::Topic;

    #[test]
    fn what_others_hold_waits_as_a_reference() {
        let post = Post::new("a price").with_key("DAX");
        let publication = Publication::new(Topic::new("prices").unwrap(), post, None).unwrap();
        let publication = Arc::new(publication);
        let mut delivery = Delivery::new(&publication, RandomState::new());
        let mut prepared = Prepared::new(publication.payload());
        let outgoing = Outgoing::Prepared(&mut prepared);
        let waiting: Vec<_> =
            (0..1000).map(|_| Origin::Published(&mut delivery).content(&outgoing)).collect();
        assert_eq!(Arc::strong_count(&publication), 1001);
        assert!(waiting.iter().all(|content| content.size() == 7));
        let name = Arc::clone(delivery.name());
        assert!(Arc::ptr_eq(&name, delivery.name()), "it is made once");
        assert_eq!(name.topic().as_topic().as_str(), "prices");

        let message = Arc::new(OwnedMessage::from("for many"));
        let content = Origin::Shared(&message).content(&outgoing);
        assert!(matches!(&content, Content::Shared(held) if Arc::ptr_eq(held, &message)));
        let content = Origin::Lent.content(&Outgoing::Uncompressed("for one".into()));
        assert!(
            matches!(&content, Content::Text { text, compresses: false } if &**text == "for one")
        );
    }
}
