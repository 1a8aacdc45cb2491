//! GitLab CI: the build type of a job (docs.gitlab.com/ci/pipeline_security/slsa/provenance_v1).

use attestry_core::Timestamp;
use serde_json::{Map, Value, json};

use super::{Job, ProvenanceError, System, seconds};

/// The variables that are written under `externalParameters.variables`.
///
/// GitLab itself writes all variables and masks the secret ones. A job cannot see which ones are masked, so only
/// these are written, none of which is a secret. `CI_REPOSITORY_URL` holds the job's token and is not among them.
const WRITTEN: &[&str] = &[
    "CI_COMMIT_BRANCH",
    "CI_COMMIT_REF_PROTECTED",
    "CI_COMMIT_SHA",
    "CI_COMMIT_TAG",
    "CI_JOB_NAME",
    "CI_JOB_STAGE",
    "CI_MERGE_REQUEST_REF_PATH",
    "CI_PIPELINE_ID",
    "CI_PIPELINE_SOURCE",
    "CI_PROJECT_ID",
    "CI_PROJECT_PATH",
];

pub(super) const SYSTEM: System = System {
    name: "GitLab CI",
    mark: ("GITLAB_CI", Some("true")),
    variables: &[
        "CI_COMMIT_BRANCH",
        "CI_COMMIT_REF_PROTECTED",
        "CI_COMMIT_SHA",
        "CI_COMMIT_TAG",
        "CI_JOB_ID",
        "CI_JOB_NAME",
        "CI_JOB_STAGE",
        "CI_JOB_STARTED_AT",
        "CI_MERGE_REQUEST_REF_PATH",
        "CI_PIPELINE_ID",
        "CI_PIPELINE_SOURCE",
        "CI_PROJECT_ID",
        "CI_PROJECT_PATH",
        "CI_PROJECT_URL",
        "CI_RUNNER_DESCRIPTION",
        "CI_RUNNER_EXECUTABLE_ARCH",
        "CI_RUNNER_ID",
        "CI_RUNNER_VERSION",
    ],
    write,
};

fn write(job: &Job<'_>, now: Timestamp) -> Result<Value, ProvenanceError> {
    let project = job.url("CI_PROJECT_URL")?;
    let id = job.number("CI_JOB_ID")?;
    let mut variables = Map::new();
    for name in WRITTEN {
        if let Some(value) = job.optional(name)? {
            variables.insert((*name).to_owned(), value.into());
        }
    }
    let mut builder = json!({"id": format!("{project}/-/runners/{}", job.number("CI_RUNNER_ID")?)});
    if let Some(version) = job.optional("CI_RUNNER_VERSION")? {
        builder["version"] = json!({"gitlab-runner": version});
    }
    let mut internal = json!({"job": id});
    if let Some(name) = job.optional("CI_RUNNER_DESCRIPTION")? {
        internal["name"] = name.into();
    }
    if let Some(platform) = job.optional("CI_RUNNER_EXECUTABLE_ARCH")? {
        internal["architecture"] = platform.rsplit('/').next().into();
    }
    let mut metadata = json!({"invocationId": id.to_string(), "finishedOn": seconds(now)});
    if let Some(started) = job.optional("CI_JOB_STARTED_AT")? {
        let started: Timestamp =
            started.parse().map_err(|_| job.unusable("CI_JOB_STARTED_AT", "it is no time as RFC 3339 writes it"))?;
        metadata["startedOn"] = seconds(started);
    }
    Ok(json!({
        "buildDefinition": {
            "buildType": "https://docs.gitlab.com/ci/pipeline_security/slsa/provenance_v1",
            "externalParameters": {"source": project, "entryPoint": job.text("CI_JOB_NAME")?, "variables": variables},
            "internalParameters": internal,
            "resolvedDependencies": [{
                "uri": format!("git+{project}@{}", reference(job)?),
                "digest": {"gitCommit": job.commit("CI_COMMIT_SHA")?},
            }],
        },
        "runDetails": {"builder": builder, "metadata": metadata},
    }))
}

/// The ref in full. A branch name alone could be a tag's: only one of the three is set in any kind of pipeline.
fn reference(job: &Job<'_>) -> Result<String, ProvenanceError> {
    if let Some(tag) = job.optional("CI_COMMIT_TAG")? {
        return Ok(format!("refs/tags/{tag}"));
    }
    if let Some(path) = job.reference("CI_MERGE_REQUEST_REF_PATH")? {
        return Ok(path);
    }
    Ok(format!("refs/heads/{}", job.text("CI_COMMIT_BRANCH")?))
}
