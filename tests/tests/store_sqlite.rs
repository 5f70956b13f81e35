//! The store in an `SQLite` file.

use integration_tests::store::Database;

#[path = "store_cases/audit.rs"]
#[allow(dead_code, reason = "the outcomes are for processes that were killed")]
mod audit;
#[path = "store_cases/counts.rs"]
mod counts;
#[path = "store_cases/delivery.rs"]
mod delivery;
#[path = "store_cases/operators.rs"]
mod operators;
#[path = "store_cases/pool.rs"]
mod pool;
#[path = "store_cases/queries.rs"]
mod queries;
#[path = "store_cases/rows.rs"]
mod rows;

/// A file of the test's own.
fn database() -> Database {
    Database::sqlite()
}

/// How many connections of the store there are, from outside; nobody knows that of a file.
async fn connections(_database: &Database) -> Option<i64> {
    None
}
