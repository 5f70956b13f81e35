//! How many spans a request holds, without decoding them: for receivers that must not cost anything.

/// The number of spans in an `ExportTraceServiceRequest`, or `None` when the bytes are no such message.
#[must_use]
pub fn spans(request: &[u8]) -> Option<usize> {
    const RESOURCE_SPANS: u64 = 1;
    const SCOPE_SPANS: u64 = 2;
    const SPANS: u64 = 2;
    let mut count = 0;
    each(request, RESOURCE_SPANS, &mut |of_resource| {
        each(of_resource, SCOPE_SPANS, &mut |of_scope| {
            each(of_scope, SPANS, &mut |_| {
                count += 1;
                Some(())
            })
        })
    })?;
    Some(count)
}

/// Calls for each sub-message with that field number.
fn each(mut message: &[u8], wanted: u64, found: &mut dyn FnMut(&[u8]) -> Option<()>) -> Option<()> {
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match tag & 7 {
            0 => _ = varint(&mut message)?,
            1 => _ = message.split_off(..8)?,
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                let content = message.split_off(..length)?;
                if tag >> 3 == wanted {
                    found(content)?;
                }
            }
            5 => _ = message.split_off(..4)?,
            _ => return None,
        }
    }
    Some(())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use crate::sample;

    #[test]
    fn counts_what_the_decoder_finds() {
        let request = sample::request();
        let decoded: usize =
            request.resource_spans.iter().flat_map(|r| &r.scope_spans).map(|scope| scope.spans.len()).sum();
        assert_eq!(super::spans(&request.encode_to_vec()), Some(decoded));
        assert_eq!(super::spans(&[]), Some(0));
        assert_eq!(super::spans(b"not protobuf"), None);
        let bytes = request.encode_to_vec();
        assert_eq!(super::spans(&bytes[..bytes.len() - 1]), None);
    }
}
