//! Archives: what is in them, what is odd about them, what is refused.

use crate::packed::{entry, gzip, tar, zip};
use crate::scratch;
use guard::archive::{self, Broken, Kind, Limits, Odd, Oddity};
use std::fs;

type Seen = Vec<(String, Kind, String, Vec<u8>)>;

fn read_within(packed: &[u8], limits: &Limits) -> Result<(Seen, Vec<Odd>), Broken> {
    let path = scratch("archive").join("file");
    fs::write(&path, packed).unwrap();
    let mut seen = Seen::new();
    let odd = archive::each(&path, limits, &mut |member, content| {
        let bytes = archive::bytes(content, 1 << 20)?;
        seen.push((member.name.into(), member.kind, member.target.into(), bytes));
        Ok(())
    })?;
    Ok((seen, odd))
}

fn read(packed: &[u8]) -> Result<(Seen, Vec<Odd>), Broken> {
    read_within(packed, &Limits::ARTEFACT)
}

fn names(seen: &Seen) -> Vec<&str> {
    seen.iter().map(|(name, ..)| name.as_str()).collect()
}

#[test]
fn members_come_in_order_with_their_content_in_every_shape() {
    let long = vec![7; 70_000];
    let members: &[(&str, &[u8])] = &[("a/x.py", b"one"), ("a/empty", b""), ("./b", &long)];
    for packed in [zip(members), tar(members), gzip(&tar(members))] {
        let (seen, odd) = read(&packed).unwrap();
        assert_eq!(names(&seen), ["a/x.py", "a/empty", "b"]);
        assert_eq!(
            (seen[0].3.as_slice(), seen[2].3.len(), odd),
            (b"one".as_slice(), 70_000, vec![])
        );
    }
}

#[test]
fn names_that_leave_stand_twice_or_are_no_text_are_told_and_read_on() {
    let members: &[(&str, &[u8])] = &[("../x", b"1"), ("a", b"2"), ("a", b"3"), ("/etc/x", b"4")];
    for packed in [zip(members), tar(members)] {
        let (seen, odd) = read(&packed).unwrap();
        assert_eq!(seen.len(), 4);
        let told: Vec<_> = odd.iter().map(|odd| (odd.member.as_str(), odd.what.clone())).collect();
        let escapes = Oddity::Escapes;
        assert_eq!(told, [("../x", escapes.clone()), ("a", Oddity::Twice), ("/etc/x", escapes)]);
    }
    let mut odd_name = entry(b"a\xff", b'0', b"", b"1");
    odd_name.extend([0; 512]);
    assert_eq!(read(&odd_name).unwrap().1[0].what, Oddity::Unnamed);
}

#[test]
fn links_are_told_and_have_no_content() {
    let mut packed = entry(b"l", b'2', b"../../etc/passwd", b"");
    packed.extend(entry(b"h", b'1', b"l", b""));
    packed.extend(entry(b"d/", b'5', b"", b""));
    packed.extend(entry(b"pipe", b'6', b"", b""));
    packed.extend([0; 512]);
    let (seen, odd) = read(&packed).unwrap();
    let kinds: Vec<_> =
        seen.iter().map(|(n, kind, to, _)| (n.as_str(), *kind, to.as_str())).collect();
    let expected = [
        ("l", Kind::Link, "../../etc/passwd"),
        ("h", Kind::HardLink, "l"),
        ("d", Kind::Folder, ""),
    ];
    assert_eq!((kinds.as_slice(), odd), (expected.as_slice(), vec![]));
}

#[test]
fn long_names_come_from_the_headers_that_carry_them() {
    let long = "d/".repeat(90) + "file.py";
    let mut gnu = entry(b"././@LongLink", b'L', b"", format!("{long}\0").as_bytes());
    gnu.extend(entry(&long.as_bytes()[..100], b'0', b"", b"x"));
    let record = format!(" path={long}\n");
    let length = record.len() + 3;
    let mut pax = entry(b"PaxHeaders/x", b'x', b"", format!("{length}{record}").as_bytes());
    pax.extend(entry(b"short", b'0', b"", b"x"));
    for mut packed in [gnu, pax] {
        packed.extend([0; 512]);
        let (seen, odd) = read(&packed).unwrap();
        assert_eq!((names(&seen), odd), (vec![long.as_str()], vec![]));
        assert_eq!(seen[0].3, b"x");
    }
}

#[test]
fn an_encrypted_member_a_foreign_method_and_a_second_name_are_told() {
    let packed = zip(&[("member-a", b"content"), ("member-b", b"content")]);
    let first = |needle: &[u8], from: usize| {
        from + packed[from..].windows(needle.len()).position(|w| w == needle).unwrap()
    };
    let directory = first(b"PK\x01\x02", 0);
    let mut encrypted = packed.clone();
    encrypted[directory + 8] |= 1;
    assert_eq!(read(&encrypted).unwrap().1[0].what, Oddity::Encrypted);
    let mut method = packed.clone();
    method[directory + 10] = 14;
    assert_eq!(read(&method).unwrap().1[0].what, Oddity::Packed("method 14".into()));
    let mut renamed = packed.clone();
    let at = first(b"member-a", 0);
    renamed[at + 7] = b'z';
    let (seen, odd) = read(&renamed).unwrap();
    assert_eq!(seen.len(), 2);
    assert_eq!(
        odd[0],
        Odd { member: "member-a".into(), what: Oddity::NamedTwice("member-z".into()) }
    );
    let mut spoilt = packed.clone();
    let checksum = directory + 16;
    spoilt[checksum] ^= 1;
    assert!(matches!(read(&spoilt).unwrap().1[0].what, Oddity::Corrupt(_)));
}

#[test]
fn an_archive_that_was_made_to_burst_is_refused_early() {
    let zeros = vec![0; 66 << 20];
    for packed in [zip(&[("bomb", &zeros)]), gzip(&tar(&[("bomb", &zeros)]))] {
        assert!(packed.len() < 1 << 20);
        let path = scratch("bomb").join("file");
        fs::write(&path, &packed).unwrap();
        let mut taken = 0_u64;
        let refused = archive::each(&path, &Limits::ARTEFACT, &mut |_, content| {
            let mut buffer = vec![0; 64 << 10];
            loop {
                match content.read(&mut buffer)? {
                    0 => return Ok(()),
                    count => taken += count as u64,
                }
            }
        });
        assert!(matches!(refused, Err(Broken::TooMuch(_))), "{refused:?}");
        let allowed = (packed.len() as u64 * Limits::ARTEFACT.ratio_max).max(64 << 20);
        assert!(taken <= allowed + (64 << 10), "{taken}");
    }
}

#[test]
fn too_many_members_and_names_without_end_are_refused() {
    let few = Limits { members_max: 2, name_max_bytes: 10, ..Limits::ARTEFACT };
    let three: &[(&str, &[u8])] = &[("a", b""), ("b", b""), ("c", b"")];
    let long: &[(&str, &[u8])] = &[("a-name-of-more-than-ten", b"")];
    for members in [three, long] {
        for packed in [zip(members), tar(members)] {
            assert!(matches!(read_within(&packed, &few), Err(Broken::TooMuch(_))));
        }
    }
    // A name that claims to have four GiB is refused before a byte of it is kept.
    let mut endless = entry(b"././@LongLink", b'L', b"", b"");
    endless[124..136].copy_from_slice(b"40000000000\0");
    endless[148..156].copy_from_slice(b"        ");
    let sum: u32 = endless[..512].iter().map(|byte| u32::from(*byte)).sum();
    endless[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    assert!(matches!(read(&endless), Err(Broken::TooMuch(_))));
}

#[test]
fn what_is_no_archive_or_half_of_one_is_refused() {
    assert!(matches!(read(b""), Err(Broken::Malformed(_))));
    assert!(matches!(read(b"#!/bin/sh\n"), Err(Broken::Malformed(_))));
    let gone = archive::each(std::path::Path::new("gone"), &Limits::ARTEFACT, &mut |_, _| Ok(()));
    assert_eq!(gone, Err(Broken::Unreadable("it is not there".into())));
    let members: &[(&str, &[u8])] = &[("a", b"some content that is long enough"), ("b", b"more")];
    for whole in [zip(members), tar(members), gzip(&tar(members))] {
        for end in 0..whole.len() {
            // Cut anywhere, it is refused, unless nothing but its end is gone.
            if let Ok(found) = read_bytes(&whole[..end]) {
                assert_eq!(found, (2, 0), "cut at {end} of {}", whole.len());
            }
        }
    }
}

fn read_bytes(packed: &[u8]) -> Result<(usize, usize), Broken> {
    let mut seen = 0;
    let mut visit = |_: &archive::Member<'_>, content: &mut dyn std::io::Read| {
        seen += 1;
        archive::bytes(content, 1 << 20).map(drop)
    };
    let limits = &Limits::ARTEFACT;
    let odd = if packed.starts_with(b"PK") {
        archive::each_in_bytes(packed, limits, &mut visit)?
    } else {
        let size = packed.len() as u64;
        archive::each_in_stream(Box::new(packed), size, limits, &mut visit)?
    };
    Ok((seen, odd.len()))
}
