//! A Merkle tree that keeps all its leaves (RFC 6962, section 2.1): slow, short, and able to give proofs.

use attestry_core::merkle::{Hash, empty_root, node_hash};

/// The root of the tree over `leaves`.
pub(crate) fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(largest_power_of_two_below(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// The inclusion proof of the leaf at `index`, which the tree must have: siblings from the leaf to the root.
pub(crate) fn inclusion(leaves: &[Hash], index: usize) -> Vec<Hash> {
    assert!(index < leaves.len(), "leaf {index} is outside a tree of {} leaves", leaves.len());
    if leaves.len() == 1 {
        return Vec::new();
    }
    let middle = largest_power_of_two_below(leaves.len());
    let (left, right) = leaves.split_at(middle);
    let (mut proof, sibling) = match index < middle {
        true => (inclusion(left, index), root(right)),
        false => (inclusion(right, index - middle), root(left)),
    };
    proof.push(sibling);
    proof
}

fn largest_power_of_two_below(count: usize) -> usize {
    count.next_power_of_two() / 2
}

#[cfg(test)]
mod tests {
    use attestry_core::merkle::{Frontier, leaf_hash, verify_inclusion};

    use super::*;

    #[test]
    fn core_agrees_with_every_root_and_proof() {
        let leaves: Vec<Hash> = (0u8..19).map(|leaf| leaf_hash(&[leaf])).collect();
        let mut frontier = Frontier::new();
        assert_eq!(root(&[]), frontier.root());
        for size in 1..=leaves.len() {
            frontier.push(leaves[size - 1]);
            let root = root(&leaves[..size]);
            assert_eq!(root, frontier.root());
            for index in 0..size {
                let proof = inclusion(&leaves[..size], index);
                assert_eq!(verify_inclusion(&leaves[index], index as u64, size as u64, &proof, &root), Ok(()));
            }
        }
    }
}
