//! The tree against a second, recursive construction, and every proof with its mutated twins.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

/// The trees of all sizes up to this one are tried, in every pair.
const SIZES: usize = 18;

#[test]
fn hashes_are_those_of_rfc_6962() {
    // Published with the RFC's reference implementation: no leaves, one empty leaf, two leaves.
    assert_eq!(hex::encode(empty_root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(hex::encode(leaf_hash(b"")), "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    let two = node_hash(&leaf_hash(b""), &leaf_hash(&[0]));
    assert_eq!(hex::encode(two), "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
}

#[test]
fn frontier_agrees_with_the_recursive_tree_at_every_size() {
    let leaves = leaves();
    let mut frontier = Frontier::new();
    assert_eq!(frontier.root(), empty_root());
    for (at, leaf) in leaves.iter().enumerate() {
        frontier.push(*leaf);
        assert_eq!(frontier.root(), root(&leaves[..=at]), "size {}", at + 1);
        let stored = Frontier::from_parts(frontier.size(), frontier.hashes().to_vec());
        assert_eq!(stored, Ok(frontier.clone()));
    }
    let short = Frontier::from_parts(3, vec![leaves[0]]);
    assert_eq!(short, Err(MerkleError::WrongLength { found: 1 }));
}

#[test]
fn every_inclusion_proof_holds_and_no_mutant_does() {
    let leaves = leaves();
    for size in 1..=SIZES {
        let root = root(&leaves[..size]);
        for index in 0..size {
            let proof = inclusion(&leaves[..size], index);
            let check = |leaf: &Hash, index: usize, size: usize, proof: &[Hash], root: &Hash| {
                verify_inclusion(leaf, index as u64, size as u64, proof, root)
            };
            assert_eq!(check(&leaves[index], index, size, &proof, &root), Ok(()), "{index} of {size}");
            for mutant in mutants(&proof) {
                assert!(check(&leaves[index], index, size, &mutant, &root).is_err(), "{index} of {size}");
            }
            assert!(check(&leaves[index], index, size, &proof, &empty_root()).is_err());
            for other in (0..SIZES).filter(|&other| other != index) {
                assert!(check(&leaves[index], other, size, &proof, &root).is_err(), "{index} as {other}");
                assert!(check(&leaves[other], index, size, &proof, &root).is_err());
            }
        }
    }
}

#[test]
fn every_consistency_proof_holds_and_no_mutant_does() {
    let leaves = leaves();
    for newer in 1..=SIZES {
        for older in 1..=newer {
            let roots = (root(&leaves[..older]), root(&leaves[..newer]));
            let proof = consistency(&leaves[..newer], older, true);
            let check = |older: usize, newer: usize, proof: &[Hash]| {
                verify_consistency((older as u64, &roots.0), (newer as u64, &roots.1), proof)
            };
            assert_eq!(check(older, newer, &proof), Ok(()), "{older} to {newer}");
            for mutant in mutants(&proof) {
                assert!(check(older, newer, &mutant).is_err(), "{older} to {newer}");
            }
            if older < newer {
                assert!(check(newer, older, &proof).is_err(), "shrunk from {newer} to {older}");
                let forked = (older as u64, &roots.1);
                assert!(verify_consistency(forked, (newer as u64, &roots.1), &proof).is_err());
            }
        }
    }
}

#[test]
fn odd_sizes_are_refused_without_a_panic() {
    let leaf = leaf_hash(b"");
    let outside = Err(MerkleError::LeafOutside { index: u64::MAX, size: u64::MAX });
    assert_eq!(verify_inclusion(&leaf, u64::MAX, u64::MAX, &[], &leaf), outside);
    assert_eq!(verify_inclusion(&leaf, 0, 0, &[], &leaf), Err(MerkleError::LeafOutside { index: 0, size: 0 }));
    let too_long = vec![leaf; 1000];
    let length = Err(MerkleError::WrongLength { found: 1000 });
    assert_eq!(verify_inclusion(&leaf, 5, u64::MAX, &too_long, &leaf), length);
    assert_eq!(verify_consistency((1, &leaf), (u64::MAX, &leaf), &too_long), length);
    assert_eq!(verify_consistency((0, &empty_root()), (1, &leaf), &[]), Err(MerkleError::NoOlderTree));
    assert_eq!(verify_consistency((0, &empty_root()), (0, &empty_root()), &[]), Err(MerkleError::NoOlderTree));
}

fn leaves() -> Vec<Hash> {
    (0..SIZES as u8).map(|n| leaf_hash(&[n])).collect()
}

/// A proof with a hash changed, left out, added or swapped.
fn mutants(proof: &[Hash]) -> Vec<Vec<Hash>> {
    let mut mutants = vec![[proof, &[leaf_hash(b"extra")]].concat(), [&[leaf_hash(b"extra")], proof].concat()];
    for at in 0..proof.len() {
        let mut flipped = proof.to_vec();
        flipped[at][31] ^= 1;
        mutants.push(flipped);
        let mut shorter = proof.to_vec();
        shorter.remove(at);
        mutants.push(shorter);
        if at > 0 {
            let mut swapped = proof.to_vec();
            swapped.swap(at - 1, at);
            mutants.push(swapped);
        }
    }
    mutants
}

/// The definitions of RFC 9162, section 2.1, word for word: slow, recursive, and unlike the code under test.
fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

fn inclusion(leaves: &[Hash], index: usize) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut proof, sibling) = if index < left.len() {
        (inclusion(left, index), root(right))
    } else {
        (inclusion(right, index - left.len()), root(left))
    };
    proof.push(sibling);
    proof
}

fn consistency(leaves: &[Hash], older: usize, whole: bool) -> Vec<Hash> {
    if older == leaves.len() {
        return if whole { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut proof, sibling) = if older <= left.len() {
        (consistency(left, older, whole), root(right))
    } else {
        (consistency(right, older - left.len(), false), root(left))
    };
    proof.push(sibling);
    proof
}

/// The largest power of two below `len`.
fn split(len: usize) -> usize {
    len.next_power_of_two() / 2
}

#[test]
fn trees_of_one_size_have_one_root() {
    let [one, other] = [leaf_hash(b"1"), leaf_hash(b"2")];
    assert_eq!(verify_consistency((1, &one), (1, &one), &[]), Ok(()));
    assert_eq!(verify_consistency((1, &one), (1, &other), &[]), Err(MerkleError::RootDiffers));
    assert_eq!(verify_consistency((1, &one), (1, &one), &[other]), Err(MerkleError::WrongLength { found: 1 }));
}
