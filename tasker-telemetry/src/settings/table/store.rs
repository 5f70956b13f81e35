//! Options of the store.

#[cfg(feature = "_store")]
use super::super::spec::InBuilder;
use super::super::spec::{Field, OptionSpec};
use super::super::value::{Kind, Value};
#[cfg(feature = "_store")]
use super::field;

const STORES: &[&str] = &["sqlite", "postgres"];
const STORE: bool = cfg!(any(feature = "_store", feature = "_settings"));

/// As [`field!`](super::field), among the options of the store.
#[cfg(feature = "_store")]
macro_rules! of_store {
    ($place:ident) => {
        field!(store.$place)
    };
}

/// Without a store nothing can be said of one: whoever tries is told so, or (feature `_settings`) asks what would hold.
#[cfg(not(feature = "_store"))]
macro_rules! of_store {
    ($place:ident) => {
        Field { get: |_| None, set: |_, _| {} }
    };
}

pub(super) const OPTIONS: &[OptionSpec] = &[
    OptionSpec::new(
        "store.url",
        Kind::Text,
        "\"\"",
        "\"sqlite://orders.db\"",
        "The database that tasks, steps and errors are written to, `sqlite://orders.db` or `postgres://user@host/name`; none when empty. A password in it is shown nowhere.",
    )
    .field(of_store!(url))
    .check(database)
    .features(STORES, STORE),
    OptionSpec::new(
        "store.max_connections",
        Kind::Count(2),
        "5",
        "9",
        "How many connections there are at most, the writer's included.",
    )
    .unit("connections")
    .field(of_store!(max_connections))
    .check(connections)
    .features(STORES, STORE),
    OptionSpec::new(
        "store.acquire_timeout",
        Kind::Time,
        "\"5s\"",
        "\"2s\"",
        "How long a query waits for a free connection, and a connection for the server.",
    )
    .field(of_store!(acquire_timeout))
    .check(some_time)
    .features(STORES, STORE),
    OptionSpec::new(
        "store.statement_timeout",
        Kind::Time,
        "\"5s\"",
        "\"3s\"",
        "How long one transaction or query may take; with SQLite also how long it waits for a lock.",
    )
    .field(of_store!(statement_timeout))
    .check(some_time)
    .features(STORES, STORE),
    OptionSpec::new(
        "store.delivery_timeout",
        Kind::Time,
        "\"1s\"",
        "\"500ms\"",
        "How long subscribers wait at most for an event to be written before they get it.",
    )
    .field(of_store!(delivery_timeout))
    .features(STORES, STORE),
    OptionSpec::new(
        "store.buffer_capacity",
        Kind::Count(1),
        "100_000",
        "20_000",
        "How many events may wait to be written; what is over is lost and counted.",
    )
    .unit("events")
    .field(of_store!(buffer_capacity))
    .features(STORES, STORE),
    OptionSpec::new(
        "store.durability",
        Kind::Choice(&["normal", "strict"]),
        "\"normal\"",
        "\"strict\"",
        "Whether steps never wait for the store, or a failed attempt waits until its failure is written.",
    )
    .field(of_store!(durability))
    .features(STORES, STORE),
    OptionSpec::new(
        "store.lease",
        Kind::Time,
        "\"30s\"",
        "\"1m\"",
        "How long after its last sign of life a process counts as dead, so that others may claim its tasks.",
    )
    .field(of_store!(lease))
    .check(some_time)
    .features(STORES, STORE),
    OptionSpec::new(
        "store.retention",
        Kind::Time,
        "\"0s\"",
        "\"720h\"",
        "Deletes tasks, with all that belongs to them, that ended longer ago than this; nothing when zero.",
    )
    .field(of_store!(retention))
    .features(STORES, STORE),
    OptionSpec::new(
        "store.worker_id",
        Kind::Text,
        "\"\"",
        "\"shop-1\"",
        "The name of this process in the store, its alone; made up when empty.",
    )
    .field(of_store!(worker_id))
    .features(STORES, STORE),
];

/// Never the address itself: it may hold a password.
fn database(value: &Value) -> Result<(), String> {
    let Value::Text(url) = value else { return Ok(()) };
    let needs = |feature| Err(format!("needs the feature `{feature}` of tasker-telemetry for that database"));
    match url.split_once(':').map_or(url.as_str(), |(scheme, _)| scheme) {
        "" => Ok(()),
        "sqlite" | "postgres" | "postgresql" if cfg!(feature = "_settings") => Ok(()),
        "sqlite" if cfg!(feature = "sqlite") => Ok(()),
        "sqlite" => needs("sqlite"),
        "postgres" | "postgresql" if cfg!(feature = "postgres") => Ok(()),
        "postgres" | "postgresql" => needs("postgres"),
        _ => Err("must begin with `sqlite://` or `postgres://`".to_owned()),
    }
}

/// A pool has a place for each from the beginning.
fn connections(value: &Value) -> Result<(), String> {
    match value {
        Value::Count(count) if *count > 10_000 => Err("must be a whole number, at most 10,000".to_owned()),
        _ => Ok(()),
    }
}

/// In no time no database does anything.
fn some_time(value: &Value) -> Result<(), String> {
    match value {
        Value::Time(time) if time.is_zero() => Err("must be a time of more than zero".to_owned()),
        _ => Ok(()),
    }
}
