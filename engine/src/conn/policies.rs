//! The policies of subscriptions, each known by a number of one byte that a subscription keeps.

use crate::slow::SlowConsumer;

/// What is sent to a connection by itself, or by a subscription without a policy of its own.
pub(crate) const OWN: u8 = 0;

/// All policies that subscriptions of a worker have had. They stay: what waits refers to them.
#[derive(Debug, Default)]
pub(crate) struct Policies {
    /// From number 1 on. At most 255.
    policies: Vec<SlowConsumer>,
}

impl Policies {
    /// The number of a policy, which is given one unless it has one. `None`: there are 255 others.
    pub(crate) fn tag(&mut self, policy: SlowConsumer) -> Option<u8> {
        let known = self.policies.iter().position(|other| *other == policy);
        let index = known.unwrap_or(self.policies.len());
        let tag = u8::try_from(index + 1).ok()?;
        if known.is_none() {
            self.policies.push(policy);
        }
        Some(tag)
    }

    /// The policy of this number. [`OWN`] has none.
    pub(crate) fn policy(&self, tag: u8) -> Option<&SlowConsumer> {
        self.policies.get(usize::from(tag).checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_policy_has_one_number() {
        let policy = |size_max| SlowConsumer { size_max, ..SlowConsumer::default() };
        let mut policies = Policies::default();
        assert_eq!(policies.policy(OWN), None);
        for round in 0..2 {
            for number in 1..=u8::MAX {
                let tag = policies.tag(policy(number.into()));
                assert_eq!(tag, Some(number), "round {round}");
                assert_eq!(policies.policy(number), Some(&policy(number.into())));
            }
            assert_eq!(policies.tag(policy(256)), None);
        }
    }
}
