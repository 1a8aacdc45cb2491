//! Archives made by hand, as programs write them and as an opponent does.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{Cursor, Write as _};

use attestry_core::{
    Digest,
    layer::{Entry, EntryKind},
};

use super::*;

#[path = "tests/archives.rs"]
mod archives;
#[path = "tests/compressed.rs"]
mod compressed;

const TAR: &str = "application/vnd.oci.image.layer.v1.tar";
const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
const END: [u8; 1024] = [0; 1024];

/// A header with room for a name of 100 bytes. `change` comes before the checksum.
fn header_with(kind: u8, name: &str, size: u64, change: impl FnOnce(&mut [u8; 512])) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    header.set_size(size);
    header.as_mut_bytes()[156] = kind;
    change(header.as_mut_bytes());
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn header(kind: u8, name: &str) -> Vec<u8> {
    header_with(kind, name, 0, |_| {})
}

/// An entry whose link target is `link`.
fn link(kind: u8, name: &str, link: &str) -> Vec<u8> {
    header_with(kind, name, 0, |block| block[157..157 + link.len()].copy_from_slice(link.as_bytes()))
}

/// Content up to the next block.
fn padded(content: &[u8]) -> Vec<u8> {
    let mut content = content.to_vec();
    content.resize(content.len().next_multiple_of(512), 0);
    content
}

/// An entry with content.
fn entry(kind: u8, name: &str, content: &[u8]) -> Vec<u8> {
    [header_with(kind, name, content.len() as u64, |_| {}), padded(content)].concat()
}

/// One record of an extended header.
fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let length = (rest.len() + 1..).find(|length| length.to_string().len() + rest.len() == *length).unwrap();
    format!("{length}{rest}")
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let records: String = records.iter().map(|(key, value)| record(key, value)).collect();
    entry(b'x', "PaxHeaders/x", records.as_bytes())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

/// Entries on one line, each as its kind and path.
fn written(entries: &[Entry]) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let one = |entry: &Entry| match &entry.kind {
        EntryKind::Directory => format!("d {}", text(&entry.path)),
        EntryKind::Symlink(target) => format!("l {}>{}", text(&entry.path), text(target)),
        EntryKind::HardLink(target) => format!("h {}>{}", text(&entry.path), text(target)),
        EntryKind::File => format!("f {}", text(&entry.path)),
        EntryKind::Whiteout => format!("w {}", text(&entry.path)),
        EntryKind::Opaque => format!("o {}", text(&entry.path)),
    };
    entries.iter().map(one).collect::<Vec<_>>().join(" ")
}

/// The entries, or the kind of the error and what it says.
fn listed_within(media_type: &str, bytes: &[u8], bounds: &Bounds) -> Result<String, String> {
    match read(media_type, bytes, bounds) {
        Ok(layer) => Ok(written(&layer.entries)),
        Err(LayerError::Unsupported { what }) => Err(format!("unsupported: {what}")),
        Err(LayerError::Malformed { detail }) => Err(format!("malformed: {detail}")),
        Err(LayerError::OverLimit { what }) => Err(format!("over limit: {what}")),
        Err(LayerError::Io(error)) => Err(format!("io: {error}")),
    }
}

/// Checks an archive without its end, which is added.
#[track_caller]
fn lists(archive: &[Vec<u8>], expected: &str) {
    let bytes = [&archive.concat()[..], &END].concat();
    assert_eq!(listed_within(TAR, &bytes, &Bounds::default()).as_deref(), Ok(expected));
}

/// Checks that an archive is refused, with a message that begins so.
#[track_caller]
fn refuses(archive: &[Vec<u8>], expected: &str) {
    let bytes = [&archive.concat()[..], &END].concat();
    let error = listed_within(TAR, &bytes, &Bounds::default()).unwrap_err();
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn each_bound_is_reached_and_not_passed() {
    let archive = [header(b'0', "ab"), link(b'2', "c", "de"), pax(&[("path", "x")]), header(b'5', "f")].concat();
    let extended = record("path", "x").len() as u64;
    let exact =
        Bounds { unpacked: archive.len() as u64, entries: 3, names: 6, header: extended, window: archive.len() as u64 };
    let list = |bounds| listed_within(TAR, &archive, &bounds);
    assert_eq!(list(exact.clone()).as_deref(), Ok("f ab l c>de d x"));
    for (bounds, expected) in [
        (Bounds { unpacked: exact.unpacked - 1, ..exact.clone() }, "2559 bytes unpacked"),
        (Bounds { entries: 2, ..exact.clone() }, "2 entries"),
        (Bounds { names: 5, ..exact.clone() }, "5 bytes in the names of its entries"),
        (Bounds { header: extended - 1, ..exact.clone() }, "8 bytes in an extended header"),
    ] {
        assert_eq!(list(bounds), Err(format!("over limit: {expected}")));
    }
    // All of the layer is unpacked, what follows the archive as well.
    let longer = [&archive[..], &END, b"!"].concat();
    let bounds = Bounds { unpacked: longer.len() as u64 - 1, ..exact };
    assert_eq!(listed_within(TAR, &longer, &bounds), Err("over limit: 3584 bytes unpacked".to_owned()));
}

#[test]
fn the_default_bounds_are_those_of_the_reference() {
    let Bounds { unpacked, entries, names, header, window } = Bounds::default();
    assert_eq!((unpacked >> 30, entries, names >> 20, header >> 20, window >> 20), (16, 1_000_000, 128, 1, 128));
    // One byte more than Go reads is refused by what the header says, before it is there.
    for kind in *b"xLKg" {
        refuses(&[header_with(kind, "x", header + 1, |_| {})], "over limit: 1048576 bytes in an extended header");
    }
}

#[test]
fn attack_67_names_are_quoted_on_one_line() {
    let error = read(TAR, &header_with(b'5', "a\nb", 1, |_| {})[..], &Bounds::default()).unwrap_err();
    assert_eq!(error.to_string(), "the layer is malformed: a b has content and is of a kind that has none");
    let error = check_media_type(&"x".repeat(2000)).unwrap_err();
    assert!(error.to_string().len() < 600, "{error}");
}

#[test]
fn seeds_of_the_fuzzer_are_listed_and_what_is_made_of_them_ends() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/layer");
    let usual = "d etc f etc/passwd l bin>usr/bin w usr/lib o opt";
    for (seed, media_type, expected) in [
        ("tar", TAR, usual),
        ("zstd", ZSTD, usual),
        ("gzip", GZIP, "f a"),
        ("extended", TAR, "l x>a/b f long/name f pax_global_header"),
    ] {
        let seed = std::fs::read(format!("{folder}/{seed}")).unwrap();
        // The first byte chooses the media type.
        let bytes = &seed[1..];
        assert_eq!(listed_within(media_type, bytes, &Bounds::default()).as_deref(), Ok(expected));
        let bounds = Bounds { unpacked: 1 << 20, window: 1 << 20, ..Bounds::default() };
        for at in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= 1 << (at % 8);
            let _ = read(media_type, &changed[..], &bounds);
            let _ = read(media_type, &bytes[..at], &bounds);
        }
    }
}
