//! The policy set that the manifests bring into a cluster is one that the service takes.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use attestry_policy::{PolicyErrors, PolicySet, SourceFile};
use serde::Deserialize;

const DEPLOYED: &str = include_str!("../../../../deploy/kubernetes/policies.yaml");

/// The part of the manifest that becomes files in the Pod.
#[derive(Deserialize)]
struct ConfigMap {
    data: BTreeMap<String, String>,
}

fn load(manifest: &str) -> Result<PolicySet, PolicyErrors> {
    let documents = serde_saphyr::from_str::<ConfigMap>(manifest).unwrap().data;
    let files: Vec<_> = documents.into_iter().map(|(name, text)| SourceFile::new(name, text)).collect();
    PolicySet::load(&files)
}

#[test]
fn the_deployed_policies_load_and_broken_ones_do_not() {
    load(DEPLOYED).unwrap();
    for (right, wrong) in [("authorities: [release]", "authorities: [nobody]"), ("tags: Pin", "tag: Pin")] {
        assert!(load(&DEPLOYED.replace(right, wrong)).is_err(), "{wrong}");
    }
}
