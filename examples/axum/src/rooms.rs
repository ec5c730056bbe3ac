//! Rooms: who is there, and what was said last.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard};

use serde::Serialize;

/// Messages of each room that newcomers are told.
const HISTORY_MAX: usize = 50;

/// Rooms that there may be. They stay, with what was said in them.
const ROOMS_MAX: usize = 100;

/// Bytes of a room's name.
const NAME_SIZE_MAX: usize = 32;

/// Something that was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Said {
    /// From 1 on, by room: who has some of them already passes those over.
    pub(crate) number: u64,
    pub(crate) name: String,
    pub(crate) text: String,
    /// In milliseconds since 1970.
    pub(crate) time: u64,
}

/// All rooms, of all workers.
#[derive(Debug, Default)]
pub(crate) struct Rooms(Mutex<HashMap<String, Room>>);

#[derive(Debug, Default)]
pub(crate) struct Room {
    /// What was said last, the oldest first.
    history: VecDeque<Said>,
    said: u64,
    /// Names, and how many connections each has.
    present: BTreeMap<String, usize>,
}

impl Rooms {
    /// Does something with a room, alone: what it tells others about the room comes to all of them
    /// in the order of the changes. `None`: there is no such room, and no place for it.
    pub(crate) fn with<T>(&self, room: &str, act: impl FnOnce(&mut Room) -> T) -> Option<T> {
        let mut rooms = self.lock();
        if !rooms.contains_key(room) {
            if !is_name(room) || rooms.len() >= ROOMS_MAX {
                return None;
            }
            rooms.insert(room.to_owned(), Room::default());
        }
        rooms.get_mut(room).map(act)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Room>> {
        // What it guards is whole even if a thread died with it.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Room {
    /// Somebody comes. `true`: it was not there before, from elsewhere.
    pub(crate) fn enter(&mut self, name: &str) -> bool {
        let count = self.present.entry(name.to_owned()).or_default();
        *count += 1;
        *count == 1
    }

    /// Somebody goes. `true`: it is there no more, from elsewhere either.
    pub(crate) fn leave(&mut self, name: &str) -> bool {
        let Some(count) = self.present.get_mut(name) else { return false };
        *count -= 1;
        let has_left = *count == 0;
        if has_left {
            self.present.remove(name);
        }
        has_left
    }

    /// Who is there.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.present.keys().map(String::as_str).collect()
    }

    /// What was said last.
    pub(crate) const fn history(&self) -> &VecDeque<Said> {
        &self.history
    }

    /// Somebody says something. It stays, if `tell` could tell the others.
    pub(crate) fn say<E>(
        &mut self,
        name: &str,
        text: String,
        time: u64,
        tell: impl FnOnce(&Said) -> Result<(), E>,
    ) -> Result<(), E> {
        let said = Said { number: self.said + 1, name: name.to_owned(), text, time };
        tell(&said)?;
        self.said += 1;
        if self.history.len() == HISTORY_MAX {
            self.history.pop_front();
        }
        self.history.push_back(said);
        Ok(())
    }
}

fn is_name(room: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=NAME_SIZE_MAX).contains(&room.len()) && room.bytes().all(is_letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_is_kept_and_counted_on() {
        let mut room = Room::default();
        let mut told = Vec::new();
        for number in 1..=60 {
            let tell = |said: &Said| {
                told.push(said.number);
                Ok::<(), ()>(())
            };
            assert_eq!(room.say("Ada", format!("{number}"), 7, tell), Ok(()));
        }
        assert!(told.into_iter().eq(1..=60));
        let numbers = room.history().iter().map(|said| said.number);
        assert!(numbers.eq(11..=60));
        // What the others were not told was not said.
        assert_eq!(room.say("Ada", String::new(), 7, |_| Err("full")), Err("full"));
        assert_eq!(room.history().back().map(|said| said.number), Some(60));
    }

    #[test]
    fn who_has_two_windows_is_there_once() {
        let mut room = Room::default();
        assert!(room.enter("Bob") && room.enter("Ada") && !room.enter("Bob"));
        assert_eq!(room.names(), ["Ada", "Bob"]);
        assert!(!room.leave("Bob") && room.leave("Bob") && !room.leave("Bob"));
        assert_eq!(room.names(), ["Ada"]);
    }

    #[test]
    fn rooms_have_names_and_a_number() {
        let rooms = Rooms::default();
        for name in ["", "A", "a b", "a.b", "*", &"a".repeat(NAME_SIZE_MAX + 1)] {
            assert_eq!(rooms.with(name, |_| ()), None, "{name:?}");
        }
        for number in 0..ROOMS_MAX {
            assert_eq!(rooms.with(&format!("room-{number}"), |_| ()), Some(()));
        }
        assert_eq!(rooms.with("one-more", |_| ()), None);
        assert_eq!(rooms.with("room-7", |_| ()), Some(()));
    }
}
