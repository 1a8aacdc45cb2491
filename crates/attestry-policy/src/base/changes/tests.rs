//! What is told of layers that are written as words.

use proptest::prelude::*;

use super::*;

/// `a/` a directory, `a->b` a link, `-a` a whiteout, `!a` an opaque directory, anything else a file.
fn entries(words: &str) -> Vec<Entry> {
    let entry = |word: &str| {
        let (path, kind) = match (word.strip_prefix('-'), word.strip_prefix('!'), word.strip_suffix('/')) {
            (Some(path), ..) => (path, EntryKind::Whiteout),
            (_, Some(path), _) => (path, EntryKind::Opaque),
            (.., Some(path)) => (path, EntryKind::Directory),
            _ => match word.split_once("->") {
                Some((path, target)) => (path, EntryKind::Symlink(target.into())),
                None => (word, EntryKind::File),
            },
        };
        Entry { path: path.into(), kind }
    };
    words.split_whitespace().map(entry).collect()
}

/// The layers of base and image, `|` between them, and what is told: `word path (paths)`.
fn told(base: &str, own: &str) -> Vec<String> {
    let mut overlay = Overlay::default();
    for layer in base.split('|') {
        overlay.add_base(&entries(layer)).expect("few names");
    }
    for layer in own.split('|') {
        overlay.add_own(Digest::of(layer), &entries(layer)).expect("few names");
    }
    assert_eq!(overlay.count(), overlay.changes().len());
    let tell = |change: Change| format!("{} {} {}", change.what.as_str(), change.path, change.paths);
    overlay.changes().into_iter().map(tell).collect()
}

#[test]
fn attack_70_what_an_image_takes_from_its_base_is_told() {
    const BASE: &str = "etc/ etc/passwd etc/ssl/ etc/ssl/ca.pem | usr/ usr/bin/ usr/bin/sh usr/bin/ls bin->usr/bin";
    for (own, expected) in [
        // What is added is no change, nor is a directory that is named again.
        ("app", &[][..]),
        ("etc/ etc/app.conf usr/ usr/bin/ usr/bin/app", &[]),
        ("usr/bin/sh", &["replaced usr/bin/sh 1"]),
        ("usr/bin/sh->/app", &["replaced usr/bin/sh 1"]),
        ("-etc/passwd", &["removed etc/passwd 1"]),
        ("-etc", &["removed etc 4"]),
        ("!etc", &["emptied etc 3"]),
        ("!usr/bin", &["emptied usr/bin 2"]),
        ("-nothing !nowhere -etc/nothing", &[]),
        // Through the base's own link, and the link itself.
        ("bin/sh", &["replaced usr/bin/sh 1"]),
        ("-bin/ls", &["removed usr/bin/ls 1"]),
        ("!bin", &["emptied usr/bin 2"]),
        ("bin/", &["replaced bin 1"]),
        ("-bin", &["removed bin 1"]),
        ("etc->/app", &["replaced etc 4"]),
        ("etc", &["replaced etc 4"]),
        // Each path of the base is changed once, and what the image brought itself is its own.
        ("usr/bin/sh | usr/bin/sh | -usr/bin/sh", &["replaced usr/bin/sh 1"]),
        ("app | -app", &[]),
        ("-etc/passwd etc/passwd", &["removed etc/passwd 1"]),
        ("etc/passwd -etc/passwd", &["replaced etc/passwd 1"]),
        ("etc/new !etc | -etc", &["removed etc 1", "emptied etc 3"]),
        // A link of the image's own leads to the base as well.
        ("trick->etc | trick/passwd", &["replaced etc/passwd 1"]),
        ("trick->../../etc | trick/passwd", &["replaced etc/passwd 1"]),
        ("a->b b->a a/x", &[]),
        // What is gone comes first.
        ("usr/bin/sh -usr/bin/ls", &["removed usr/bin/ls 1", "replaced usr/bin/sh 1"]),
        ("-etc/pass", &[]),
    ] {
        assert_eq!(told(BASE, own), expected, "{own}");
    }
    // Directories that no entry names are there all the same.
    assert_eq!(told("a/b/c", "-a"), ["removed a 1"]);
    assert_eq!(told("a/b/c", "a/b"), ["replaced a/b 1"]);
    assert_eq!(told("a/b/c", "!"), ["emptied  1"]);
    // The base's layers may do to each other what they like.
    assert_eq!(told("a | -a", "a"), [""; 0]);
    assert_eq!(told("a->b b/x | c", "a/x"), ["replaced b/x 1"]);
}

#[test]
fn links_are_followed_as_far_as_a_node_does() {
    let chain = |links: usize| {
        let links: Vec<String> = (0..links).map(|n| format!("l{n}->l{}", n + 1)).collect();
        format!("{} l{}/ l{}/x", links.join(" "), links.len(), links.len())
    };
    assert_eq!(told(&chain(MAX_LINKS), "l0/x"), [format!("replaced l{MAX_LINKS}/x 1")]);
    assert_eq!(told(&chain(MAX_LINKS + 1), "l0/x"), [""; 0]);
}

#[test]
fn changes_and_names_are_counted() {
    let files = |count: usize| {
        let file = |n: usize| Entry { path: n.to_string().into_bytes(), kind: EntryKind::File };
        (0..count).map(file).collect::<Vec<_>>()
    };
    let mut overlay = Overlay::default();
    overlay.add_base(&files(MAX_CHANGES + 5)).expect("few names");
    overlay.add_own(Digest::of("own"), &files(MAX_CHANGES + 5)).expect("few names");
    assert_eq!((overlay.changes().len(), overlay.count()), (MAX_CHANGES, MAX_CHANGES + 5));
    let layer = overlay.changes().first().map(|change| change.layer);
    assert_eq!(layer, Some(Digest::of("own")));
}

#[test]
fn what_is_shown_is_one_line() {
    let mut overlay = Overlay::default();
    let odd = Entry { path: b"a\n\x1b[31m\xff".to_vec(), kind: EntryKind::File };
    overlay.add_base(std::slice::from_ref(&odd)).expect("few names");
    overlay.add_own(Digest::of("own"), &[Entry { kind: EntryKind::Whiteout, ..odd }]).expect("few names");
    let path = overlay.changes().remove(0).path;
    assert!(!path.chars().any(char::is_control), "{path:?}");
}

proptest! {
    /// However layers are made: no panic, and never more paths of the base gone than there were.
    #[test]
    fn no_more_is_gone_than_there_was(
        base in proptest::collection::vec("[-!]?[abc](/[abc.]{1,2}){0,2}(->[abc./]{1,4}|/)?", 0..12),
        own in proptest::collection::vec("[-!]?[abc](/[abc.]{1,2}){0,2}(->[abc./]{1,4}|/)?", 0..12),
    ) {
        let mut overlay = Overlay::default();
        overlay.add_base(&entries(&base.join(" "))).expect("few names");
        let there = overlay.nodes.len();
        overlay.add_own(Digest::of("own"), &entries(&own.join(" "))).expect("few names");
        let gone: usize = overlay.changes().iter().map(|change| change.paths).sum();
        let left = overlay.nodes.values().filter(|node| node.of_base).count();
        prop_assert_eq!(gone + left, there);
    }
}
