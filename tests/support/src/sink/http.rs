//! As much of HTTP/1.1 as clients of OTLP speak.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use flate2::read::MultiGzDecoder;

/// No head is longer; a longer one is a mistake of the client.
const LONGEST_HEAD: u64 = 64 * 1024;
/// No body is longer, as it is in Collectors by default (20 MiB), with some room.
const LONGEST_BODY: u64 = 64 * 1024 * 1024;

/// The head of a request.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Vec<(String, String)>,
    keeps_alive: bool,
}

fn bad(problem: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem.into())
}

impl Head {
    /// Reads it; `None` when the client has closed the connection instead.
    pub(super) fn read(from: &mut BufReader<TcpStream>) -> io::Result<Option<Self>> {
        let mut limited = from.take(LONGEST_HEAD);
        let mut line = String::new();
        if limited.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace();
        let (Some(method), Some(path), Some(version)) = (words.next(), words.next(), words.next()) else {
            return Err(bad(format!("not a request line: {line:?}")));
        };
        let (method, path, is_new) = (method.to_owned(), path.to_owned(), version == "HTTP/1.1");
        let mut headers = Vec::new();
        loop {
            line.clear();
            limited.read_line(&mut line)?;
            let text = line.strip_suffix("\r\n").ok_or_else(|| bad("a head without end"))?;
            if text.is_empty() {
                break;
            }
            let (name, value) = text.split_once(':').ok_or_else(|| bad(format!("not a header: {text:?}")))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut head = Self { method, path, headers, keeps_alive: is_new };
        if let Some(connection) = head.header("connection") {
            head.keeps_alive = if is_new {
                !connection.eq_ignore_ascii_case("close")
            } else {
                connection.eq_ignore_ascii_case("keep-alive")
            };
        }
        Ok(Some(head))
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn keeps_alive(&self) -> bool {
        self.keeps_alive
    }

    /// Tells a client that waits for it to send its body.
    pub(super) fn invite_body(&self, to: &mut TcpStream) -> io::Result<()> {
        match self.header("expect") {
            Some(expect) if expect.eq_ignore_ascii_case("100-continue") => {
                to.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
            }
            _ => Ok(()),
        }
    }

    /// Half of the body as it is announced, or one byte of one that is sent in chunks.
    pub(super) fn read_half(&self, from: &mut BufReader<TcpStream>) -> io::Result<()> {
        let half = self.content_length()?.map_or(1, |length| length / 2);
        io::copy(&mut from.take(half), &mut io::sink()).map(drop)
    }

    fn content_length(&self) -> io::Result<Option<u64>> {
        let length = self.header("content-length").map(str::parse).transpose();
        length.map_err(|_| bad("content-length is no number"))
    }

    /// The body as it came, without the framing of chunks.
    pub(super) fn read_body(&self, from: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
        match self.header("transfer-encoding") {
            Some(coding) if coding.eq_ignore_ascii_case("chunked") => read_chunks(from),
            Some(other) => Err(bad(format!("transfer-encoding {other}"))),
            None => read_exactly(from, self.content_length()?.unwrap_or(0)),
        }
    }

    /// The body as it was before the client compressed it.
    pub(super) fn decompressed(&self, body: Vec<u8>) -> io::Result<Vec<u8>> {
        match self.header("content-encoding") {
            None | Some("identity") => Ok(body),
            Some("gzip") => {
                let mut plain = Vec::new();
                MultiGzDecoder::new(&*body).take(LONGEST_BODY).read_to_end(&mut plain)?;
                Ok(plain)
            }
            Some(other) => Err(bad(format!("content-encoding {other}"))),
        }
    }
}

fn read_exactly(from: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    if length > LONGEST_BODY {
        return Err(bad(format!("a body of {length} bytes")));
    }
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn read_chunks(from: &mut BufReader<TcpStream>) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        from.take(LONGEST_HEAD).read_line(&mut line)?;
        let size = line.trim_end().split(';').next().unwrap_or_default();
        let size = u64::from_str_radix(size, 16).map_err(|_| bad(format!("not the size of a chunk: {line:?}")))?;
        if size == 0 {
            // Trailers, then an empty line.
            while line.trim_end() != "" || line.is_empty() {
                line.clear();
                if from.take(LONGEST_HEAD).read_line(&mut line)? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            return Ok(body);
        }
        body.extend(read_exactly(from, size)?);
        if read_exactly(from, 2)? != b"\r\n" || body.len() as u64 > LONGEST_BODY {
            return Err(bad("a chunk without end"));
        }
    }
}

/// Writes an answer; `announced` may be more than the body has, for an answer that is cut.
pub(super) fn answer(
    to: &mut TcpStream,
    status: u16,
    headers: &[(&str, &str)],
    body: &[u8],
    announced: usize,
) -> io::Result<()> {
    let mut bytes = format!("HTTP/1.1 {status} {}\r\n", reason(status)).into_bytes();
    for (name, value) in headers {
        write!(bytes, "{name}: {value}\r\n")?;
    }
    write!(bytes, "content-length: {announced}\r\n\r\n")?;
    bytes.extend_from_slice(body);
    to.write_all(&bytes)
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        415 => "Unsupported Media Type",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Other",
    }
}
