//! A process that runs 500 tasks is killed at 50 random moments, on `SQLite` and on `PostgreSQL`. Run by `scripts/test-services`.
#![cfg(all(unix, feature = "services"))]

use integration_tests::store::Database;

#[path = "store_cases/killed/mod.rs"]
mod killed;

#[tokio::test]
async fn killed_at_fifty_random_moments_with_sqlite() {
    killed::killed_at_random_moments(Database::sqlite, 50, 0xF1FE).await;
}

#[tokio::test]
async fn killed_at_fifty_random_moments_with_postgres() {
    killed::killed_at_random_moments(Database::postgres, 50, 0xF0E5).await;
}
