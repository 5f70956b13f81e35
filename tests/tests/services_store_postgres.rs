//! The store in a `PostgreSQL` server: what holds for a file holds there. Run by `scripts/test-services`.
#![cfg(feature = "services")]

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

/// A database of the test's own.
fn database() -> Database {
    Database::postgres()
}

/// How many connections of the store the server knows.
async fn connections(database: &Database) -> Option<i64> {
    let sql = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tasker-telemetry' AND datname = current_database()";
    Some(database.reader().number(sql, &[]).await.expect("the database answers"))
}
