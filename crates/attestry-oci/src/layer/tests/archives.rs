//! Headers, names and whiteouts.

use super::*;

#[test]
fn names_are_cleaned_from_the_root() {
    for (name, path) in [
        ("a", "a"),
        ("./a", "a"),
        ("/a", "a"),
        ("//a///b/", "a/b"),
        ("a/./b/.", "a/b"),
        ("a/../b", "b"),
        ("../../a", "a"),
        ("a/b/../../../c", "c"),
        ("...", "..."),
        ("a/.wh", "a/.wh"),
        (".wh.a/b", ".wh.a/b"),
        (" a\n", " a\n"),
    ] {
        lists(&[header(b'0', name)], &format!("f {path}"));
        lists(&[header(b'5', name)], &format!("d {path}"));
    }
    for root in ["", ".", "./", "/", "a/..", "..", "a/../../."] {
        lists(&[header(b'5', root)], "");
        for kind in *b"0123467" {
            refuses(&[header(kind, root)], "malformed: the root is no directory");
        }
    }
}

#[test]
fn a_name_with_a_zero_byte_is_refused_wherever_it_comes_from() {
    for name in [&b"a\0b"[..], b"\0", b"a/.wh.\0"] {
        let error = place::place(name, EntryKind::File).unwrap_err();
        assert_eq!(error.to_string(), "the layer is malformed: a name holds a zero byte");
    }
}

#[test]
fn whiteouts_are_told_by_the_last_part_of_a_name() {
    for kind in *b"01234567" {
        for (name, expected) in [
            (".wh.a", "w a"),
            ("a/.wh.b", "w a/b"),
            ("./a/x/../.wh.b/", "w a/b"),
            (".wh..wh..opq", "o "),
            ("a/b/.wh..wh..opq", "o a/b"),
            (".wh....", "w ..."),
            (".wh..a", "w .a"),
            // What aufs left: listed, although some programs pass over it.
            (".wh..wh.plnk", "w .wh.plnk"),
            (".wh..wh.aufs", "w .wh.aufs"),
            ("a/.wh..wh.b", "w a/.wh.b"),
            ("a/.wh..wh..opq2", "w a/.wh..opq2"),
        ] {
            lists(&[header(kind, name)], expected);
        }
        for name in [".wh.", "a/.wh.", ".wh..", "a/.wh..", ".wh...", "a/.wh..."] {
            refuses(&[header(kind, name)], &format!("malformed: {name} takes away no name"));
        }
    }
    lists(&[header(b'0', ".wh..wh.plnk/7")], "f .wh..wh.plnk/7");
}

#[test]
fn kinds_are_those_that_containerd_unpacks() {
    for (kind, expected) in [
        (0, "f a"),
        (b'0', "f a"),
        (b'1', "h a>"),
        (b'2', "l a>"),
        (b'4', "f a"),
        (b'5', "d a"),
        (b'6', "f a"),
        (b'7', "f a"),
    ] {
        lists(&[header(kind, "a")], expected);
    }
    for kind in *b"8ADIMNVXZ \xff" {
        let expected = format!("unsupported: it has entries of kind {:?}", char::from(kind));
        refuses(&[header(kind, "a")], &expected);
        refuses(&[header(kind, ".wh.a")], &expected);
    }
    refuses(&[header(b'S', "a")], "unsupported: it has sparse files");
    let device = |kind, name: &str, major: u8, minor: u8| {
        header_with(kind, name, 0, |block| (block[335], block[343]) = (b'0' + major, b'0' + minor))
    };
    // 4096 has no bit that counts, and the oldest format has no such numbers.
    let beyond = header_with(b'3', "a", 0, |block| block[329..337].copy_from_slice(b"0010000\0"));
    let oldest = header_with(b'3', "a", 0, |block| {
        (block[335], block[343]) = (b'1', b'1');
        block[257..265].fill(0);
    });
    lists(&[device(b'3', "a", 1, 0), device(b'3', "b", 0, 3), device(b'4', "c", 0, 0)], "f a f b f c");
    let whiteout = "unsupported: it has a whiteout of the overlay file system";
    for block in [device(b'3', "a", 0, 0), header(b'3', "a"), beyond, oldest] {
        refuses(&[block], whiteout);
    }
    lists(&[device(b'3', ".wh.a", 0, 0)], "w a");
    // A slash makes a directory of the oldest kind only.
    lists(&[header(0, "a/"), header(b'0', "b/"), pax(&[("path", "c/")]), header(0, "c")], "d a f b d c");
    lists(&[link(b'2', "a", "/b/../c"), link(b'2', "d", "")], "l a>/b/../c l d>");
    lists(&[link(b'1', "a", "/b/../c/./d/"), link(b'1', "e", "../f")], "h a>c/d h e>f");
    // A link target that fills its field has no zero byte.
    let long = "t".repeat(100);
    lists(&[link(b'2', "a", &long)], &format!("l a>{long}"));
}

#[test]
fn attack_36_names_are_as_long_as_a_file_system_takes() {
    let named = |path: &str| [pax(&[("path", path)]), header(b'0', "x")].concat();
    let part = "p".repeat(255);
    lists(&[named(&part)], &format!("f {part}"));
    refuses(&[named(&format!("a/{part}p"))], "malformed: a name has a part that is longer");
    // 4095 bytes of name and the zero byte behind it.
    let path = format!("{}{}", format!("{}/", "d".repeat(127)).repeat(31), "e".repeat(127));
    assert_eq!(path.len(), 4095);
    lists(&[named(&path)], &format!("f {path}"));
    lists(&[named(&format!("./{path}/"))], &format!("f {path}"));
    refuses(&[named(&format!("{path}e"))], "malformed: a name is longer");
    let linked = |length: usize| [pax(&[("linkpath", &"t".repeat(length))]), header(b'2', "x")].concat();
    lists(&[linked(4095)], &format!("l x>{}", "t".repeat(4095)));
    refuses(&[linked(4096)], "malformed: the target of a link is longer");
}

#[test]
fn content_is_passed_over_and_only_files_have_it() {
    let content = |kind| [entry(kind, "a", &header(b'0', "hidden")), header(b'0', "b")];
    for kind in [0, b'0', b'7'] {
        lists(&content(kind), "f a f b");
    }
    for kind in *b"123456" {
        refuses(&content(kind), "malformed: a has content and is of a kind that has none");
        let said = [pax(&[("size", "512")]), header(kind, "a"), header(b'0', "hidden")];
        refuses(&said, "malformed: a has content and is of a kind that has none");
        lists(&[pax(&[("size", "0")]), header(kind, ".wh.a")], "w a");
    }
    refuses(&[entry(0, "a/", b"x")], "malformed: a/ has content and is of a kind that has none");
    for length in [1, 511, 512, 513, 100_000] {
        lists(&[entry(b'0', "a", &vec![b'x'; length]), header(b'0', "b")], "f a f b");
    }
}

#[test]
fn an_archive_ends_as_go_ends_it() {
    let list = |bytes: &[u8]| listed_within(TAR, bytes, &Bounds::default());
    let (a, b) = (entry(b'0', "a", b"content"), header(b'0', "b"));
    let entries = Ok("f a".to_owned());
    // At two blocks of zeros, at one of them and nothing more, or at the end of all bytes, up to which zeros may miss.
    assert_eq!(list(&[&a[..], &END].concat()), entries);
    assert_eq!(list(&[&a[..], &END[..512]].concat()), entries);
    assert_eq!(list(&a), entries);
    assert_eq!(list(&a[..512 + 7]), entries);
    assert_eq!(list(&[&a[..], &END, &b].concat()), entries);
    assert_eq!(list(&[&a[..], &END, b"garbage"].concat()), entries);
    assert_eq!(list(&END), Ok(String::new()));
    for (bytes, expected) in [
        ([&a[..], &END[..512], &b].concat(), "a single block of zeros stands before an entry"),
        ([&a[..], &END[..513]].concat(), "the archive ends within a header"),
        ([&a[..], &END[..1]].concat(), "the archive ends within a header"),
        (a[..511].to_vec(), "the archive ends within a header"),
        (a[..512 + 6].to_vec(), "the archive ends within an entry"),
        (a[..512].to_vec(), "the archive ends within an entry"),
        (pax(&[("path", "x")])[..515].to_vec(), "the archive ends within an entry"),
        ([&a[..], &[b'x'; 512]].concat(), "a header of the archive is none, or has a wrong checksum"),
        (a[1..].to_vec(), "a header of the archive is none, or has a wrong checksum"),
    ] {
        assert_eq!(list(&bytes), Err(format!("malformed: {expected}")));
    }
}

#[test]
fn headers_have_their_checksum() {
    let good = header(b'0', "a");
    for at in (0..512).filter(|at| !(148..156).contains(at)) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        refuses(&[bad], "malformed: a header of the archive is none, or has a wrong checksum");
    }
    let mut none = good.clone();
    none[148..156].copy_from_slice(b"        ");
    refuses(&[none.clone()], "malformed: a header of the archive is none, or has a wrong checksum");
    none[148..156].copy_from_slice(b"000000x\0");
    refuses(&[none], "malformed: a header of the archive is none, or has a wrong checksum");
    // Summed up as signed bytes, as old programs did.
    let mut signed = header_with(b'0', "\u{e4}", 0, |_| {});
    let sum: i64 =
        signed[..148].iter().chain(&[b' '; 8]).chain(&signed[156..]).map(|byte| i64::from(*byte as i8)).sum();
    assert_ne!(std::str::from_utf8(&signed[148..154]).unwrap(), format!("{sum:06o}"));
    signed[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    lists(&[signed], "f \u{e4}");
}

#[test]
fn prefixes_count_where_the_format_has_them() {
    let prefixed = |format: &[u8], trailer: &[u8], prefix: &[u8]| {
        header_with(b'0', "a", 0, |block| {
            block[257..257 + format.len()].copy_from_slice(format);
            block[345..345 + prefix.len()].copy_from_slice(prefix);
            block[508..508 + trailer.len()].copy_from_slice(trailer);
        })
    };
    let long = [b'p'; 155];
    let text = |length: usize| "p".repeat(length);
    lists(&[prefixed(b"ustar\x0000", b"", b"p")], "f p/a");
    lists(&[prefixed(b"ustar\x0000", b"", &long)], &format!("f {}/a", text(155)));
    lists(&[prefixed(b"ustar\0xx", b"", b"p")], "f p/a");
    lists(&[prefixed(b"ustar\x0000", b"tar\0", &long)], &format!("f {}/a", text(131)));
    lists(&[prefixed(b"\0\0\0\0\0\0\0\0", b"", b"p")], "f a");
    lists(&[prefixed(b"ustar 00", b"", b"p")], "f a");
    // GNU has times in its place.
    lists(&[prefixed(b"ustar  \0", b"", b"00000000001\x0000000000002\0")], "f a");
    lists(
        &[prefixed(b"ustar  \0", b"", b"\x80\0\0\0\0\0\0\0\0\0\0\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe")],
        "f a",
    );
    lists(&[prefixed(b"ustar  \0", b"", b"\0p")], "f a");
    for times in [&b"p"[..], b"00000000001\0p", b"00000000001p", b"\x80\x01\0\0\0\0\0\0\0\0\0\0"] {
        refuses(&[prefixed(b"ustar  \0", b"", times)], "malformed: a GNU header has times that are no numbers");
    }
}

#[test]
fn sizes_are_numbers_as_go_reads_them() {
    let sized = |field: &[u8; 12]| {
        let header = header_with(b'0', "a", 0, |block| block[124..136].copy_from_slice(field));
        [header, padded(b"12345678"), header_with(b'0', "b", 0, |_| {})]
    };
    for field in [
        b"00000000010\0",
        b"000000000010",
        b"         10 ",
        b" \0 10 \0     ",
        b"10\0junk     ",
        b"\x80\0\0\0\0\0\0\0\0\0\0\x08",
    ] {
        lists(&sized(field), "f a f b");
    }
    for field in [b"            ", b"\0\0\0\0\0\0\0\0\0\0\0\0", b"0\0\0\0\0\0\0\0\0\0\0\0"] {
        refuses(&sized(field), "malformed: a header of the archive is none");
        lists(&[header_with(b'5', "a", 0, |block| block[124..136].copy_from_slice(field))], "d a");
    }
    for field in [
        b"00000000018\0",
        b"0x10        ",
        b"+10         ",
        b"-10         ",
        b"1 0         ",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xf8",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x80\0\0\0\x80\0\0\0\0\0\0\0",
        b"\x80\0\0\x01\0\0\0\0\0\0\0\x08",
        b"\x81\0\0\0\0\0\0\0\0\0\0\x08",
    ] {
        refuses(&sized(field), "malformed: the size of an entry is no number");
    }
    // The largest that is one: there is not as much.
    refuses(&sized(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"), "malformed: the archive ends within an entry");
}

#[test]
fn extended_headers_say_name_target_and_size() {
    let file = || entry(b'0', "a", b"content");
    let said = |records: &[(&str, &str)]| [pax(records), file(), header(b'0', "b")];
    lists(&said(&[("path", "./x//y/")]), "f x/y f b");
    lists(&said(&[("path", "")]), "f a f b");
    lists(&said(&[("path", "d/.wh.x"), ("mtime", "1.5"), ("comment", "="), ("uid", "0")]), "w d/x f b");
    lists(&said(&[("path ", "x"), ("PATH", "x"), ("SCHILY.xattr.security.capability", "x")]), "f a f b");
    lists(&said(&[("SCHILY.xattr.trusted.overlayed", "x"), ("linkpath", "x"), ("size", "7")]), "f a f b");
    lists(&said(&[("size", "")]), "f a f b");
    lists(&said(&[]), "f a f b");
    lists(&[pax(&[("linkpath", "t\n")]), link(b'2', "a", "other")], "l a>t\n");
    lists(&[pax(&[("linkpath", "")]), link(b'2', "a", "other")], "l a>other");
    // The size there counts, and the one in the header does not.
    let hidden = [pax(&[("size", "512")]), header(b'0', "a"), header(b'0', "hidden"), header(b'0', "b")];
    lists(&hidden, "f a f b");
    let shown = [pax(&[("size", "0")]), entry(b'0', "a", &header(b'0', "shown"))];
    lists(&shown, "f a f shown");
    // It is that of the entry, not that of a long name between them.
    lists(&[pax(&[("size", "7")]), entry(b'L', "L", b"long\0"), file(), header(b'0', "b")], "f long f b");
    for size in ["-1", "+7", "7 ", " 7", "0x7", "9223372036854775808", "99999999999999999999", "\u{667}"] {
        refuses(&said(&[("size", size)]), "malformed: a record of an extended header cannot be read");
    }
    refuses(&said(&[("size", "9223372036854775807")]), "malformed: the archive ends within an entry");
    for key in ["path", "linkpath"] {
        refuses(&said(&[(key, "a\0b")]), "malformed: a name in an extended header holds a zero byte");
    }
    for key in ["path", "linkpath", "size"] {
        for values in [["7", "7"], ["7", ""], ["", "7"]] {
            refuses(
                &said(&[(key, values[0]), (key, values[1])]),
                "malformed: an extended header says the same thing twice",
            );
        }
    }
    for key in ["GNU.sparse.major", "GNU.sparse.name", "GNU.sparse.offset", "GNU.sparse.x"] {
        refuses(&said(&[(key, "1")]), "unsupported: it has sparse files");
    }
    for set in ["trusted.overlay", "user.overlay", "user.fuseoverlayfs"] {
        let key = format!("SCHILY.xattr.{set}.opaque");
        refuses(&said(&[(&key, "y")]), "unsupported: it sets attributes of the overlay file system");
    }
}

#[test]
fn records_are_whole() {
    for content in [
        "7 a=bc",
        "9 path=x",
        "9 path=xy",
        "8 path=x\n",
        "11 path=x\n",
        "99 path=x\n",
        " path=x\n",
        "x path=x\n",
        "+9 path=x\n",
        "-9 path=x\n",
        "9\tpath=x\n",
        "2 \n",
        "1 ",
        "0 a=b\n",
        "6 path\n",
        "9 path=x\n\0",
        "9 path=x\njunk",
        "99999999999999999999 path=x\n",
        "9",
    ] {
        let archive = [entry(b'x', "x", content.as_bytes()), header(b'0', "a")];
        refuses(&archive, "malformed: a record of an extended header cannot be read");
    }
    lists(&[entry(b'x', "x", b"011 path=x\n"), header(b'0', "a")], "f x");
}

#[test]
fn long_names_and_targets_come_in_blocks_of_gnu() {
    let long = "n/".repeat(300);
    let name = entry(b'L', "././@LongLink", format!("{long}\0").as_bytes());
    let target = entry(b'K', "././@LongLink", format!("{long}\0").as_bytes());
    let path = long.trim_end_matches('/');
    lists(&[name.clone(), header(b'0', "cut")], &format!("f {path}"));
    lists(&[target.clone(), link(b'2', "a", "cut")], &format!("l a>{long}"));
    lists(&[target, name.clone(), link(b'2', "cut", "cut"), header(b'0', "b")], &format!("l {path}>{long} f b"));
    lists(&[entry(b'L', "", b"x"), header(b'0', "a")], "f x");
    lists(&[entry(b'L', "", b"x\0y"), header(b'0', "a")], "f x");
    lists(&[entry(b'L', "", b"\0"), header(b'0', "a")], "f a");
    lists(&[entry(b'K', "", b""), link(b'2', "a", "t")], "l a>t");
    // The slash at its end counts as one in the header would.
    lists(&[name, header(0, "cut")], &format!("d {path}"));
}

#[test]
fn an_entry_is_described_once_and_at_once() {
    let (name, target, records) =
        (entry(b'L', "", b"x"), entry(b'K', "", b"x"), pax(&[("path", "x"), ("linkpath", "x")]));
    let a = link(b'2', "a", "t");
    lists(&[name.clone(), target.clone(), records.clone(), a.clone()], "l x>x");
    lists(&[records.clone(), name.clone(), a.clone(), a.clone()], "l x>x l a>t");
    for twice in [&name, &target, &records] {
        let expected = "malformed: two extended headers or long names stand before one entry";
        refuses(&[twice.clone(), twice.clone(), a.clone()], expected);
        let expected = "malformed: an extended header or long name is followed by no entry";
        refuses(std::slice::from_ref(twice), expected);
        refuses(&[a.clone(), twice.clone()], expected);
        refuses(&[twice.clone(), entry(b'g', "pax_global_header", b""), a.clone()], expected);
    }
    for other in [entry(b'L', "", b"y"), entry(b'K', "", b"y")] {
        let expected = "malformed: an extended header and a long name disagree about an entry";
        refuses(&[other.clone(), records.clone(), a.clone()], expected);
        refuses(&[records.clone(), other, a.clone()], expected);
    }
}

#[test]
fn global_headers_are_files_and_say_nothing_of_others() {
    let global = |name: &str, records: &[(&str, &str)]| {
        let records: String = records.iter().map(|(key, value)| record(key, value)).collect();
        [header(b'0', "a"), entry(b'g', name, records.as_bytes()), header(b'0', "b")]
    };
    for (name, listed) in [
        ("pax_global_header", "f pax_global_header"),
        ("/tmp/GlobalHead.7.1", "f tmp/GlobalHead.7.1"),
        ("././@PaxHeader", "f @PaxHeader"),
        ("etc/passwd", "f etc/passwd"),
        ("etc/.wh.passwd", "w etc/passwd"),
    ] {
        let expected = format!("f a {listed} f b");
        lists(&global(name, &[("comment", "4b825dc642cb6eb9a060e54bf8d69288fbee4904")]), &expected);
    }
    refuses(&global("", &[]), "malformed: the root is no directory");
    for key in ["path", "linkpath", "size"] {
        refuses(&global("GlobalHead.0.0", &[(key, "1")]), "unsupported: a global header names its entries");
    }
    refuses(&global("GlobalHead.0.0", &[("GNU.sparse.major", "1")]), "unsupported: it has sparse files");
}

#[test]
fn archives_of_the_tar_crate_are_listed() {
    let long = format!("usr/{}file", "long/".repeat(60));
    let of = |kind, size| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_cksum();
        header
    };
    let mut builder = tar::Builder::new(Vec::new());
    builder.append_data(&mut of(tar::EntryType::Directory, 0), "usr/", io::empty()).unwrap();
    builder.append_data(&mut of(tar::EntryType::Regular, 3), &long, &b"abc"[..]).unwrap();
    builder.append_link(&mut of(tar::EntryType::Symlink, 0), "bin", &long).unwrap();
    builder.append_pax_extensions([("path", &b".wh.lib"[..])]).unwrap();
    builder.append(&of(tar::EntryType::Regular, 0), io::empty()).unwrap();
    let found = listed_within(TAR, &builder.into_inner().unwrap(), &Bounds::default());
    assert_eq!(found, Ok(format!("d usr f {long} l bin>{long} w lib")));
}
