#[path = "bridge.rs"]
mod bridge;
#[path = "state_checks.rs"]
mod checks;
#[path = "inside.rs"]
pub(crate) mod inside;
#[path = "../../../src/layer/otel/life.rs"]
pub(crate) mod life;
#[path = "../../../src/layer/otel/state.rs"]
pub(crate) mod state;
