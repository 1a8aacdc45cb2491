//! Provenance from a CI job's own environment, from the variables to the policy that asks for builder and source.

use crate::{
    attestry::{attestry, key_authority, run, write_policy},
    peers::{Peers, expect},
    registry::{BOTH, Registry},
};

/// The variables of a recorded job of GitHub Actions.
const JOB: &str = include_str!("../../crates/attestry-sign/src/provenance/recorded/github.env");

#[test]
fn a_ci_jobs_provenance_meets_the_policy_that_names_its_source() {
    let test = "a_ci_jobs_provenance_meets_the_policy_that_names_its_source";
    for kind in BOTH {
        let Some(peers) = Peers::find(test) else { return };
        let home = peers.home();
        let registry = Registry::start(&peers, kind);
        let image = registry.push(&peers, "built");
        run(home, 0, &["key", "generate", "ours"]);
        let words = ["attest", &image, "--provenance", "ci", "--key", "ours.key"];
        // Outside of a CI job nothing is attested.
        run(home, 2, &words);
        let mut job = attestry(home);
        // The recorded password is a secret that must not show up, not the one of our key.
        let variables = JOB.lines().filter_map(|line| line.split_once('='));
        job.args(words).envs(variables.filter(|(name, _)| *name != "ATTESTRY_PASSWORD"));
        expect(0, "attestry attest --provenance ci", job.output().unwrap());

        run(home, 0, &["verify", &image, "--key", "ours.pub", "--type", "slsaprovenance"]);
        let predicate = run(home, 0, &["extract", &image, "--type", "slsaprovenance", "--key", "ours.pub"]);
        let predicate: serde_json::Value = serde_json::from_str(&predicate).unwrap();
        let builder = predicate["runDetails"]["builder"]["id"].as_str().unwrap();
        let workflow = &predicate["buildDefinition"]["externalParameters"]["workflow"];
        let source = workflow["repository"].as_str().unwrap();
        for (source, code) in [(source, 0), ("https://github.com/somebody/else", 1)] {
            let requirement = format!(
                r#"{{name: built, provenance: {{authorities: [ours], builders: [{{exact: "{builder}"}}], sources: [{{exact: "{source}"}}]}}}}"#
            );
            write_policy(&home.join("policies"), &key_authority(home, "ours.pub"), &requirement, "");
            let said = run(home, code, &["verify", &image, "--policy", "policies"]);
            assert_eq!(said.contains("source-not-trusted"), code == 1, "{said}");
        }
    }
}
