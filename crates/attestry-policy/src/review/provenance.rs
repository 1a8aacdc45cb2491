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
        let (source, reference) = named.or_else(|| tekton_source(predicate)).map(split_source).unwrap_or_default();
        let (commit, dependency) = source.as_deref().and_then(|source| fetched(predicate, source)).unzip();
        let workflow = text("/buildDefinition/externalParameters/workflow/ref").map(str::to_owned);
        let reference = workflow.or(reference).or(dependency.flatten());
        let commit = commit.or_else(|| {
            ["sha1", "gitCommit", "sha256"].into_iter().find_map(|algorithm| {
                text(&format!("/invocation/configSource/digest/{algorithm}"))
                    .or_else(|| text(&format!("/buildDefinition/externalParameters/configSource/digest/{algorithm}")))
                    .map(str::to_owned)
            })
        });
        Self { builder: builder.map(str::to_owned), source, reference, commit }
    }
}

/// The commit, and the ref where it is named, of the dependency or material that is this source.
fn fetched(predicate: &Value, source: &str) -> Option<(String, Option<String>)> {
    let lists = ["/buildDefinition/resolvedDependencies", "/materials"];
    let entries = lists.into_iter().filter_map(|pointer| predicate.pointer(pointer)?.as_array()).flatten();
    entries
        .filter_map(|entry| {
            let (uri, reference) = split_source(entry.get("uri")?.as_str()?);
            let digest = entry.get("digest").filter(|_| uri.as_deref() == Some(source))?;
            let commit = ["gitCommit", "sha1"].into_iter().find_map(|algorithm| digest.get(algorithm)?.as_str())?;
            Some((commit.to_owned(), reference))
        })
        .next()
}

/// Tekton names the source as a dependency of this name only (tektoncd/chains, format slsa/v2). Where several
/// sources were read none of them is the source.
fn tekton_source(predicate: &Value) -> Option<&str> {
    let build_type = predicate.pointer("/buildDefinition/buildType")?.as_str()?;
    let entries = predicate.pointer("/buildDefinition/resolvedDependencies")?.as_array()?;
    let uris = entries.iter().filter(|entry| entry.get("name").and_then(Value::as_str) == Some("inputs/result"));
    let mut uris = uris.filter_map(|entry| entry.get("uri")?.as_str()).filter(|uri| uri.starts_with("git+"));
    let first = uris.next().filter(|_| build_type.starts_with("https://tekton.dev/chains/v2/"))?;
    uris.all(|uri| uri == first).then_some(first)
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
    #![allow(clippy::unwrap_used, reason = "tests")]

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
    fn what_attestry_writes_in_ci_is_read_back() {
        macro_rules! recorded {
            ($name:literal) => {
                include_str!(concat!("../../../attestry-sign/src/provenance/recorded/", $name, ".json"))
            };
        }
        let cases = [
            (
                recorded!("github"),
                "https://github.com/actions/runner/github-hosted",
                "https://github.com/acme/shop",
                "refs/tags/v1.4.0",
            ),
            (
                recorded!("gitlab"),
                "https://gitlab.example/acme/shop/-/runners/12",
                "https://gitlab.example/acme/shop",
                "refs/heads/main",
            ),
            (
                recorded!("tekton"),
                "https://tekton.example/builders/production",
                "https://git.example/acme/shop",
                "refs/heads/main",
            ),
        ];
        for (predicate, builder, source, reference) in cases {
            let view = View::of(&serde_json::from_str(predicate).unwrap());
            assert_eq!(view.builder.as_deref(), Some(builder));
            assert_eq!(view.source.as_deref(), Some(source));
            assert_eq!(view.reference.as_deref(), Some(reference));
            assert_eq!(view.commit.as_deref(), Some("3b705c2f1e0d4a5b9c8d7e6f5a4b3c2d1e0f9a8b"));
        }
    }

    #[test]
    fn a_second_source_of_a_tekton_build_does_not_pass_for_the_first() {
        let with = |build_type: &str, second: &str| {
            let dependency = |uri: &str| json!({"name": "inputs/result", "uri": uri, "digest": {"sha1": "aa"}});
            View::of(&json!({"buildDefinition": {
                "buildType": build_type,
                "resolvedDependencies": [dependency("git+https://git.example/acme/shop.git"), dependency(second)],
            }}))
        };
        let tekton = "https://tekton.dev/chains/v2/slsa-tekton";
        let same = with(tekton, "git+https://git.example/acme/shop.git");
        assert_eq!(same.source.as_deref(), Some("https://git.example/acme/shop"));
        assert_eq!(with(tekton, "git+https://git.example/evil/shop.git").source, None);
        assert_eq!(with("https://other.example", "git+https://git.example/acme/shop.git").source, None);
    }

    #[test]
    fn a_source_is_split_from_its_ref() {
        for (uri, source, reference) in [
            ("git+https://host/a.git@refs/heads/main", "https://host/a", "refs/heads/main"),
            ("https://host/a.git#refs/tags/v1", "https://host/a", "refs/tags/v1"),
            ("https://host/a@refs/heads/x@y", "https://host/a", "refs/heads/x@y"),
            ("https://host/a@refs/heads/x#y", "https://host/a", "refs/heads/x"),
            ("https://host/a.git/", "https://host/a", ""),
            ("https://host/a@", "https://host/a", ""),
            ("https://host/a#", "https://host/a", ""),
            ("https://host", "https://host", ""),
            ("https://host@evil.example", "https://host@evil.example", ""),
            ("git@host:a/b", "git@host:a/b", ""),
            ("host@x", "host@x", ""),
            ("", "", ""),
        ] {
            let some = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            assert_eq!(split_source(uri), (some(source), some(reference)), "{uri}");
        }
    }

    #[test]
    fn attack_22_user_information_does_not_pass_for_a_host() {
        let (source, _) = split_source("git+https://github.com@evil.example/acme/shop@refs/heads/main");
        assert_eq!(source.as_deref(), Some("https://github.com@evil.example/acme/shop"));
        assert_eq!(View::of(&json!({"builder": 5, "invocation": []})), View::default());
    }
}
