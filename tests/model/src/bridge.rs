#[path = "bridge_checks.rs"]
mod checks;
#[path = "../../../src/layer/otel/bridge/entries.rs"]
pub(crate) mod entries;
#[path = "../../../src/layer/otel/bridge/handover.rs"]
pub(crate) mod handover;
