//! What an image's own layers take away from its base or put in the place of it (attack 70).
//!
//! Layers are laid over each other by name: OCI image-spec v1.1.1, `layer.md`. Nodes differ in one thing. Where containerd
//! and Docker unpack into a directory of its own for each layer and lay these over each other (overlayfs, the usual
//! way), a name leads through the symbolic links of its own layer only: `bin/sh` over a base in which `bin` is a link to
//! `usr/bin` makes a directory `bin`, and the link is gone. Where they unpack into a copy of the layers below, the same
//! name is `usr/bin/sh`. What either of them does is told.
//!
//! What is only added is no change: it is what an image is built for.

use std::collections::{BTreeMap, BTreeSet};

use attestry_core::{
    Digest,
    layer::{Entry, EntryKind},
    reason::clean,
};
use serde::Serialize;

/// Changes that are kept; the others are counted.
const MAX_CHANGES: usize = 1000;
/// Links that one name may lead through (containerd/continuity, `fs.RootPath`).
const MAX_LINKS: usize = 255;
/// Bytes of a path with its links followed, as Linux takes them.
const MAX_PATH: usize = 4096;
/// Bytes of a path that are shown.
const MAX_SHOWN: usize = 512;

/// What laying layers over each other may cost, all of them together.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Names that are held.
    pub names: usize,
    /// Bytes of these names and of the targets of links.
    pub bytes: usize,
    /// Parts of names that are looked up, and names that are taken away.
    pub steps: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { names: 4_000_000, bytes: 512 << 20, steps: 50_000_000 }
    }
}

/// One thing that a layer does to the base.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// What it does.
    pub what: What,
    /// The path from the root of the image, without a slash before it; odd characters replaced.
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

/// Why it is not known what the layers change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OverlayError {
    /// [`Bounds::names`] or [`Bounds::bytes`].
    #[error("the layers hold more names than are compared")]
    Names,
    /// [`Bounds::steps`].
    #[error("the names of the layers take too long to compare")]
    Steps,
    /// No node could unpack it either.
    #[error("a name leads through more than {MAX_LINKS} links")]
    Links,
    /// No node could unpack it either.
    #[error("a path is longer than {MAX_PATH} bytes with its links followed")]
    Path,
}

/// Layers on top of each other: first those of the base, then the image's own.
#[derive(Debug, Default)]
pub struct Overlay {
    bounds: Bounds,
    steps: u64,
    /// What the layers below the current one hold.
    lower: Names,
    /// What the current one holds so far.
    upper: Names,
    changes: Changes,
}

/// What the image's own layers do to the base.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Changes {
    /// How many paths were taken away by whiteouts, each with all below it.
    pub removed: usize,
    /// How many directories were emptied.
    pub emptied: usize,
    /// How many paths were replaced.
    pub replaced: usize,
    /// The first thousand, what is gone before what is replaced, then by path.
    pub listed: BTreeSet<Change>,
}

impl Changes {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.removed + self.emptied + self.replaced
    }

    fn add(&mut self, change: Change) {
        match change.what {
            What::Removed => self.removed += 1,
            What::Emptied => self.emptied += 1,
            What::Replaced => self.replaced += 1,
        }
        self.listed.insert(change);
        if self.listed.len() > MAX_CHANGES {
            self.listed.pop_last();
        }
    }
}

/// What stands at each path; directories that no entry names are there all the same.
#[derive(Debug, Default)]
struct Names {
    nodes: BTreeMap<Vec<u8>, Node>,
    bytes: usize,
}

#[derive(Debug)]
struct Node {
    kind: NodeKind,
    of_base: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum NodeKind {
    Directory,
    Symlink(Vec<u8>),
    File,
}

impl Names {
    fn insert(&mut self, path: Vec<u8>, node: Node) {
        self.remove(&path);
        self.bytes += weight(&path, &node);
        self.nodes.insert(path, node);
    }

    fn remove(&mut self, path: &[u8]) -> Option<Node> {
        let node = self.nodes.remove(path)?;
        self.bytes -= weight(path, &node);
        Some(node)
    }

    /// Takes away what stands below `path`, and with `itself` at it.
    fn take(&mut self, path: &[u8], itself: bool) -> Taken {
        let below = if path.is_empty() { Vec::new() } else { [path, b"/"].concat() };
        let names = self.nodes.range(below.clone()..).map(|(name, _)| name);
        let mut found: Vec<Vec<u8>> = names.take_while(|name| name.starts_with(&below)).cloned().collect();
        found.extend(itself.then(|| path.to_vec()));
        let mut taken = Taken::default();
        for node in found.iter().filter_map(|name| self.remove(name)) {
            taken.all += 1;
            taken.of_base += usize::from(node.of_base);
        }
        taken
    }

    fn is_no_directory(&self, path: &[u8]) -> bool {
        self.nodes.get(path).is_some_and(|node| node.kind != NodeKind::Directory)
    }

    fn link(&self, path: &[u8]) -> Option<&[u8]> {
        match self.nodes.get(path)? {
            Node { kind: NodeKind::Symlink(target), .. } => Some(target),
            _ => None,
        }
    }
}

fn weight(path: &[u8], node: &Node) -> usize {
    match &node.kind {
        NodeKind::Symlink(target) => path.len() + target.len(),
        NodeKind::Directory | NodeKind::File => path.len(),
    }
}

/// How many names were taken away.
#[derive(Debug, Default)]
struct Taken {
    all: usize,
    of_base: usize,
}

/// Whose links a name leads through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Links {
    OfItsLayer,
    OfAll,
}

impl Overlay {
    /// Nothing yet.
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// Lays a layer of the base on top.
    ///
    /// # Errors
    ///
    /// A bound that is passed, and names that no node can unpack. What the overlay holds then is of no use.
    pub fn add_base(&mut self, entries: &[Entry]) -> Result<(), OverlayError> {
        self.add(entries, None)
    }

    /// Lays one of the image's own layers on top, of this digest.
    ///
    /// # Errors
    ///
    /// As [`Self::add_base`].
    pub fn add_own(&mut self, layer: Digest, entries: &[Entry]) -> Result<(), OverlayError> {
        self.add(entries, Some(layer))
    }

    /// What was changed of the base.
    pub fn into_changes(self) -> Changes {
        self.changes
    }

    fn add(&mut self, entries: &[Entry], own: Option<Digest>) -> Result<(), OverlayError> {
        for entry in entries {
            self.lay(entry, own)?;
            let (names, bytes) = (self.lower.nodes.len() + self.upper.nodes.len(), self.lower.bytes + self.upper.bytes);
            if names > self.bounds.names || bytes > self.bounds.bytes {
                return Err(OverlayError::Names);
            }
        }
        for (path, node) in std::mem::take(&mut self.upper).nodes {
            let known = self.lower.nodes.get(&path).is_some_and(|below| below.kind == NodeKind::Directory);
            // A directory of the base stays the base's where a later layer names it again.
            if !(known && node.kind == NodeKind::Directory) {
                self.lower.insert(path, node);
            }
        }
        Ok(())
    }

    fn lay(&mut self, entry: &Entry, own: Option<Digest>) -> Result<(), OverlayError> {
        let place = self.place(entry, Links::OfItsLayer)?;
        let other = self.place(entry, Links::OfAll)?;
        self.lay_at(&place, &entry.kind, own)?;
        if other != place {
            self.lay_at(&other, &entry.kind, own)?;
        }
        Ok(())
    }

    /// Where an entry stands. The last part is the entry itself and is not followed; a directory is emptied where it is.
    fn place(&mut self, entry: &Entry, links: Links) -> Result<Vec<u8>, OverlayError> {
        if entry.kind == EntryKind::Opaque {
            return self.follow(&entry.path, links);
        }
        let at = entry.path.iter().rposition(|byte| *byte == b'/');
        let (parent, name) = at.map_or((&[][..], &entry.path[..]), |at| (&entry.path[..at], &entry.path[at + 1..]));
        let mut path = self.follow(parent, links)?;
        push(&mut path, name);
        Ok(path)
    }

    fn lay_at(&mut self, path: &[u8], kind: &EntryKind, own: Option<Digest>) -> Result<(), OverlayError> {
        // What stands above an entry is a directory now, whatever it was.
        for (end, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            self.step(1)?;
            if self.lower.is_no_directory(&path[..end]) {
                self.take(&path[..end], What::Replaced, own)?;
            }
        }
        // What this very layer brings is not taken away by its own whiteouts.
        let (what, node) = match kind {
            EntryKind::Whiteout => (What::Removed, None),
            EntryKind::Opaque if self.lower.is_no_directory(path) => (What::Replaced, Some(NodeKind::Directory)),
            EntryKind::Opaque => (What::Emptied, None),
            EntryKind::Directory => (What::Replaced, Some(NodeKind::Directory)),
            EntryKind::Symlink(target) => (What::Replaced, Some(NodeKind::Symlink(target.clone()))),
            EntryKind::File => (What::Replaced, Some(NodeKind::File)),
        };
        // A directory over a directory takes nothing away.
        if node != Some(NodeKind::Directory) || self.lower.is_no_directory(path) {
            self.take(path, what, own)?;
        }
        let Some(kind) = node else { return Ok(()) };
        if kind != NodeKind::Directory {
            let taken = self.upper.take(path, false);
            self.step(taken.all as u64)?;
        }
        self.upper.insert(path.to_vec(), Node { kind, of_base: own.is_none() });
        Ok(())
    }

    /// Takes a path of the layers below away, and tells it where it was the base's.
    fn take(&mut self, path: &[u8], what: What, own: Option<Digest>) -> Result<(), OverlayError> {
        let taken = self.lower.take(path, what != What::Emptied);
        self.step(taken.all as u64)?;
        if let Some(layer) = own.filter(|_| taken.of_base > 0) {
            let path = clean(&String::from_utf8_lossy(path), MAX_SHOWN);
            self.changes.add(Change { what, path, paths: taken.of_base, layer });
        }
        Ok(())
    }

    /// The path with every symbolic link followed, never out of the image, as containerd does it: `..` in a target takes
    /// away the part before it, whether that is a link or not.
    fn follow(&mut self, path: &[u8], links: Links) -> Result<Vec<u8>, OverlayError> {
        let mut path = path.to_vec();
        let mut walked = 0;
        loop {
            let before = walked;
            let mut done: Vec<u8> = Vec::new();
            for part in path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
                self.step(1)?;
                let parent = done.len();
                push(&mut done, part);
                let below = || self.lower.link(&done).filter(|_| links == Links::OfAll);
                let here = if self.upper.nodes.contains_key(&done) { self.upper.link(&done) } else { below() };
                let Some(target) = here.map(<[u8]>::to_vec) else { continue };
                walked += 1;
                if walked > MAX_LINKS {
                    return Err(OverlayError::Links);
                }
                done.truncate(if target.starts_with(b"/") { 0 } else { parent });
                walk(&mut done, &target);
            }
            if done.len() > MAX_PATH {
                return Err(OverlayError::Path);
            }
            if walked == before {
                return Ok(done);
            }
            path = done;
        }
    }

    fn step(&mut self, count: u64) -> Result<(), OverlayError> {
        self.steps = self.steps.saturating_add(count);
        if self.steps > self.bounds.steps { Err(OverlayError::Steps) } else { Ok(()) }
    }
}

/// Adds a part to a path.
fn push(path: &mut Vec<u8>, part: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(part);
}

/// Goes from a path along a target, by names alone and never above the root.
fn walk(path: &mut Vec<u8>, target: &[u8]) {
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => path.truncate(path.iter().rposition(|byte| *byte == b'/').unwrap_or_default()),
            part => push(path, part),
        }
    }
}

#[cfg(test)]
mod tests;
