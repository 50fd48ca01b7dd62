#[path = "pipeline_checks.rs"]
mod checks;
#[path = "../../../src/pipeline/ledger.rs"]
pub(crate) mod ledger;
#[path = "../../../src/pipeline/queue.rs"]
pub(crate) mod queue;
