//! The store in a `PostgreSQL` server: what holds for a file holds there. Run by `scripts/test-services`.
#![cfg(feature = "services")]

use integration_tests::store::Database;

#[path = "store_cases/delivery.rs"]
mod delivery;
#[path = "store_cases/operators.rs"]
mod operators;
#[path = "store_cases/queries.rs"]
mod queries;
#[path = "store_cases/rows.rs"]
mod rows;

/// A database of the test's own.
fn database() -> Database {
    Database::postgres()
}
