//! The service that the W3C's trace-context test suite tests: it is sent `[{"url", "arguments"}]`,
//! and posts the arguments to each url, in the trace that it was called in, before it answers.
//!
//! ```text
//! cargo run --features full --example trace_context_service
//! python test.py http://127.0.0.1:5000/test   # of https://github.com/w3c/trace-context, test/
//! ```

use axum::Json;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use otel_setup::propagation::{self, HeaderExtractor, HeaderInjector, Relation};
use tokio::net::TcpListener;
use tracing::{Instrument as _, info_span};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let _guard = otel_setup::setup_tracing("trace-context-service")?;
    let listener = TcpListener::bind("127.0.0.1:5000").await?;
    serve(listener).await?;
    Ok(())
}

pub(crate) async fn serve(listener: TcpListener) -> std::io::Result<()> {
    axum::serve(listener, axum::Router::new().route("/test", post(test))).await
}

async fn test(headers: HeaderMap, Json(calls): Json<Vec<serde_json::Value>>) -> StatusCode {
    let caller = propagation::extract(&HeaderExtractor(&headers));
    let span = Relation::Child.span(&caller, || info_span!("POST /test", otel.kind = "server"));
    let answer = async {
        for call in &calls {
            let client = info_span!("POST", otel.kind = "client");
            if let Err(error) = call_back(call).instrument(client).await {
                tracing::error!(%error, "cannot call back");
                return StatusCode::BAD_GATEWAY;
            }
        }
        StatusCode::OK
    };
    answer.instrument(span).await
}

async fn call_back(call: &serde_json::Value) -> Result<(), reqwest::Error> {
    let mut headers = HeaderMap::new();
    propagation::inject(&mut HeaderInjector(&mut headers));
    let url = call["url"].as_str().unwrap_or_default();
    let request = reqwest::Client::new().post(url).headers(headers);
    request.body(call["arguments"].to_string()).send().await?.error_for_status()?;
    Ok(())
}
