//! Sessions: who has logged in, by the token in a cookie.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::extract::{FromRef, FromRequestParts};
use axum::http::header::COOKIE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use ringwire::ConnectionId;

/// Sessions at the same time. The oldest gives way: it costs nothing to make one.
const SESSIONS_MAX: usize = 10_000;

/// Characters of a name.
const NAME_SIZE_MAX: usize = 24;

/// Seconds that a browser keeps the cookie: a day.
const AGE_MAX: u32 = 86_400;

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) token: String,
    pub(crate) name: String,
}

/// All sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    by_token: HashMap<String, Member>,
    /// The tokens, the oldest first. Some may be of no session any more.
    order: VecDeque<String>,
}

#[derive(Debug)]
struct Member {
    name: String,
    /// Where it chats.
    connections: Vec<ConnectionId>,
}

impl Sessions {
    /// Begins a session, and says what its cookie is. `None`: that is no name, or the system has no
    /// random bytes.
    pub(crate) fn log_in(&self, name: &str) -> Option<String> {
        let name = name.trim();
        let is_name = !name.is_empty()
            && name.chars().count() <= NAME_SIZE_MAX
            && !name.chars().any(char::is_control);
        let token = if is_name { token()? } else { return None };
        let mut table = self.lock();
        while table.order.len() >= SESSIONS_MAX
            && let Some(oldest) = table.order.pop_front()
        {
            table.by_token.remove(&oldest);
        }
        let member = Member { name: name.to_owned(), connections: Vec::new() };
        table.by_token.insert(token.clone(), member);
        table.order.push_back(token.clone());
        Some(cookie(&token, AGE_MAX))
    }

    /// Ends a session. What it had open is to be closed.
    pub(crate) fn log_out(&self, token: &str) -> Vec<ConnectionId> {
        let mut table = self.lock();
        table.order.retain(|other| other != token);
        table.by_token.remove(token).map(|member| member.connections).unwrap_or_default()
    }

    /// A connection has opened. `false`: its session has ended in between.
    pub(crate) fn enter(&self, token: &str, connection: ConnectionId) -> bool {
        let mut table = self.lock();
        let member = table.by_token.get_mut(token);
        member.map(|member| member.connections.push(connection)).is_some()
    }

    /// A connection has ended.
    pub(crate) fn leave(&self, token: &str, connection: ConnectionId) {
        if let Some(member) = self.lock().by_token.get_mut(token) {
            member.connections.retain(|other| *other != connection);
        }
    }

    /// Who these headers are of.
    pub(crate) fn of(&self, headers: &HeaderMap) -> Option<Session> {
        let token = cookies(headers).find_map(|(name, value)| (name == NAME).then_some(value))?;
        let table = self.lock();
        let member = table.by_token.get(token)?;
        Some(Session { token: token.to_owned(), name: member.name.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // What it guards is whole even if a thread died with it.
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The name of the cookie.
const NAME: &str = "session";

/// A cookie that no script reads and no other site has sent along.
fn cookie(token: &str, age_max: u32) -> String {
    format!("{NAME}={token}; Path=/; Max-Age={age_max}; HttpOnly; SameSite=Strict")
}

/// The cookie of who has no session.
pub(crate) fn no_cookie() -> String {
    cookie("", 0)
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

/// What nobody guesses.
fn token() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    let mut token = String::new();
    for byte in bytes {
        // A `String` takes whatever is written to it.
        let _written = write!(token, "{byte:02x}");
    }
    Some(token)
}

/// Who has no session is told so.
impl<S> FromRequestParts<S> for Session
where
    S: Sync,
    Arc<Sessions>: FromRef<S>,
{
    type Rejection = (StatusCode, &'static str);

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let session = Arc::<Sessions>::from_ref(state).of(&parts.headers);
        session.ok_or((StatusCode::UNAUTHORIZED, "Log in first.\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(cookies: &[String]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(COOKIE, cookie.parse().expect("a header's value"));
        }
        headers
    }

    #[test]
    fn who_has_logged_in_is_known_until_it_logs_out() {
        let sessions = Sessions::default();
        let cookie = sessions.log_in(" Ada ").expect("a name");
        assert!(cookie.ends_with("; HttpOnly; SameSite=Strict"), "{cookie}");
        let pair = cookie.split(';').next().expect("a pair").to_owned();
        let session = sessions.of(&headers(&["a=b".to_owned(), format!("c=d; {pair}")]));
        let session = session.expect("a session");
        assert_eq!((session.name.as_str(), session.token.len()), ("Ada", 32));
        assert!(sessions.of(&headers(&["session=".to_owned()])).is_none());
        assert!(sessions.of(&headers(&[])).is_none());
        assert!(sessions.log_out(&session.token).is_empty());
        assert!(sessions.of(&headers(&[pair])).is_none());
    }

    #[test]
    fn what_is_no_name() {
        let sessions = Sessions::default();
        for name in ["", "  ", "a\nb", &"x".repeat(NAME_SIZE_MAX + 1)] {
            assert_eq!(sessions.log_in(name), None, "{name:?}");
        }
        assert!(sessions.log_in(&"é".repeat(NAME_SIZE_MAX)).is_some());
    }
}
