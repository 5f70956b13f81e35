//! What the queue needs of the standard library and crossbeam: the model checker's tests put its own in their place
//! (`tests/tests/queue_model.rs`).

pub(super) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
pub(super) use std::sync::{Mutex, MutexGuard, OnceLock};
pub(super) use std::thread::{Thread, park, park_timeout};

pub(super) use crossbeam_queue::SegQueue;
