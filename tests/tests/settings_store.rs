//! Options of the store, as file and environment say them: each changes what the store does.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use integration_tests::settings::File;
use integration_tests::store::{Database, store};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Executor as _};
use tasker_telemetry::prelude::*;
use tasker_telemetry::settings::{self, Source};
use tasker_telemetry::store::{Durability, StoreError, StoreHealth, StoreOptions};
use tasker_telemetry::{BuildError, Builder};

#[step]
fn charge(order: u64) -> Result<u64, String> {
    if order == 13 { Err("declined".to_owned()) } else { Ok(order) }
}

#[task(id = order)]
fn order_process(order: u64) -> Result<u64, String> {
    charge(order)
}

/// As the environment says it.
fn by(database: &Database, options: &[(&str, &str)]) -> Builder {
    let own = |key: &str| format!("TASKER_TELEMETRY__STORE__{}", key.to_ascii_uppercase());
    let url = [(own("url"), database.url()), ("TASKER_TELEMETRY__TRACES_EXPORTER".to_owned(), "none")];
    let said = url.into_iter().chain(options.iter().map(|(key, value)| (own(key), *value)));
    Telemetry::from_variables(said).unwrap().auto_subscribers(false)
}

fn health(telemetry: &Telemetry) -> StoreHealth {
    store(telemetry).health()
}

/// What came of some orders while another process held the file.
async fn behind_a_lock(options: &[(&str, &str)]) -> (StoreHealth, String) {
    let database = Database::sqlite();
    let telemetry = by(&database, options).build().unwrap();
    drop(telemetry.in_scope(|| order_process(13)));
    telemetry.flush().await.unwrap();
    let mut lock = SqliteConnection::connect(database.url()).await.unwrap();
    lock.execute("BEGIN IMMEDIATE").await.unwrap();
    for order in 100..105 {
        drop(telemetry.in_scope(|| order_process(order)));
    }
    while health(&telemetry).is_up {
        tokio::task::yield_now().await;
    }
    let fell_behind = health(&telemetry).last_error.unwrap();
    if options.iter().any(|(key, _)| *key == "statement_timeout") {
        let retried = store(&telemetry).retry_task("13", "somebody wants it").await;
        assert!(matches!(retried, Err(StoreError::Unavailable(_))), "{retried:?}");
    }
    (health(&telemetry), fell_behind)
}

#[tokio::test]
async fn the_store_is_as_file_and_environment_say() {
    let database = Database::sqlite();
    let file = File::new(&format!("[telemetry.store]\nurl = \"{}\"\nworker_id = \"shop-1\"\n", database.url()));
    let telemetry = Telemetry::builder().auto_subscribers(false).config_file(file.path()).build().unwrap();
    telemetry.in_scope(|| order_process(7)).unwrap();
    telemetry.flush().await.unwrap();
    assert_eq!(store(&telemetry).worker_id(), "shop-1");
    assert_eq!(store(&telemetry).task_stats("7").await.unwrap().unwrap().completed_steps, 1);
    drop(telemetry);

    // Code is stronger, option by option.
    let code = StoreOptions::new().worker_id("shop-2");
    let builder = by(&database, &[("worker_id", "shop-3"), ("durability", "strict")]);
    let telemetry = builder.store_with(database.url(), code).build().unwrap();
    let settings = telemetry.settings();
    let said = |key: &str| settings.get(key).map(|setting| (setting.value.clone(), setting.source.clone())).unwrap();
    assert_eq!(store(&telemetry).worker_id(), "shop-2");
    assert_eq!(said("store.worker_id"), ("\"shop-2\"".to_owned(), Source::Code));
    let variable = Source::Variable("TASKER_TELEMETRY__STORE__DURABILITY".to_owned());
    assert_eq!(said("store.durability"), ("\"strict\"".to_owned(), variable));
    assert_eq!(said("store.lease"), ("\"30s\"".to_owned(), Source::Default));

    let none = Telemetry::builder().auto_subscribers(false).option("store.url", "").build().unwrap();
    assert!(none.store().is_none(), "nobody wants one");
}

#[tokio::test]
async fn every_option_of_the_store_makes_a_difference() {
    let mut tried = BTreeSet::from(["store.url", "store.worker_id"]); // above
    let mut try_out = |key| assert!(tried.insert(key));

    try_out("store.lease");
    let lease = async |options: &[(&str, &str)]| {
        let database = Database::sqlite();
        let telemetry = by(&database, options).build().unwrap();
        drop(telemetry.in_scope(|| order_process(7)));
        telemetry.flush().await.unwrap();
        let until = database.reader().number("SELECT max(lease_until) FROM tasker_workers", &[]).await.unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
        until > i64::try_from(now).unwrap() + 1_800_000_000_000
    };
    assert!(lease(&[("lease", "1h")]).await && !lease(&[]).await);

    try_out("store.retention");
    let database = Database::sqlite();
    let telemetry = by(&database, &[]).build().unwrap();
    drop(telemetry.in_scope(|| order_process(7)));
    telemetry.shutdown().await.unwrap();
    let (reader, sql) = (database.reader(), "SELECT count(*) FROM tasker_tasks");
    assert_eq!(reader.number(sql, &[]).await.unwrap(), 1);
    let _telemetry = by(&database, &[("retention", "0.000000001")]).build().unwrap();
    while reader.number(sql, &[]).await.unwrap() > 0 {
        tokio::task::yield_now().await;
    }

    try_out("store.max_connections");
    let most = async |connections: &str| {
        let database = Database::sqlite();
        let telemetry = by(&database, &[("max_connections", connections)]).build().unwrap();
        let store = store(&telemetry);
        let ask = || store.errors_by_class(Duration::from_hours(1));
        drop(futures::future::join_all((0..50).map(|_| ask())).await);
        store.health().connections
    };
    assert_eq!(most("2").await, 2);
    assert!(most("9").await > 2);

    // A server that takes connections and never says a word.
    try_out("store.acquire_timeout");
    try_out("store.durability");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("postgres://shop@{}/shop?sslmode=disable", silent.local_addr().unwrap());
    let build = |durability: &str| {
        let begun = Instant::now();
        let builder = Telemetry::builder().auto_subscribers(false).option("store.url", &url);
        let builder = builder.option("store.acquire_timeout", "20ms").option("store.durability", durability);
        let built = builder.shutdown_timeout(Duration::from_millis(1)).build();
        assert!(begun.elapsed() < Duration::from_secs(4), "it waits for as long as by default");
        built.map(|telemetry| health(&telemetry).is_up)
    };
    assert!(matches!(build("normal"), Ok(false)));
    assert!(matches!(build("strict"), Err(BuildError::Store(StoreError::Unavailable(_)))));
    assert_ne!(Durability::Strict, Durability::default());

    try_out("store.delivery_timeout");
    try_out("store.statement_timeout");
    try_out("store.buffer_capacity");
    let begun = Instant::now();
    let (health, fell_behind) = behind_a_lock(&[("delivery_timeout", "3ms")]).await;
    assert!(fell_behind.contains("slower than 3ms"), "{fell_behind}");
    assert_eq!(health.lost_total(), 0, "{health:?}");
    let limits = [("delivery_timeout", "3ms"), ("statement_timeout", "200ms"), ("buffer_capacity", "7")];
    let (health, _) = behind_a_lock(&limits).await;
    assert!(health.waiting <= 7 && health.lost.get("buffer_full").is_some_and(|lost| *lost >= 20), "{health:?}");
    assert!(begun.elapsed() < Duration::from_secs(4), "it waits for as long as by default");

    let all = settings::options().iter().map(|option| option.key).filter(|key| key.starts_with("store."));
    assert_eq!(tried, all.collect(), "each is tried");
}

#[test]
fn a_database_that_cannot_be_is_told_without_its_password() {
    let error =
        settings::check("[telemetry.store]\nurl = \"mysql://shop:canary@host/shop\"\n").unwrap_err().to_string();
    assert_eq!(error, "tasker.toml:2: `store.url` must begin with `sqlite://` or `postgres://`");
    let error = settings::check("[telemetry.store]\nmax_connection = 7\n").unwrap_err().to_string();
    assert_eq!(error, "tasker.toml:2: `store.max_connection` is no option; did you mean `store.max_connections`?");
    for (text, says) in [
        ("max_connections = 4_000_000_000", "`store.max_connections` must be a whole number, at most 10,000"),
        ("lease = 0", "`store.lease` must be a time of more than zero"),
        ("statement_timeout = \"0ms\"", "`store.statement_timeout` must be a time of more than zero"),
        ("acquire_timeout = 0", "`store.acquire_timeout` must be a time of more than zero"),
    ] {
        let error = settings::check(&format!("[telemetry.store]\n{text}\n")).unwrap_err().to_string();
        assert_eq!(error, format!("tasker.toml:2: {says}"));
    }
    let url = "postgres://shop:canary@127.0.0.1:1/shop?password=canary";
    let builder = Telemetry::builder().auto_subscribers(false).store(url).option("store.acquire_timeout", "1ms");
    let telemetry = builder.shutdown_timeout(Duration::from_millis(1)).build().unwrap();
    let shown = telemetry.settings().get("store.url").unwrap().value.clone();
    assert_eq!(shown, "\"postgres://[FILTERED]@127.0.0.1:1/shop?password=[FILTERED]\"");
}
