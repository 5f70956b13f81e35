//! Whether something listens at an address, with a limit.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::sync::mpsc;
use std::time::Duration;

/// How long a name or a connection may take.
const CONNECT: Duration = Duration::from_secs(2);

/// Host and port of `http://host:port/path`, `grpc://..`, or `host:port`.
pub(super) fn authority(url: &str, default_port: u16) -> Option<(String, u16)> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let by_scheme = match scheme {
        "https" => 443,
        "http" if default_port == 0 => 80,
        _ => default_port,
    };
    if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        let port = port.strip_prefix(':').map_or(Some(by_scheme), |port| port.parse().ok())?;
        return Some((host.to_owned(), port));
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, by_scheme),
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

/// The addresses of a name. Asking for one has no limit of its own, so a thread does it.
fn addresses(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let (sender, receiver) = mpsc::channel();
    let name = host.to_owned();
    std::thread::spawn(move || {
        // Nobody may be listening any more.
        let _ = sender.send((name.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>));
    });
    match receiver.recv_timeout(CONNECT) {
        Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
        Ok(Ok(_)) => Err(format!("the name `{host}` has no address")),
        Ok(Err(error)) => Err(format!("the name `{host}` is not known: {error}")),
        Err(_) => Err(format!("nobody says within {} s what the name `{host}` means", CONNECT.as_secs())),
    }
}

/// Connects over TCP.
pub(super) fn connect(host: &str, port: u16) -> Result<TcpStream, String> {
    let mut last = String::new();
    for address in addresses(host, port)?.into_iter().take(2) {
        match TcpStream::connect_timeout(&address, CONNECT / 2) {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                last = format!("nothing listens at {host}:{port}");
            }
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                last = format!("{host}:{port} does not answer");
            }
            Err(error) => last = format!("{host}:{port}: {error}"),
        }
    }
    Err(last)
}

/// Sends a datagram and hears whether the machine there refuses it. Over UDP nobody says that it came.
pub(super) fn send_udp(host: &str, port: u16, packet: &[u8]) -> Result<(), String> {
    let address = addresses(host, port)?.into_iter().next().ok_or_else(|| format!("`{host}` has no address"))?;
    let own = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => format!("nothing listens at {host}:{port}"),
        _ => format!("{host}:{port}: {error}"),
    };
    let socket = UdpSocket::bind(own).and_then(|socket| socket.connect(address).map(|()| socket)).map_err(failed)?;
    socket.send(packet).map_err(failed)?;
    // A refusal comes back as an error of the next call.
    socket.set_read_timeout(Some(Duration::from_millis(200))).map_err(failed)?;
    match socket.recv(&mut [0; 16]) {
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Err(failed(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities() {
        for (url, expected) in [
            ("http://localhost:4318/v1/traces", Some(("localhost", 4318))),
            ("https://api.honeycomb.io", Some(("api.honeycomb.io", 443))),
            ("http://collector", Some(("collector", 4318))),
            ("http://user:pass@host:1/x", Some(("host", 1))),
            ("http://[::1]:4317", Some(("::1", 4317))),
            ("127.0.0.1:8125", Some(("127.0.0.1", 8125))),
            ("host", Some(("host", 4318))),
            ("http://host:port", None),
            ("http://", None),
        ] {
            let found = authority(url, 4318);
            assert_eq!(found, expected.map(|(host, port)| (host.to_owned(), port)), "{url}");
        }
    }
}
