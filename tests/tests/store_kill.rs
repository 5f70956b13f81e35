//! A process that is killed leaves nothing half in its `SQLite` file. More kills, and `PostgreSQL`: `services_store_kill.rs`.
#![cfg(unix)]

use integration_tests::store::Database;

#[path = "store_cases/killed/mod.rs"]
mod killed;

#[tokio::test]
async fn killed_at_five_random_moments() {
    killed::killed_at_random_moments(Database::sqlite, 5, 0x5EED).await;
}
