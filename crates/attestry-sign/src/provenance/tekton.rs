//! Tekton: the build type of Tekton Chains' format `slsa/v2` for a TaskRun.
//!
//! Tekton sets no variables by itself; a step maps them in its `env` (docs/reference/provenance.md shows how).

use attestry_core::Timestamp;
use serde_json::{Value, json};

use super::{Job, ProvenanceError, System, seconds};

pub(super) const SYSTEM: System = System {
    name: "Tekton",
    mark: ("TEKTON_TASKRUN_NAME", None),
    variables: &[
        "TEKTON_TASKRUN_UID",
        "TEKTON_TASKRUN_NAMESPACE",
        "TEKTON_TASK_NAME",
        "TEKTON_PIPELINERUN_NAME",
        "TEKTON_PIPELINERUN_UID",
        "TEKTON_BUILDER_ID",
        "TEKTON_GIT_URL",
        "TEKTON_GIT_COMMIT",
        "TEKTON_GIT_REF",
    ],
    write,
};

fn write(job: &Job<'_>, now: Timestamp) -> Result<Value, ProvenanceError> {
    let (url, commit) = (job.url("TEKTON_GIT_URL")?, job.commit("TEKTON_GIT_COMMIT")?);
    let uid = job.text("TEKTON_TASKRUN_UID")?;
    let mut task_run = json!({
        "name": job.text("TEKTON_TASKRUN_NAME")?,
        "namespace": job.text("TEKTON_TASKRUN_NAMESPACE")?,
        "uid": uid,
    });
    if let Some(task) = job.optional("TEKTON_TASK_NAME")? {
        task_run["task"] = task.into();
    }
    let mut internal = json!({"taskRun": task_run});
    if let Some(name) = job.optional("TEKTON_PIPELINERUN_NAME")? {
        internal["pipelineRun"] = json!({"name": name, "uid": job.text("TEKTON_PIPELINERUN_UID")?});
    }
    // Chains hints at the source by parameters of these names, and lists it under this name.
    let params = json!([
        {"name": "CHAINS-GIT_URL", "value": url},
        {"name": "CHAINS-GIT_COMMIT", "value": commit},
    ]);
    let plain = url.strip_suffix(".git").unwrap_or(&url);
    let reference = job.reference("TEKTON_GIT_REF")?.map(|reference| format!("@{reference}")).unwrap_or_default();
    // Chains writes a commit under `sha1`; one of a repository that uses SHA-256 is none.
    let algorithm = if commit.len() == 40 { "sha1" } else { "gitCommit" };
    Ok(json!({
        "buildDefinition": {
            "buildType": "https://tekton.dev/chains/v2/slsa",
            "externalParameters": {"runSpec": {"params": params}},
            "internalParameters": internal,
            "resolvedDependencies": [{
                "name": "inputs/result",
                "uri": format!("git+{plain}.git{reference}"),
                "digest": {algorithm: commit},
            }],
        },
        "runDetails": {
            "builder": {"id": job.url("TEKTON_BUILDER_ID")?},
            "metadata": {"invocationId": uid, "finishedOn": seconds(now)},
        },
    }))
}
