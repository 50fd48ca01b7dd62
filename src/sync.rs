//! What threads meet in. The model checks in `tests/model/` compile the rooms that use this against the
//! versions of a scheduler that tries the orders in which threads can run.

pub(crate) use std::sync::{Arc, atomic, mpsc};
pub(crate) use std::thread;

pub(crate) use parking_lot::{Mutex, MutexGuard};
