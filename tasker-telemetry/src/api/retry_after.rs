//! `Retry-After`: when a service wants to be asked again.

use std::time::{Duration, SystemTime};

use crate::retry::LONGEST_WAIT;

/// The wait that the header asks for, at most 300 s; `None` when it says nothing that can be read. `now` is asked for dates only.
pub(super) fn wait(header: &str, now: impl FnOnce() -> SystemTime) -> Option<Duration> {
    let header = header.trim();
    if !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are a long time all the same.
        let seconds = header.parse().unwrap_or(u64::MAX);
        return Some(Duration::from_secs(seconds).min(LONGEST_WAIT));
    }
    let date = date(header)?;
    // One that has passed asks for no wait.
    Some(date.duration_since(now()).unwrap_or_default().min(LONGEST_WAIT))
}

/// A date of HTTP, in any of its three forms.
pub(super) fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_understood_and_junk_is_nothing() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT
        for (header, seconds) in [
            ("0", Some(0)),
            ("17", Some(17)),
            (" 300 ", Some(300)),
            ("301", Some(300)),
            ("99999999999999999999999", Some(300)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sunday, 06-Nov-94 08:50:07 GMT", Some(30)),
            ("Sun Nov  6 08:50:07 1994", Some(30)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(0)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Mon, 07 Nov 1994 08:49:37 GMT", Some(300)),
            ("", None),
            ("soon", None),
            ("-5", None),
            ("1.5", None),
            ("+3", None),
            ("5 s", None),
            ("Sun, 06 Nov 1994", None),
        ] {
            assert_eq!(wait(header, || now), seconds.map(Duration::from_secs), "{header:?}");
        }
    }
}
