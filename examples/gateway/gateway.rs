//! The web server: takes orders, and hands them to whoever listens to the topic.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use rdkafka::producer::FutureRecord;
use serde::{Deserialize, Serialize};
use tracing::{error, info};

use crate::broker::{Producer, TOPIC};
use crate::store::Store;

#[derive(Clone)]
struct Gateway {
    producer: Producer,
    store: Store,
    next_id: Arc<AtomicU64>,
}

/// What a client asks for.
#[derive(Deserialize)]
struct Wish {
    item: String,
    quantity: u32,
}

/// What travels through Kafka.
#[derive(Serialize, Deserialize)]
pub struct Order {
    pub id: u64,
    pub item: String,
    pub quantity: u32,
}

/// What the client gets.
#[derive(Serialize, Deserialize)]
pub struct Accepted {
    pub id: u64,
}

pub fn router(producer: Producer, store: Store) -> Router {
    // ids go on where those of an earlier run have ended
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let first = if std::env::var_os("KAFKA_BROKERS").is_some() { now.as_secs() } else { 1 };
    let next_id = Arc::new(AtomicU64::new(first));
    Router::new()
        .route("/orders", post(accept))
        .route("/orders/{id}", get(show))
        .with_state(Gateway { producer, store, next_id })
        .layer(otel_setup::axum::server_layer()) // the server's line
}

async fn accept(State(gateway): State<Gateway>, Json(wish): Json<Wish>) -> impl IntoResponse {
    let id = gateway.next_id.fetch_add(1, Ordering::Relaxed);
    let order = Order { id, item: wish.item, quantity: wish.quantity };
    let payload = serde_json::to_string(&order).expect("an order has a form in JSON");
    let key = id.to_string();
    let record = FutureRecord::to(TOPIC).key(&key).payload(&payload);
    match gateway.producer.send(record, Duration::from_secs(5)).await {
        Ok(_) => {
            info!(id, item = order.item, "order accepted");
            Ok((StatusCode::ACCEPTED, Json(Accepted { id })))
        }
        Err((reason, _)) => {
            error!(id, %reason, "order lost");
            Err(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

async fn show(State(gateway): State<Gateway>, Path(id): Path<u64>) -> impl IntoResponse {
    gateway.store.get(id).map(Json).ok_or(StatusCode::NOT_FOUND)
}
