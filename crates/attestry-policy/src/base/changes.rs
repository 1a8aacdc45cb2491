//! What an image's own layers take away from its base or put in the place of it (attack 70).
//!
//! Layers are laid over each other by name: OCI image-spec v1.1.1, `layer.md`. Nodes differ in one thing. Where containerd
//! and Docker unpack into a directory of its own for each layer and lay these over each other (overlayfs, the usual
//! way), a name leads through the symbolic links of its own layer only: `bin/sh` over a base in which `bin` is a link to
//! `usr/bin` makes a directory `bin`, and the link is gone. Where they unpack into a copy of the layers below, the same
//! name is `usr/bin/sh`. What either of them does is told.
//!
//! What is only added is no change: it is what an image is built for. Owners, modes and other metadata are not looked at.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

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
/// Links that Linux follows on the way to one name.
const MAX_KERNEL_LINKS: usize = 40;
/// Bytes of a path with its links followed, as Linux takes them.
const MAX_PATH: usize = 4096;
/// Bytes of a path that are shown.
const MAX_SHOWN: usize = 512;

/// What laying layers over each other may cost, all of them together.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Names that are held, for both kinds of node together.
    pub names: usize,
    /// Bytes of these names and of the targets of links.
    pub bytes: usize,
    /// Parts of names that are looked up, longer ones counted more than once, and names that are taken away.
    pub steps: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { names: 8_000_000, bytes: 1 << 30, steps: 100_000_000 }
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
    #[error("a name leads through more links than are followed")]
    Links,
    /// A link leads out of the image while another is followed: what comes of it depends on the node's own files.
    #[error("where a name leads depends on the files of the node")]
    Elsewhere,
    /// No node could unpack it either.
    #[error("a path is longer than {MAX_PATH} bytes with its links followed")]
    Path,
}

/// Layers on top of each other: first those of the base, then the image's own.
#[derive(Debug)]
pub struct Overlay {
    work: Work,
    views: [View; 2],
    told: Told,
}

impl Default for Overlay {
    fn default() -> Self {
        Self::new(Bounds::default())
    }
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
    pub listed: Vec<Change>,
}

impl Changes {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.removed + self.emptied + self.replaced
    }
}

/// What was told, by what is done, path and layer.
#[derive(Debug, Default)]
struct Told {
    counts: [usize; 3],
    first: BTreeMap<(What, Vec<u8>, Digest), usize>,
    /// What the current layer did: both kinds of node often say the same.
    of_layer: BTreeSet<(What, Vec<u8>)>,
}

impl Told {
    fn add(&mut self, what: What, path: &[u8], layer: Digest, paths: usize) {
        let key = (what, path.to_vec(), layer);
        if !self.of_layer.insert((what, path.to_vec())) {
            // Where the two differ in how much is gone, the most is told.
            if let Some(known) = self.first.get_mut(&key) {
                *known = paths.max(*known);
            }
            return;
        }
        self.counts[what as usize] += 1;
        self.first.insert(key, paths);
        if self.first.len() > MAX_CHANGES {
            self.first.pop_last();
        }
    }
}

/// What may still be done.
#[derive(Debug)]
struct Work {
    bounds: Bounds,
    steps: u64,
}

impl Work {
    fn step(&mut self, count: usize) -> Result<(), OverlayError> {
        self.steps = self.steps.saturating_add(count as u64);
        if self.steps > self.bounds.steps { Err(OverlayError::Steps) } else { Ok(()) }
    }

    /// For a name that is looked up.
    fn look(&mut self, path: &[u8]) -> Result<(), OverlayError> {
        self.step(1 + path.len() / 64)
    }
}

/// The layers as one kind of node unpacks them.
#[derive(Debug)]
struct View {
    links: Links,
    /// What the layers below the current one hold.
    lower: Names,
    /// What the current one holds so far.
    upper: Names,
}

/// Whose links a name leads through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Links {
    /// Of its layer: each is unpacked into a directory of its own.
    OfItsLayer,
    /// Of all: each is unpacked into a copy of those below.
    OfAll,
}

/// What stands at each path. Directories that no entry of the base names are there as well.
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

impl Overlay {
    /// Nothing yet.
    pub fn new(bounds: Bounds) -> Self {
        let view = |links| View { links, lower: Names::default(), upper: Names::default() };
        let views = [view(Links::OfItsLayer), view(Links::OfAll)];
        Self { work: Work { bounds, steps: 0 }, views, told: Told::default() }
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
        let Told { counts: [removed, emptied, replaced], first, .. } = self.told;
        let shown = |((what, path, layer), paths): ((What, Vec<u8>, Digest), usize)| {
            let path = clean(&String::from_utf8_lossy(&path), MAX_SHOWN);
            Change { what, path, paths, layer }
        };
        Changes { removed, emptied, replaced, listed: first.into_iter().map(shown).collect() }
    }

    fn add(&mut self, entries: &[Entry], own: Option<Digest>) -> Result<(), OverlayError> {
        self.told.of_layer.clear();
        let Self { work, views, told } = self;
        for entry in entries {
            for view in views.iter_mut() {
                view.lay(entry, own, work, told)?;
            }
            let held = views.iter().flat_map(|view| [&view.lower, &view.upper]);
            let (names, bytes) =
                held.fold((0, 0), |(names, bytes), held| (names + held.nodes.len(), bytes + held.bytes));
            if names > work.bounds.names || bytes > work.bounds.bytes {
                return Err(OverlayError::Names);
            }
        }
        views.iter_mut().for_each(View::end_layer);
        Ok(())
    }
}

impl View {
    fn end_layer(&mut self) {
        for (path, node) in std::mem::take(&mut self.upper).nodes {
            let known = self.lower.nodes.get(&path).is_some_and(|below| below.kind == NodeKind::Directory);
            // A directory of the base stays the base's where a later layer names it again.
            if !(known && node.kind == NodeKind::Directory) {
                self.lower.insert(path, node);
            }
        }
    }

    fn lay(
        &mut self,
        entry: &Entry,
        own: Option<Digest>,
        work: &mut Work,
        told: &mut Told,
    ) -> Result<(), OverlayError> {
        let kind = &entry.kind;
        // The last part is the entry itself and is not followed; a directory is emptied where it is.
        let path = match kind {
            EntryKind::Opaque => self.follow(&entry.path, work)?,
            _ => self.follow_parent(&entry.path, work)?,
        };
        let mut take = |view: &mut Self, path: &[u8], what: What| {
            let taken = view.lower.take(path, what != What::Emptied);
            if let Some(layer) = own.filter(|_| taken.of_base > 0) {
                told.add(what, path, layer, taken.of_base);
            }
            taken.all
        };
        // What stands above an entry is a directory now, whatever it was.
        for (end, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            let above = &path[..end];
            work.look(above)?;
            if self.lower.is_no_directory(above) {
                work.step(take(self, above, What::Replaced))?;
            }
            if own.is_none() && !self.upper.nodes.contains_key(above) && !self.lower.nodes.contains_key(above) {
                self.upper.insert(above.to_vec(), Node { kind: NodeKind::Directory, of_base: true });
            }
        }
        let (what, node) = match kind {
            EntryKind::Whiteout => (What::Removed, None),
            EntryKind::Opaque if self.lower.is_no_directory(&path) => (What::Replaced, Some(NodeKind::Directory)),
            EntryKind::Opaque => (What::Emptied, None),
            EntryKind::Directory => (What::Replaced, Some(NodeKind::Directory)),
            EntryKind::Symlink(target) => (What::Replaced, Some(NodeKind::Symlink(target.clone()))),
            EntryKind::HardLink(target) => (What::Replaced, Some(self.linked(target, work)?)),
            EntryKind::File => (What::Replaced, Some(NodeKind::File)),
        };
        // A directory over a directory takes nothing away.
        if node != Some(NodeKind::Directory) || self.lower.is_no_directory(&path) {
            work.step(take(self, &path, what))?;
        }
        match node {
            // A copy does not know what this very layer brought; a directory of its own has no room for both.
            None if what == What::Removed && self.links == Links::OfAll => {
                work.step(self.upper.take(&path, true).all)?;
            }
            None => {}
            Some(kind) => {
                if kind != NodeKind::Directory {
                    work.step(self.upper.take(&path, false).all)?;
                }
                self.upper.insert(path, Node { kind, of_base: own.is_none() });
            }
        }
        Ok(())
    }

    /// What a hard link to `target` is: a link to a symbolic link is that link once more.
    fn linked(&mut self, target: &[u8], work: &mut Work) -> Result<NodeKind, OverlayError> {
        let target = self.follow_parent(target, work)?;
        Ok(self.link(&target).map_or(NodeKind::File, |to| NodeKind::Symlink(to.to_vec())))
    }

    /// The path with the links above its last part followed.
    fn follow_parent(&mut self, path: &[u8], work: &mut Work) -> Result<Vec<u8>, OverlayError> {
        let at = path.iter().rposition(|byte| *byte == b'/');
        let (parent, name) = at.map_or((&[][..], path), |at| (&path[..at], &path[at + 1..]));
        let mut path = self.follow(parent, work)?;
        push(&mut path, name);
        Ok(path)
    }

    /// The path with every symbolic link followed, never out of the image, as containerd does it (continuity,
    /// `fs.RootPath`): part by part, and again until no link is met. `..` in a target takes away the part before it,
    /// whether that is a link or not.
    fn follow(&self, path: &[u8], work: &mut Work) -> Result<Vec<u8>, OverlayError> {
        let mut path = path.to_vec();
        let mut walked = 0;
        loop {
            let before = walked;
            let mut done: Vec<u8> = Vec::new();
            for part in path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()) {
                let parent = done.len();
                push(&mut done, part);
                work.look(&done)?;
                // Once a link was followed there may be links in what stands before, and the kernel follows those.
                let met = if walked == before {
                    self.link(&done).map(<[u8]>::to_vec)
                } else {
                    self.link_by_kernel(&done, work)?
                };
                let Some(target) = met else { continue };
                walked += 1;
                if walked > MAX_LINKS {
                    return Err(OverlayError::Links);
                }
                work.step(target.len() / 16)?;
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

    /// The link at a path as `lstat` finds it: all links before the last part are followed by what they lead to.
    fn link_by_kernel(&self, path: &[u8], work: &mut Work) -> Result<Option<Vec<u8>>, OverlayError> {
        let mut left: VecDeque<Vec<u8>> = path.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect();
        let mut at: Vec<u8> = Vec::new();
        let mut walked = 0;
        while let Some(part) = left.pop_front() {
            if part == b".." {
                let Some(end) = (!at.is_empty()).then(|| at.iter().rposition(|byte| *byte == b'/').unwrap_or_default())
                else {
                    return Err(OverlayError::Elsewhere);
                };
                at.truncate(end);
                continue;
            }
            let parent = at.len();
            push(&mut at, &part);
            work.look(&at)?;
            let Some(target) = self.link(&at) else { continue };
            if left.is_empty() {
                return Ok(Some(target.to_vec()));
            }
            walked += 1;
            if walked > MAX_KERNEL_LINKS {
                return Err(OverlayError::Links);
            }
            if target.starts_with(b"/") {
                return Err(OverlayError::Elsewhere);
            }
            work.step(target.len() / 16)?;
            let parts = target.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
            for part in parts.rev() {
                left.push_front(part.to_vec());
            }
            at.truncate(parent);
        }
        Ok(None)
    }

    /// The target of the link at this very path, if there is one.
    fn link(&self, path: &[u8]) -> Option<&[u8]> {
        match (self.upper.nodes.contains_key(path), self.links) {
            (true, _) => self.upper.link(path),
            (false, Links::OfItsLayer) => None,
            (false, Links::OfAll) => self.lower.link(path),
        }
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
