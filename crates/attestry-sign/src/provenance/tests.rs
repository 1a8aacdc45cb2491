//! Recorded environments of each CI system, what is written of them, and what is refused.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;

type Environment = BTreeMap<&'static str, String>;

/// A recorded job, tokens and all, and the predicate that belongs to it.
struct Recorded {
    environment: &'static str,
    predicate: &'static str,
}

const GITHUB: Recorded =
    Recorded { environment: include_str!("recorded/github.env"), predicate: include_str!("recorded/github.json") };
const GITLAB: Recorded =
    Recorded { environment: include_str!("recorded/gitlab.env"), predicate: include_str!("recorded/gitlab.json") };
const TEKTON: Recorded =
    Recorded { environment: include_str!("recorded/tekton.env"), predicate: include_str!("recorded/tekton.json") };
const ALL: [Recorded; 3] = [GITHUB, GITLAB, TEKTON];

impl Recorded {
    fn environment(&self) -> Environment {
        let lines = self.environment.lines().map(|line| line.split_once('=').unwrap());
        lines.map(|(name, value)| (name, value.to_owned())).collect()
    }
}

fn write(environment: &Environment) -> Result<Value, ProvenanceError> {
    let now = "2026-11-20T10:00:00.5Z".parse().unwrap();
    from_ci(&|name| environment.get(name).cloned(), now)
}

/// The recorded job with one variable changed.
fn with(recorded: &Recorded, variable: &'static str, value: &str) -> Result<Value, ProvenanceError> {
    let mut environment = recorded.environment();
    environment.insert(variable, value.to_owned());
    write(&environment)
}

#[test]
fn each_ci_system_has_its_predicate() {
    for recorded in ALL {
        let predicate = write(&recorded.environment()).unwrap();
        let text = format!("{}\n", serde_json::to_string_pretty(&predicate).unwrap());
        assert_eq!(text, recorded.predicate);
        let predicate = crate::Predicate::read(text.as_bytes(), Some("slsaprovenance")).unwrap();
        assert_eq!(predicate.predicate_type(), PREDICATE_TYPE);
    }
}

#[test]
fn no_secret_of_the_job_reaches_the_predicate() {
    for recorded in ALL {
        let asked = RefCell::new(BTreeSet::new());
        let environment = recorded.environment();
        let lookup = |name: &str| {
            asked.borrow_mut().insert(name.to_owned());
            environment.get(name).cloned()
        };
        assert!(recorded.environment.contains("SECRETsecret"));
        let predicate = from_ci(&lookup, Timestamp::UNIX_EPOCH).unwrap();
        assert!(!predicate.to_string().contains("SECRETsecret"), "{predicate}");
        // Nothing but the listed variables is asked for, and no listed one is a secret.
        let listed: BTreeSet<String> = variables().map(str::to_owned).collect();
        assert!(asked.into_inner().is_subset(&listed));
        for name in &listed {
            assert!(!["TOKEN", "PASSWORD", "JWT", "SECRET", "REPOSITORY_URL"].iter().any(|word| name.contains(word)));
            assert!(!environment.get(name.as_str()).is_some_and(|value| value.contains("SECRET")), "{name}");
        }
    }
}

#[test]
fn an_address_with_credentials_is_refused_and_not_repeated() {
    let addresses = [
        "https://gitlab-ci-token:SECRETsecret@host.example/acme/shop",
        "https://SECRETsecret@host.example/acme/shop",
        "https://host.example/acme/shop?private_token=SECRETsecret",
        "https://host.example/acme/shop#SECRETsecret",
        "git@host.example:acme/shop.git",
        "ssh://git@host.example/acme/shop",
        "file:///srv/SECRETsecret",
        "https:///acme/shop",
        "https://",
    ];
    let places = [
        (GITHUB, "GITHUB_SERVER_URL"),
        (GITLAB, "CI_PROJECT_URL"),
        (TEKTON, "TEKTON_GIT_URL"),
        (TEKTON, "TEKTON_BUILDER_ID"),
    ];
    for address in addresses {
        for (recorded, variable) in &places {
            let error = with(recorded, variable, address).unwrap_err();
            assert!(
                matches!(error, ProvenanceError::Unusable { variable: named, .. } if named == *variable),
                "{address}"
            );
            assert!(!error.to_string().contains("SECRET"), "{error}");
        }
    }
}

#[test]
fn a_missing_variable_is_named() {
    let needed: [(Recorded, &[&str]); 3] = [
        (GITHUB, github::SYSTEM.variables),
        (GITLAB, &["CI_PROJECT_URL", "CI_JOB_ID", "CI_JOB_NAME", "CI_RUNNER_ID", "CI_COMMIT_SHA", "CI_COMMIT_BRANCH"]),
        (
            TEKTON,
            &[
                "TEKTON_TASKRUN_UID",
                "TEKTON_TASKRUN_NAMESPACE",
                "TEKTON_PIPELINERUN_UID",
                "TEKTON_BUILDER_ID",
                "TEKTON_GIT_URL",
                "TEKTON_GIT_COMMIT",
            ],
        ),
    ];
    for (recorded, names) in needed {
        for name in names {
            for empty in [false, true] {
                let mut environment = recorded.environment();
                match empty {
                    true => environment.insert(name, String::new()),
                    false => environment.remove(name),
                };
                let error = write(&environment).unwrap_err();
                assert!(
                    matches!(error, ProvenanceError::Missing { variable, .. } if variable == *name),
                    "{name}: {error}"
                );
            }
        }
    }
}

#[test]
fn what_may_be_absent_is_left_out() {
    let mut environment = GITLAB.environment();
    for name in ["CI_RUNNER_DESCRIPTION", "CI_RUNNER_EXECUTABLE_ARCH", "CI_RUNNER_VERSION", "CI_JOB_STARTED_AT"] {
        environment.remove(name);
    }
    let predicate = write(&environment).unwrap();
    assert_eq!(predicate["buildDefinition"]["internalParameters"], json!({"job": 7120001}));
    assert_eq!(predicate["runDetails"]["builder"], json!({"id": "https://gitlab.example/acme/shop/-/runners/12"}));
    let mut environment = TEKTON.environment();
    for name in ["TEKTON_TASK_NAME", "TEKTON_PIPELINERUN_NAME", "TEKTON_PIPELINERUN_UID", "TEKTON_GIT_REF"] {
        environment.remove(name);
    }
    let predicate = write(&environment).unwrap();
    let source = &predicate["buildDefinition"]["resolvedDependencies"][0]["uri"];
    assert_eq!(source, "git+https://git.example/acme/shop.git");
    assert_eq!(predicate["buildDefinition"]["internalParameters"].as_object().unwrap().len(), 1);
}

#[test]
fn outside_of_ci_and_in_two_at_once_nothing_is_written() {
    assert_eq!(write(&Environment::new()), Err(ProvenanceError::OutsideCi));
    // `CI=true` is set by most systems, and by people at home.
    assert_eq!(write(&Environment::from([("CI", "true".to_owned())])), Err(ProvenanceError::OutsideCi));
    assert_eq!(with(&GITHUB, "GITHUB_ACTIONS", "false"), Err(ProvenanceError::OutsideCi));
    let both = ProvenanceError::Ambiguous { first: "GitHub Actions", second: "GitLab CI" };
    assert_eq!(with(&GITHUB, "GITLAB_CI", "true"), Err(both));
}

#[test]
fn values_that_cannot_be_meant_are_refused() {
    let long = "a".repeat(MAX_VALUE_BYTES + 1);
    let cases = [
        (GITHUB, "RUNNER_ENVIRONMENT", "somewhere"),
        (GITHUB, "GITHUB_SHA", "main"),
        (GITHUB, "GITHUB_SHA", "3b705c2"),
        (GITHUB, "GITHUB_RUN_ID", "1/../../other"),
        (GITHUB, "GITHUB_WORKFLOW_REF", "acme/shop"),
        (GITHUB, "GITHUB_WORKFLOW_REF", "acme/shop/@refs/heads/main"),
        // A workflow of another repository must not pass for one of this.
        (GITHUB, "GITHUB_WORKFLOW_REF", "acme/rules/.github/workflows/release.yml@refs/heads/main"),
        (GITHUB, "GITHUB_WORKFLOW_REF", "acme/shop-evil/.github/workflows/release.yml@refs/heads/main"),
        (GITHUB, "GITHUB_REPOSITORY", "shop"),
        (GITHUB, "GITHUB_REPOSITORY", "acme/shop@evil"),
        (GITHUB, "GITHUB_REF", "main"),
        (GITHUB, "GITHUB_EVENT_NAME", "push\nother"),
        (GITHUB, "GITHUB_EVENT_NAME", &long),
        (GITLAB, "CI_RUNNER_ID", "twelve"),
        (GITLAB, "CI_JOB_STARTED_AT", "yesterday"),
        (GITLAB, "CI_COMMIT_BRANCH", "$(echo main)"),
        (TEKTON, "TEKTON_TASKRUN_UID", "$(context.taskRun.uid)"),
        (TEKTON, "TEKTON_GIT_REF", "main"),
    ];
    for (recorded, variable, value) in cases {
        let error = with(&recorded, variable, value).unwrap_err();
        assert!(matches!(error, ProvenanceError::Unusable { .. }), "{variable}={value}: {error}");
        assert!(value.len() < 5 || !error.to_string().contains(value), "{error}");
    }
}

#[test]
fn gitlab_tells_tags_merge_requests_and_branches_apart() {
    let mut environment = GITLAB.environment();
    environment.remove("CI_COMMIT_BRANCH");
    let source = |environment: &Environment| {
        write(environment).unwrap()["buildDefinition"]["resolvedDependencies"][0]["uri"].as_str().unwrap().to_owned()
    };
    environment.insert("CI_MERGE_REQUEST_REF_PATH", "refs/merge-requests/7/head".to_owned());
    assert_eq!(source(&environment), "git+https://gitlab.example/acme/shop@refs/merge-requests/7/head");
    environment.remove("CI_MERGE_REQUEST_REF_PATH");
    environment.insert("CI_COMMIT_TAG", "main".to_owned());
    assert_eq!(source(&environment), "git+https://gitlab.example/acme/shop@refs/tags/main");
}
