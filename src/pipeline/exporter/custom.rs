//! A `SpanExporter` of somebody else's, driven by our worker.

use std::any::type_name;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use crate::pipeline::export::{BlockingExporter, Failure, Payload, Receipt, Retry};

pub(crate) struct CustomExporter<E> {
    inner: E,
    name: String,
}

impl<E: SpanExporter> CustomExporter<E> {
    pub(crate) fn new(inner: E) -> Self {
        let path = type_name::<E>();
        let path = path.split('<').next().unwrap_or(path);
        let name = path.rsplit("::").next().unwrap_or(path).to_owned();
        Self { inner, name }
    }
}

impl<E: SpanExporter> BlockingExporter for CustomExporter<E> {
    fn name(&self) -> &str {
        &self.name
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.inner.set_resource(resource);
    }

    fn encode(&mut self, batch: Vec<SpanData>) -> Result<Payload, Failure> {
        Ok(Payload::Spans(batch))
    }

    fn send(&mut self, payload: &mut Payload, deadline: Instant) -> Result<Receipt, Failure> {
        let spans = payload.take_spans();
        match block_on(self.inner.export(spans), deadline) {
            Some(result) => result.map(|()| Receipt::default()).map_err(failure),
            None => Err(Failure {
                message: "the export did not end within its timeout".to_owned(),
                retry: Retry::Never,
            }),
        }
    }

    fn flush(&mut self, _deadline: Instant) -> Result<(), Failure> {
        self.inner.force_flush().map_err(failure)
    }

    fn shutdown(&mut self, deadline: Instant) -> Result<(), Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.inner.shutdown_with_timeout(left).map_err(failure)
    }
}

impl<E: fmt::Debug> fmt::Debug for CustomExporter<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CustomExporter").field(&self.inner).finish()
    }
}

fn failure(error: OTelSdkError) -> Failure {
    let message = match error {
        // the exporter's own words, without what the SDK puts around them
        OTelSdkError::InternalFailure(words) => words,
        other => other.to_string(),
    };
    Failure { message, retry: Retry::Never }
}

/// Polls until the future is done or `deadline` has passed. Its other threads may wake it.
fn block_on(
    future: impl Future<Output = OTelSdkResult>,
    deadline: Instant,
) -> Option<OTelSdkResult> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return Some(result);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left == Duration::ZERO {
            return None;
        }
        std::thread::park_timeout(left);
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}
