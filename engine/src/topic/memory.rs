//! What lists and tables take for each entry, before there are any.

#[cfg(any(test, feature = "simulation"))]
use std::collections::HashMap;

/// Bytes of the two counts of an `Arc`.
pub(super) const COUNTS_SIZE: usize = 2 * size_of::<usize>();

/// Bytes of a small table, whatever is in it: it begins with four entries and its own alignment.
pub(super) const TABLE_SIZE_MIN: usize = 256;

/// Bytes of an entry in a list, which has up to twice the capacity that is used.
pub(super) const fn in_list(size: usize) -> usize {
    2 * size
}

/// Bytes of an entry in a table. It doubles when it is filled to seven eighths, and what has been
/// removed counts as filled until it is laid out anew: so it doubles also when little more than
/// half of that is there, and has up to 32 places for seven entries.
pub(super) const fn in_table(size: usize) -> usize {
    ((size + 1) * 32).div_ceil(7)
}

/// Bytes that a table has allocated, as the standard library lays it out.
#[cfg(any(test, feature = "simulation"))]
pub(super) fn of_table<K, V>(table: &HashMap<K, V>) -> usize {
    if table.capacity() == 0 {
        return 0;
    }
    let places = (table.capacity() * 8 / 7).next_power_of_two();
    places * (size_of::<(K, V)>() + 1) + 16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_grows_stays_within_its_bound() {
        let mut table = HashMap::new();
        assert_eq!(of_table(&table), 0);
        for count in 1..10_000_u64 {
            table.insert(count, count);
            let max = table.len() * in_table(size_of::<(u64, u64)>()) + TABLE_SIZE_MIN;
            assert!(of_table(&table) <= max, "{} bytes of {count} entries", of_table(&table));
        }
    }

    #[test]
    fn a_table_whose_entries_change_stays_within_its_bound() {
        for count in [20, 120, 230, 300, 1000] {
            let mut table: HashMap<u64, u64> = (0..count).map(|key| (key, key)).collect();
            let mut most = 0;
            for key in count..count + 100_000 {
                table.remove(&(key - count));
                table.insert(key, key);
                most = most.max(of_table(&table));
            }
            let max = table.len() * in_table(size_of::<(u64, u64)>()) + TABLE_SIZE_MIN;
            assert!(most <= max, "{most} bytes of {count} entries, at most {max}");
        }
    }
}
