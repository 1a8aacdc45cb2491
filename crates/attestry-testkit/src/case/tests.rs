//! Cases written to disk are read and judged; what is not a case is loud.

use attestry_playground::ImageBuilder;
use attestry_sign::SignedAttachment;

use super::*;
use crate::{EvidenceBuilder, keys, mutate::MUTATIONS, seed::Seed};

/// Writes a case about `bundle` into the folder `name`.
fn write(directory: &Path, name: &str, bundle: &[u8], expect: &str, more: &str) {
    let folder = directory.join(name);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("bundle.json"), bundle).unwrap();
    fs::write(directory.join("key.pub"), keys::p256("release").public_key_pem()).unwrap();
    let digest = image_digest();
    let case = format!(
        "about: a test of the loader\nnow: 2026-02-01T12:00:00Z\ndigest: {digest}\n\
         attachment: {{file: bundle.json, form: Bundle}}\nkey: {{file: ../key.pub{more}}}\nexpect: {expect}\n"
    );
    fs::write(folder.join("case.yaml"), case).unwrap();
}

fn image_digest() -> Digest {
    ImageBuilder::single("linux/amd64").build().unwrap().digest()
}

fn bundle() -> Vec<u8> {
    let image = ImageBuilder::single("linux/amd64").build().unwrap();
    let statement = EvidenceBuilder::new("registry.example/app", &image).signature_statement(image.digest());
    SignedAttachment::bundle(&keys::p256("release"), &statement, image.digest()).unwrap().bytes().to_vec()
}

#[test]
fn a_bundle_and_its_twins_as_cases() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "00-genuine", &bundle(), "verified", "");
    let window = ", validUntil: 2026-01-31T00:00:00Z";
    write(directory.path(), "01-key-ended_fail", &bundle(), "key-not-valid-then", window);
    for mutation in MUTATIONS {
        if let [only] = mutation.refused_for {
            let twin = mutation.apply(&bundle(), &mut Seed::new(1));
            write(directory.path(), &format!("{}_fail", mutation.name), &twin, only.as_str(), "");
        }
    }
    let cases = Case::all(directory.path());
    assert!(cases.len() > 20);
    for case in cases {
        assert_eq!(case.run(), case.expected, "{}", case.name);
    }
}

#[test]
fn what_is_no_case_is_loud() {
    for (name, expect, more, message) in [
        ("named-wrongly", "signature-invalid", "", "only refused cases end in _fail"),
        ("named-wrongly_fail", "verified", "", "only refused cases end in _fail"),
        ("no-such-code_fail", "signature-broken", "", "is no reason code"),
        ("unknown-member", "verified", ", validFor: 3h", "validFor"),
        ("no-time", "verified", ", validFrom: yesterday", "yesterday"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path(), name, &bundle(), expect, more);
        let said = panic_of(directory.path());
        assert!(said.contains(message) && said.contains(name), "{name}: {said}");
    }
    let empty = tempfile::tempdir().unwrap();
    assert!(panic_of(empty.path()).contains("holds no case"));
}

fn panic_of(directory: &Path) -> String {
    let panic = std::panic::catch_unwind(|| Case::all(directory)).unwrap_err();
    *panic.downcast::<String>().unwrap()
}
