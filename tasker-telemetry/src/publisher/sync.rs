//! What the queue needs of the standard library and others: the model checker's tests put its own in their place
//! (`tests/tests/queue_model.rs`).

pub(super) use std::sync::OnceLock;
pub(super) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
pub(super) use std::thread::{Thread, park, park_timeout};

pub(super) use crossbeam_queue::SegQueue;
// Of the standard library each lock and unlock asks whether the thread panics: 15 instructions of 60 a push.
pub(super) use parking_lot::{Mutex, MutexGuard};
