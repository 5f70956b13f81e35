//! What an engine knows of an attempt that it runs, and what it is told in return.
//!
//! An engine counts attempts, waits between them and chooses the process; the life cycle tells what happened. So a step that
//! runs for an engine takes its attempt from here, never runs again by itself, and leaves its [`Verdict`] here.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::failure::Failure;
use crate::id::mix;
use crate::time::Timestamp;

/// One attempt of one unit of work of a task, as an engine counts it.
///
/// ```
/// use tasker_telemetry::driver::EngineAttempt;
/// // The engine's own counters often begin at 0: ours begin at 1.
/// let attempts_so_far = 0;
/// let attempt = EngineAttempt::new("charge", attempts_so_far + 1).limit(5);
/// assert_eq!(attempt.number(), 1);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineAttempt {
    key: u64,
    number: u32,
    limit: Option<u32>,
    queued_at: Option<Timestamp>,
}

impl EngineAttempt {
    /// Attempt `number` (from 1; 0 counts as 1) of that unit of work. `unit` is the engine's name for it: the same in every
    /// process and for every attempt, another for every other unit of the task. The ids of the steps inside are made of it.
    #[must_use]
    pub fn new(unit: &str, number: u32) -> Self {
        Self { key: key_of(unit), number: number.max(1), limit: None, queued_at: None }
    }

    /// How many attempts there are in all, where the engine decides that; otherwise each step says it itself
    /// (`#[step(retry_limit = ..)]`), and the engine does what the [`Verdict`] says.
    #[must_use]
    pub const fn limit(mut self, attempts: u32) -> Self {
        self.limit = Some(attempts);
        self
    }

    /// Since when this attempt could have run: the time from then to the first step is that step's `queue_time`.
    #[must_use]
    pub const fn queued_at(mut self, since: Timestamp) -> Self {
        self.queued_at = Some(since);
        self
    }

    /// Which attempt it is, from 1.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }
}

/// What the steps of an attempt say about another one. Where there were several, the one that is furthest from success counts.
///
/// It says something about the attempt only if the attempt failed: a program may go on after a step that failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Verdict {
    /// No step has ended: if the attempt failed, it was not a step's fault, and what follows is the engine's business.
    #[default]
    Open,
    /// Every step ended well.
    Completed,
    /// A step failed, and told that another attempt follows after this wait. The engine has to see to it.
    Retry(Duration),
    /// A step failed for good.
    Failed,
}

/// See the module. Part of a task that was taken up for one attempt.
pub(crate) struct Engine {
    seed: u64,
    attempt: EngineAttempt,
    /// How long the attempt has waited in its queue, until a step has told it.
    queue_nanos: AtomicU64,
    in_process: AtomicBool,
    apart: AtomicBool,
    verdict: Mutex<Verdict>,
    failure: Mutex<Option<Arc<Failure>>>,
}

impl Engine {
    /// `seed`: what all ids of the task's steps grow from.
    pub(crate) fn new(seed: u64, attempt: EngineAttempt, now: Timestamp) -> Self {
        let waited = attempt.queued_at.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        Self {
            seed,
            queue_nanos: AtomicU64::new(u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX)),
            attempt,
            in_process: AtomicBool::new(false),
            apart: AtomicBool::new(false),
            verdict: Mutex::default(),
            failure: Mutex::default(),
        }
    }

    /// What the ids of the steps in this unit of work grow from, in whichever process and attempt.
    pub(crate) fn nonce(&self) -> u64 {
        nonce_of(self.seed, self.attempt.key)
    }

    pub(crate) const fn number(&self) -> u32 {
        self.attempt.number
    }

    /// `own`: as the step says itself. Never below the attempt that runs: an attempt that died with its process is one more.
    pub(crate) fn retry_limit(&self, own: u32) -> u32 {
        self.attempt.limit.unwrap_or(own).max(self.attempt.number)
    }

    /// How long the attempt waited, for the first step that asks.
    pub(crate) fn take_queue_nanos(&self) -> u64 {
        self.queue_nanos.swap(0, Ordering::Relaxed)
    }

    pub(crate) fn retry_in_process(&self) {
        self.in_process.store(true, Ordering::Relaxed);
    }

    pub(crate) fn retries_in_process(&self) -> bool {
        self.in_process.load(Ordering::Relaxed)
    }

    pub(crate) fn stand_apart(&self) {
        self.apart.store(true, Ordering::Relaxed);
    }

    pub(crate) fn stands_apart(&self) -> bool {
        self.apart.load(Ordering::Relaxed)
    }

    pub(crate) fn tell(&self, verdict: Verdict) {
        let mut told = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        *told = (*told).max(verdict);
    }

    /// A step failed for good; `None` where nobody listens, and it was not written out.
    pub(crate) fn tell_failed(&self, failure: Option<Arc<Failure>>) {
        self.tell(Verdict::Failed);
        if let Some(failure) = failure {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        }
    }

    /// How the last step that failed for good did.
    pub(crate) fn failure(&self) -> Option<Arc<Failure>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn verdict(&self) -> Verdict {
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the ids of the steps of one unit of work grow from.
pub(crate) const fn nonce_of(seed: u64, key: u64) -> u64 {
    mix(seed ^ mix(key))
}

/// FNV-1a: every process of every version has to agree.
pub(crate) fn key_of(unit: &str) -> u64 {
    unit.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_verdict_furthest_from_success_counts() {
        let engine = Engine::new(1, EngineAttempt::new("a", 1), Timestamp::now());
        assert_eq!(engine.verdict(), Verdict::Open);
        let (short, long) = (Verdict::Retry(Duration::from_secs(1)), Verdict::Retry(Duration::from_secs(2)));
        for (told, then) in [
            (Verdict::Completed, Verdict::Completed),
            (long, long),
            (short, long),
            (Verdict::Failed, Verdict::Failed),
            (Verdict::Completed, Verdict::Failed),
        ] {
            engine.tell(told);
            assert_eq!(engine.verdict(), then);
        }
    }

    #[test]
    fn every_process_gives_a_step_the_same_id() {
        // Written down: another version must agree, or attempts of one step would look like two steps.
        assert_eq!(nonce_of(7, key_of("charge")), 0xbd20_c2b1_4e5d_9f3c);
        assert_ne!(nonce_of(7, key_of("charge")), nonce_of(7, key_of("ship")));
        assert_ne!(nonce_of(7, key_of("charge")), nonce_of(8, key_of("charge")));
    }

    #[test]
    fn the_limit_is_the_engines_else_the_steps_and_never_below_the_attempt() {
        let limit = |attempt: EngineAttempt| Engine::new(1, attempt, Timestamp::now()).retry_limit(3);
        assert_eq!(limit(EngineAttempt::new("a", 1)), 3);
        assert_eq!(limit(EngineAttempt::new("a", 1).limit(5)), 5);
        assert_eq!(limit(EngineAttempt::new("a", 4)), 4);
        assert_eq!(limit(EngineAttempt::new("a", 0)), 3);
    }
}
