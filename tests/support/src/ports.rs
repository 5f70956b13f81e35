//! Free ports of loopback, for servers that cannot be told to take any port and say which.
//!
//! They lie below the range from which systems give ports to clients: one of those may be gone, to any connection that somebody
//! opens, before the server takes it, or while a test has the server down.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

const RANGE: Range<u64> = 10_000..32_000;

/// Addresses at which nobody listens for TCP; all different, also from what this process was given before.
///
/// # Panics
/// When there are none.
#[must_use]
pub fn tcp<const N: usize>() -> [SocketAddr; N] {
    [(); N].map(|()| free(|address| TcpListener::bind(address).is_ok()))
}

/// The same for UDP, one.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn udp() -> SocketAddr {
    free(|address| UdpSocket::bind(address).is_ok())
}

fn free(is_free: impl Fn(SocketAddr) -> bool) -> SocketAddr {
    // Processes that run side by side begin at different places.
    static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(RandomState::new().hash_one(0) >> 1));
    let length = RANGE.end - RANGE.start;
    let ports = (0..length).map(|_| RANGE.start + NEXT.fetch_add(1, Ordering::Relaxed) % length);
    let mut addresses = ports.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, u16::try_from(port).expect("a port"))));
    addresses.find(|address| is_free(*address)).expect("a free port")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn what_is_taken_is_not_free_and_no_port_is_given_twice() {
        let given: HashSet<SocketAddr> = tcp::<100>().into_iter().chain(tcp::<100>()).collect();
        assert_eq!(given.len(), 200);
        let taken = *given.iter().next().unwrap();
        let _holder = TcpListener::bind(taken).unwrap();
        assert!((0..RANGE.end - RANGE.start).all(|_| tcp::<1>() != [taken]));
    }
}
