//! A service on loopback that answers as services do.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tasker_telemetry::api::{Connection, ConnectionBuilder};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What the tests plant wherever a secret may stand.
pub(crate) const CANARY: &str = "canary-7f3a";

/// A service on loopback.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    /// The heads of the requests.
    seen: Arc<Mutex<Vec<String>>>,
    /// How many bytes of a body without end it got rid of.
    pub(crate) sent: Arc<AtomicU64>,
}

impl Service {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let service = Self { address: listener.local_addr().unwrap(), seen: Arc::default(), sent: Arc::default() };
        let theirs = service.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = theirs.clone();
                tokio::spawn(async move {
                    let _ = Box::pin(service.answer(socket)).await;
                });
            }
        });
        service
    }

    pub(crate) fn connection(&self) -> ConnectionBuilder {
        Connection::builder(&format!("http://{}/v1", self.address))
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    async fn answer(&self, mut socket: TcpStream) -> std::io::Result<()> {
        let (mut head, mut byte) = (Vec::new(), [0; 1]);
        while !head.ends_with(b"\r\n\r\n") {
            if socket.read(&mut byte).await? == 0 {
                return Ok(());
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let path = head.split([' ', '?']).nth(1).unwrap_or_default().to_owned();
        let asked = {
            let mut seen = self.seen.lock().unwrap();
            seen.push(head);
            seen.len()
        };
        let what = path.rsplit('/').next().unwrap_or_default();
        let head = match what {
            "hang" => std::future::pending().await,
            "close" => return Ok(()),
            "half" => {
                return socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf").await;
            }
            "100mb" => "200 OK\r\ntransfer-encoding: chunked".to_owned(),
            "100mb-announced" => "200 OK\r\ncontent-length: 104857600".to_owned(),
            "200" => return reply(&mut socket, "200 OK", "{\"name\": \"Ada\"}").await,
            "junk" => return reply(&mut socket, "200 OK", &format!("{{\"name\": \"{CANARY}\", 1}}")).await,
            "other-form" => return reply(&mut socket, "200 OK", &format!("{{\"name\": [\"{CANARY}\"]}}")).await,
            "204" => return reply(&mut socket, "204 No Content", "").await,
            "301" => return reply(&mut socket, "301 Moved Permanently\r\nlocation: /v1/answer/200", "").await,
            "429-seconds" => "429 Too Many Requests\r\nretry-after: 7".to_owned(),
            "429-long" => "429 Too Many Requests\r\nretry-after: 3600".to_owned(),
            "429-date" => {
                let date = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(90));
                format!("429 Too Many Requests\r\nretry-after: {date}")
            }
            // A server whose clock is wrong by years still says how long to wait.
            "429-their-date" => "429 Too Many Requests\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
                 retry-after: Sun, 06 Nov 1994 08:50:07 GMT"
                .to_owned(),
            "429-junk" => "429 Too Many Requests\r\nretry-after: soon".to_owned(),
            "503-seconds" => "503 Service Unavailable\r\nretry-after: 42".to_owned(),
            // First busy, then broken, then well.
            "recovers" => match asked {
                1 => "503 Service Unavailable\r\nretry-after: 42".to_owned(),
                2 => "500 Internal Server Error".to_owned(),
                _ => return reply(&mut socket, "200 OK", "{\"name\": \"Ada\"}").await,
            },
            status => format!("{status} Whatever"),
        };
        if what.starts_with("100mb") {
            return self.flood(socket, &head, what == "100mb").await;
        }
        reply(&mut socket, &head, &format!("{{\"detail\": \"{CANARY}\"}}")).await
    }

    async fn flood(&self, mut socket: TcpStream, head: &str, chunked: bool) -> std::io::Result<()> {
        socket.write_all(format!("HTTP/1.1 {head}\r\n\r\n").as_bytes()).await?;
        let mut piece = Vec::new();
        let bytes = vec![b'x'; 65_536];
        if chunked {
            piece.extend_from_slice(b"10000\r\n");
        }
        piece.extend_from_slice(&bytes);
        if chunked {
            piece.extend_from_slice(b"\r\n");
        }
        for _ in 0..1_600 {
            socket.write_all(&piece).await?;
            self.sent.fetch_add(65_536, Ordering::SeqCst);
        }
        if chunked { socket.write_all(b"0\r\n\r\n").await } else { Ok(()) }
    }
}

async fn reply(socket: &mut TcpStream, head: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {head}\r\nset-cookie: session={CANARY}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    socket.write_all(text.as_bytes()).await
}
