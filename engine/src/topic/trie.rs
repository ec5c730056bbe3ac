//! The patterns in use, by their tokens, so that a publish looks at few that do not match.
//!
//! ```text
//!   prices.*      prices.DAX      prices.>      *.DAX
//!
//!          root
//!       prices  *
//!        │       │
//!      ┌─┼──┐    │
//!    DAX *  >   DAX
//! ```
//!
//! **The bound.** From a node a publish goes on to at most three: the child of the topic's next
//! token, the child of `*`, and the child of `>`, where it ends. It goes only where patterns are.
//! That alone would be 2^17 nodes for sixteen tokens; as a pattern has at most
//! [`Pattern::STARS_MAX`] stars, it is [`Pattern::MATCHES_MAX`] and their children of `>`, whatever
//! has been subscribed and however many patterns there are.

use std::collections::HashMap;

use super::memory;
use super::name::{Pattern, REST, STAR, Topic};
use super::tokens::{Tokens, number_of};

/// The patterns in use, each with a number, which is that of its node.
///
/// A node that no pattern needs any more is used again by the next; all memory comes back with the
/// last pattern.
#[derive(Debug, Default)]
pub(super) struct Trie {
    tokens: Tokens,
    /// The child of a node by the number of its token. One table for all nodes: most have few
    /// children, and a table of their own would be most of their memory.
    children: HashMap<(u32, u32), u32>,
    /// By number; the root is the first. Free ones are listed in `free`.
    nodes: Vec<Node>,
    free: Vec<u32>,
    pattern_count: usize,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    parent: u32,
    /// By what the parent knows it.
    edge: Edge,
    /// The child of `*`, or `NONE`.
    star: u32,
    /// The child of `>`, or `NONE`.
    rest: u32,
    /// Children of other tokens.
    literal_count: u32,
    /// Whether a pattern ends here.
    is_pattern: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    Star,
    Rest,
    Literal(u32),
}

/// No node, and no token.
const NONE: u32 = u32::MAX;

const ROOT: u32 = 0;

impl Trie {
    /// Bytes of each token of a pattern at the most, where it shares none.
    pub(super) const TOKEN_SIZE: usize = memory::in_table(size_of::<((u32, u32), u32)>())
        + memory::in_list(size_of::<Node>())
        + memory::in_list(size_of::<u32>())
        + Tokens::SIZE_MAX;

    /// Bytes that have been allocated.
    #[cfg(feature = "simulation")]
    pub(super) fn allocated(&self) -> usize {
        self.tokens.allocated()
            + memory::of_table(&self.children)
            + self.nodes.capacity() * size_of::<Node>()
            + self.free.capacity() * size_of::<u32>()
    }

    /// How many patterns there are.
    pub(super) const fn pattern_count(&self) -> usize {
        self.pattern_count
    }

    /// The number of a pattern that has been inserted.
    pub(super) fn number(&self, pattern: Pattern<'_>) -> Option<u32> {
        let mut at = ROOT;
        for token in pattern.tokens() {
            at = match token {
                STAR => self.node(at)?.star,
                REST => self.node(at)?.rest,
                literal => *self.children.get(&(at, self.tokens.number(literal)?))?,
            };
        }
        self.node(at).filter(|node| node.is_pattern).map(|_| at)
    }

    /// The number of a pattern, which is inserted unless it has been.
    pub(super) fn insert(&mut self, pattern: Pattern<'_>) -> u32 {
        if self.nodes.is_empty() {
            self.nodes.push(Node::new(NONE, Edge::Rest));
        }
        let at = pattern.tokens().fold(ROOT, |at, token| self.child(at, token));
        if let Some(node) = self.nodes.get_mut(at as usize)
            && !node.is_pattern
        {
            node.is_pattern = true;
            self.pattern_count += 1;
        }
        at
    }

    /// Removes the pattern of this number, and all nodes that no other pattern needs.
    pub(super) fn remove(&mut self, number: u32) {
        let Some(node) = self.nodes.get_mut(number as usize).filter(|node| node.is_pattern) else {
            return;
        };
        node.is_pattern = false;
        self.pattern_count -= 1;
        if self.pattern_count == 0 {
            *self = Self::default();
            return;
        }
        let mut at = number;
        while let Some(&node) = self.node(at)
            && at != ROOT
            && node.is_unused()
        {
            self.cut(at, node);
            at = node.parent;
        }
    }

    /// Appends the numbers of all patterns that match the topic: the more special first, as they
    /// differ from left to right. Says no when there are more than `count_max`, having appended as
    /// many.
    #[must_use]
    pub(super) fn matches(&self, topic: Topic<'_>, count_max: usize, found: &mut Vec<u32>) -> bool {
        let mut numbers = [NONE; Topic::TOKENS_MAX];
        let mut count = 0;
        for (number, token) in numbers.iter_mut().zip(topic.tokens()) {
            *number = self.tokens.number(token).unwrap_or(NONE);
            count += 1;
        }
        let mut search = Search { trie: self, count_max, found };
        search.visit(ROOT, numbers.get(..count).unwrap_or_default())
    }

    fn node(&self, number: u32) -> Option<&Node> {
        self.nodes.get(number as usize)
    }

    /// The child of a token, which is made unless there is one.
    fn child(&mut self, parent: u32, token: &str) -> u32 {
        let (edge, child) = match token {
            STAR => (Edge::Star, self.node(parent).map_or(NONE, |node| node.star)),
            REST => (Edge::Rest, self.node(parent).map_or(NONE, |node| node.rest)),
            literal => {
                let known = self.tokens.number(literal);
                let child = known.and_then(|token| self.children.get(&(parent, token)));
                match child {
                    Some(&child) => return child,
                    None => (Edge::Literal(self.tokens.insert(literal)), NONE),
                }
            }
        };
        if child != NONE {
            return child;
        }
        let node = Node::new(parent, edge);
        let number = self.free.pop().unwrap_or_else(|| number_of(self.nodes.len()));
        match self.nodes.get_mut(number as usize) {
            Some(place) => *place = node,
            None => self.nodes.push(node),
        }
        if let Edge::Literal(token) = edge {
            self.children.insert((parent, token), number);
        }
        if let Some(parent) = self.nodes.get_mut(parent as usize) {
            match edge {
                Edge::Star => parent.star = number,
                Edge::Rest => parent.rest = number,
                Edge::Literal(_) => parent.literal_count += 1,
            }
        }
        number
    }

    /// Takes an unused node from its parent and frees it.
    fn cut(&mut self, number: u32, node: Node) {
        if let Some(parent) = self.nodes.get_mut(node.parent as usize) {
            match node.edge {
                Edge::Star => parent.star = NONE,
                Edge::Rest => parent.rest = NONE,
                Edge::Literal(_) => parent.literal_count -= 1,
            }
        }
        if let Edge::Literal(token) = node.edge {
            self.children.remove(&(node.parent, token));
            self.tokens.remove(token);
        }
        self.free.push(number);
    }
}

impl Node {
    const fn new(parent: u32, edge: Edge) -> Self {
        Self { parent, edge, star: NONE, rest: NONE, literal_count: 0, is_pattern: false }
    }

    const fn is_unused(&self) -> bool {
        !self.is_pattern && self.literal_count == 0 && self.star == NONE && self.rest == NONE
    }
}

/// A walk through the trie along one topic.
struct Search<'a> {
    trie: &'a Trie,
    count_max: usize,
    found: &'a mut Vec<u32>,
}

impl Search<'_> {
    /// Finds the patterns that go on from this node with the rest of the topic. It calls itself
    /// once for each token, so at most sixteen deep. Says no when there are too many.
    fn visit(&mut self, number: u32, rest: &[u32]) -> bool {
        let Some(node) = self.trie.node(number) else { return true };
        let Some((&token, rest)) = rest.split_first() else {
            return !node.is_pattern || self.find(number);
        };
        if node.literal_count > 0
            && token != NONE
            && let Some(&child) = self.trie.children.get(&(number, token))
            && !self.visit(child, rest)
        {
            return false;
        }
        (node.star == NONE || self.visit(node.star, rest))
            && (node.rest == NONE || self.find(node.rest))
    }

    fn find(&mut self, number: u32) -> bool {
        let fits = self.found.len() < self.count_max;
        if fits {
            self.found.push(number);
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn topic() -> impl Strategy<Value = String> {
        prop::collection::vec("[abc]", 1..6).prop_map(|tokens| tokens.join("."))
    }

    fn pattern() -> impl Strategy<Value = String> {
        (prop::collection::vec("[abc*]", 1..5), any::<bool>()).prop_map(|(mut tokens, has_rest)| {
            if has_rest {
                tokens.push(REST.to_owned());
            }
            tokens.join(".")
        })
    }

    proptest! {
        #[test]
        fn finds_what_matches_one_by_one(
            acts in prop::collection::vec((pattern(), any::<bool>()), 0..60),
            topics in prop::collection::vec(topic(), 1..20),
        ) {
            let mut trie = Trie::default();
            let mut table = BTreeMap::new();
            for (name, inserts) in &acts {
                let pattern = Pattern::new(name).unwrap();
                prop_assert_eq!(trie.number(pattern), table.get(&**name).copied());
                if *inserts {
                    let number = trie.insert(pattern);
                    prop_assert_eq!(*table.entry(&**name).or_insert(number), number);
                } else if let Some(number) = table.remove(&**name) {
                    trie.remove(number);
                }
                prop_assert_eq!(trie.pattern_count(), table.len());
            }
            let mut found = Vec::new();
            for topic in &topics {
                let topic = Topic::new(topic).unwrap();
                found.clear();
                prop_assert!(trie.matches(topic, usize::MAX, &mut found));
                let mut expected: Vec<_> = table
                    .iter()
                    .filter(|(name, _)| Pattern::new(name).unwrap().matches(topic))
                    .map(|(name, number)| (rank(name), *number))
                    .collect();
                expected.sort();
                prop_assert!(expected.iter().map(|(_, number)| number).eq(&found));
            }
            for (_, number) in table {
                trie.remove(number);
            }
            prop_assert_eq!(trie.nodes.capacity() + trie.children.capacity(), 0);
        }
    }

    /// A literal before `*` before `>`, token by token.
    fn rank(pattern: &str) -> Vec<u8> {
        let rank = |token| match token {
            STAR => 1,
            REST => 2,
            _ => 0,
        };
        pattern.split('.').map(rank).collect()
    }

    /// Every pattern that matches a topic of sixteen tokens.
    fn all_patterns() -> Vec<String> {
        let mut all = vec![];
        for bits in 0..1_u32 << 16 {
            let token = |at: u32| if bits >> at & 1 == 1 { STAR } else { "a" };
            if bits.count_ones() as usize > Pattern::STARS_MAX {
                continue;
            }
            all.push((0..16).map(token).collect::<Vec<_>>().join("."));
            // Those of fewer tokens are prefixes: each is made of the bits that end where it does.
            for count in (0..16).filter(|count| bits >> count == 0) {
                let prefix = (0..count).map(token).chain([REST]);
                all.push(prefix.collect::<Vec<_>>().join("."));
            }
        }
        all
    }

    #[test]
    fn the_most_patterns_that_match_are_as_many_as_stated() {
        let mut trie = Trie::default();
        for name in all_patterns() {
            trie.insert(Pattern::new(&name).unwrap());
        }
        assert_eq!(trie.pattern_count(), Pattern::MATCHES_MAX);
        // A node for each prefix, the root among them, and one for each `>`.
        let literal_count = (0..16).map(at_most_four_of).sum::<usize>();
        assert_eq!(trie.nodes.len(), Pattern::MATCHES_MAX + literal_count);
        let name = ["a"; 16].join(".");
        let mut found = Vec::new();
        assert!(trie.matches(Topic::new(&name).unwrap(), Pattern::MATCHES_MAX, &mut found));
        assert_eq!(found.len(), Pattern::MATCHES_MAX);
        found.clear();
        assert!(!trie.matches(Topic::new(&name).unwrap(), 100, &mut found));
        assert_eq!(found.len(), 100);
    }

    /// Subsets of `count` things with at most four members.
    fn at_most_four_of(count: u32) -> usize {
        (0..1_u32 << count).filter(|bits| bits.count_ones() <= 4).count()
    }

    #[test]
    fn numbers_are_used_again() {
        let mut trie = Trie::default();
        trie.insert(Pattern::new("a").unwrap());
        let number = trie.insert(Pattern::new("b.c.d").unwrap());
        let count = trie.nodes.len();
        trie.remove(number);
        assert_eq!(trie.tokens.number("c"), None);
        trie.insert(Pattern::new("x.y.z").unwrap());
        assert_eq!(trie.nodes.len(), count);
        trie.remove(NONE);
        assert_eq!(trie.pattern_count(), 2);
    }
}
