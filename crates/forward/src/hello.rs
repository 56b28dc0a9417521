//! The first message of TLS: the name that the client asks for. Pure.
//!
//! RFC 8446, 4.1.2 and RFC 6066, 3. The message is only read as far as needed;
//! whether it is otherwise in order is the server's business.

/// Bytes of a ClientHello; those of browsers have less than 2 KiB.
pub(crate) const HELLO_MAX: usize = 16 << 10;

const HANDSHAKE_RECORD: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const ENCRYPTED_CLIENT_HELLO: u16 = 0xfe0d;

/// Fields of a ClientHello.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    /// Name in `server_name`.
    pub(crate) name: Option<String>,
    /// True if another ClientHello is inside, encrypted, or pretended to be (GREASE).
    pub(crate) has_ech: bool,
}

/// Reads the ClientHello at the start of `bytes`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// A whole one.
    Whole(Hello),
    /// More bytes are needed.
    More,
    /// Not TLS.
    Other,
}

/// See [`Read`].
pub(crate) fn read(bytes: &[u8]) -> Read {
    // The handshake message may be cut into records.
    let mut message = Vec::new();
    let mut rest = bytes;
    loop {
        if let Some(length) = length_of(&message)
            && message.len() >= length
        {
            let whole = message.get(..length).unwrap_or_default();
            return parse(whole).map_or(Read::Other, Read::Whole);
        }
        let Some((header, after)) = rest.split_at_checked(5) else {
            let may_be = rest.first().is_none_or(|kind| *kind == HANDSHAKE_RECORD)
                && rest.get(1).is_none_or(|major| *major == 3);
            return if may_be && bytes.len() < HELLO_MAX { Read::More } else { Read::Other };
        };
        let &[HANDSHAKE_RECORD, 3, _, high, low] = header else { return Read::Other };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length == 0 {
            return Read::Other;
        }
        let Some((record, after)) = after.split_at_checked(length) else {
            let is_short = bytes.len() < HELLO_MAX && length <= HELLO_MAX;
            return if is_short { Read::More } else { Read::Other };
        };
        message.extend_from_slice(record);
        if message.first() != Some(&CLIENT_HELLO) {
            return Read::Other;
        }
        rest = after;
    }
}

/// Length of the handshake message with its header.
fn length_of(message: &[u8]) -> Option<usize> {
    let &[_, high, middle, low] = message.get(..4)? else { return None };
    Some(4 + (usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)))
}

/// Cuts a vector with a length of `width` bytes from the front of `rest`.
fn vector<'b>(rest: &mut &'b [u8], width: usize) -> Option<&'b [u8]> {
    let (length, after) = rest.split_at_checked(width)?;
    let length = length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
    let (inside, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(inside)
}

fn parse(message: &[u8]) -> Option<Hello> {
    // Header, version and random.
    let mut rest = message.get(4 + 2 + 32..)?;
    vector(&mut rest, 1)?;
    vector(&mut rest, 2)?;
    vector(&mut rest, 1)?;
    let mut hello = Hello { name: None, has_ech: false };
    if rest.is_empty() {
        return Some(hello);
    }
    let mut extensions = vector(&mut rest, 2)?;
    let mut names = 0;
    while !extensions.is_empty() {
        let (kind, after) = extensions.split_at_checked(2)?;
        extensions = after;
        let body = vector(&mut extensions, 2)?;
        match u16::from_be_bytes(kind.try_into().ok()?) {
            SERVER_NAME => {
                let mut body = body;
                let mut list = vector(&mut body, 2)?;
                while !list.is_empty() {
                    let (kind, after) = list.split_first()?;
                    list = after;
                    let name = vector(&mut list, 2)?;
                    names += 1;
                    if *kind != 0 || names > 1 {
                        return None;
                    }
                    hello.name = Some(std::str::from_utf8(name).ok()?.to_owned());
                }
            }
            ENCRYPTED_CLIENT_HELLO => hello.has_ech = true,
            _ => {}
        }
    }
    Some(hello)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Hello, Read, read};
    use proptest::prelude::*;

    fn sized(width: usize, inside: &[u8]) -> Vec<u8> {
        let length = (inside.len() as u32).to_be_bytes();
        [&length[4 - width..], inside].concat()
    }

    pub(crate) fn message(names: &[&str], extra: &[u8]) -> Vec<u8> {
        let mut extensions = Vec::new();
        for name in names {
            let entry = [&[0][..], &sized(2, name.as_bytes())].concat();
            extensions.extend([&[0, 0][..], &sized(2, &sized(2, &entry))].concat());
        }
        extensions.extend(extra);
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend(sized(1, &[]));
        body.extend(sized(2, &[0x13, 0x01]));
        body.extend(sized(1, &[0]));
        body.extend(sized(2, &extensions));
        [&[1][..], &sized(3, &body)].concat()
    }

    pub(crate) fn records(message: &[u8], size: usize) -> Vec<u8> {
        message.chunks(size).flat_map(|part| [&[22, 3, 1][..], &sized(2, part)].concat()).collect()
    }

    #[test]
    fn the_name_is_read_however_the_records_are_cut() {
        let message = message(&["a.example"], &[]);
        let wanted = Read::Whole(Hello { name: Some("a.example".into()), has_ech: false });
        for size in [1, 2, 3, 7, 4000] {
            let bytes = records(&message, size);
            assert_eq!(read(&bytes), wanted, "{size}");
            for cut in 0..bytes.len() {
                assert_eq!(read(&bytes[..cut]), Read::More, "{size}, {cut}");
            }
        }
    }

    #[test]
    fn other_protocols_and_two_names_are_none() {
        let two = records(&message(&["a.example", "b.example"], &[]), 4000);
        for bytes in
            [&b"GET / HTTP/1.1\r\n"[..], b"SSH-2.0-x\r\n", b"\x16\x02", &two, b"\x16\x03\x01\0\0"]
        {
            assert_eq!(read(bytes), Read::Other, "{bytes:?}");
        }
        let silent = records(&message(&[], &[]), 4000);
        assert_eq!(read(&silent), Read::Whole(Hello { name: None, has_ech: false }));
        let ech = records(&message(&["a.example"], &[0xfe, 0x0d, 0, 0]), 4000);
        assert!(matches!(read(&ech), Read::Whole(hello) if hello.has_ech));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            drop(read(&bytes));
            drop(read(&[&[22, 3, 1][..], &sized(2, &[&[1][..], &sized(3, &bytes)].concat())].concat()));
        }
    }
}
