//! Files that hold packages: wheels, source archives, images.
//!
//! What a file is, its content says, not its name. Read where it lies by
//! [`crate::archive`]; judged by the same rules as what is installed.

pub(crate) mod cached;
pub(crate) mod image;
mod msgpack;
mod sdist;
mod wheel;

use crate::archive::{self, Broken, Kind, Limits, Member, Odd, Oddity, Shape};
use crate::finding::{Evidence, Finding, Gap, Kind as Question, Severity, Why};
use crate::inventory::Place;
use crate::manifest::Reading;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;

/// Odd members that are told one by one; the rest are counted.
const ODD_SHOWN_MAX: usize = 20;

/// What is in the file at `path`. `named` says that somebody named it: what
/// holds no packages is a gap then, and passed over if it was only met.
pub(crate) fn read(path: &Path, named: bool) -> Reading {
    apart(path, || archive_at(path, named))
}

/// The same for what only a folder can be: an OCI layout, an unpacked root.
pub(crate) fn folder(path: &Path, read: fn(&Path) -> Reading) -> Reading {
    apart(path, || read(path))
}

/// On a stack that is large enough to read code on.
fn apart(path: &Path, read: impl FnOnce() -> Reading + Send) -> Reading {
    let outcome = pycode::apart(read);
    outcome.unwrap_or_else(|| gap(path, Why::Unreadable, "no thread could be started to read it"))
}

fn archive_at(path: &Path, named: bool) -> Reading {
    if cached::is_note(path) {
        return cached::note(path);
    }
    let content = Content { path, part: cached::body(path) };
    let mut head = Vec::new();
    let opened = content.open().and_then(|file| file.take(512).read_to_end(&mut head));
    if let Err(error) = opened {
        return gap(path, Why::Unreadable, &crate::files::reason(&error));
    }
    let outcome = match Shape::of(&head) {
        Some(Shape::Zip) => wheel::read(&content),
        Some(Shape::Tar | Shape::Gzip) => sdist::read(&content).and_then(|found| match found {
            Some(reading) => Ok(Some(reading)),
            None if named => image::read(path),
            None => Ok(None),
        }),
        None => Err(Broken::Malformed("it is neither a ZIP nor a tar archive that is read".into())),
    };
    match outcome {
        Ok(Some(reading)) => reading,
        Ok(None) if named => gap(path, Why::Nothing, "there are no packages in it that are known"),
        Ok(None) => Reading::default(),
        Err(Broken::Unreadable(why)) => gap(path, Why::Unreadable, &why),
        Err(broken) => gap(path, Why::Malformed, &broken.to_string()),
    }
}

fn gap(path: &Path, why: Why, text: &str) -> Reading {
    let do_first = match why {
        Why::Unreadable => "Make it readable, or name another path.",
        _ => "Fetch it anew from where its hash is known, and audit it again.",
    };
    let gap = Gap {
        why,
        subject: path.display().to_string(),
        place: Some(Place::whole(path)),
        text: text.to_owned(),
        do_first: do_first.into(),
    };
    Reading { gaps: vec![gap], ..Reading::default() }
}

/// What is odd about members: what fools those who unpack is a finding, what
/// cannot be read a gap.
fn odd(path: &Path, odd: &[Odd], reading: &mut Reading) {
    let (hidden, seen): (Vec<&Odd>, Vec<&Odd>) = odd.iter().partition(|o| o.what.hides_content());
    if let Some(first) = hidden.first() {
        let more = hidden.len() - 1;
        let text = if more > 0 {
            format!("{}: {} (and {more} more)", first.member, first.what)
        } else {
            format!("{}: {}", first.member, first.what)
        };
        reading.append(gap(path, Why::Unreadable, &text));
    }
    if seen.is_empty() {
        return;
    }
    let mut evidence: Vec<Evidence> = seen
        .iter()
        .take(ODD_SHOWN_MAX)
        .map(|odd| Evidence {
            place: Some(Place::whole(path)),
            text: format!("{}: {}", odd.member, odd.what),
        })
        .collect();
    if seen.len() > ODD_SHOWN_MAX {
        let text = format!("and {} more", seen.len() - ODD_SHOWN_MAX);
        evidence.push(Evidence { place: None, text });
    }
    let harmless = seen.iter().all(|odd| odd.what == Oddity::Unnamed);
    reading.findings.push(Finding {
rule: crate::rule::Rule::OddArchive,
        severity: if harmless { Severity::Low } else { Severity::High },
        kind: Question::Integrity,
        subject: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        evidence,
        meaning: "The archive is made so that tools disagree about what it holds, or so that it writes outside of the folder it is unpacked into. Build tools do not make such archives.".into(),
        do_first: "Do not install or unpack it. Compare it with the hash that the index gives.".into(),
        advisories: Vec::new(),
    });
}

/// An archive: a file, or the part of one that is the archive.
struct Content<'p> {
    path: &'p Path,
    part: Option<Range<u64>>,
}

impl Content<'_> {
    fn open(&self) -> std::io::Result<archive::Section> {
        archive::Section::open(self.path, self.part.as_ref())
    }
}

/// The SHA-256 of an archive, in lower-case hexadecimal digits.
fn sha256_of(content: &Content<'_>) -> std::io::Result<String> {
    let mut file = content.open()?;
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let mut buffer = vec![0; 128 << 10];
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(crate::installed::hex(context.finish().as_ref()));
        }
        context.update(buffer.get(..count).unwrap_or_default());
    }
}

/// Every member of an archive that is a file, as `visit` wants it.
fn files(
    content: &Content<'_>,
    limits: &Limits,
    visit: &mut dyn FnMut(&str, &mut dyn std::io::Read) -> std::io::Result<()>,
) -> Result<Vec<Odd>, Broken> {
    let mut each = |member: &Member<'_>, content: &mut dyn std::io::Read| {
        if matches!(member.kind, Kind::File | Kind::Link) {
            visit(member.name, content)
        } else {
            Ok(())
        }
    };
    match &content.part {
        Some(part) => archive::each_within(content.path, part, limits, &mut each),
        None => archive::each(content.path, limits, &mut each),
    }
}
