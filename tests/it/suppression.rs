//! The exporter never traces itself, whatever it does.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry::trace::{Tracer as _, TracerProvider as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use otel_setup::{Exporter, LogFormat, Setup};
use tracing::Dispatch;

/// Spans and logs while it exports, through the very stack that it exports for.
#[derive(Debug, Default)]
struct Chatty {
    stack: Arc<Mutex<Option<(Dispatch, SdkTracerProvider)>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl SpanExporter for Chatty {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let stack = self.stack.lock().expect("no panic under it").clone();
        if let Some((dispatch, provider)) = stack {
            tracing::dispatcher::with_default(&dispatch, || {
                let _span = tracing::error_span!("export").entered();
                tracing::error!("exporting");
            });
            provider.tracer("exporter").in_span("native export", |_| {});
        }
        let mut seen = self.seen.lock().expect("no panic under it");
        seen.extend(batch.into_iter().map(|span| span.name.into_owned()));
        Ok(())
    }
}

#[test]
fn the_exporter_never_traces_itself() {
    let chatty = Chatty::default();
    let (slot, seen) = (chatty.stack.clone(), chatty.seen.clone());
    let stack = Setup::new("it")
        .with_env(|_| None)
        .with_exporter(Exporter::custom(chatty))
        .with_log_format(LogFormat::Off)
        .build()
        .expect("these settings are right");
    let itself = (stack.dispatch().clone(), stack.tracer_provider());
    *slot.lock().expect("no panic under it") = Some(itself);

    tracing::dispatcher::with_default(stack.dispatch(), || {
        for _ in 0..3 {
            tracing::info_span!("work").in_scope(|| {});
            stack.flush(Duration::from_secs(10)).expect("nothing is lost");
        }
    });
    assert_eq!(*seen.lock().expect("no panic under it"), ["work", "work", "work"]);
    assert_eq!(stack.stats().started, 3);
    *slot.lock().expect("no panic under it") = None;
}

/// What an exporter was told of the resource, as text.
pub(crate) type SeenResource = Arc<Mutex<Vec<(String, String)>>>;

#[derive(Debug)]
struct ResourceProbe(SeenResource);

impl SpanExporter for ResourceProbe {
    async fn export(&self, _: Vec<SpanData>) -> OTelSdkResult {
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        let pairs = resource.iter().map(|(k, v)| (k.to_string(), v.to_string()));
        *self.0.lock().expect("no panic under it") = pairs.collect();
    }
}

/// An exporter that keeps the resource, and the view of it.
pub(crate) fn resource_probe() -> (Exporter, SeenResource) {
    let seen = SeenResource::default();
    (Exporter::custom(ResourceProbe(seen.clone())), seen)
}
