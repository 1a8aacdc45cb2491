//! SLSA provenance v0.2 and v1 read into one view: who built it, and from which source.
//!
//! The builder id is a claim that counts only because an authority signed it; the source is what the builder says
//! it built from (slsa.dev/spec v1.0, provenance; moby/buildkit docs/attestations for its own fields).

use serde_json::Value;

/// What a provenance says, reduced to what policies ask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct View {
    /// `runDetails.builder.id` or `builder.id`.
    pub(super) builder: Option<String>,
    /// The source repository as a URL without `git+`, `.git`, fragment and ref.
    pub(super) source: Option<String>,
    /// `refs/heads/main` and the like.
    pub(super) reference: Option<String>,
    /// The commit, as lower-case hex.
    pub(super) commit: Option<String>,
}

impl View {
    /// Reads either version. Fields that are absent or of another type stay empty and match no pattern.
    pub(super) fn of(predicate: &Value) -> Self {
        let text = |pointer: &str| predicate.pointer(pointer).and_then(Value::as_str);
        let builder = text("/runDetails/builder/id").or_else(|| text("/builder/id"));
        // In the order of how directly the field names the source of this very build.
        let named = [
            "/buildDefinition/externalParameters/workflow/repository",
            "/buildDefinition/externalParameters/source/uri",
            "/buildDefinition/externalParameters/source",
            "/buildDefinition/externalParameters/configSource/uri",
            "/buildDefinition/externalParameters/repository",
            "/invocation/configSource/uri",
        ]
        .into_iter()
        .find_map(text);
        let (source, reference) = named.map(split_source).unwrap_or_default();
        let reference = text("/buildDefinition/externalParameters/workflow/ref").map(str::to_owned).or(reference);
        let commit = source.as_deref().and_then(|source| commit(predicate, source)).or_else(|| {
            ["sha1", "gitCommit", "sha256"].into_iter().find_map(|algorithm| {
                text(&format!("/invocation/configSource/digest/{algorithm}"))
                    .or_else(|| text(&format!("/buildDefinition/externalParameters/configSource/digest/{algorithm}")))
                    .map(str::to_owned)
            })
        });
        Self { builder: builder.map(str::to_owned), source, reference, commit }
    }
}

/// The commit of the dependency or material that is this source.
fn commit(predicate: &Value, source: &str) -> Option<String> {
    let lists = ["/buildDefinition/resolvedDependencies", "/materials"];
    let entries = lists.into_iter().filter_map(|pointer| predicate.pointer(pointer)?.as_array()).flatten();
    let ours = entries.filter(|entry| {
        entry.get("uri").and_then(Value::as_str).is_some_and(|uri| split_source(uri).0.as_deref() == Some(source))
    });
    ours.filter_map(|entry| {
        let digest = entry.get("digest")?;
        ["gitCommit", "sha1"].into_iter().find_map(|algorithm| digest.get(algorithm)?.as_str()).map(str::to_owned)
    })
    .next()
}

/// `git+https://host/owner/repo.git@refs/heads/main` → the plain URL and the ref.
fn split_source(uri: &str) -> (Option<String>, Option<String>) {
    let uri = uri.strip_prefix("git+").unwrap_or(uri);
    let (uri, fragment) = match uri.split_once('#') {
        Some((uri, fragment)) => (uri, Some(fragment)),
        None => (uri, None),
    };
    // An `@` after the host part separates a ref; one before it would be user information, which stays and
    // matches no sane pattern.
    let path = uri.find("://").map_or(0, |at| at + 3);
    let path = path + uri[path..].find('/').unwrap_or(uri.len() - path);
    let (uri, reference) = match uri[path..].find('@') {
        Some(at) => (&uri[..path + at], Some(&uri[path + at + 1..])),
        None => (uri, fragment),
    };
    let uri = uri.strip_suffix('/').unwrap_or(uri);
    let uri = uri.strip_suffix(".git").unwrap_or(uri);
    (Some(uri.to_owned()).filter(|u| !u.is_empty()), reference.filter(|r| !r.is_empty()).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_versions_read_into_one_view() {
        let v1 = json!({
            "buildDefinition": {
                "externalParameters": {"workflow": {"repository": "https://github.com/acme/shop", "ref": "refs/tags/v1"}},
                "resolvedDependencies": [
                    {"uri": "git+https://github.com/acme/other@refs/tags/v1", "digest": {"gitCommit": "ff"}},
                    {"uri": "git+https://github.com/acme/shop@refs/tags/v1", "digest": {"gitCommit": "aa"}},
                ],
            },
            "runDetails": {"builder": {"id": "https://github.com/actions/runner/github-hosted"}},
        });
        let v02 = json!({
            "builder": {"id": "https://github.com/actions/runner/github-hosted"},
            "invocation": {"configSource": {"uri": "git+https://github.com/acme/shop.git@refs/tags/v1", "digest": {"sha1": "aa"}}},
        });
        let buildkit = json!({
            "buildDefinition": {"externalParameters": {"configSource": {"uri": "https://github.com/acme/shop.git#refs/tags/v1", "digest": {"sha1": "aa"}}}},
            "runDetails": {"builder": {"id": "https://github.com/actions/runner/github-hosted"}},
        });
        for predicate in [v1, v02, buildkit] {
            let view = View::of(&predicate);
            assert_eq!(view.builder.as_deref(), Some("https://github.com/actions/runner/github-hosted"), "{predicate}");
            assert_eq!(view.source.as_deref(), Some("https://github.com/acme/shop"), "{predicate}");
            assert_eq!(view.reference.as_deref(), Some("refs/tags/v1"), "{predicate}");
            assert_eq!(view.commit.as_deref(), Some("aa"), "{predicate}");
        }
    }

    #[test]
    fn attack_22_user_information_does_not_pass_for_a_host() {
        let (source, _) = split_source("git+https://github.com@evil.example/acme/shop@refs/heads/main");
        assert_eq!(source.as_deref(), Some("https://github.com@evil.example/acme/shop"));
        assert_eq!(View::of(&json!({"builder": 5, "invocation": []})), View::default());
    }
}
