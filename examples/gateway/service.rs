//! A second service in this process: with a setup that is not the process's own.

use otel_setup::Stack;
use tokio::runtime::Builder;
use tracing::dispatcher;

use crate::Failure;

/// Runs `service` on the thread that calls what this returns, on a runtime of its own: there every
/// task, whoever spawned it, is part of the traces of this stack. At the end they are flushed.
pub fn main(
    stack: Stack,
    service: impl Future<Output = Result<(), Failure>> + Send,
) -> impl FnOnce() -> Result<(), Failure> + Send {
    move || {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        dispatcher::with_default(stack.dispatch(), || runtime.block_on(service))
    }
}
