//! What is measured: the server's time for each message that arrives, its memory, and delays.

use std::error::Error;
use std::thread;
use std::time::Duration;

use ringwire_benches::order::Order;
use ringwire_benches::system::{self, CpuTime};

use crate::contestant::Contestant;
use crate::subscribers::{Subscribers, delays};

/// What is asked of each contestant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) subscribers: usize,
    /// Bytes of a message.
    pub(crate) size: usize,
    /// Messages that are published one by one.
    pub(crate) singles: u32,
    /// Bursts, and messages of each.
    pub(crate) bursts: u32,
    pub(crate) burst: u32,
    /// Subscribers that read nothing.
    pub(crate) stuck: usize,
    /// Bytes published beside them, counted once for each subscriber.
    pub(crate) stuck_total: usize,
    /// Bytes of each of these messages.
    pub(crate) stuck_size: usize,
    /// Bytes that may wait for a subscriber.
    pub(crate) waiting: usize,
}

/// The server's time for each message that has arrived, in nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Cost {
    pub(crate) fn total(self) -> f64 {
        self.user + self.system
    }

    fn between(before: CpuTime, after: CpuTime, count: f64) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a round is some seconds")]
        let share = |before: u64, after: u64| after.saturating_sub(before) as f64 / count;
        Self { user: share(before.user, after.user), system: share(before.system, after.system) }
    }
}

/// What publishing beside some subscribers, all of whom read or not, has come to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// The 99th percentile from the order to the arrival at those that always read, in
    /// microseconds.
    pub(crate) delay: f64,
    /// Bytes of private memory that the server has taken more than before.
    pub(crate) memory: f64,
}

/// Messages one by one, then bursts, to the same subscribers.
pub(crate) fn costs(contestant: &Contestant, plan: &Plan) -> Result<(Cost, Cost), Box<dyn Error>> {
    let server = contestant.start(plan.waiting)?;
    let mut subscribers = Subscribers::connect(server.address(), plan.subscribers, 0)?;
    let mut run = |orders: u32, count: u32| -> Result<Cost, Box<dyn Error>> {
        let before = system::cpu_time(server.process())?;
        for _ in 0..orders {
            subscribers.order(Order { count, size: plan.size }, 0, &mut delays()?)?;
        }
        thread::sleep(REST);
        let after = system::cpu_time(server.process())?;
        let messages = f64::from(orders) * f64::from(count) * f64::from(number(plan.subscribers)?);
        Ok(Cost::between(before, after, messages))
    };
    // Buffers, caches and the windows of TCP grow first.
    run(2, 1)?;
    let single = run(plan.singles, 1)?;
    run(1, plan.burst)?;
    let burst = run(plan.bursts, plan.burst)?;
    subscribers.close()?;
    Ok((single, burst))
}

/// Messages one by one, where some subscribers read nothing, or all read.
pub(crate) fn patience(
    contestant: &Contestant,
    plan: &Plan,
    is_stuck: bool,
) -> Result<Patience, Box<dyn Error>> {
    let server = contestant.start(plan.waiting)?;
    let always = plan.subscribers - plan.stuck;
    let (readers, stuck) = if is_stuck { (always, plan.stuck) } else { (plan.subscribers, 0) };
    let mut subscribers = Subscribers::connect(server.address(), readers, stuck)?;
    let order = Order { count: 1, size: plan.stuck_size };
    let (mut delays, mut most) = (delays()?, 0);
    let before = system::private_size(server.process())?;
    let orders = plan.stuck_total.div_ceil(plan.subscribers * plan.stuck_size);
    for _ in 0..orders {
        subscribers.order(order, always, &mut delays)?;
        most = system::private_size(server.process())?.max(most);
        // Those that read have all, and the server may still be busy with the others.
        thread::sleep(PAUSE);
    }
    subscribers.close()?;
    let memory = f64::from(number(usize::try_from(most.saturating_sub(before) >> 10)?)?) * 1024.0;
    let delay = delays.value_at_percentile(99.0);
    Ok(Patience { delay: f64::from(number(usize::try_from(delay)?)?), memory })
}

/// Between two orders where nobody waits for the last subscribers.
const PAUSE: Duration = Duration::from_millis(50);

/// What a server does after the last message has left: it takes back buffers, and goes to sleep.
const REST: Duration = Duration::from_millis(10);

fn number(count: usize) -> Result<u32, std::num::TryFromIntError> {
    u32::try_from(count)
}
