//! The headers of a tar archive, read as Go's `archive/tar` reads them.
//!
//! Written here and not taken from a crate: a crate that ends an archive at one block of zeros, or gives a hard link
//! content, lists other entries than containerd unpacks.

use attestry_core::layer::{Entry, EntryKind};

use super::{Bounds, LayerError, pax::Records, place, unpack::Unpacked};

const BLOCK: usize = 512;

/// Lists the entries up to the end of the archive, in its order.
pub(super) fn list(archive: &mut Unpacked<'_>, bounds: &Bounds) -> Result<Vec<Entry>, LayerError> {
    let mut entries = Vec::new();
    let mut count = Count::default();
    let mut said = Said::default();
    while let Some(mut header) = Header::next(archive)? {
        match header.kind {
            b'x' => said.records(Records::parse(&header.extended(archive, bounds)?)?)?,
            b'L' => once(&mut said.name, header.extended(archive, bounds)?)?,
            b'K' => once(&mut said.link, header.extended(archive, bounds)?)?,
            b'g' => {
                said.is_nothing()?;
                count.take(&header, bounds)?;
                let content = header.extended(archive, bounds)?;
                entries.extend(header.global(&content)?);
            }
            _ => {
                std::mem::take(&mut said).apply_to(&mut header)?;
                count.take(&header, bounds)?;
                let size = header.size;
                entries.extend(header.entry()?);
                pass_over(archive, size)?;
            }
        }
    }
    said.is_nothing()?;
    Ok(entries)
}

/// Entries so far, and the bytes of their names.
#[derive(Debug, Default)]
struct Count {
    entries: u64,
    names: u64,
}

impl Count {
    fn take(&mut self, header: &Header, bounds: &Bounds) -> Result<(), LayerError> {
        self.entries += 1;
        self.names += (header.name.len() + header.link.len()) as u64;
        if self.entries > bounds.entries {
            return Err(LayerError::over_limit(bounds.entries, "entries"));
        }
        if self.names > bounds.names {
            return Err(LayerError::over_limit(bounds.names, "bytes in the names of its entries"));
        }
        Ok(())
    }
}

/// What the blocks before an entry say of it.
#[derive(Debug, Default)]
struct Said {
    records: Option<Records>,
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
}

impl Said {
    fn records(&mut self, records: Records) -> Result<(), LayerError> {
        once(&mut self.records, records)
    }

    /// Nothing may be said of no entry: programs differ in which one it is then said of.
    fn is_nothing(&self) -> Result<(), LayerError> {
        match self {
            Self { records: None, name: None, link: None } => Ok(()),
            _ => Err(LayerError::malformed("an extended header or long name is followed by no entry")),
        }
    }

    fn apply_to(self, header: &mut Header) -> Result<(), LayerError> {
        let Records { path, link, size } = self.records.unwrap_or_default();
        if let Some(name) = one_of(path, self.name)? {
            header.name = name;
        }
        if let Some(link) = one_of(link, self.link)? {
            header.link = link;
        }
        header.size = size.unwrap_or(header.size);
        Ok(())
    }
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), LayerError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(LayerError::malformed("two extended headers or long names stand before one entry")),
    }
}

/// A name from an extended header and one from a block of its own (GNU) must be the same. An empty one says nothing.
fn one_of(record: Option<Vec<u8>>, block: Option<Vec<u8>>) -> Result<Option<Vec<u8>>, LayerError> {
    let block = block.map(|block| until_zero(&block).to_vec()).filter(|block| !block.is_empty());
    match (record, block) {
        (Some(record), Some(block)) if record != block => {
            Err(LayerError::malformed("an extended header and a long name disagree about an entry"))
        }
        (record, block) => Ok(record.or(block)),
    }
}

/// A block that says what follows it.
#[derive(Debug)]
struct Header {
    name: Vec<u8>,
    link: Vec<u8>,
    size: u64,
    kind: u8,
    /// Major and minor number of a device.
    device: [u64; 2],
}

impl Header {
    /// Reads the next one; `None` at the end of the archive: the end of all bytes, or two blocks of zeros.
    fn next(archive: &mut Unpacked<'_>) -> Result<Option<Self>, LayerError> {
        let Some(block) = next_block(archive)? else { return Ok(None) };
        if block != [0; BLOCK] {
            return Self::parse(&block).map(Some);
        }
        // Programs that stop at the first would not see what follows it.
        match next_block(archive)? {
            Some(block) if block != [0; BLOCK] => {
                Err(LayerError::malformed("a single block of zeros stands before an entry"))
            }
            _ => Ok(None),
        }
    }

    fn parse(block: &[u8; BLOCK]) -> Result<Self, LayerError> {
        let sum = octal(&block[148..156]);
        if ![checksum(block, u64::from), checksum(block, |byte| i64::from(byte as i8) as u64)].contains(&sum) {
            return Err(LayerError::malformed("a header of the archive is none, or has a wrong checksum"));
        }
        let mut name = until_zero(&block[..100]).to_vec();
        let prefix = match &block[257..265] {
            // star keeps times behind a shorter prefix.
            [b'u', b's', b't', b'a', b'r', 0, ..] if block[508..] == *b"tar\0" => until_zero(&block[345..476]),
            [b'u', b's', b't', b'a', b'r', 0, ..] => until_zero(&block[345..500]),
            b"ustar  \0" => {
                // Where these are no times, Go takes them for a prefix and others do not.
                if [&block[345..357], &block[357..369]].iter().any(|time| time[0] != 0 && number(time).is_none()) {
                    return Err(LayerError::malformed("a GNU header has times that are no numbers"));
                }
                b""
            }
            _ => b"",
        };
        if !prefix.is_empty() {
            name = [prefix, &name].join(&b'/');
        }
        let size = number(&block[124..136]).and_then(|size| u64::try_from(size).ok());
        let size = size.ok_or_else(|| LayerError::malformed("the size of an entry is no number"))?;
        // Only later formats have numbers of devices, and what is no number is none.
        let ustar = block[257..].starts_with(b"ustar");
        let device =
            [&block[329..337], &block[337..345]].map(|field| octal(field).filter(|_| ustar).unwrap_or_default());
        Ok(Self { name, link: until_zero(&block[157..257]).to_vec(), size, kind: block[156], device })
    }

    /// The content of an extended header or long name.
    fn extended(&self, archive: &mut Unpacked<'_>, bounds: &Bounds) -> Result<Vec<u8>, LayerError> {
        if self.size > bounds.header {
            return Err(LayerError::over_limit(bounds.header, "bytes in an extended header"));
        }
        let mut content = vec![0; self.size as usize];
        if archive.fill(&mut content)? < content.len() {
            return Err(cut_short());
        }
        archive.skip(padding(self.size))?;
        Ok(content)
    }

    /// A global header. It must say nothing of the entries that follow, to which other programs than Go would give it.
    /// Itself it is listed as a file: containerd makes the directories above it and takes away what has its name.
    fn global(self, content: &[u8]) -> Result<Option<Entry>, LayerError> {
        if !Records::parse(content)?.are_empty() {
            return Err(LayerError::unsupported("a global header names its entries or their sizes"));
        }
        place::place(&self.name, EntryKind::File)
    }

    /// The entry that the header stands for; none for the root.
    fn entry(self) -> Result<Option<Entry>, LayerError> {
        let has_content = matches!(self.kind, 0 | b'0' | b'7');
        let kind = match self.kind {
            // Before there was a kind for directories, a slash told them. Go goes by it for this kind alone.
            0 if self.name.ends_with(b"/") => EntryKind::Directory,
            b'5' => EntryKind::Directory,
            b'1' => EntryKind::HardLink(place::parts(&self.link)?.join(&b'/')),
            b'2' => EntryKind::Symlink(self.link),
            b'S' => return Err(LayerError::unsupported("it has sparse files")),
            0 | b'0' | b'3' | b'4' | b'6' | b'7' => EntryKind::File,
            kind => return Err(LayerError::unsupported(format!("it has entries of kind {:?}", char::from(kind)))),
        };
        // Go reads the next header where others read the content.
        if self.size != 0 && (!has_content || kind == EntryKind::Directory) {
            let name = String::from_utf8_lossy(&self.name);
            return Err(LayerError::malformed(format!("{name} has content and is of a kind that has none")));
        }
        let entry = place::place(&self.name, kind)?;
        // Made as it is, such a device is a whiteout of overlayfs.
        let made = entry.as_ref().is_some_and(|entry| entry.kind == EntryKind::File);
        let [major, minor] = self.device;
        if made && self.kind == b'3' && (major & 0xfff, minor & 0xf_ffff) == (0, 0) {
            return Err(LayerError::unsupported("it has a whiteout of the overlay file system"));
        }
        Ok(entry)
    }
}

/// The next block, `None` at the end of all bytes.
fn next_block(archive: &mut Unpacked<'_>) -> Result<Option<[u8; BLOCK]>, LayerError> {
    let mut block = [0; BLOCK];
    match archive.fill(&mut block)? {
        0 => Ok(None),
        BLOCK => Ok(Some(block)),
        _ => Err(LayerError::malformed("the archive ends within a header")),
    }
}

/// Passes over content. Only the zeros behind it may be missing, as Go has it.
fn pass_over(archive: &mut Unpacked<'_>, size: u64) -> Result<(), LayerError> {
    if archive.skip(size)? < size {
        return Err(cut_short());
    }
    archive.skip(padding(size))?;
    Ok(())
}

fn cut_short() -> LayerError {
    LayerError::malformed("the archive ends within an entry")
}

const fn padding(size: u64) -> u64 {
    size.wrapping_neg() % BLOCK as u64
}

/// The sum of a header's bytes, those of the sum itself counted as spaces. Old programs summed up signed bytes.
fn checksum(block: &[u8; BLOCK], value: fn(u8) -> u64) -> Option<u64> {
    let bytes = block[..148].iter().chain(&[b' '; 8]).chain(&block[156..]);
    Some(bytes.fold(0, |sum: u64, byte| sum.wrapping_add(value(*byte))))
}

fn until_zero(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A number in octal digits, or, where the first bit is set, in two's complement.
fn number(field: &[u8]) -> Option<i64> {
    let first = *field.first()?;
    if first & 0x80 == 0 {
        return octal(field)?.try_into().ok();
    }
    let inverted = if first & 0x40 == 0 { 0 } else { 0xff };
    // The bit that says so is no part of the number.
    let mut bytes = std::iter::once((first ^ inverted) & 0x7f).chain(field[1..].iter().map(|byte| byte ^ inverted));
    let number = bytes.try_fold(0_u64, |number, byte| Some(number.checked_mul(256)? | u64::from(byte)))?;
    let number = i64::try_from(number).ok()?;
    Some(if inverted == 0 { number } else { !number })
}

/// A number in octal digits between spaces and zero bytes; 0 where there are none.
fn octal(field: &[u8]) -> Option<u64> {
    let is_space = |byte: &u8| matches!(byte, b' ' | 0);
    let Some(start) = field.iter().position(|byte| !is_space(byte)) else { return Some(0) };
    let end = field.iter().rposition(|byte| !is_space(byte))?;
    let digits = until_zero(&field[start..=end]);
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = matches!(digit, b'0'..=b'7').then(|| u64::from(digit - b'0'))?;
        value.checked_mul(8)?.checked_add(digit)
    })
}
