#[path = "state_checks.rs"]
mod checks;
#[path = "inside.rs"]
pub(crate) mod inside;
#[path = "../../../src/layer/otel/state.rs"]
pub(crate) mod state;
