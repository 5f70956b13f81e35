//! Real errors of std, `serde_json`, tokio, reqwest and sqlx, and what `error_type` they are: as themselves, in a box, in anyhow, as the cause
//! of an error whose name says nothing, and of one whose name says something.

use std::error::Error;
use std::io;
use std::time::Duration;

use tasker_telemetry::api::reqwest;
use tasker_telemetry::metrics::Format;
use tasker_telemetry::prelude::*;
use tasker_telemetry::testing::Recording;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

type Boxed = Box<dyn Error + Send + Sync>;

/// One of the program's own errors, whose name says nothing.
#[derive(Debug, thiserror::Error)]
#[error("no order")]
struct NoOrder(#[source] Boxed);

/// One whose name says something: that goes before what it wraps.
#[derive(Debug, thiserror::Error)]
#[error("no gateway")]
struct GatewayTimeout(#[source] Boxed);

macro_rules! direct {
    ($($name:ident: $error:ty),* $(,)?) => {
        $(
            #[step]
            fn $name(error: $error) -> Result<(), $error> {
                Err(error)
            }
        )*

        /// A step whose signature names the error's type.
        fn direct(error: Boxed) {
            $(
                let error = match error.downcast::<$error>() {
                    Ok(error) => return drop($name(*error)),
                    Err(other) => other,
                };
            )*
            panic!("an error of a type that is not tried: {error:?}");
        }
    };
}
direct!(
    of_io: io::Error,
    of_json: serde_json::Error,
    of_time: tokio::time::error::Elapsed,
    of_http: reqwest::Error,
    of_sql: sqlx::Error,
);

#[step]
fn in_a_box(error: Boxed) -> Result<(), Boxed> {
    Err(error)
}

#[step]
fn in_anyhow(error: anyhow::Error) -> anyhow::Result<()> {
    Err(error.context("asking"))
}

#[step]
fn as_a_cause(error: Boxed) -> Result<(), NoOrder> {
    Err(NoOrder(error))
}

#[step]
fn by_a_name(error: Boxed) -> Result<(), GatewayTimeout> {
    Err(GatewayTimeout(error))
}

/// Checks that an error is of that category in whatever form a step returns it, in the event and in the metrics.
#[track_caller]
fn expect(what: &str, expected: &str, (itself, boxed, anyhow, cause, named): Same) {
    let text = format!("{itself:?}");
    let forms: [(&str, Run); 5] = [
        ("itself", Box::new(|| direct(itself))),
        ("in a box", Box::new(|| drop(in_a_box(boxed)))),
        ("in anyhow", Box::new(|| drop(in_anyhow(anyhow)))),
        ("as a cause", Box::new(|| drop(as_a_cause(cause)))),
        ("by a name", Box::new(|| drop(by_a_name(named)))),
    ];
    for (form, run) in forms {
        let recording = Recording::new();
        recording.in_scope(run);
        let events = recording.events();
        let failed = events.named("step.failed")[0];
        let expected = if form == "by a name" { "timeout" } else { expected };
        assert_eq!(failed.error().error_type, expected, "{what} {form}: {text}");
        let page = recording.telemetry().metrics().render(Format::Prometheus);
        let errors: Vec<_> = page.lines().filter(|line| line.starts_with("tasker_step_errors_total{")).collect();
        assert!(
            matches!(errors[..], [line] if line.contains(&format!("error_type=\"{expected}\"")) && line.ends_with(" 1")),
            "{what} {form}: {errors:?}"
        );
    }
}

/// Runs a step that returns the error.
type Run = Box<dyn FnOnce()>;

/// The same error five times: errors cannot be copied.
type Same = (Boxed, Boxed, anyhow::Error, Boxed, Boxed);

macro_rules! five {
    ($error:expr) => {
        (Boxed::from($error), Boxed::from($error), anyhow::Error::new($error), Boxed::from($error), Boxed::from($error))
    };
}

/// Reads nothing, and fails.
struct Broken(io::ErrorKind);

impl io::Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(self.0.into())
    }
}

#[tokio::test(start_paused = true)]
async fn errors_of_io_json_and_time_are_known_by_their_kind() {
    let [free] = trace_kit::ports::tcp();
    expect("a file that is not there", "not_found", five!(std::fs::read("/no/such/file").unwrap_err()));
    expect("nobody listens", "network", five!(std::net::TcpStream::connect(free).unwrap_err()));
    expect("bytes that are no text", "client_error", five!(io::read_to_string(&[0xFF_u8][..]).unwrap_err()));
    expect("a file that is a folder", "other", five!(std::fs::write("/", "x").unwrap_err()));
    for (kind, expected) in [
        (io::ErrorKind::TimedOut, "timeout"),
        (io::ErrorKind::ConnectionReset, "network"),
        (io::ErrorKind::BrokenPipe, "network"),
        (io::ErrorKind::PermissionDenied, "auth"),
        (io::ErrorKind::InvalidInput, "client_error"),
        (io::ErrorKind::OutOfMemory, "other"),
    ] {
        expect("an error of io", expected, five!(io::Error::from(kind)));
    }

    let of = |text: &str| serde_json::from_str::<u8>(text).unwrap_err();
    expect("no JSON", "client_error", five!(of("{")));
    expect("half a JSON", "client_error", five!(of("")));
    expect("JSON of another form", "client_error", five!(of("\"a\"")));
    let reads = |kind| serde_json::from_reader::<_, u8>(Broken(kind)).unwrap_err();
    expect("a reader that lost its connection", "network", five!(reads(io::ErrorKind::ConnectionReset)));
    expect("a reader that waited too long", "timeout", five!(reads(io::ErrorKind::TimedOut)));

    let never = || tokio::time::timeout(Duration::from_secs(1), std::future::pending::<()>());
    expect("time that is over", "timeout", five!(never().await.unwrap_err()));
    let around = || io::Error::other(of("{"));
    expect("an error of io that says nothing around one that does", "client_error", five!(around()));
}

/// Answers every request with that head, or not at all.
async fn serve(answer: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let _ = socket.read(&mut [0; 4096]).await;
            if answer.is_empty() {
                std::future::pending::<()>().await;
            }
            let _ = socket.write_all(answer.as_bytes()).await;
        }
    });
    url
}

async fn asks(url: &str) -> reqwest::Error {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(3)).build().unwrap();
    match client.get(url).send().await.and_then(reqwest::Response::error_for_status) {
        Err(error) => error,
        Ok(response) => response.bytes().await.unwrap_err(),
    }
}

#[tokio::test(start_paused = true)]
async fn errors_of_reqwest_are_known_by_their_kind() {
    let [free] = trace_kit::ports::tcp();
    let nobody = format!("http://{free}/");
    expect("nobody listens", "network", five!(asks(&nobody).await));
    expect("no URL", "client_error", five!(asks("http://[").await));
    for (answer, expected) in [
        ("", "timeout"),
        ("HTTP/1.1 401 x\r\ncontent-length: 0\r\n\r\n", "auth"),
        ("HTTP/1.1 404 x\r\ncontent-length: 0\r\n\r\n", "not_found"),
        ("HTTP/1.1 408 x\r\ncontent-length: 0\r\n\r\n", "timeout"),
        ("HTTP/1.1 422 x\r\ncontent-length: 0\r\n\r\n", "client_error"),
        ("HTTP/1.1 429 x\r\ncontent-length: 0\r\n\r\n", "rate_limit"),
        ("HTTP/1.1 500 x\r\ncontent-length: 0\r\n\r\n", "server_error"),
        ("this is no HTTP\r\n\r\n", "network"),
    ] {
        let url = serve(answer).await;
        expect(answer, expected, five!(asks(&url).await));
    }
}

#[tokio::test]
async fn errors_of_sqlx_are_known_by_their_kind() {
    use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
    use sqlx::{ConnectOptions as _, Row as _};

    let [free] = trace_kit::ports::tcp();
    let refused = async || {
        let options = sqlx::postgres::PgConnectOptions::new().host("127.0.0.1").port(free.port());
        options.connect().await.unwrap_err()
    };
    expect("nobody listens", "network", five!(refused().await));

    let one = SqlitePoolOptions::new().max_connections(1);
    let pool = one.connect("sqlite::memory:").await.unwrap();
    sqlx::query("CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT NOT NULL)").execute(&pool).await.unwrap();
    sqlx::query("INSERT INTO t VALUES (1, 'x')").execute(&pool).await.unwrap();
    let runs = async |text: &'static str| sqlx::query(text).fetch_one(&pool).await.unwrap_err();
    expect("no row", "not_found", five!(runs("SELECT a FROM t WHERE a = 2").await));
    expect("a key that is there", "client_error", five!(runs("INSERT INTO t VALUES (1, 'y')").await));
    expect("a value that is none", "client_error", five!(runs("INSERT INTO t VALUES (2, NULL)").await));
    expect("no SQL", "client_error", five!(runs("SELEKT 1").await));
    let row = sqlx::query("SELECT b FROM t").fetch_one(&pool).await.unwrap();
    expect("no such column", "client_error", five!(row.try_get::<String, _>("c").unwrap_err()));
    expect("a column of another type", "server_error", five!(row.try_get::<i64, _>("b").unwrap_err()));
    let held = pool.acquire().await.unwrap();
    tokio::time::pause(); // the pool's own time limit passes at once
    expect("a pool that is used up", "timeout", five!(pool.acquire().await.unwrap_err()));
    tokio::time::resume();
    drop(held);
    pool.close().await;
    expect("a pool that is closed", "network", five!(pool.acquire().await.unwrap_err()));

    let missing =
        async || SqliteConnectOptions::new().filename("/no/such/folder/orders.db").connect().await.unwrap_err();
    expect("a database that is not there", "server_error", five!(missing().await));
    let folder = std::env::temp_dir().join(format!("tasker-helper-values-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = SqliteConnectOptions::new().filename(folder.join("a.db")).busy_timeout(Duration::ZERO);
    let mut holder = file.clone().create_if_missing(true).connect().await.unwrap();
    sqlx::query("CREATE TABLE t (a INTEGER)").execute(&mut holder).await.unwrap();
    sqlx::query("BEGIN EXCLUSIVE").execute(&mut holder).await.unwrap();
    let locked = async || {
        let mut other = file.clone().connect().await.unwrap();
        sqlx::query("INSERT INTO t VALUES (1)").execute(&mut other).await.unwrap_err()
    };
    expect("a database that is locked", "timeout", five!(locked().await));
    sqlx::query("COMMIT").execute(&mut holder).await.unwrap();
    let read_only = async || {
        let mut other = file.clone().read_only(true).connect().await.unwrap();
        sqlx::query("INSERT INTO t VALUES (1)").execute(&mut other).await.unwrap_err()
    };
    expect("a database that is read-only", "auth", five!(read_only().await));
    std::fs::remove_dir_all(&folder).unwrap();
}
