//! Records as bytes, for the spool: small, and cheap both ways.
//!
//! Fields follow each other in one order, without names. Numbers take a byte
//! for each seven bits (LEB128; signed ones zigzag), a text its length and its
//! bytes. New fields are added at the end: whoever reads an older record finds
//! them empty, whoever reads a newer one leaves them. Names are cut to a
//! length, so that every record is one that can be written down.

use crate::record::{CostSource, Ending, Opened, SpendRecord, Timing, UsageCounts};
use crate::record_id::RecordId;
use base::{KeyHash, NanoUsd};
use std::sync::Arc;

impl SpendRecord {
    /// Appends all but its id.
    pub fn encode(&self, into: &mut Vec<u8>) {
        // Every field by name, so that none is forgotten.
        let Self {
            id: _,
            request_id,
            call_type,
            ending,
            status,
            error_class,
            cost,
            cost_source,
            price_version,
            usage,
            model_group,
            upstream_model,
            deployment_id,
            provider,
            api_base,
            credential_id,
            key_hash,
            key_alias,
            user_id,
            end_user,
            team_id,
            organization_id,
            tags,
            reserved_ms,
            start_ms,
            first_byte_ms,
            end_ms,
            requester_ip,
            session_id,
            cache_hit,
            timing,
        } = self;
        let mut to = Writer(into);
        to.text(request_id);
        to.text(call_type);
        to.number(*ending as u64);
        to.number(u64::from(*status));
        to.maybe(error_class.as_deref());
        to.signed(cost.0);
        to.number(*cost_source as u64);
        to.maybe(price_version.as_deref());
        for count in counts(usage) {
            to.number(count);
        }
        to.text(model_group);
        to.text(upstream_model);
        to.text(deployment_id);
        to.text(provider);
        to.text(api_base);
        to.maybe(credential_id.as_deref());
        to.hash(*key_hash);
        to.maybe(key_alias.as_deref());
        to.maybe(user_id.as_deref());
        to.maybe(end_user.as_deref());
        to.maybe(team_id.as_deref());
        to.maybe(organization_id.as_deref());
        to.number(tags.len().min(TAGS_MAX) as u64);
        for tag in tags.iter().take(TAGS_MAX) {
            to.text(tag);
        }
        to.signed(*start_ms);
        to.signed(reserved_ms.wrapping_sub(*start_ms));
        to.signed(end_ms.wrapping_sub(*start_ms));
        to.number(u64::from(first_byte_ms.is_some()));
        to.signed(first_byte_ms.map_or(0, |ms| ms.wrapping_sub(*start_ms)));
        to.maybe(requester_ip.as_deref());
        to.maybe(session_id.as_deref());
        to.number(u64::from(*cache_hit));
        to.timing(*timing);
    }

    /// What [`SpendRecord::encode`] appended; `None` where it is not that.
    /// Texts that `like` has too share its memory: most records resemble the
    /// one before.
    pub fn decode(id: RecordId, bytes: &[u8], like: Option<&Self>) -> Option<Self> {
        Self::read(id, Reader(bytes), like).ok()
    }

    fn read(id: RecordId, mut from: Reader<'_>, like: Option<&Self>) -> Result<Self, Broken> {
        let mut record = Self::new(id, 0);
        record.request_id = from.text(None)?;
        record.call_type = from.text(like.map(|like| &like.call_type))?;
        let ending = from.number()?;
        record.ending = *Ending::ALL.iter().find(|known| **known as u64 == ending).ok_or(Broken)?;
        record.status = u16::try_from(from.number()?).or(Err(Broken))?;
        record.error_class = from.maybe(like.and_then(|like| like.error_class.as_ref()))?;
        record.cost = NanoUsd(from.signed()?);
        record.cost_source = *CostSource::ALL.get(from.index()?).ok_or(Broken)?;
        record.price_version = from.maybe(like.and_then(|like| like.price_version.as_ref()))?;
        record.usage = from.counts()?;
        record.model_group = from.text(like.map(|like| &like.model_group))?;
        record.upstream_model = from.text(like.map(|like| &like.upstream_model))?;
        record.deployment_id = from.text(like.map(|like| &like.deployment_id))?;
        record.provider = from.text(like.map(|like| &like.provider))?;
        record.api_base = from.text(like.map(|like| &like.api_base))?;
        record.credential_id = from.maybe(like.and_then(|like| like.credential_id.as_ref()))?;
        record.key_hash = from.hash()?;
        record.key_alias = from.maybe(like.and_then(|like| like.key_alias.as_ref()))?;
        record.user_id = from.maybe(like.and_then(|like| like.user_id.as_ref()))?;
        record.end_user = from.maybe(like.and_then(|like| like.end_user.as_ref()))?;
        record.team_id = from.maybe(like.and_then(|like| like.team_id.as_ref()))?;
        record.organization_id = from.maybe(like.and_then(|like| like.organization_id.as_ref()))?;
        for _ in 0..from.number()? {
            let place = record.tags.len();
            let tag = from.held_text(like.and_then(|like| like.tags.get(place)))?;
            record.tags.push(tag);
        }
        record.start_ms = from.signed()?;
        record.reserved_ms = record.start_ms.wrapping_add(from.signed()?);
        record.end_ms = record.start_ms.wrapping_add(from.signed()?);
        let has_first_byte = from.number()? != 0;
        let first_byte_ms = record.start_ms.wrapping_add(from.signed()?);
        record.first_byte_ms = has_first_byte.then_some(first_byte_ms);
        record.requester_ip = from.maybe(like.and_then(|like| like.requester_ip.as_ref()))?;
        record.session_id = from.maybe(like.and_then(|like| like.session_id.as_ref()))?;
        record.cache_hit = from.number()? != 0;
        record.timing = from.timing()?;
        Ok(record)
    }
}

impl Opened {
    /// Appends all but its id.
    pub fn encode(&self, into: &mut Vec<u8>) {
        let Self {
            id: _,
            key_hash,
            user_id,
            team_id,
            organization_id,
            end_user,
            reserved,
            reserved_ms,
            start_ms,
            call_type,
            model_group,
            upstream_model,
            deployment_id,
            provider,
            request_id,
        } = self;
        let mut to = Writer(into);
        to.hash(*key_hash);
        to.maybe(user_id.as_deref());
        to.maybe(team_id.as_deref());
        to.maybe(organization_id.as_deref());
        to.maybe(end_user.as_deref());
        to.signed(reserved.0);
        to.signed(*start_ms);
        to.signed(reserved_ms.wrapping_sub(*start_ms));
        to.text(call_type);
        to.text(model_group);
        to.text(upstream_model);
        to.text(deployment_id);
        to.text(provider);
        to.text(request_id);
    }

    /// What [`Opened::encode`] appended; `None` where it is not that.
    pub fn decode(id: RecordId, bytes: &[u8]) -> Option<Self> {
        Self::read(id, Reader(bytes)).ok()
    }

    fn read(id: RecordId, mut from: Reader<'_>) -> Result<Self, Broken> {
        let key_hash = from.hash()?;
        let user_id = from.maybe(None)?;
        let team_id = from.maybe(None)?;
        let organization_id = from.maybe(None)?;
        let end_user = from.maybe(None)?;
        let reserved = NanoUsd(from.signed()?);
        let start_ms = from.signed()?;
        let reserved_ms = start_ms.wrapping_add(from.signed()?);
        Ok(Self {
            id,
            key_hash,
            user_id,
            team_id,
            organization_id,
            end_user,
            reserved,
            reserved_ms,
            start_ms,
            call_type: from.text(None)?,
            model_group: from.text(None)?,
            upstream_model: from.text(None)?,
            deployment_id: from.text(None)?,
            provider: from.text(None)?,
            request_id: from.text(None)?,
        })
    }
}

fn counts(usage: &UsageCounts) -> [u64; 9] {
    let UsageCounts {
        input,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        input_audio,
        output,
        reasoning,
        output_audio,
        searches,
    } = *usage;
    [
        input,
        output,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        reasoning,
        input_audio,
        output_audio,
        searches,
    ]
}

/// Bytes of one text that are kept. Clients name things, and a name must not
/// make a record that nobody can write down.
const TEXT_MAX: usize = 4096;
/// Tags that are kept.
const TAGS_MAX: usize = 128;

/// What is kept of a text.
fn kept(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_MAX)).unwrap_or_default()
}

struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }

    fn signed(&mut self, number: i64) {
        self.number((number.cast_unsigned() << 1) ^ (number >> 63).cast_unsigned());
    }

    fn text(&mut self, text: &str) {
        let text = kept(text);
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    /// One more than the length; nought for none.
    fn maybe(&mut self, text: Option<&str>) {
        match text.map(kept) {
            Some(text) => {
                self.number(text.len() as u64 + 1);
                self.0.extend_from_slice(text.as_bytes());
            }
            None => self.0.push(0),
        }
    }

    fn timing(&mut self, timing: Timing) {
        let Timing { streamed, total_us, upstream_us, first_byte_us, overhead_us } = timing;
        self.number(u64::from(streamed) | (u64::from(first_byte_us.is_some()) << 1));
        for us in [total_us, upstream_us, first_byte_us.unwrap_or_default(), overhead_us] {
            self.number(us);
        }
    }

    fn hash(&mut self, hash: Option<KeyHash>) {
        self.0.push(u8::from(hash.is_some()));
        if let Some(KeyHash(bytes)) = hash {
            self.0.extend_from_slice(&bytes);
        }
    }
}

/// Not what was written.
struct Broken;

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Nought at the end: a field that an older version did not write.
    fn number(&mut self) -> Result<u64, Broken> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let Some((byte, rest)) = self.0.split_first() else {
                return if shift == 0 { Ok(0) } else { Err(Broken) };
            };
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Broken);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Broken)
    }

    fn signed(&mut self) -> Result<i64, Broken> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    fn index(&mut self) -> Result<usize, Broken> {
        usize::try_from(self.number()?).or(Err(Broken))
    }

    fn bytes(&mut self, length: u64) -> Result<&'a [u8], Broken> {
        let (bytes, rest) =
            self.0.split_at_checked(usize::try_from(length).or(Err(Broken))?).ok_or(Broken)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn held(&mut self, length: u64, like: Option<&Arc<str>>) -> Result<Arc<str>, Broken> {
        let bytes = self.bytes(length)?;
        match like {
            Some(like) if like.as_bytes() == bytes => Ok(Arc::clone(like)),
            _ => std::str::from_utf8(bytes).map(Arc::from).or(Err(Broken)),
        }
    }

    fn text(&mut self, like: Option<&Arc<str>>) -> Result<Arc<str>, Broken> {
        let length = self.number()?;
        self.held(length, like)
    }

    /// A text of a list, where running out is damage.
    fn held_text(&mut self, like: Option<&Arc<str>>) -> Result<Arc<str>, Broken> {
        if self.0.is_empty() { Err(Broken) } else { self.text(like) }
    }

    fn maybe(&mut self, like: Option<&Arc<str>>) -> Result<Option<Arc<str>>, Broken> {
        match self.number()? {
            0 => Ok(None),
            more => self.held(more - 1, like).map(Some),
        }
    }

    fn hash(&mut self) -> Result<Option<KeyHash>, Broken> {
        match self.number()? {
            0 => Ok(None),
            _ => Ok(Some(KeyHash(self.bytes(32)?.try_into().or(Err(Broken))?))),
        }
    }

    fn timing(&mut self) -> Result<Timing, Broken> {
        let flags = self.number()?;
        let (total_us, upstream_us) = (self.number()?, self.number()?);
        let first_byte_us = Some(self.number()?).filter(|_| flags & 2 != 0);
        let overhead_us = self.number()?;
        Ok(Timing { streamed: flags & 1 != 0, total_us, upstream_us, first_byte_us, overhead_us })
    }

    fn counts(&mut self) -> Result<UsageCounts, Broken> {
        Ok(UsageCounts {
            input: self.number()?,
            output: self.number()?,
            cache_read: self.number()?,
            cache_write_5m: self.number()?,
            cache_write_1h: self.number()?,
            reasoning: self.number()?,
            input_audio: self.number()?,
            output_audio: self.number()?,
            searches: self.number()?,
        })
    }
}
