//! The second service: knows what is in stock.

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tracing::error;

#[derive(Serialize, Deserialize)]
pub struct Stock {
    pub available: u32,
}

pub fn router() -> Router {
    Router::new().route("/stock/{item}", get(stock)).layer(otel_setup::axum::server_layer()) // the server's line
}

async fn stock(Path(item): Path<String>) -> Result<Json<Stock>, StatusCode> {
    match item.as_str() {
        "anvil" => {
            error!(item, "the list is lost");
            Err(StatusCode::INTERNAL_SERVER_ERROR)
        }
        "book" => Ok(Json(Stock { available: 7 })),
        _ => Ok(Json(Stock { available: 0 })),
    }
}
