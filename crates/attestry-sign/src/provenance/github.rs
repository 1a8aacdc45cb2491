//! GitHub Actions: the build type of a workflow run (actions.github.io/buildtypes/workflow/v1).

use attestry_core::Timestamp;
use serde_json::{Value, json};

use super::{Job, ProvenanceError, System, seconds};

pub(super) const SYSTEM: System = System {
    name: "GitHub Actions",
    mark: ("GITHUB_ACTIONS", Some("true")),
    variables: &[
        "GITHUB_SERVER_URL",
        "GITHUB_REPOSITORY",
        "GITHUB_WORKFLOW_REF",
        "GITHUB_REF",
        "GITHUB_SHA",
        "GITHUB_EVENT_NAME",
        "GITHUB_REPOSITORY_ID",
        "GITHUB_REPOSITORY_OWNER_ID",
        "GITHUB_RUN_ID",
        "GITHUB_RUN_ATTEMPT",
        "RUNNER_ENVIRONMENT",
    ],
    write,
};

fn write(job: &Job<'_>, now: Timestamp) -> Result<Value, ProvenanceError> {
    let repository = job.text("GITHUB_REPOSITORY")?;
    let named = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !repository.split_once('/').is_some_and(|(owner, name)| named(owner) && named(name)) {
        return Err(job.unusable("GITHUB_REPOSITORY", "it is not owner/name"));
    }
    let reference = job.reference("GITHUB_REF")?.ok_or(job.missing("GITHUB_REF"))?;
    let url = format!("{}/{repository}", job.url("GITHUB_SERVER_URL")?);
    let workflow = job.text("GITHUB_WORKFLOW_REF")?;
    let (path, workflow_ref) = workflow_of(job, &workflow, &repository)?;
    let environment = job.text("RUNNER_ENVIRONMENT")?;
    if !matches!(environment.as_str(), "github-hosted" | "self-hosted") {
        return Err(job.unusable("RUNNER_ENVIRONMENT", "it is neither github-hosted nor self-hosted"));
    }
    let (run, attempt) = (job.number("GITHUB_RUN_ID")?, job.number("GITHUB_RUN_ATTEMPT")?);
    Ok(json!({
        "buildDefinition": {
            "buildType": "https://actions.github.io/buildtypes/workflow/v1",
            "externalParameters": {"workflow": {"ref": workflow_ref, "repository": url, "path": path}},
            "internalParameters": {
                "github": {
                    "event_name": job.text("GITHUB_EVENT_NAME")?,
                    "repository_id": job.text("GITHUB_REPOSITORY_ID")?,
                    "repository_owner_id": job.text("GITHUB_REPOSITORY_OWNER_ID")?,
                    "runner_environment": environment,
                },
            },
            "resolvedDependencies": [{
                "uri": format!("git+{url}@{}", reference),
                "digest": {"gitCommit": job.commit("GITHUB_SHA")?},
            }],
        },
        "runDetails": {
            "builder": {"id": format!("https://github.com/actions/runner/{environment}")},
            "metadata": {
                "invocationId": format!("{url}/actions/runs/{run}/attempts/{attempt}"),
                "finishedOn": seconds(now),
            },
        },
    }))
}

/// `owner/name/.github/workflows/release.yml@refs/heads/main` → the path and the ref.
///
/// A workflow that an organisation requires comes from another repository. Its path would then be read as one of
/// the repository that was built, so such a job gets no provenance.
fn workflow_of<'w>(job: &Job<'_>, workflow: &'w str, repository: &str) -> Result<(&'w str, &'w str), ProvenanceError> {
    const VARIABLE: &str = "GITHUB_WORKFLOW_REF";
    let path = workflow.strip_prefix(repository).and_then(|rest| rest.strip_prefix('/'));
    let path = path.ok_or_else(|| job.unusable(VARIABLE, "it names a workflow outside of GITHUB_REPOSITORY"))?;
    // The ref may hold an `@` as well, a workflow's path hardly ever: the first one separates.
    let parts = path.split_once('@').filter(|(path, reference)| !path.is_empty() && !reference.is_empty());
    parts.ok_or_else(|| job.unusable(VARIABLE, "it is not owner/name/path@ref"))
}
