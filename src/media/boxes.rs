//! The boxes of MP4, QuickTime, AVIF and HEIC files: reading them from memory, and building them.
//!
//! No length is trusted: a box ends within its parent, and a table has no more entries than its box has bytes for.
//! Nothing is allocated while reading.

use crate::error::{Error, Result};

/// The four characters that name a box, a brand or a codec.
pub(super) type Kind = [u8; 4];

/// A box in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Atom<'a> {
    pub(super) kind: Kind,
    /// The whole box.
    pub(super) bytes: &'a [u8],
    /// What follows the header.
    pub(super) body: &'a [u8],
}

/// The first bytes of a box.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// The length of the header in bytes: 8 or 16.
    pub(super) header_length: u64,
    /// The length of the whole box in bytes.
    pub(super) length: u64,
}

/// The boxes in the body of another one. Less than eight bytes at the end are ignored: QuickTime ends some lists by zeros.
#[derive(Clone, Debug)]
pub(super) struct Children<'a> {
    rest: &'a [u8],
}

/// The fields of a box, read one after the other.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    kind: Kind,
    rest: &'a [u8],
}

/// Reads the header of a box; `start` holds its first bytes (16 unless fewer are left), `room` is the number of bytes from
/// there to the end of the parent or of the file.
pub(super) fn header(start: &[u8], room: u64) -> Result<Header> {
    let mut fields = Fields::new(*b"box ", start);
    let short_length = fields.u32()?;
    let kind = fields.array()?;
    let (header_length, length) = match short_length {
        0 => (8, room),
        1 => (16, fields.u64()?),
        length => (8, u64::from(length)),
    };
    if length < header_length {
        return Err(Error::invalid(format!("the {} box has the impossible length {length}", name(kind))));
    }
    if length > room {
        let message = format!(
            "the file is truncated or corrupt: the {} box has {length} bytes, but only {room} are left",
            name(kind)
        );
        return Err(Error::invalid(message));
    }
    Ok(Header { kind, header_length, length })
}

/// A kind as text for messages.
pub(super) fn name(kind: Kind) -> String {
    format!("\"{}\"", kind.escape_ascii())
}

/// Builds a box from the parts of its body. The callers' limits keep the length far below 4 GiB.
pub(super) fn build(kind: Kind, parts: &[&[u8]]) -> Vec<u8> {
    let length = 8 + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut bytes = Vec::with_capacity(length);
    bytes.extend(u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(kind);
    for part in parts {
        bytes.extend_from_slice(part);
    }
    bytes
}

/// Version and flags: the first field of a full box.
pub(super) fn version_and_flags(version: u8, flags: u32) -> [u8; 4] {
    (u32::from(version) << 24 | flags).to_be_bytes()
}

// === impl Atom ===

impl<'a> Atom<'a> {
    /// The box that fills `bytes` from their start on; what follows it is ignored.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self> {
        let header = header(bytes, bytes.len() as u64)?;
        let length = usize::try_from(header.length).unwrap_or(usize::MAX);
        let bytes = bytes.get(..length).unwrap_or_default();
        let body = bytes.get(if header.header_length == 16 { 16 } else { 8 }..).unwrap_or_default();
        Ok(Self { kind: header.kind, bytes, body })
    }

    /// The boxes in this one, from byte `start` of its body on.
    pub(super) fn children_from(&self, start: usize) -> Children<'a> {
        Children { rest: self.body.get(start..).unwrap_or_default() }
    }

    /// The boxes in this one.
    pub(super) fn children(&self) -> Children<'a> {
        self.children_from(0)
    }

    /// The first box of `kind` in this one, if there is one.
    pub(super) fn find(&self, kind: Kind) -> Result<Option<Self>> {
        self.children().find(kind)
    }

    /// The first box of `kind` in this one.
    pub(super) fn child(&self, kind: Kind) -> Result<Self> {
        let missing = || Error::invalid(format!("the {} box has no {} box", name(self.kind), name(kind)));
        self.find(kind)?.ok_or_else(missing)
    }

    /// The fields from the start of the body.
    pub(super) fn fields(&self) -> Fields<'a> {
        Fields::new(self.kind, self.body)
    }

    /// The entries of a table: version and flags, the number of entries, and for each of them `N` fields of 32 bits.
    pub(super) fn table<const N: usize>(&self) -> Result<&'a [[[u8; 4]; N]]> {
        let mut fields = self.fields();
        fields.skip(4)?;
        let count = fields.u32()?;
        let entries = fields.rest.as_chunks::<4>().0.as_chunks::<N>().0;
        let short = || {
            let room = entries.len();
            Error::invalid(format!("the {} box claims {count} entries, but has {room}", name(self.kind)))
        };
        entries.get(..count as usize).ok_or_else(short)
    }
}

// === impl Children ===

impl<'a> Children<'a> {
    /// The next box of `kind`.
    pub(super) fn find(&mut self, kind: Kind) -> Result<Option<Atom<'a>>> {
        Iterator::find(self, |child| child.as_ref().map_or(true, |child| child.kind == kind)).transpose()
    }
}

impl<'a> Iterator for Children<'a> {
    type Item = Result<Atom<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.len() < 8 {
            return None;
        }
        let atom = Atom::parse(self.rest);
        let length = atom.as_ref().map_or(self.rest.len(), |atom| atom.bytes.len());
        self.rest = self.rest.get(length..).unwrap_or_default();
        Some(atom)
    }
}

// === impl Fields ===

impl<'a> Fields<'a> {
    pub(super) fn new(kind: Kind, bytes: &'a [u8]) -> Self {
        Self { kind, rest: bytes }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (array, rest) = self.rest.split_first_chunk().ok_or_else(|| self.short())?;
        self.rest = rest;
        Ok(*array)
    }

    pub(super) fn u8(&mut self) -> Result<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32> {
        self.array().map(i32::from_be_bytes)
    }

    /// Reads a field of 32 bits if `flags` has `flag`.
    pub(super) fn u32_if(&mut self, flags: u32, flag: u32) -> Result<Option<u32>> {
        (flags & flag != 0).then(|| self.u32()).transpose()
    }

    pub(super) fn skip(&mut self, n_bytes: usize) -> Result<()> {
        self.rest = self.rest.get(n_bytes..).ok_or_else(|| self.short())?;
        Ok(())
    }

    /// The number of bytes that were not read.
    pub(super) fn left(&self) -> u64 {
        self.rest.len() as u64
    }

    fn short(&self) -> Error {
        Error::invalid(format!("the {} box is too short", name(self.kind)))
    }
}
