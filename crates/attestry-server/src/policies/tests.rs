//! What happens to the set in force when its directory changes.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

const POLICY: &str = "apiVersion: attestry.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {name: listed}\nspec:\n  match: {images: [\"**\"]}\n  require: [{name: listed, digests: [\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\"]}]\n";
const REVOCATION: &str = "apiVersion: attestry.dev/v1alpha1\nkind: Revocation\nmetadata: {name: incident}\nspec:\n  entries: [{digest: \"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\", reason: test}]\n";

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["policies", "data"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self(folder)
    }

    fn put(&self, name: &str, text: &str) {
        fs::write(self.0.path().join("policies").join(name), text).unwrap();
    }

    fn open(&self) -> Policies {
        Policies::open(&self.0.path().join("policies"), &self.0.path().join("data")).unwrap()
    }
}

fn code(look: Look) -> ReasonCode {
    match look {
        Look::Refused(reason) => reason.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn attack_89_a_broken_edit_leaves_the_last_good_set_in_force() {
    let place = Place::new();
    place.put("a.yaml", POLICY);
    let policies = place.open();
    assert!(matches!(policies.look(), Look::Loaded(_)));
    let digest = policies.current().unwrap().digest();
    assert_eq!(policies.look(), Look::Same);
    place.put("a.yaml", "kind: nonsense");
    assert_eq!(code(policies.look()), ReasonCode::RequestMalformed);
    assert_eq!(policies.look(), Look::Same, "said once, not each second");
    assert_eq!(policies.current().unwrap().digest(), digest);
    // Nor does an empty directory take every demand away.
    fs::remove_file(place.0.path().join("policies/a.yaml")).unwrap();
    assert_eq!(code(policies.look()), ReasonCode::RequestMalformed);
    assert_eq!(policies.current().unwrap().digest(), digest);
    place.put("a.yaml", "kind: nonsense");
    // The same after a restart, while the directory is still broken.
    let again = place.open();
    assert_eq!(code(again.look()), ReasonCode::RequestMalformed);
    assert_eq!(again.current().unwrap().digest(), digest);
    assert!(again.problem().is_some());
    place.put("a.yaml", POLICY);
    assert!(matches!(again.look(), Look::Loaded(found) if found == digest));
    assert!(again.problem().is_none());
}

#[test]
fn attack_83_a_set_without_a_seen_revocation_is_refused_whole() {
    let place = Place::new();
    place.put("a.yaml", POLICY);
    place.put("revocation.yaml", REVOCATION);
    assert!(matches!(place.open().look(), Look::Loaded(_)));
    fs::remove_file(place.0.path().join("policies/revocation.yaml")).unwrap();
    let policies = place.open();
    assert_eq!(code(policies.look()), ReasonCode::PolicyRollback);
    assert_eq!(policies.current().unwrap().revocations().len(), 1, "the old set stays");
    place.put("revocation.yaml", &REVOCATION.replace("reason: test", "reason: another wording"));
    assert!(matches!(policies.look(), Look::Loaded(_)));
}

#[test]
fn without_any_set_nothing_is_in_force() {
    let place = Place::new();
    place.put("a.yaml", "");
    place.put(".hidden.yaml", "not looked at");
    place.put("README.md", "nor this");
    let policies = place.open();
    let look = policies.look();
    assert!(policies.current().is_none() && matches!(look, Look::Refused(_)), "{look:?}");
    fs::remove_dir_all(place.0.path().join("policies")).unwrap();
    assert_eq!(code(policies.look()), ReasonCode::RequestMalformed);
}

#[test]
fn attack_83_forgotten_revocations_stop_the_start() {
    let place = Place::new();
    place.put("a.yaml", POLICY);
    place.put("revocation.yaml", REVOCATION);
    assert!(matches!(place.open().look(), Look::Loaded(_)));
    let (policies, data) = (place.0.path().join("policies"), place.0.path().join("data"));
    fs::write(data.join("revocations.json"), "[\"sha").unwrap();
    let error = Policies::open(&policies, &data).unwrap_err();
    assert!(error.to_string().contains("revocations.json"), "{error}");
}
