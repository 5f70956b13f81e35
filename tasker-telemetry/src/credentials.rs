//! Addresses as they may be shown: an address may hold a user, a password, a key in its query.

#[cfg(feature = "otlp")]
use crate::filter::DEFAULT_FILTER_MASK;

/// An address in a message.
#[cfg(feature = "otlp")]
pub(crate) fn shown(address: &str) -> String {
    let mask = DEFAULT_FILTER_MASK;
    if address.contains("://") {
        return without(address, mask);
    }
    // Somebody forgot the scheme.
    let end = address.find('/').unwrap_or(address.len());
    without_query(address[..end].rfind('@').map_or(address, |at| &address[at..]), mask)
}

/// `http://[FILTERED]@host/path?key=[FILTERED]` of `http://user:password@host/path?key=value`. What is no address stays as it is.
///
/// Which entry of a query is a key nobody can know from its name: `sslmode` goes with the others.
pub(crate) fn without(text: &str, mask: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    // A password that holds a `?` or `#` as it is ends here all the same.
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{mask}{}", without_query(&rest[at..], mask)),
        None => format!("{scheme}://{}", without_query(rest, mask)),
    }
}

fn without_query(text: &str, mask: &str) -> String {
    let Some((path, query)) = text.split_once('?') else { return text.to_owned() };
    let entry =
        |entry: &str| entry.split_once('=').map_or_else(|| mask.to_owned(), |(name, _)| format!("{name}={mask}"));
    format!("{path}?{}", query.split('&').map(entry).collect::<Vec<_>>().join("&"))
}

/// Headers as they may be shown: their names.
#[cfg(feature = "otlp")]
pub(crate) fn names(headers: &[(String, String)]) -> Vec<&str> {
    headers.iter().map(|(name, _)| name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_in_addresses_are_masked() {
        let hidden = |text| without(text, "*");
        assert_eq!(hidden("http://user:p@ss@host:1/a@b"), "http://*@host:1/a@b");
        assert_eq!(hidden("http://us:pa?ss@host"), "http://*@host");
        assert_eq!(hidden("http://host/a@b"), "http://host/a@b");
        assert_eq!(hidden("plain@text?token=x"), "plain@text?token=x");
        assert_eq!(hidden("postgres://host/db?password=x&y"), "postgres://host/db?password=*&*");
    }

    #[cfg(feature = "otlp")]
    #[test]
    fn a_message_shows_nothing_that_may_be_one() {
        assert_eq!(shown("http://u:p@host/x?a=1"), "http://[FILTERED]@host/x?a=[FILTERED]");
        assert_eq!(shown("u:p@host:4318"), "@host:4318");
        assert_eq!(shown("host:4318"), "host:4318");
    }
}
