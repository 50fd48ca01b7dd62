//! The user's own layers, as one.

use std::any::TypeId;

use tracing::metadata::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata};
use tracing_subscriber::layer::{Context, Layer};
use tracing_subscriber::registry::Registry;

use super::UserLayer;
use crate::guarded::guarded;

/// A `Vec` of layers, which would not tell them when the stack has become a dispatcher.
///
/// A panic that unwound from a span's beginning or end would leave it open, its parents with it, and
/// its context current: there it stays with the layer that it comes from, and what the panic hook
/// says of it.
pub(super) struct UserLayers(pub(super) Vec<UserLayer>);

impl UserLayers {
    fn each(&self, call: impl Fn(&UserLayer)) {
        for layer in &self.0 {
            // the hook has said it
            let _ = guarded(|| call(layer));
        }
    }
}

impl Layer<Registry> for UserLayers {
    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.0.iter().for_each(|layer| layer.on_register_dispatch(dispatch));
    }

    fn on_layer(&mut self, subscriber: &mut Registry) {
        self.0.on_layer(subscriber);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.0.register_callsite(metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>, cx: Context<'_, Registry>) -> bool {
        self.0.enabled(metadata, cx)
    }

    fn event_enabled(&self, event: &Event<'_>, cx: Context<'_, Registry>) -> bool {
        self.0.event_enabled(event, cx)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.0.max_level_hint()
    }

    fn on_new_span(&self, attrs: &Attributes<'_>, id: &Id, cx: Context<'_, Registry>) {
        self.each(|layer| layer.on_new_span(attrs, id, cx.clone()));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, cx: Context<'_, Registry>) {
        self.0.on_record(id, values, cx);
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, cx: Context<'_, Registry>) {
        self.0.on_follows_from(id, follows, cx);
    }

    fn on_event(&self, event: &Event<'_>, cx: Context<'_, Registry>) {
        self.0.on_event(event, cx);
    }

    fn on_enter(&self, id: &Id, cx: Context<'_, Registry>) {
        self.each(|layer| layer.on_enter(id, cx.clone()));
    }

    fn on_exit(&self, id: &Id, cx: Context<'_, Registry>) {
        self.each(|layer| layer.on_exit(id, cx.clone()));
    }

    fn on_close(&self, id: Id, cx: Context<'_, Registry>) {
        self.each(|layer| layer.on_close(id.clone(), cx.clone()));
    }

    fn on_id_change(&self, old: &Id, new: &Id, cx: Context<'_, Registry>) {
        self.0.on_id_change(old, new, cx);
    }

    // SAFETY: the pointer is that of a layer inside, which is part of `self`
    #[expect(unsafe_code, reason = "passes on what the layers inside are asked")]
    unsafe fn downcast_raw(&self, id: TypeId) -> Option<*const ()> {
        unsafe { self.0.downcast_raw(id) }
    }
}
