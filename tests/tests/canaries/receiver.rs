//! Whoever is sent something over HTTP: receivers of OTLP and of metrics, services that alert, the service that the program calls.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use crate::garden::Out;

/// The header in which credentials are sent, to whom they are meant for and nobody else.
pub(crate) const CREDENTIAL: &str = "x-canary";

/// A receiver of OTLP, and of anything else over HTTP, that keeps the bytes as they came.
pub(crate) fn receiver(out: Out) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let out = out.clone();
            std::thread::spawn(move || while receive(&stream, &out).is_some() {});
        }
    });
    endpoint
}

fn receive(mut stream: &TcpStream, out: &Out) -> Option<()> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4_096]);
    let mut more = |bytes: &mut Vec<u8>| match stream.read(&mut buffer) {
        Ok(0) | Err(_) => None,
        Ok(count) => {
            bytes.extend_from_slice(&buffer[..count]);
            Some(())
        }
    };
    let head = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        more(&mut bytes)?;
    };
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    let whole = head + length.unwrap_or(0_usize);
    while bytes.len() < whole {
        more(&mut bytes)?;
    }
    let way = match text.lines().next().unwrap_or_default() {
        first if first.contains("/v1/metrics") => "otlp metrics",
        first if first.contains("/v1/logs") => "otlp logs",
        first if first.contains("/v1/traces") => "otlp",
        first if first.contains("/metrics/job") => "pushgateway",
        first if first.contains("/slack") => "slack",
        first if first.contains("/pagerduty") => "pagerduty",
        first if first.contains("/envelope/") => "sentry",
        first => panic!("nobody sends there: {first}"),
    };
    text.lines().filter(|line| !line.starts_with(CREDENTIAL)).for_each(|line| out.put(way, line.as_bytes()));
    out.put(way, &unpacked(&text[..head], &bytes[head..]));
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").ok()
}

fn unpacked(head: &str, body: &[u8]) -> Vec<u8> {
    if !head.contains("content-encoding: gzip") {
        return body.to_vec();
    }
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(body).read_to_end(&mut unpacked).expect("gzip");
    unpacked
}

/// The service that the program calls: it answers everything with that status, and tells the secrets that it has.
pub(crate) fn service(status: u16, cookie: String, detail: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut bytes, mut buffer) = (Vec::new(), [0; 4_096]);
            while !bytes.windows(4).any(|window| window == b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(count @ 1..) => bytes.extend_from_slice(&buffer[..count]),
                    _ => break,
                }
            }
            let body = format!("{{\"detail\": \"{detail}\"}}");
            let length = body.len();
            let _ = write!(
                stream,
                "HTTP/1.1 {status} x\r\nset-cookie: session={cookie}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
        }
    });
    address
}
