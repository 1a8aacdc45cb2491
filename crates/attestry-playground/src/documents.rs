//! What is attested about an image: SBOMs in both formats and SLSA provenance, small but whole.
//!
//! Each function returns the predicate, not a statement: `attestry attest` wraps it.

use attestry_core::Digest;
use serde_json::{Value, json};

use crate::image::CREATED;

/// A package of an SBOM.
#[derive(Debug, Clone, Copy)]
pub struct Package<'a> {
    /// Its name, such as `openssl`.
    pub name: &'a str,
    /// Its version, such as `3.0.15-1`.
    pub version: &'a str,
    /// Its licence as an SPDX expression.
    pub licence: &'a str,
}

impl Package<'_> {
    /// Its package URL, as a Debian package.
    fn purl(&self) -> String {
        format!("pkg:deb/debian/{}@{}", self.name, self.version)
    }
}

/// What a base image of the playground consists of.
pub const PACKAGES: &[Package<'static>] = &[
    Package { name: "base-files", version: "12.4", licence: "GPL-2.0-or-later" },
    Package { name: "libc6", version: "2.36-9", licence: "LGPL-2.1-or-later" },
    Package { name: "openssl", version: "3.0.15-1", licence: "Apache-2.0" },
];

/// An SPDX 2.3 document.
pub fn spdx(name: &str, packages: &[Package<'_>]) -> Value {
    let ids: Vec<String> = (0..packages.len()).map(|n| format!("SPDXRef-Package-{n}")).collect();
    let list: Vec<Value> = (packages.iter().zip(&ids))
        .map(|(package, id)| {
            json!({
                "SPDXID": id,
                "name": package.name,
                "versionInfo": package.version,
                "downloadLocation": "NOASSERTION",
                "filesAnalyzed": false,
                "licenseConcluded": package.licence,
                "licenseDeclared": package.licence,
                "copyrightText": "NOASSERTION",
                "externalRefs": [{
                    "referenceCategory": "PACKAGE-MANAGER",
                    "referenceType": "purl",
                    "referenceLocator": package.purl(),
                }],
            })
        })
        .collect();
    let relationships: Vec<Value> = ids
        .iter()
        .map(|id| {
            json!({
                "spdxElementId": "SPDXRef-DOCUMENT",
                "relationshipType": "DESCRIBES",
                "relatedSpdxElement": id,
            })
        })
        .collect();
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": format!("https://sbom.example/{name}"),
        "creationInfo": { "created": CREATED, "creators": ["Tool: attestry-playground"] },
        "packages": list,
        "relationships": relationships,
    })
}

/// A CycloneDX 1.6 document.
pub fn cyclonedx(name: &str, packages: &[Package<'_>]) -> Value {
    let components: Vec<Value> = packages
        .iter()
        .map(|package| {
            json!({
                "type": "library",
                "bom-ref": package.purl(),
                "name": package.name,
                "version": package.version,
                "purl": package.purl(),
                "licenses": [{ "license": { "id": package.licence } }],
            })
        })
        .collect();
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": CREATED,
            "component": { "type": "container", "bom-ref": name, "name": name },
        },
        "components": components,
    })
}

/// What a build says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Build<'a> {
    /// Who built (`builder.id`).
    pub builder: &'a str,
    /// The source repository, such as `https://git.example/acme/shop`.
    pub repository: &'a str,
    /// The ref that was built, such as `refs/tags/v1.4.2`.
    pub reference: &'a str,
    /// The commit, 40 hex digits.
    pub commit: &'a str,
    /// The base image that the build resolved, with its name.
    pub base: Option<(&'a str, Digest)>,
}

/// The build that the playground's images come from.
pub const BUILD: Build<'static> = Build {
    builder: "https://ci.example/acme/builder/v1",
    repository: "https://git.example/acme/shop",
    reference: "refs/tags/v1.4.2",
    commit: "5f2c4f6a0c6b8f1d9e3a7b5c4d2e1f0a9b8c7d6e",
    base: None,
};
const FINISHED: &str = "2026-01-15T08:04:10Z";

/// SLSA provenance v1 (`https://slsa.dev/provenance/v1`).
pub fn provenance_v1(build: &Build<'_>) -> Value {
    json!({
        "buildDefinition": {
            "buildType": "https://actions.github.io/buildtypes/workflow/v1",
            "externalParameters": {
                "workflow": {
                    "ref": build.reference,
                    "repository": build.repository,
                    "path": ".github/workflows/release.yml",
                },
            },
            "internalParameters": {},
            "resolvedDependencies": materials(build, "gitCommit"),
        },
        "runDetails": {
            "builder": { "id": build.builder },
            "metadata": {
                "invocationId": format!("{}/actions/runs/42/attempts/1", build.repository),
                "startedOn": CREATED,
                "finishedOn": FINISHED,
            },
        },
    })
}

/// SLSA provenance v0.2 (`https://slsa.dev/provenance/v0.2`).
pub fn provenance_v02(build: &Build<'_>) -> Value {
    json!({
        "builder": { "id": build.builder },
        "buildType": "https://github.com/actions/workflow@v1",
        "invocation": {
            "configSource": {
                "uri": source(build),
                "digest": { "sha1": build.commit },
                "entryPoint": ".github/workflows/release.yml",
            },
        },
        "metadata": {
            "buildStartedOn": CREATED,
            "buildFinishedOn": FINISHED,
            "completeness": { "parameters": true, "environment": false, "materials": false },
            "reproducible": false,
        },
        "materials": materials(build, "sha1"),
    })
}

fn source(build: &Build<'_>) -> String {
    format!("git+{}@{}", build.repository, build.reference)
}

fn materials(build: &Build<'_>, commit_key: &str) -> Vec<Value> {
    let mut list = vec![json!({ "uri": source(build), "digest": { commit_key: build.commit } })];
    if let Some((name, digest)) = build.base {
        list.push(json!({ "uri": format!("pkg:docker/{name}"), "digest": { "sha256": digest.hex() } }));
    }
    list
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn every_package_is_in_both_formats_and_described() {
        let spdx = spdx("shop/app", PACKAGES);
        let cyclonedx = cyclonedx("shop/app", PACKAGES);
        assert_eq!(spdx["packages"].as_array().unwrap().len(), PACKAGES.len());
        for (n, package) in PACKAGES.iter().enumerate() {
            assert_eq!(spdx["packages"][n]["versionInfo"], package.version);
            assert_eq!(spdx["relationships"][n]["relatedSpdxElement"], spdx["packages"][n]["SPDXID"]);
            assert_eq!(cyclonedx["components"][n]["purl"], spdx["packages"][n]["externalRefs"][0]["referenceLocator"]);
        }
    }

    #[test]
    fn both_provenance_versions_tell_the_same_build() {
        let base = Digest::of("base");
        let build = Build { base: Some(("registry.example/base@v1", base)), ..BUILD };
        let (new, old) = (provenance_v1(&build), provenance_v02(&build));
        assert_eq!(new["runDetails"]["builder"]["id"], old["builder"]["id"]);
        assert_eq!(new["buildDefinition"]["resolvedDependencies"][0]["digest"]["gitCommit"], build.commit);
        assert_eq!(old["materials"][0]["digest"]["sha1"], build.commit);
        assert_eq!(new["buildDefinition"]["resolvedDependencies"][1], old["materials"][1]);
        assert_eq!(old["materials"][1]["digest"]["sha256"], base.hex());
    }
}
