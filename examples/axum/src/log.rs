//! Middleware: a line for each request, and headers for each answer.

use std::time::Instant;

use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::middleware::Next;
use axum::response::Response;

/// Tells of each request what it was, how it was answered, and how long that took.
pub(crate) async fn requests(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    // Without the query, in which a client may have put what is nobody's business.
    let asked = format!("{} {}", request.method(), request.uri().path());
    let response = next.run(request).await;
    eprintln!("{asked} {} {:?}", response.status().as_u16(), begun.elapsed());
    response
}

/// What no answer goes without.
pub(crate) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
