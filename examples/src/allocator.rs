//! The allocator, told to give back what is freed.
#![expect(unsafe_code, reason = "the allocator's options are functions of C")]

use libmimalloc_sys::{mi_option_set_default, mi_option_t};
use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Milliseconds until freed pages go back to the system: `mi_option_purge_delay` of `mimalloc.h`.
const PURGE_DELAY: mi_option_t = 15;

/// Has freed pages go back to the system at once. By itself mimalloc waits for a second, and then
/// for another page to be freed: after a crowd has left, an idle server would keep what it took.
/// What `MIMALLOC_PURGE_DELAY` says in the environment goes before.
pub fn give_back_memory() {
    // SAFETY: it stores a number, and may be called at any time.
    unsafe { mi_option_set_default(PURGE_DELAY, 0) };
}

#[cfg(test)]
mod tests {
    use libmimalloc_sys::mi_option_get;

    use super::*;

    #[test]
    fn the_option_is_the_right_one() {
        // SAFETY: it reads a number, and may be called at any time.
        let value = || unsafe { mi_option_get(PURGE_DELAY) };
        assert_eq!(value(), 1000, "mimalloc's default: another version numbers its options anew");
        give_back_memory();
        assert_eq!(value(), 0);
    }
}
