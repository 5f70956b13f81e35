//! Identities: which task, which step, which event, as functions of a few numbers.
//!
//! On the hot path a step costs one counter; the texts that people read (UUIDs, hexadecimal trace ids) are formed from
//! the numbers when somebody looks. Rules: `docs/adr/004-identities.md`.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use uuid::Uuid;

use crate::time::Timestamp;
use crate::trace::TraceId;

/// The identity of a task: a UUID of our own, or the text that `#[task(id = ..)]` gave.
#[derive(Debug)]
pub(crate) struct TaskId {
    uuid: Option<Uuid>,
    given: bool,
    text: OnceLock<Arc<str>>,
}

impl TaskId {
    /// A fresh UUID (version 7): sortable by time, its last 62 bits random.
    pub(crate) fn random() -> Self {
        let millis = Timestamp::now().as_unix_nanos() / 1_000_000;
        Self { uuid: Some(uuid_v7(millis, nonce(), nonce())), given: false, text: OnceLock::new() }
    }

    /// Whether it is the user's own word, so that another run may have the same.
    pub(crate) const fn is_given(&self) -> bool {
        self.given
    }

    /// The identity that the user gave.
    pub(crate) fn given(text: String) -> Self {
        let uuid = Uuid::try_parse(&text).ok();
        Self { uuid, given: true, text: OnceLock::from(Arc::from(text)) }
    }

    /// The identity as people write it.
    pub(crate) fn as_str(&self) -> &str {
        self.text()
    }

    /// The same, to be shared.
    pub(crate) fn text(&self) -> &Arc<str> {
        self.text.get_or_init(|| text(self.uuid.unwrap_or_default()).into())
    }

    /// The trace id that belongs to this task: the 16 bytes of a UUID, otherwise a UUID (version 5) of the text.
    ///
    /// It is never all zeros, which W3C forbids: nor is the trace id of the nil UUID.
    pub(crate) fn trace_id(&self) -> TraceId {
        let uuid = self.uuid.filter(|uuid| !uuid.is_nil());
        let uuid = uuid.unwrap_or_else(|| Uuid::new_v5(&TRACE_NAMESPACE, self.as_str().as_bytes()));
        TraceId::from_bytes(*uuid.as_bytes())
    }
}

/// Namespace of the trace ids of tasks whose id is no UUID. Any language can compute `uuid5(namespace, task_id)`.
const TRACE_NAMESPACE: Uuid = Uuid::from_u128(0x8f2d_6a4e_31b7_4c0a_9d55_7461_736b_6572);

/// The identity of a step: a UUID (version 8) made of the task's nonce and the step's number in it.
pub(crate) fn step_id(task_nonce: u64, number: u32) -> Uuid {
    let high = mix(task_nonce ^ STEP_SALT);
    let low = mix(task_nonce.wrapping_add(u64::from(number)));
    Uuid::new_v8((u128::from(high) << 64 | u128::from(low)).to_be_bytes())
}

/// The identity of an event: a UUID (version 7) whose random part is made of the task's nonce and the event's number in it.
pub(crate) fn event_id(at: Timestamp, task_nonce: u64, sequence: u32) -> Uuid {
    let seed = task_nonce.wrapping_add(u64::from(sequence));
    uuid_v7(at.as_unix_nanos() / 1_000_000, mix(seed ^ EVENT_SALT), mix(seed))
}

/// The id as people write it. (`to_string` goes through a formatter and grows its text as it goes: half a microsecond an event.)
pub(crate) fn text(id: Uuid) -> String {
    let mut text = String::new();
    write(id, &mut text);
    text
}

/// The same, into a text that is there already.
pub(crate) fn write(id: Uuid, to: &mut String) {
    to.clear();
    to.push_str(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
}

const STEP_SALT: u64 = 0x7374_6570_5f69_6421;
const EVENT_SALT: u64 = 0x6576_656e_745f_6964;

/// As `Uuid`'s builder has it, which takes the numbers apart into bytes.
fn uuid_v7(millis: u64, high: u64, low: u64) -> Uuid {
    let (version, variant) = (7 << 12, 1 << 63);
    Uuid::from_u64_pair(millis << 16 | version | high >> 48 & 0xfff, variant | low & (u64::MAX >> 2))
}

/// A number that no other task in any process has: ids of steps and events grow from it.
///
/// One random seed a process, then a counter through a bijection: unique within the process for certain, between
/// processes as surely as 64 random bits.
pub(crate) fn nonce() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let seed = *SEED.get_or_init(|| Uuid::now_v7().as_u64_pair().1 ^ mix(u64::from(std::process::id())));
    // Odd stride: a full cycle over all 2^64 values, and far apart, so that nonce + small numbers of two tasks do not meet.
    mix(seed.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15)))
}

/// The nonce of the events that belong to no task.
pub(crate) fn stray_nonce() -> u64 {
    static STRAY: OnceLock<u64> = OnceLock::new();
    *STRAY.get_or_init(nonce)
}

/// The number of the next event that belongs to no task.
pub(crate) fn stray_sequence() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// splitmix64's finaliser: a bijection on 64 bits.
pub(crate) const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_of_many_tasks_do_not_meet() {
        let (mut steps, mut events) = (HashSet::new(), HashSet::new());
        for _ in 0..2_000 {
            let nonce = nonce();
            for number in 0..20 {
                assert!(steps.insert(step_id(nonce, number)));
                assert!(events.insert(event_id(Timestamp::from_unix_nanos(5), nonce, number)));
            }
        }
    }

    #[test]
    fn a_uuid_v7_is_made_as_the_library_for_them_makes_it() {
        for number in 0..1_000 {
            let (millis, high, low) = (mix(number) >> 16, mix(number + 1), mix(number + 2));
            let mut random = [0; 10];
            random[..2].copy_from_slice(&high.to_be_bytes()[..2]);
            random[2..].copy_from_slice(&low.to_be_bytes());
            let built = uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid();
            assert_eq!(uuid_v7(millis, high, low), built);
        }
    }

    #[test]
    fn event_ids_are_uuid_v7_of_their_time() {
        let id = event_id(Timestamp::from_unix_nanos(1_772_366_400_123_456_789), 9, 1);
        assert_eq!(id.get_version_num(), 7);
        assert_eq!(id.get_timestamp().map(|t| t.to_unix()), Some((1_772_366_400, 123_000_000)));
    }

    #[test]
    fn the_trace_id_is_a_function_of_the_task_id() {
        let uuid = "0190a5b6-7c8d-7e9f-8a0b-1c2d3e4f5061";
        assert_eq!(TaskId::given(uuid.into()).trace_id().to_string(), uuid.replace('-', ""));
        let text = || TaskId::given("order 7".into()).trace_id();
        assert_eq!(text(), text());
        assert_ne!(text(), TaskId::given("order 8".into()).trace_id());
    }
}
