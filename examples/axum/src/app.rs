//! The application: its routes, and what they share.

use std::sync::Arc;

use axum::extract::{Form, FromRef, Request, State};
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware;
use axum::response::{AppendHeaders, IntoResponse, Json, Response};
use axum::routing::{Router, get, post};
use ringwire::Handle;
use serde::Deserialize;
use serde_json::json;

use crate::chat::Member;
use crate::hand_over::{answer, hand_over, refused};
use crate::log;
use crate::session::{Session, Sessions, no_cookie};

const PAGE: &str = include_str!("page.html");

/// Where the page has what its policy names, so that nothing else runs or paints in it.
const NONCE: &str = "NONCE";

/// What the routes share.
#[derive(Clone, Debug)]
pub(crate) struct App {
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) handle: Handle,
}

/// Where a [`Session`] is looked for.
impl FromRef<App> for Arc<Sessions> {
    fn from_ref(app: &App) -> Self {
        Self::clone(&app.sessions)
    }
}

pub(crate) fn routes(app: App) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/me", get(me))
        .route("/login", post(log_in))
        .route("/logout", post(log_out))
        .route("/chat", get(chat))
        .layer(middleware::from_fn(log::headers))
        .layer(middleware::from_fn(log::requests))
        .with_state(app)
}

async fn page() -> Result<Response, StatusCode> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let nonce = format!("{:032x}", u128::from_ne_bytes(nonce));
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         connect-src 'self'; img-src data:; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'"
    );
    let headers =
        [(CONTENT_TYPE, "text/html; charset=utf-8".to_owned()), (CONTENT_SECURITY_POLICY, policy)];
    Ok((AppendHeaders(headers), PAGE.replace(NONCE, &nonce)).into_response())
}

/// Who asks, if that is known.
async fn me(State(app): State<App>, headers: HeaderMap) -> Json<serde_json::Value> {
    Json(json!({ "name": app.sessions.of(&headers).map(|session| session.name) }))
}

#[derive(Deserialize)]
struct Login {
    name: String,
}

async fn log_in(State(app): State<App>, Form(login): Form<Login>) -> Response {
    match app.sessions.log_in(&login.name) {
        Some(cookie) => (StatusCode::NO_CONTENT, [(SET_COOKIE, cookie)]).into_response(),
        None => {
            let told = "A name has 1 to 24 characters.\n";
            (StatusCode::UNPROCESSABLE_ENTITY, told).into_response()
        }
    }
}

/// Ends a session, and what it has open with it.
async fn log_out(State(app): State<App>, session: Session) -> impl IntoResponse {
    for connection in app.sessions.log_out(&session.token) {
        // One that has gone meanwhile, or whose worker has, is no worse off.
        let _closed = app.handle.close(connection, 4001, "logged out");
    }
    (StatusCode::NO_CONTENT, [(SET_COOKIE, no_cookie())])
}

/// The WebSocket. It is the session that lets in; from the 101 on it is the engine's.
async fn chat(State(app): State<App>, session: Session, request: Request) -> Response {
    let (response, negotiated) = match answer(&request) {
        Ok(answered) => answered,
        Err(refusal) => return refused(&refusal),
    };
    let upgrade = hyper::upgrade::on(request);
    tokio::spawn(async move {
        let member = Member::new(session);
        if let Err(error) = hand_over(upgrade, negotiated, member, app.handle).await {
            eprintln!("a connection was not handed over: {error}");
        }
    });
    response
}
