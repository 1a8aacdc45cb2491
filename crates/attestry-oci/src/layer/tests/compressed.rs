//! Media types, compression and digests.

use super::*;

/// `a`, as the command-line tool compresses it: blocks with sequences, a checksum.
const BY_ZSTD: &str = "28b52ffd6400073d02001283090ec05d031cb19d2abad3e6743b4b0a82b0944249b7167bd971ed79b01421c4ee28bf84987f4f0b00d2b93f964216c951007e080c850320fc0024efc2e5220086f313c002d6b930c6";

fn one() -> Vec<u8> {
    [&entry(b'0', "a", b"content")[..], &END].concat()
}

/// A frame of one raw block whose window is its content (RFC 8878, section 3.1.1).
fn frame(content: &[u8]) -> Vec<u8> {
    let block = 1 | (content.len() as u32) << 3;
    let magic = [0x28, 0xb5, 0x2f, 0xfd, 0xa0];
    [&magic[..], &(content.len() as u32).to_le_bytes(), &block.to_le_bytes()[..3], content].concat()
}

fn skipped(content: &[u8]) -> Vec<u8> {
    [&[0x5f, 0x2a, 0x4d, 0x18][..], &(content.len() as u32).to_le_bytes(), content].concat()
}

#[test]
fn media_types_say_how_a_layer_is_compressed() {
    let docker = "application/vnd.docker.image.rootfs.diff.tar";
    let (tar, bounds) = (one(), Bounds::default());
    for (media_type, bytes) in [
        (TAR, tar.clone()),
        (docker, tar.clone()),
        (GZIP, gzip(&tar)),
        (&format!("{docker}.gzip"), gzip(&tar)),
        (ZSTD, zstd(&tar)),
    ] {
        let layer = read(media_type, &bytes[..], &bounds).unwrap();
        assert_eq!((written(&layer.entries), layer.diff_id), ("f a".to_owned(), Digest::of(&tar)), "{media_type}");
        assert!(check_media_type(media_type).is_ok());
    }
    for media_type in [
        "",
        "application/vnd.oci.image.layer.v1.tar+bzip2",
        "application/vnd.oci.image.layer.v1.tar+encrypted",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.diff.tar.zstd",
        "APPLICATION/VND.OCI.IMAGE.LAYER.V1.TAR",
    ] {
        let error = listed_within(media_type, &tar, &bounds).unwrap_err();
        assert_eq!(error, format!("unsupported: its media type is {media_type:?}"));
        assert!(check_media_type(media_type).is_err());
    }
}

#[test]
fn first_bytes_that_say_another_compression_are_refused() {
    let tar = one();
    // A first entry of this name makes an archive of what others unpack first.
    let named = |magic: &str| [header(b'0', magic), END.to_vec()].concat();
    let by_bytes = |magic: &[u8]| {
        [&header_with(b'0', "", 0, |block| block[..magic.len()].copy_from_slice(magic))[..], &END].concat()
    };
    for (media_type, bytes, said, is) in [
        (TAR, gzip(&tar), "an uncompressed archive", "gzip"),
        (TAR, zstd(&tar), "an uncompressed archive", "zstd"),
        (TAR, skipped(b""), "an uncompressed archive", "zstd"),
        (TAR, named("P*M\x18"), "an uncompressed archive", "zstd"),
        (TAR, named("_*M\x18"), "an uncompressed archive", "zstd"),
        (TAR, named("\x28"), "", ""),
        (TAR, named("O*M\x18"), "", ""),
        (TAR, named("`*M\x18"), "", ""),
        (TAR, by_bytes(&[0x1f, 0x8b, 8]), "an uncompressed archive", "gzip"),
        (TAR, named("BZh"), "an uncompressed archive", "bzip2 or xz"),
        (TAR, by_bytes(b"\xfd7zXZ\0"), "an uncompressed archive", "bzip2 or xz"),
        (GZIP, tar.clone(), "gzip", "an uncompressed archive"),
        (GZIP, zstd(&tar), "gzip", "zstd"),
        (GZIP, Vec::new(), "gzip", "an uncompressed archive"),
        (ZSTD, tar.clone(), "zstd", "an uncompressed archive"),
        (ZSTD, gzip(&tar), "zstd", "gzip"),
        (ZSTD, Vec::new(), "zstd", "an uncompressed archive"),
    ] {
        let expected = format!("malformed: its media type says {said} and its first bytes say {is}");
        let found = read(media_type, &bytes[..], &Bounds::default());
        match found {
            Ok(_) => assert_eq!(said, ""),
            Err(LayerError::Malformed { detail }) => assert_eq!(format!("malformed: {detail}"), expected),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn the_digest_is_of_all_that_unpacks() {
    let behind_the_end = [one(), b"anything".to_vec(), header(b'0', "no entry")].concat();
    for (media_type, bytes) in
        [(TAR, behind_the_end.clone()), (GZIP, gzip(&behind_the_end)), (ZSTD, frame(&behind_the_end))]
    {
        let layer = read(media_type, &bytes[..], &Bounds::default()).unwrap();
        assert_eq!((written(&layer.entries), layer.diff_id), ("f a".to_owned(), Digest::of(&behind_the_end)));
    }
    assert_eq!(read(TAR, &b""[..], &Bounds::default()).unwrap().diff_id, Digest::of(""));
}

#[test]
fn gzip_is_read_to_its_last_member_and_no_further() {
    let tar = one();
    let (head, tail) = tar.split_at(700);
    let members = [gzip(head), gzip(b""), gzip(tail)].concat();
    let layer = read(GZIP, &members[..], &Bounds::default()).unwrap();
    assert_eq!((written(&layer.entries), layer.diff_id), ("f a".to_owned(), Digest::of(&tar)));

    let whole = gzip(&tar);
    let mut wrong_sum = whole.clone();
    *wrong_sum.last_mut().unwrap() ^= 1;
    for bytes in [
        whole[..whole.len() - 1].to_vec(),
        whole[..whole.len() / 2].to_vec(),
        whole[..5].to_vec(),
        members[..members.len() - 1].to_vec(),
        wrong_sum,
        [&whole[..], b"garbage"].concat(),
        [&whole[..], &[0; 512]].concat(),
        [whole.clone(), frame(b"x")].concat(),
    ] {
        let error = listed_within(GZIP, &bytes, &Bounds::default()).unwrap_err();
        assert!(error.starts_with("malformed: as gzip it ends in: "), "{error}");
    }
}

#[test]
fn zstd_is_read_to_its_last_frame_and_no_further() {
    let tar = one();
    let (head, tail) = tar.split_at(700);
    let table = skipped(b"table of contents");
    for frames in [
        vec![frame(head), frame(b""), frame(tail)],
        vec![table.clone(), frame(head), skipped(b""), skipped(b"x"), zstd(tail), table.clone()],
    ] {
        let layer = read(ZSTD, &frames.concat()[..], &Bounds::default()).unwrap();
        assert_eq!((written(&layer.entries), layer.diff_id), ("f a".to_owned(), Digest::of(&tar)));
    }
    let whole = frame(&tar);
    for bytes in [
        whole[..whole.len() - 1].to_vec(),
        whole[..8].to_vec(),
        zstd(&tar)[..40].to_vec(),
        [&whole[..], b"garbage"].concat(),
        [&whole[..], &[0]].concat(),
        [&whole[..], &table[..table.len() - 1]].concat(),
        [&whole[..], &table[..7]].concat(),
        [whole.clone(), gzip(b"x")].concat(),
        // With a dictionary, which nobody has.
        [&[0x28, 0xb5, 0x2f, 0xfd, 0x21, 7, 0][..], &[1, 0, 0]].concat(),
    ] {
        let error = listed_within(ZSTD, &bytes, &Bounds::default()).unwrap_err();
        assert!(error.starts_with("malformed: as zstd it ends in: "), "{error}");
    }
}

#[test]
fn zstd_as_its_own_tool_writes_it() {
    let bytes: Vec<u8> =
        (0..BY_ZSTD.len()).step_by(2).map(|at| u8::from_str_radix(&BY_ZSTD[at..at + 2], 16).unwrap()).collect();
    let layer = read(ZSTD, &bytes[..], &Bounds::default()).unwrap();
    assert_eq!(written(&layer.entries), "f a");
    assert_eq!(layer.diff_id.to_string(), "sha256:f212f22afc31056a416a8a8a3d1c933c7d545a94a53898d79f8a06d773b71800");
}

#[test]
fn a_zstd_window_is_held_up_to_its_bound() {
    let tar = one();
    let over = |window: u64| Err(format!("over limit: {window} bytes in the window of a zstd frame"));
    let window = tar.len() as u64;
    let list = |bytes: &[u8], window| listed_within(ZSTD, bytes, &Bounds { window, ..Bounds::default() });
    assert_eq!(list(&frame(&tar), window), Ok("f a".to_owned()));
    assert_eq!(list(&frame(&tar), window - 1), over(window - 1));
    // A later frame is held to it as well.
    assert_eq!(list(&[frame(&tar), frame(&[0; 4096])].concat(), window), over(window));
    // Windows of 128 MiB and of the next size that can be written, none of which is used.
    let descriptor = |byte: u8| [&[0x28, 0xb5, 0x2f, 0xfd, 0, byte][..], &[1, 0, 0]].concat();
    let default = Bounds::default().window;
    assert_eq!(list(&descriptor(0x88), default), Ok(String::new()));
    assert_eq!(list(&descriptor(0x89), default), over(default));
    assert!(list(&descriptor(0xff), default).is_err());
}

#[test]
fn what_is_packed_small_is_unpacked_up_to_its_bound() {
    let bounds = Bounds { unpacked: 1 << 20, ..Bounds::default() };
    let over = Err("over limit: 1048576 bytes unpacked".to_owned());
    let zeros = vec![0; 1 << 24];
    assert_eq!(listed_within(GZIP, &gzip(&zeros), &bounds), over);
    // 128 blocks of 128 KiB of one byte each.
    let block = |last: u32| {
        (last | 1 << 1 | (128 << 10) << 3).to_le_bytes()[..3].iter().copied().chain([0]).collect::<Vec<u8>>()
    };
    let blocks = [block(0).repeat(127), block(1)].concat();
    let bomb = [&[0x28, 0xb5, 0x2f, 0xfd, 0, 0x38][..], &blocks].concat();
    assert_eq!(listed_within(ZSTD, &bomb, &bounds), over);
    assert_eq!(listed_within(ZSTD, &bomb, &Bounds { unpacked: 16 << 20, ..bounds }), Ok(String::new()));
}

/// Gives its bytes one at a time, now and then interrupted, and then fails.
struct Failing(Cursor<Vec<u8>>, bool);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match self.0.read(&mut buffer[..1])? {
            0 => Err(io::Error::other("the disk is gone")),
            read => Ok(read),
        }
    }
}

#[test]
fn where_the_packed_bytes_cannot_be_read_nothing_is_said_of_them() {
    let tar = one();
    for (media_type, bytes) in [(TAR, tar.clone()), (GZIP, gzip(&tar)), (ZSTD, frame(&tar)), (ZSTD, zstd(&tar))] {
        for length in [0, 2, 3, 9, bytes.len() / 2, bytes.len()] {
            let input = Failing(Cursor::new(bytes[..length].to_vec()), false);
            match read(media_type, input, &Bounds::default()) {
                Err(LayerError::Io(error)) => assert_eq!(error.to_string(), "the disk is gone"),
                other => panic!("{media_type} {length}: {other:?}"),
            }
        }
    }
}
