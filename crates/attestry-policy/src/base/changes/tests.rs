//! What is told of layers that are written as words.
#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;

/// `a/` a directory, `a->b` a link, `a=>b` a hard link, `-a` a whiteout, `!a` an opaque directory, anything else a file.
fn entries(words: &str) -> Vec<Entry> {
    let entry = |word: &str| {
        let (path, kind) = match (word.strip_prefix('-'), word.strip_prefix('!'), word.strip_suffix('/')) {
            (Some(path), ..) => (path, EntryKind::Whiteout),
            (_, Some(path), _) => (path, EntryKind::Opaque),
            (.., Some(path)) => (path, EntryKind::Directory),
            _ => match (word.split_once("->"), word.split_once("=>")) {
                (Some((path, target)), _) => (path, EntryKind::Symlink(target.into())),
                (_, Some((path, target))) => (path, EntryKind::HardLink(target.into())),
                _ => (word, EntryKind::File),
            },
        };
        Entry { path: path.into(), kind }
    };
    words.split_whitespace().map(entry).collect()
}

/// The layers of base and image, `|` between them.
fn overlay(bounds: Bounds, base: &str, own: &str) -> Result<Overlay, OverlayError> {
    let mut overlay = Overlay::new(bounds);
    base.split('|').try_for_each(|layer| overlay.add_base(&entries(layer)))?;
    own.split('|').try_for_each(|layer| overlay.add_own(Digest::of(layer), &entries(layer)))?;
    Ok(overlay)
}

/// What is told: `word path (paths)`.
fn told(base: &str, own: &str) -> Vec<String> {
    let changes = overlay(Bounds::default(), base, own).unwrap().into_changes();
    assert_eq!(changes.count(), changes.listed.len());
    let tell = |change: Change| format!("{} {} {}", change.what.as_str(), change.path, change.paths);
    changes.listed.into_iter().map(tell).collect()
}

const BASE: &str = "etc/ etc/passwd etc/ssl/ etc/ssl/ca.pem | usr/ usr/bin/ usr/bin/sh usr/bin/ls bin->usr/bin";

#[test]
fn attack_70_what_an_image_takes_from_its_base_is_told() {
    for (own, expected) in [
        // What is added is no change, nor is a directory that is named again.
        ("app", &[][..]),
        ("etc/ etc/app.conf usr/ usr/bin/ usr/bin/app", &[]),
        ("usr/bin/sh", &["replaced usr/bin/sh 1"]),
        ("usr/bin/sh->/app", &["replaced usr/bin/sh 1"]),
        ("usr/bin/sh/", &["replaced usr/bin/sh 1"]),
        ("-etc/passwd", &["removed etc/passwd 1"]),
        ("-etc", &["removed etc 4"]),
        ("!etc", &["emptied etc 3"]),
        ("!usr/bin", &["emptied usr/bin 2"]),
        ("-nothing !nowhere -etc/nothing", &[]),
        ("-etc/pass", &[]),
        ("etc->/app", &["replaced etc 4"]),
        ("etc", &["replaced etc 4"]),
        // What stands above an entry becomes a directory.
        ("usr/bin/sh/app", &["replaced usr/bin/sh 1"]),
        ("usr/bin/sh/-app", &["replaced usr/bin/sh 1"]),
        ("!usr/bin/sh", &["replaced usr/bin/sh 1"]),
        // Each path of the base is changed once, and what the image brought itself is its own.
        ("usr/bin/sh | usr/bin/sh | -usr/bin/sh", &["replaced usr/bin/sh 1"]),
        ("app | -app", &[]),
        ("new/app | -new", &[]),
        ("etc/ | -etc", &["removed etc 4"]),
        ("-etc/passwd etc/passwd", &["removed etc/passwd 1"]),
        ("etc/passwd -etc/passwd", &["replaced etc/passwd 1"]),
        ("etc/new !etc | -etc", &["removed etc 1", "emptied etc 3"]),
        // What is gone comes first.
        ("usr/bin/sh -usr/bin/ls", &["removed usr/bin/ls 1", "replaced usr/bin/sh 1"]),
    ] {
        assert_eq!(told(BASE, own), expected, "{own}");
    }
    // Directories that no entry names are there all the same, also when they are empty by now.
    assert_eq!(told("a/b/c", "-a"), ["removed a 3"]);
    assert_eq!(told("a/b/c", "a/b"), ["replaced a/b 2"]);
    assert_eq!(told("a/b/c", "!"), ["emptied  3"]);
    assert_eq!(told("a/b/c | -a/b/c", "a/b"), ["replaced a/b 1"]);
    assert_eq!(told("-x/y", "-x"), ["removed x 1"]);
    // The base's layers may do to each other what they like.
    assert_eq!(told("a | -a", "a"), [""; 0]);
    assert_eq!(told("a->b b/x | c", "b/x"), ["replaced b/x 1"]);
}

#[test]
fn attack_70_what_either_kind_of_node_makes_of_links_is_told() {
    for (own, expected) in [
        // In a directory of its own the layer makes `bin` anew; in a copy it goes through the link.
        ("bin/sh", &["replaced bin 1", "replaced usr/bin/sh 1"][..]),
        ("bin/app", &["replaced bin 1"]),
        ("-bin/ls", &["removed usr/bin/ls 1", "replaced bin 1"]),
        ("!bin", &["emptied usr/bin 2", "replaced bin 1"]),
        ("bin/", &["replaced bin 1"]),
        ("-bin", &["removed bin 1"]),
        // Links of the image's own lead to the base as well: of the same layer always, of an earlier one in a copy.
        ("trick->etc trick/passwd", &["replaced etc/passwd 1"]),
        ("trick->../../etc trick/passwd", &["replaced etc/passwd 1"]),
        ("trick->etc | trick/passwd", &["replaced etc/passwd 1"]),
        ("trick->etc other->trick | other/ssl/ca.pem", &["replaced etc/ssl/ca.pem 1"]),
        // `..` is a matter of names, whatever stands before it.
        ("opt/trick->../bin/../etc | opt/trick/passwd", &["replaced etc/passwd 1"]),
        ("trick->/bin/../etc trick/ssl/ca.pem", &["replaced etc/ssl/ca.pem 1"]),
        // Neither kind of node hides from us what the other does.
        ("bin/sh bin/ls", &["replaced bin 1", "replaced usr/bin/ls 1", "replaced usr/bin/sh 1"]),
        ("-bin/sh -bin/ls", &["removed usr/bin/ls 1", "removed usr/bin/sh 1", "replaced bin 1"]),
        ("bin/app | bin/sh", &["replaced bin 1", "replaced usr/bin/sh 1"]),
        // A hard link to a link is a link. To one of a lower layer only where there is a copy.
        ("l->etc t=>l t/passwd", &["replaced etc/passwd 1"]),
        ("l->etc t=>l | t/passwd", &["replaced etc/passwd 1"]),
        ("t=>bin t/sh", &["replaced usr/bin/sh 1"]),
        ("t=>etc/passwd t/x", &[]),
        // What a link leads to is looked up by the kernel, which follows the links on its way, and `..` behind them.
        ("c/d/l->../etc b->c/d a->b a/l/passwd", &["replaced etc/passwd 1"]),
        ("c/d/l->../etc b->./c/d a->b a/l/passwd", &["replaced etc/passwd 1"]),
        ("x/e/p->../../etc x/y/g->../e a->x/y/g a/p/passwd", &[]),
        // A link that this layer puts in the place of another.
        ("bin->etc bin/passwd", &["replaced bin 1", "replaced etc/passwd 1"]),
        // What this layer said of a place before holds until it says something else of it.
        ("d/trick->../etc d/ d/trick/passwd", &["replaced etc/passwd 1"]),
        ("d/trick->../etc d d/ d/trick/passwd", &[]),
        // A directory of this layer hides the link below.
        ("bin/ bin/sh", &["replaced bin 1"]),
    ] {
        assert_eq!(told(BASE, own), expected, "{own}");
    }
}

#[test]
fn links_are_followed_as_far_as_a_node_does() {
    let chain = |links: usize| {
        let links: Vec<String> = (0..links).map(|n| format!("l{n}->l{}", n + 1)).collect();
        format!("{} l{}->usr/bin l0/sh", links.join(" "), links.len())
    };
    assert_eq!(told(BASE, &chain(MAX_LINKS - 1)), ["replaced usr/bin/sh 1"]);
    let refused = |own: &str| overlay(Bounds::default(), BASE, own).err();
    assert_eq!(refused(&chain(MAX_LINKS)), Some(OverlayError::Links));
    assert_eq!(refused("a->b b->a a/x"), Some(OverlayError::Links));
    // On the way to one name the kernel follows no more than 40, and none out of the image.
    let way = |links: usize| {
        let links: Vec<String> = (0..links).map(|n| format!("l{n}->l{}", n + 1)).collect();
        format!("{} l{}->usr/bin a->l0 a/sh/x", links.join(" "), links.len())
    };
    assert_eq!(refused(&way(MAX_KERNEL_LINKS - 1)), None);
    assert_eq!(refused(&way(MAX_KERNEL_LINKS)), Some(OverlayError::Links));
    assert_eq!(refused("b->/etc a->b a/x/y"), Some(OverlayError::Elsewhere));
    assert_eq!(refused("b->../etc a->b a/x/y"), Some(OverlayError::Elsewhere));
    assert_eq!(refused("d/b->../etc a->d/b a/x/y"), None);
    let long = |length: usize| format!("a->{} a/x/y", "b".repeat(length - 2));
    assert_eq!(refused(&long(MAX_PATH)), None);
    assert_eq!(refused(&long(MAX_PATH + 1)), Some(OverlayError::Path));
}

#[test]
fn a_removal_is_listed_however_much_is_replaced_before_it() {
    let files: Vec<String> = (0..MAX_CHANGES + 5).map(|n| format!("f{n}")).collect();
    let files = files.join(" ");
    let changes = overlay(Bounds::default(), &format!("{files} z"), &format!("{files} -z")).unwrap().into_changes();
    assert_eq!((changes.removed, changes.emptied, changes.replaced), (1, 0, MAX_CHANGES + 5));
    assert_eq!((changes.count(), changes.listed.len()), (MAX_CHANGES + 6, MAX_CHANGES));
    let first = changes.listed.first().unwrap();
    assert_eq!((first.what, first.path.as_str()), (What::Removed, "z"));
    assert_eq!(first.layer, Digest::of(format!("{files} -z")));
}

#[test]
fn a_base_whose_layers_were_unpacked_in_one_way_hides_nothing_from_the_other() {
    for (base, own, expected) in [
        ("usr/bin/sh bin->usr/bin | bin/app", "bin/sh", "replaced usr/bin/sh 1"),
        ("usr/bin/sh bin->usr/bin | bin/app", "-bin/sh", "removed usr/bin/sh 1"),
        ("usr/bin/sh bin->usr/bin | -bin/sh", "-usr/bin/sh", "removed usr/bin/sh 1"),
        // A copy does not keep what its own layer takes away again.
        ("x/ a->x -a a/y", "-a", "removed a 2"),
        // One file for the one, a directory and a file for the other.
        ("a->. -a a/a", "a", "replaced a 2"),
    ] {
        let told = told(base, own);
        assert!(told.iter().any(|change| change == expected), "{base}, {own}: {told:?}");
    }
}

#[test]
fn names_bytes_and_steps_are_bounded() {
    // All is held twice, for both kinds of node.
    let bounds = Bounds { names: 8, bytes: 28, steps: 100 };
    let refused = |base: &str, own: &str| overlay(bounds, base, own).err();
    assert_eq!(refused("a b", "c d"), None);
    assert_eq!(refused("a b", "c d e"), Some(OverlayError::Names));
    assert_eq!(refused("a b c d", "-a e"), None, "what is gone is not held");
    assert_eq!(refused("a->1234567890123", ""), None);
    assert_eq!(refused("a->12345678901234", ""), Some(OverlayError::Names));
    assert_eq!(refused("a->1234567890123", "a->1234567890123 | a b->12345678901"), None);
    let steps = |base: &str, own: &str| overlay(Bounds::default(), base, own).unwrap().work.steps;
    let base = steps("a b c", "");
    // Each part of the parent is looked up, and each name above the entry, for both kinds of node.
    assert_eq!(steps("a b c", "x/y/z") - base, 8);
    assert_eq!(steps("a b c", "!") - base, 6, "three names each");
    assert_eq!(steps("a b c", "d/a d/b d") - base, 4 + 4 + 4);
    let long = "x".repeat(640);
    assert_eq!(steps("", &format!("{long}/y")), 2 * 2 * 11, "long names count more");
    let base = steps(&format!("l->{long}"), "");
    assert_eq!(steps(&format!("l->{long}"), "l/y") - base, 3 + 1 + 640 / 16 + 11 + 11);
    let within = |steps: u64| overlay(Bounds { steps, ..Bounds::default() }, "a b c", "x/y/z").err();
    let all = steps("a b c", "x/y/z");
    assert_eq!((within(all), within(all - 1)), (None, Some(OverlayError::Steps)));
}

#[test]
fn attack_39_many_whiteouts_over_many_names_take_no_longer_than_their_sum() {
    let words = |count: usize| (0..count).map(|n| format!("d/{n}")).chain(vec!["!d".to_owned(); count]);
    let own = words(20_000).collect::<Vec<_>>().join(" ");
    let overlay = overlay(Bounds::default(), &own, &own).unwrap();
    assert!(overlay.work.steps < 1_000_000, "{}", overlay.work.steps);
    assert_eq!(overlay.into_changes().replaced, 20_000);
}

#[test]
fn what_is_shown_is_one_line() {
    let mut overlay = Overlay::default();
    let odd = Entry { path: b"a\n\x1b[31m\xff".to_vec(), kind: EntryKind::File };
    overlay.add_base(std::slice::from_ref(&odd)).unwrap();
    overlay.add_own(Digest::of("own"), &[Entry { kind: EntryKind::Whiteout, ..odd }]).unwrap();
    let changes = overlay.into_changes();
    let path = &changes.listed.first().unwrap().path;
    assert!(!path.chars().any(char::is_control), "{path:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// However layers are made: no panic, all that either kind of node loses is told, and what is held is known.
    #[test]
    fn whatever_is_gone_is_told(
        base in proptest::collection::vec("[-!]?[abc](/[abc.]{1,2}){0,2}(->[abc./]{1,4}|/)?", 0..12),
        own in proptest::collection::vec("[-!]?[abc](/[abc.]{1,2}){0,2}(->[abc./]{1,4}|/)?", 0..12),
    ) {
        let mut overlay = Overlay::default();
        let clean = |words: &[String]| entries(&words.join(" ")).into_iter().filter(|entry| {
            !entry.path.split(|byte| *byte == b'/').any(|part| matches!(part, b"." | b".."))
        }).collect::<Vec<_>>();
        if overlay.add_base(&clean(&base)).is_ok() {
            // One kind of node at a time: what both take away is told once.
            let there: Vec<usize> = overlay.views.iter().map(|view| view.lower.nodes.len()).collect();
            if overlay.add_own(Digest::of("own"), &clean(&own)).is_ok() {
                let told: usize = overlay.told.first.values().sum();
                let mut most = 0;
                for (view, there) in overlay.views.iter().zip(there) {
                    let left = view.lower.nodes.values().filter(|node| node.of_base).count();
                    let bytes: usize = view.lower.nodes.iter().map(|(path, node)| weight(path, node)).sum();
                    prop_assert_eq!(view.lower.bytes, bytes);
                    prop_assert!(left <= there);
                    most = most.max(there - left);
                }
                // Whatever either kind lost is told.
                prop_assert!(told >= most, "{} {}", told, most);
            }
        }
    }
}
