//! What an image's own layers take away from its base or put in the place of it (attack 70).
//!
//! Layers are laid over each other by name, as a node does it: OCI image-spec v1.1.1, `layer.md`. A name leads through
//! the symbolic links of the layers below, so `bin/sh` over a base in which `bin` is a link to `usr/bin` is `usr/bin/sh`.
//! What is only added is no change: it is what an image is built for.

use std::collections::{BTreeMap, VecDeque};

use attestry_core::{
    Digest,
    layer::{Entry, EntryKind},
    reason::clean,
};
use serde::Serialize;

/// Names that are held of all layers together.
const MAX_NAMES: usize = 4_000_000;
/// Changes that are kept; the others are counted.
const MAX_CHANGES: usize = 1000;
/// Links that one name may lead through, as on Linux.
const MAX_LINKS: usize = 40;
/// Bytes of a path that are shown.
const MAX_SHOWN: usize = 512;

/// One thing that a layer does to the base.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// What it does.
    pub what: What,
    /// The path, from the root of the image and with its links followed; odd characters replaced.
    pub path: String,
    /// How many paths of the base are gone by it.
    pub paths: usize,
    /// Digest of the compressed layer.
    pub layer: Digest,
}

/// What is done to a path of the base.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum What {
    /// Taken away by a whiteout.
    Removed,
    /// A directory whose content is taken away.
    Emptied,
    /// Something else stands there now.
    Replaced,
}

impl What {
    /// The word as it is written in JSON and text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Emptied => "emptied",
            Self::Replaced => "replaced",
        }
    }
}

/// More names than are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the layers hold more than {MAX_NAMES} names")]
pub struct TooManyNames;

/// Layers on top of each other: first those of the base, then the image's own.
#[derive(Debug, Default)]
pub struct Overlay {
    nodes: BTreeMap<Vec<u8>, Node>,
    layers: usize,
    changes: Vec<Change>,
    count: usize,
}

#[derive(Debug)]
struct Node {
    kind: NodeKind,
    of_base: bool,
    layer: usize,
}

#[derive(Debug, PartialEq, Eq)]
enum NodeKind {
    Directory,
    Symlink(Vec<u8>),
    File,
}

impl Overlay {
    /// Lays a layer of the base on top.
    ///
    /// # Errors
    ///
    /// More than four million names in all.
    pub fn add_base(&mut self, entries: &[Entry]) -> Result<(), TooManyNames> {
        self.add(entries, None)
    }

    /// Lays one of the image's own layers on top, of this digest.
    ///
    /// # Errors
    ///
    /// As [`Self::add_base`].
    pub fn add_own(&mut self, layer: Digest, entries: &[Entry]) -> Result<(), TooManyNames> {
        self.add(entries, Some(layer))
    }

    /// What was changed of the base: what is gone first, then by path. At most 1000; [`Self::count`] has them all.
    pub fn changes(&self) -> Vec<Change> {
        let mut changes = self.changes.clone();
        changes.sort();
        changes
    }

    /// How many changes there are.
    pub fn count(&self) -> usize {
        self.count
    }

    fn add(&mut self, entries: &[Entry], own: Option<Digest>) -> Result<(), TooManyNames> {
        self.layers += 1;
        for entry in entries {
            self.lay(entry, own);
            if self.nodes.len() > MAX_NAMES {
                return Err(TooManyNames);
            }
        }
        Ok(())
    }

    fn lay(&mut self, entry: &Entry, own: Option<Digest>) {
        // The last part is the entry itself, which is never followed; a directory is looked into as a whole.
        let path = match &entry.kind {
            EntryKind::Opaque => self.follow(&entry.path),
            _ => {
                let (parent, name) = split(&entry.path);
                join(&self.follow(parent), name)
            }
        };
        // What this very layer brings is not taken away by its own whiteouts.
        let lower = self.layers - 1;
        let (what, paths) = match &entry.kind {
            EntryKind::Whiteout => (What::Removed, self.take(&path, true, lower)),
            EntryKind::Opaque => (What::Emptied, self.take(&path, false, lower)),
            EntryKind::Directory => match self.nodes.get(&path) {
                None | Some(Node { kind: NodeKind::Directory, .. }) => (What::Replaced, 0),
                Some(_) => (What::Replaced, self.take(&path, true, self.layers)),
            },
            EntryKind::Symlink(_) | EntryKind::File => (What::Replaced, self.take(&path, true, self.layers)),
        };
        if let Some(layer) = own.filter(|_| paths > 0) {
            self.count += 1;
            if self.changes.len() < MAX_CHANGES {
                let path = clean(&String::from_utf8_lossy(&path), MAX_SHOWN);
                self.changes.push(Change { what, path, paths, layer });
            }
        }
        let kind = match &entry.kind {
            EntryKind::Directory => NodeKind::Directory,
            EntryKind::Symlink(target) => NodeKind::Symlink(target.clone()),
            EntryKind::File => NodeKind::File,
            EntryKind::Whiteout | EntryKind::Opaque => return,
        };
        let node = Node { kind, of_base: own.is_none(), layer: self.layers };
        // A directory of the base stays the base's, also where a later layer names it again.
        self.nodes.entry(path).or_insert(node);
    }

    /// Takes away what stands below `path`, and with `itself` at it, in layers up to `until`. Gives the number of paths
    /// of the base among it.
    fn take(&mut self, path: &[u8], itself: bool, until: usize) -> usize {
        let first = if path.is_empty() { Vec::new() } else { join(path, b"") };
        let below =
            (self.nodes.range(first.clone()..)).map(|(name, _)| name).take_while(|name| name.starts_with(&first));
        let exactly = (self.nodes.get_key_value(path)).map(|(name, _)| name).filter(|_| itself);
        let found: Vec<Vec<u8>> = exactly.into_iter().chain(below).cloned().collect();
        let mut of_base = 0;
        for name in found {
            if self.nodes.get(&name).is_some_and(|node| node.layer <= until)
                && let Some(node) = self.nodes.remove(&name)
            {
                of_base += usize::from(node.of_base);
            }
        }
        of_base
    }

    /// The path with every symbolic link followed, never out of the image. Links without end lead nowhere: the path as
    /// it is written.
    fn follow(&self, path: &[u8]) -> Vec<u8> {
        let mut left: VecDeque<Vec<u8>> = parts(path).map(<[u8]>::to_vec).collect();
        let mut done: Vec<u8> = Vec::new();
        let mut links = 0;
        while let Some(part) = left.pop_front() {
            if part == b".." {
                done = split(&done).0.to_vec();
                continue;
            }
            let next = join(&done, &part);
            let Some(Node { kind: NodeKind::Symlink(target), .. }) = self.nodes.get(&next) else {
                done = next;
                continue;
            };
            links += 1;
            if links > MAX_LINKS {
                return path.to_vec();
            }
            if target.starts_with(b"/") {
                done.clear();
            }
            for part in parts(target).rev() {
                left.push_front(part.to_vec());
            }
        }
        done
    }
}

/// The parts of a path that mean something.
fn parts(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".")
}

/// Parent and last part.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (&[], path),
    }
}

fn join(parent: &[u8], name: &[u8]) -> Vec<u8> {
    if parent.is_empty() { name.to_vec() } else { [parent, b"/", name].concat() }
}

#[cfg(test)]
mod tests;
