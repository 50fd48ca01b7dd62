//! The background worker: asks the inventory about each order, and stores the answer.

use std::fmt;
use std::net::SocketAddr;

use otel_setup::kafka::ConsumerTracing;
use otel_setup::reqwest::ClientMiddleware;
use rdkafka::Message as _;
use rdkafka::consumer::{CommitMode, Consumer as _, StreamConsumer};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::sync::watch;
use tracing::{info, instrument, warn};

use crate::Failure;
use crate::broker::GROUP;
use crate::gateway::Order;
use crate::inventory::Stock;
use crate::store::{Answer, Store};

pub struct Worker {
    client: ClientWithMiddleware,
    inventory: SocketAddr,
    store: Store,
    tracing: ConsumerTracing,
}

impl Worker {
    pub fn new(inventory: SocketAddr, store: Store) -> Self {
        let client = ClientBuilder::new(reqwest::Client::new())
            .with(ClientMiddleware::new()) // the client's line
            .build();
        let tracing = ConsumerTracing::new().with_group(GROUP); // the consumer's line
        Self { client, inventory, store, tracing }
    }

    /// Handles one message after the other until it is told to stop.
    pub async fn run(
        self,
        consumer: StreamConsumer,
        mut stopped: watch::Receiver<bool>,
    ) -> Result<(), Failure> {
        loop {
            let received = tokio::select! {
                received = consumer.recv() => received,
                _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
            };
            let message = match received {
                Ok(message) => message,
                Err(reason) => {
                    warn!(%reason, "nothing received");
                    continue;
                }
            };
            // an order that cannot be fulfilled is stored as such, and not tried again
            let handler = self.handle(message.payload().unwrap_or_default());
            let _stored = self.tracing.process(&message, handler).await;
            consumer.commit_message(&message, CommitMode::Async)?;
        }
    }

    async fn handle(&self, payload: &[u8]) -> Result<(), Unfulfilled> {
        let order: Order = serde_json::from_slice(payload).map_err(Unfulfilled::NoOrder)?;
        let answer = self.fulfil(&order).await;
        self.store.put(order.id, *answer.as_ref().unwrap_or(&Answer::Failed));
        answer.map(drop)
    }

    #[instrument(skip_all, err, fields(order.id = order.id, order.item = order.item))]
    async fn fulfil(&self, order: &Order) -> Result<Answer, Unfulfilled> {
        let url = format!("http://{}/stock/{}", self.inventory, order.item);
        let response = self.client.get(url).send().await.map_err(Unfulfilled::NoInventory)?;
        let stock = response.error_for_status().map_err(Unfulfilled::Refused)?;
        let stock = stock.bytes().await.map_err(Unfulfilled::Refused)?;
        let stock: Stock = serde_json::from_slice(&stock).map_err(Unfulfilled::NoStock)?;
        let is_there = stock.available >= order.quantity;
        info!(available = stock.available, is_there, "stock is known");
        Ok(if is_there { Answer::Reserved } else { Answer::SoldOut })
    }
}

/// Why an order has no answer.
#[derive(Debug)]
enum Unfulfilled {
    NoOrder(serde_json::Error),
    NoInventory(reqwest_middleware::Error),
    Refused(reqwest::Error),
    NoStock(serde_json::Error),
}

impl fmt::Display for Unfulfilled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoOrder(error) => write!(f, "the message is no order: {error}"),
            Self::NoInventory(error) => write!(f, "the inventory cannot be reached: {error}"),
            Self::Refused(error) => write!(f, "the inventory does not know: {error}"),
            Self::NoStock(error) => write!(f, "the inventory's answer is no stock: {error}"),
        }
    }
}
