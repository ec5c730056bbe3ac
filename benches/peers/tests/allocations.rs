//! What an echo of ours allocates.

use ringwire_fanout_peers::kernels::echo;

#[test]
fn an_echo_allocates_nothing() {
    let mut job = echo::ours();
    let counted = allocation_counter::measure(|| job.run(100));
    assert_eq!(counted.count_total, 0);
    // It would have been counted.
    let counted = allocation_counter::measure(|| drop(echo::ours()));
    assert!(counted.count_total > 0);
}
