//! The Merkle tree of the decision log: hashes, an incremental root, and the checks of proofs (RFC 6962, RFC 9162).
//!
//! An auditor who holds two checkpoints and a proof can tell that the newer log extends the older one, and that a
//! record is in it, without trusting the server that keeps the log.

use sha2::{Digest as _, Sha256};

/// A node of the tree: SHA-256 with the prefixes of RFC 6962, section 2.1. It is not a content digest.
pub type Hash = [u8; 32];

/// The most hashes that a proof or a frontier can need: a tree has at most 2^64 − 1 leaves.
pub const MAX_HASHES: usize = 64;

/// The tree as far as appending needs it: the roots of its perfect subtrees, largest first.
///
/// There is one hash for each set bit of the size, so a frontier never exceeds [`MAX_HASHES`] hashes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    hashes: Vec<Hash>,
}

/// Why a proof, or a stored frontier, shows nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MerkleError {
    /// The leaf is not in a tree of this size.
    #[error("leaf {index} is outside a tree of {size} leaves")]
    LeafOutside {
        /// The index of the leaf, from zero.
        index: u64,
        /// The number of leaves.
        size: u64,
    },
    /// The older tree is empty, so there is nothing to be consistent with (RFC 9162, section 2.1.4).
    #[error("a consistency proof from an empty tree shows nothing")]
    NoOlderTree,
    /// The newer tree is smaller than the older one.
    #[error("the tree shrank from {older} to {newer} leaves")]
    Shrunk {
        /// Leaves of the older tree.
        older: u64,
        /// Leaves of the newer tree.
        newer: u64,
    },
    /// The number of hashes does not fit the sizes.
    #[error("{found} hashes do not fit these tree sizes")]
    WrongLength {
        /// How many hashes were given.
        found: usize,
    },
    /// The hashes lead to another root.
    #[error("the hashes lead to another root")]
    RootDiffers,
}

/// The hash of a leaf: SHA-256(0x00 ‖ record).
pub fn leaf_hash(record: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(record).finalize().into()
}

/// The hash of an inner node: SHA-256(0x01 ‖ left ‖ right).
///
/// The prefixes keep a node from passing as a leaf (second preimage of a tree).
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of the tree without leaves: SHA-256 of nothing.
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

impl Frontier {
    /// The frontier of the empty tree.
    pub const fn new() -> Self {
        Self { size: 0, hashes: Vec::new() }
    }

    /// Takes up a stored frontier: `hashes` as [`Frontier::hashes`] gave them.
    pub fn from_parts(size: u64, hashes: Vec<Hash>) -> Result<Self, MerkleError> {
        if hashes.len() != size.count_ones() as usize {
            return Err(MerkleError::WrongLength { found: hashes.len() });
        }
        Ok(Self { size, hashes })
    }

    /// The number of leaves.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The roots of the perfect subtrees, largest first.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Appends a leaf by its [`leaf_hash`]. A tree that already holds `u64::MAX` leaves stays as it is.
    pub fn push(&mut self, leaf: Hash) {
        let Some(size) = self.size.checked_add(1) else { return };
        let mut hash = leaf;
        // Each trailing one bit of the old size is a perfect subtree that the new leaf completes.
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.hashes.pop() else { break };
            hash = node_hash(&left, &hash);
        }
        self.hashes.push(hash);
        self.size = size;
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        let mut right_to_left = self.hashes.iter().rev();
        match right_to_left.next() {
            None => empty_root(),
            Some(last) => right_to_left.fold(*last, |right, left| node_hash(left, &right)),
        }
    }
}

/// Checks that the leaf with hash `leaf` stands at `index` (from zero) of the tree of `size` leaves with this `root`.
///
/// The steps are those of RFC 9162, section 2.1.3.2.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<(), MerkleError> {
    if index >= size {
        return Err(MerkleError::LeafOutside { index, size });
    }
    let mut walk = Walk { node: index, last: size - 1 };
    let mut hash = *leaf;
    for sibling in proof {
        hash = match walk.up().ok_or(MerkleError::WrongLength { found: proof.len() })? {
            Side::Left => node_hash(sibling, &hash),
            Side::Right => node_hash(&hash, sibling),
        };
    }
    finish(&walk, proof.len(), hash == *root)
}

/// Checks that the tree of `newer` leaves begins with the whole tree of `older` leaves.
///
/// The steps are those of RFC 9162, section 2.1.4.2. An older tree of no leaves is refused: such a proof shows
/// nothing, and who knows no older tree needs none.
pub fn verify_consistency(
    (older, older_root): (u64, &Hash),
    (newer, newer_root): (u64, &Hash),
    proof: &[Hash],
) -> Result<(), MerkleError> {
    let wrong_length = MerkleError::WrongLength { found: proof.len() };
    if older == 0 {
        return Err(MerkleError::NoOlderTree);
    }
    if older > newer {
        return Err(MerkleError::Shrunk { older, newer });
    }
    if older == newer {
        return match proof {
            [] if older_root == newer_root => Ok(()),
            [] => Err(MerkleError::RootDiffers),
            _ => Err(wrong_length),
        };
    }
    let mut walk = Walk { node: older - 1, last: newer - 1 };
    walk.skip_completed();
    // An older tree that is perfect is itself the first node of the proof, so the proof leaves it out.
    let (first, rest) = match (older.is_power_of_two(), proof) {
        (true, rest) => (older_root, rest),
        (false, [first, rest @ ..]) => (first, rest),
        (false, []) => return Err(wrong_length),
    };
    let (mut old_hash, mut new_hash) = (*first, *first);
    for sibling in rest {
        match walk.up().ok_or(MerkleError::WrongLength { found: proof.len() })? {
            Side::Left => {
                old_hash = node_hash(sibling, &old_hash);
                new_hash = node_hash(sibling, &new_hash);
            }
            Side::Right => new_hash = node_hash(&new_hash, sibling),
        }
    }
    finish(&walk, proof.len(), old_hash == *older_root && new_hash == *newer_root)
}

/// A proof must end exactly at the root: hashes left out or left over are refused before the roots are looked at.
fn finish(walk: &Walk, found: usize, roots_agree: bool) -> Result<(), MerkleError> {
    match (walk.last == 0, roots_agree) {
        (false, _) => Err(MerkleError::WrongLength { found }),
        (true, false) => Err(MerkleError::RootDiffers),
        (true, true) => Ok(()),
    }
}

/// On which side of the path the next hash of a proof stands.
enum Side {
    Left,
    Right,
}

/// The way from a node to the root: `fn` and `sn` of RFC 9162.
struct Walk {
    /// The index of the node in its level.
    node: u64,
    /// The index of the last node of that level.
    last: u64,
}

impl Walk {
    /// One level up; `None` when the root is reached, so a proof is never longer than the tree is high.
    fn up(&mut self) -> Option<Side> {
        if self.last == 0 {
            return None;
        }
        let side = if self.node & 1 == 1 || self.node == self.last {
            // A last node without a right sibling moves up unchanged until it is a right child.
            while self.node & 1 == 0 && self.node != 0 {
                self.shift();
            }
            Side::Left
        } else {
            Side::Right
        };
        self.shift();
        Some(side)
    }

    /// Climbs while the node is a right child: that subtree of the older tree is complete.
    fn skip_completed(&mut self) {
        while self.node & 1 == 1 {
            self.shift();
        }
    }

    fn shift(&mut self) {
        self.node >>= 1;
        self.last >>= 1;
    }
}

#[cfg(test)]
mod tests;
