//! Proofs: notes, Merkle paths, trusted roots and what is verified under them.

use std::sync::OnceLock;

use attestry_core::{
    Timestamp,
    identity::Identity,
    merkle::{Frontier, Hash, leaf_hash, node_hash, verify_consistency, verify_inclusion},
    note::{Checkpoint, NoteKey, UnverifiedNote},
    trust_root::{Demands, TrustRoot},
    verify::{FileContent, FileSigner, verify_file},
};

/// A note is written as it was read; so are a checkpoint and a key.
pub fn note(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(note) = UnverifiedNote::parse(bytes) {
        let again = UnverifiedNote::parse(note.to_string().as_bytes()).expect("what we write we read");
        assert_eq!(again.unverified_text(), note.unverified_text());
        assert_eq!(again.signatures().len(), note.signatures().len());
        let _ = Checkpoint::from_text(note.unverified_text());
    }
    if let Ok(checkpoint) = Checkpoint::from_text(text) {
        let again = Checkpoint::from_text(&checkpoint.to_text()).expect("what we write we read");
        let parts = |c: &Checkpoint| (c.origin.clone(), c.size, c.root);
        assert_eq!(parts(&again), parts(&checkpoint));
    }
    if let Ok(key) = text.parse::<NoteKey>() {
        let again: NoteKey = key.to_string().parse().expect("what we write we read");
        assert_eq!((again.name(), again.id()), (key.name(), key.id()));
    }
}

/// In a small tree each true proof is accepted, and none with a changed byte, a hash more or a hash less. Other bytes
/// are taken as proofs as they come, in trees of any size.
pub fn merkle(bytes: &[u8]) {
    let Some((head, rest)) = bytes.split_first_chunk::<19>() else { return };
    let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| head[at + i]));
    foreign_proof(number(0), number(8), rest);

    let leaves: Vec<Hash> = (0..1 + usize::from(head[16]) % 65).map(|i| leaf_hash(&[head[17], i as u8])).collect();
    let size = leaves.len();
    let mut frontier = Frontier::default();
    leaves.iter().for_each(|leaf| frontier.push(*leaf));
    let root = frontier.root();
    assert_eq!(root, root_of(&leaves));

    let index = usize::from(head[18]) % size;
    let proof = inclusion(&leaves, index);
    let included = |proof: &[Hash]| verify_inclusion(&leaves[index], index as u64, size as u64, proof, &root).is_ok();
    assert!(included(&proof));
    changes(&proof, rest, |changed| assert!(!included(changed), "inclusion"));

    let older = 1 + index;
    let older_root = root_of(&leaves[..older]);
    let proof = if older == size { Vec::new() } else { consistency(&leaves, older, true) };
    let begins = |p: &[Hash]| verify_consistency((older as u64, &older_root), (size as u64, &root), p).is_ok();
    assert!(begins(&proof));
    changes(&proof, rest, |changed| assert!(!begins(changed), "consistency"));
}

fn foreign_proof(first: u64, second: u64, rest: &[u8]) {
    let hashes: Vec<Hash> = rest.chunks_exact(32).map(|chunk| chunk.try_into().expect("32 bytes")).collect();
    if let [one, two, proof @ ..] = hashes.as_slice() {
        let _ = verify_inclusion(one, first, second, proof, two);
        let _ = verify_consistency((first, one), (second, two), proof);
        let _ = Frontier::from_parts(first, hashes.clone()).map(|mut frontier| {
            frontier.push(*one);
            frontier.root()
        });
    }
}

/// The proof with one byte changed, one hash more and one hash less.
fn changes(proof: &[Hash], choice: &[u8], check: impl Fn(&[Hash])) {
    check(&[proof, &[[choice.first().copied().unwrap_or(0); 32]]].concat());
    let Some((_, shorter)) = proof.split_last() else { return };
    check(shorter);
    if let [hash, byte, bits, ..] = *choice {
        let mut changed = proof.to_vec();
        let place = usize::from(hash) % proof.len();
        changed[place][usize::from(byte) % 32] ^= bits.max(1);
        check(&changed);
    }
}

// The recursive definitions of RFC 6962, section 2.1, which the verifier does not use.

fn split(size: usize) -> usize {
    size.next_power_of_two() / 2
}

fn root_of(leaves: &[Hash]) -> Hash {
    match leaves {
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root_of(left), &root_of(right))
        }
    }
}

fn inclusion(leaves: &[Hash], index: usize) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let at = split(leaves.len());
    let (left, right) = leaves.split_at(at);
    let (mut proof, sibling) =
        if index < at { (inclusion(left, index), right) } else { (inclusion(right, index - at), left) };
    proof.push(root_of(sibling));
    proof
}

fn consistency(leaves: &[Hash], older: usize, whole: bool) -> Vec<Hash> {
    if older == leaves.len() {
        return if whole { Vec::new() } else { vec![root_of(leaves)] };
    }
    let at = split(leaves.len());
    let (left, right) = leaves.split_at(at);
    let (mut proof, sibling) = if older <= at {
        (consistency(left, older, whole), right)
    } else {
        (consistency(right, older - at, false), left)
    };
    proof.push(root_of(sibling));
    proof
}

/// Whoever a certificate names can be written on one line.
pub fn certificate(bytes: &[u8]) {
    if let Ok(identity) = Identity::from_certificate(bytes) {
        for name in [&identity.subject, &identity.issuer] {
            assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
        }
    }
}

/// A trusted root is read or refused.
pub fn trust_root(bytes: &[u8]) {
    let _ = TrustRoot::from_json(bytes, Demands::default());
}

/// Whatever becomes of a good bundle: under Sigstore's own root nobody but its signer is ever proven.
pub fn keyless_bundle(bytes: &[u8]) {
    static ROOT: OnceLock<TrustRoot> = OnceLock::new();
    let root = ROOT.get_or_init(|| TrustRoot::public_good(Demands::default()));
    let signer = FileSigner::Certificate { root, pending: None };
    let now = Timestamp::constant(1_795_000_000, 0);
    let artifact = include_bytes!("../../tests/vectors/sigstore-conformance/bundle-verify/a.txt");
    if let Ok(verified) = verify_file(bytes, FileContent::Bytes(artifact), signer, now) {
        let identity = verified.identity().expect("a certificate names somebody");
        assert_eq!(identity.issuer, "https://token.actions.githubusercontent.com");
        assert!(identity.subject.starts_with("https://github.com/sigstore-conformance/"), "{identity:?}");
        assert!(verified.time().is_some_and(|time| time <= now));
    }
}
