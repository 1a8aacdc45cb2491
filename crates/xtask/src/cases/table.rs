//! Every case of every example policy: the evidence that it is judged over, and what must come out.

use attestry_core::ReasonCode::{
    self, AttestationMissing, BaseClaimsDisagree, BaseRevoked, BaseUnknown, BaseUnsupported, BuilderNotTrusted,
    ConditionFalse, DigestNotListed, EvidenceTooOld, KeyUnknown, PlatformUnproven, RegistryMalformed,
    RegistryThrottled, Revoked, SignatureInvalid, SignatureMissing, SourceNotTrusted, SubjectMismatch, TagMutable,
    ThresholdNotMet,
};
use attestry_core::{Evidence, Verdict, bundle::BUNDLE_V03, predicate::COSIGN_SIGN, statement::Statement};
use attestry_playground::documents::{self, BUILD, Build, PACKAGES, Package};
use attestry_playground::{Image, ImageBuilder};
use attestry_sign::{Predicate, SignedAttachment, attest::attestation};
use attestry_testkit::{Seed, mutate::MUTATIONS};
use serde_json::{Value, json};

use super::world::{World, index, throttled};

/// An example policy.
pub(super) struct Policy {
    /// Its folder in `policies/`.
    pub(super) name: &'static str,
    /// Saved evidence by name; several cases may judge the same.
    pub(super) evidence: &'static [(&'static str, Make)],
    pub(super) cases: &'static [Case],
}

/// Makes evidence.
pub(super) type Make = fn(&World) -> Evidence;

/// One case. Its name begins with its answer: `admit-` or `deny-`.
pub(super) struct Case {
    pub(super) name: &'static str,
    /// One sentence for whoever reads the file.
    pub(super) why: &'static str,
    pub(super) evidence: &'static str,
    /// Named by this tag instead of by its digest.
    pub(super) tag: Option<&'static str>,
    pub(super) now: &'static str,
    /// Where it does not follow from the name.
    pub(super) verdict: Option<Verdict>,
    pub(super) reasons: &'static [ReasonCode],
}

impl Case {
    pub(super) fn allowed(&self) -> bool {
        self.name.starts_with("admit-")
    }
}

/// Two weeks after the images were built.
const SOON: &str = "2026-02-01T12:00:00Z";
/// Long after.
const LATER: &str = "2026-04-01T12:00:00Z";

const fn admit(name: &'static str, evidence: &'static str, why: &'static str) -> Case {
    Case { name, why, evidence, tag: None, now: SOON, verdict: None, reasons: &[] }
}

const fn deny(name: &'static str, evidence: &'static str, reasons: &'static [ReasonCode], why: &'static str) -> Case {
    Case { name, why, evidence, tag: None, now: SOON, verdict: None, reasons }
}

pub(super) const POLICIES: &[Policy] = &[
    Policy {
        name: "signed",
        evidence: &[
            ("signed", |world| world.evidence().sign(&world.release).build()),
            ("signed-as-older-cosign-does", |world| world.evidence().sign_legacy(&world.release).build()),
            ("every-platform-signed", every_platform_signed),
            ("signed-among-others", |world| world.evidence().sign(&world.other).sign(&world.release).build()),
            ("unsigned", |world| world.evidence().build()),
            ("signed-by-somebody-else", |world| world.evidence().sign(&world.stranger).build()),
            ("signed-by-a-revoked-key", |world| world.evidence().sign(&world.other).build()),
            ("signature-of-another-image", signature_of_another_image),
            ("sbom-only", |world| world.evidence().attest(&world.release, &documents::spdx("app", PACKAGES)).build()),
            ("signature-changed", signature_changed),
            ("sbom-listed-as-signature", |world| listed_as(world, &sbom_statement(world), COSIGN_SIGN)),
            ("signature-listed-as-sbom", |world| {
                listed_as(world, &world.evidence().signature_statement(world.app.digest()), "https://spdx.dev/Document")
            }),
            ("listed-with-a-wrong-type", |world| {
                let mut evidence = world.evidence().sign(&world.release).build();
                for entry in evidence.listings.values_mut().flatten() {
                    entry.artifact_type = Some("application/vnd.oci.empty.v1+json".to_owned());
                }
                evidence
            }),
            ("behind-a-foreign-bundle", |world| {
                world.evidence().sign(&world.stranger).sign_legacy(&world.release).build()
            }),
            ("one-child-of-no-known-platform", one_child_of_no_known_platform),
            ("throttled", |world| throttled(world.evidence().build())),
        ],
        cases: &[
            admit("admit-signed", "signed", "A bundle beside the index."),
            admit("admit-signed-as-older-cosign-does", "signed-as-older-cosign-does", "A layer of the .sig tag."),
            admit("admit-every-platform-signed", "every-platform-signed", "Each platform is signed, the index is not."),
            admit(
                "admit-signed-among-others",
                "signed-among-others",
                "A signature that does not count takes nothing away from one that does.",
            ),
            Case {
                tag: Some("1.4.2"),
                reasons: &[ReasonCode::TagNotPinned],
                ..admit("admit-tag-with-a-warning", "signed", "By tag: admission would pin it; here it is a warning.")
            },
            deny("deny-unsigned", "unsigned", &[SignatureMissing], "Everything was read, and nobody signed."),
            deny("deny-other-key", "signed-by-somebody-else", &[KeyUnknown], "Signed, but by nobody that we know."),
            deny("deny-revoked-key", "signed-by-a-revoked-key", &[Revoked], "The key of last year."),
            deny(
                "deny-signature-of-another-image",
                "signature-of-another-image",
                &[SubjectMismatch],
                "A good signature, copied here from another image.",
            ),
            deny(
                "deny-attestation-is-no-signature",
                "sbom-only",
                &[SignatureMissing],
                "An SBOM by the right key says what is inside, not that it may run.",
            ),
            admit(
                "admit-signature-listed-as-sbom",
                "signature-listed-as-sbom",
                "What the listing says of an entry orders the reading and decides nothing.",
            ),
            admit(
                "admit-listed-with-a-wrong-type",
                "listed-with-a-wrong-type",
                "An index that somebody wrote by hand: the manifest itself says what it is.",
            ),
            admit(
                "admit-behind-a-foreign-bundle",
                "behind-a-foreign-bundle",
                "Anybody can put a bundle beside an image; it does not hide the older signature.",
            ),
            deny(
                "deny-sbom-listed-as-signature",
                "sbom-listed-as-signature",
                &[SignatureMissing],
                "The listing calls it a signature; what was signed is an SBOM.",
            ),
            deny(
                "deny-child-of-no-known-platform",
                "one-child-of-no-known-platform",
                &[PlatformUnproven],
                "A child that claims the platform unknown/unknown can run, so it is judged.",
            ),
            deny(
                "deny-signature-changed",
                "signature-changed",
                &[SignatureInvalid],
                "One bit of the signature differs.",
            ),
            Case {
                verdict: Some(Verdict::Undeterminable),
                ..deny(
                    "deny-throttled",
                    "throttled",
                    &[RegistryThrottled],
                    "Nothing is known of an image whose registry is too busy: not even that it is unsigned.",
                )
            },
        ],
    },
    Policy {
        name: "two-keys",
        evidence: &[
            ("both", |world| world.evidence().sign(&world.release).sign(&world.other).build()),
            ("one-key-twice", |world| world.evidence().sign(&world.release).sign_legacy(&world.release).build()),
        ],
        cases: &[
            admit("admit-both", "both", "Built by one, reviewed by the other."),
            deny(
                "deny-one-key-twice",
                "one-key-twice",
                &[ThresholdNotMet],
                "Two signatures by one key are one signature.",
            ),
        ],
    },
    Policy {
        name: "sbom",
        evidence: &[
            ("spdx", |world| world.evidence().attest(&world.release, &documents::spdx("app", PACKAGES)).build()),
            ("cyclonedx", |world| {
                world.evidence().attest(&world.release, &documents::cyclonedx("app", PACKAGES)).build()
            }),
            ("forbidden-licence", |world| {
                world.evidence().attest(&world.release, &documents::spdx("app", &[AGPL])).build()
            }),
            ("no-packages", |world| world.evidence().attest(&world.release, &documents::spdx("app", &[])).build()),
            ("signature-only", |world| world.evidence().sign(&world.release).build()),
            ("by-somebody-else", |world| {
                world.evidence().attest(&world.other, &documents::spdx("app", PACKAGES)).build()
            }),
        ],
        cases: &[
            admit("admit-spdx", "spdx", "SPDX 2.3."),
            admit("admit-cyclonedx", "cyclonedx", "CycloneDX 1.6, under the same condition."),
            deny(
                "deny-forbidden-licence",
                "forbidden-licence",
                &[ConditionFalse],
                "One package is under a licence that the condition excludes.",
            ),
            deny("deny-no-packages", "no-packages", &[ConditionFalse], "A bill of materials without materials."),
            deny("deny-no-sbom", "signature-only", &[AttestationMissing], "A signature is no bill of materials."),
            deny("deny-other-key", "by-somebody-else", &[KeyUnknown], "Attested by a key that is not named."),
            Case {
                now: LATER,
                ..deny("deny-too-old", "spdx", &[EvidenceTooOld], "The document says itself when it was made.")
            },
        ],
    },
    Policy {
        name: "provenance",
        evidence: &[
            ("slsa-v1", |world| built(world, &documents::provenance_v1(&BUILD))),
            ("slsa-v0.2", |world| built(world, &documents::provenance_v02(&BUILD))),
            ("laptop", |world| {
                built(world, &documents::provenance_v1(&Build { builder: "https://laptop.example/me", ..BUILD }))
            }),
            ("fork", |world| {
                let repository = "https://git.example/mallory/shop";
                built(world, &documents::provenance_v1(&Build { repository, ..BUILD }))
            }),
            ("look-alike", |world| {
                let repository = "https://git.example/acme-evil/shop";
                built(world, &documents::provenance_v1(&Build { repository, ..BUILD }))
            }),
            ("signature-only", |world| world.evidence().sign(&world.release).build()),
        ],
        cases: &[
            admit("admit-slsa-v1", "slsa-v1", "SLSA provenance v1."),
            admit("admit-slsa-v0.2", "slsa-v0.2", "SLSA provenance v0.2 is read into the same view."),
            deny("deny-other-builder", "laptop", &[BuilderNotTrusted], "Built on a laptop."),
            deny("deny-fork", "fork", &[SourceNotTrusted], "Built by the right builder, from a fork."),
            deny(
                "deny-look-alike-source",
                "look-alike",
                &[SourceNotTrusted],
                "A pattern is about the whole name: acme-evil does not begin with acme/.",
            ),
            deny(
                "deny-no-provenance",
                "signature-only",
                &[AttestationMissing],
                "Signed, but nobody says how it was built.",
            ),
        ],
    },
    Policy {
        name: "trusted-base",
        evidence: &[
            ("on-debian-12", |world| world.evidence().build()),
            ("on-the-revoked-build", |world| world.evidence_of(&world.application_on(&world.revoked_build))),
            ("on-debian-11", |world| world.evidence_of(&world.application_on(&world.old_base))),
            ("on-an-unknown-base", |world| world.evidence_of(&world.application_on(&world.unknown_base))),
            ("only-the-annotation", only_the_annotation),
            ("forged-diff-ids", forged_diff_ids),
            ("one-platform-on-another-base", one_platform_on_another_base),
        ],
        cases: &[
            admit("admit-on-a-supported-base", "on-debian-12", "Both platforms begin with the base's layers."),
            deny(
                "deny-revoked-build",
                "on-the-revoked-build",
                &[BaseRevoked],
                "The base is good, this build of it is not.",
            ),
            deny("deny-end-of-support", "on-debian-11", &[BaseUnsupported], "Supported until yesterday."),
            deny("deny-unknown-base", "on-an-unknown-base", &[BaseUnknown], "No build of the catalogue fits."),
            deny(
                "deny-annotation-without-layers",
                "only-the-annotation",
                &[BaseClaimsDisagree],
                "The manifest names the good base in an annotation; its layers are others.",
            ),
            deny(
                "deny-forged-diff-ids",
                "forged-diff-ids",
                &[BaseClaimsDisagree],
                "The base's compressed layers with other unpacked ones: a node might run what it already has.",
            ),
            deny(
                "deny-one-platform-on-another-base",
                "one-platform-on-another-base",
                &[BaseUnknown],
                "Each platform is judged: one of them stands on a base that nobody knows.",
            ),
            Case {
                now: "2026-05-01T12:00:00Z",
                ..deny(
                    "deny-build-too-old",
                    "on-debian-12",
                    &[BaseUnsupported],
                    "Nobody rebuilt for more than 90 days.",
                )
            },
        ],
    },
    Policy {
        name: "run-config",
        evidence: &[
            ("ordinary-user", |world| world.evidence_of(&run_as(json!("1000"), &[]))),
            ("root", |world| world.evidence_of(&run_as(json!(""), &[]))),
            ("huge-user", |world| world.evidence_of(&run_as(json!("4294967296"), &[]))),
            ("named-user", |world| world.evidence_of(&run_as(json!("app"), &[]))),
            ("preload", |world| {
                let variables = json!(["PATH=/usr/local/bin:/usr/bin:/bin", "LD_PRELOAD=/tmp/x.so"]);
                world.evidence_of(&run_as(json!("1000"), &[("Env", variables)]))
            }),
            ("other-program", |world| world.evidence_of(&run_as(json!("1000"), &[("Cmd", json!(["sh", "-c", "id"]))]))),
            ("two-users", |world| world.evidence_of(&run_as(json!("1000"), &[("user", json!("0"))]))),
            ("one-platform-as-root", |world| {
                let child = |platform: &'static str, user: &str| {
                    let builder = run_config(ImageBuilder::single(platform), json!(user), &[]);
                    builder.build().expect("an image without a base")
                };
                let (first, second) = (child("linux/amd64", "1000"), child("linux/arm64", "0"));
                world.evidence_of(&index(&first, &second, "linux/arm64"))
            }),
        ],
        cases: &[
            admit("admit-ordinary-user", "ordinary-user", "Runs its own program under a number that is not root's."),
            deny(
                "deny-user-beyond-all-numbers",
                "huge-user",
                &[ConditionFalse],
                "2 to the 32nd is no number of a user, and some nodes take it for 0, which is root.",
            ),
            deny("deny-root", "root", &[ConditionFalse], "No user is named, so it runs as root."),
            deny(
                "deny-user-by-name",
                "named-user",
                &[ConditionFalse],
                "What number a name stands for is written in a layer, where anybody can give it root's.",
            ),
            deny("deny-preload", "preload", &[ConditionFalse], "A variable that nobody listed loads a library first."),
            deny("deny-other-program", "other-program", &[ConditionFalse], "The layers are good, but a shell is run."),
            deny(
                "deny-one-platform-as-root",
                "one-platform-as-root",
                &[ConditionFalse, PlatformUnproven],
                "Each platform has a configuration of its own.",
            ),
            Case {
                verdict: Some(Verdict::Undeterminable),
                ..deny(
                    "deny-two-users",
                    "two-users",
                    &[RegistryMalformed],
                    "A member \"user\" beside \"User\": a node takes the one that comes last, so nothing is known.",
                )
            },
        ],
    },
    Policy {
        name: "reviewed-digests",
        evidence: &[
            ("vendor", World::vendor_evidence),
            ("ours-signed", |world| world.evidence().sign(&world.release).build()),
            ("ours-unsigned", |world| world.evidence().build()),
        ],
        cases: &[
            admit("admit-reviewed", "vendor", "Unsigned, but its digest is listed."),
            admit("admit-ours", "ours-signed", "Not listed, but signed."),
            deny(
                "deny-neither",
                "ours-unsigned",
                &[SignatureMissing, DigestNotListed],
                "Both alternatives are told, so that whoever is refused can choose.",
            ),
        ],
    },
    Policy {
        name: "strict-tags",
        evidence: &[("signed", |world| world.evidence().sign(&world.release).build())],
        cases: &[
            admit("admit-digest", "signed", "Named by digest."),
            Case {
                tag: Some("1.4.2"),
                verdict: Some(Verdict::Trusted),
                ..deny("deny-tag", "signed", &[TagMutable], "The image is trusted, but its name can move.")
            },
        ],
    },
];

const AGPL: Package<'static> = Package { name: "ghostscript", version: "10.0.0", licence: "AGPL-3.0-or-later" };

fn every_platform_signed(world: &World) -> Evidence {
    let platforms = world.app.platforms().iter().map(|platform| platform.manifest);
    platforms.fold(world.evidence(), |builder, of| builder.sign_of(of, &world.release)).build()
}

fn signature_of_another_image(world: &World) -> Evidence {
    let builder = world.evidence();
    let other = world.other_app.digest();
    let statement = builder.signature_statement(other);
    let signed = SignedAttachment::bundle(&world.release, &statement, other).expect("a statement about this digest");
    builder.attach(world.app.digest(), &signed).build()
}

fn signature_changed(world: &World) -> Evidence {
    let builder = world.evidence();
    let digest = world.app.digest();
    let statement = builder.signature_statement(digest);
    let signed = SignedAttachment::bundle(&world.release, &statement, digest).expect("a statement about this digest");
    let mutation = MUTATIONS.iter().find(|mutation| mutation.name == "signature-bit").expect("a mutation of this name");
    builder.attach_bytes(mutation.apply(signed.bytes(), &mut Seed::new(1))).build()
}

/// An SBOM by the right key, as the statement that is signed.
fn sbom_statement(world: &World) -> Statement {
    let sbom = documents::spdx("app", PACKAGES).to_string();
    let predicate = Predicate::read(sbom.as_bytes(), None).expect("an SPDX document");
    attestation(&world.evidence().build().repository, world.app.digest(), &predicate)
}

/// Signed by the right key and listed under another predicate type than it has (attack 5).
fn listed_as(world: &World, statement: &Statement, predicate_type: &str) -> Evidence {
    let digest = world.app.digest();
    let signed = SignedAttachment::bundle(&world.release, statement, digest).expect("a statement about this digest");
    world.evidence().attach_as(digest, digest, BUNDLE_V03, Some(predicate_type), signed.bytes().clone()).build()
}

fn one_child_of_no_known_platform(world: &World) -> Evidence {
    let image = world.mixed_index(&world.base, "unknown/unknown");
    let builder = world.builder_of(&image);
    let first = image.platforms().iter().take(1).map(|platform| platform.manifest);
    first.fold(builder, |builder, of| builder.sign_of(of, &world.release)).build()
}

fn one_platform_on_another_base(world: &World) -> Evidence {
    world.evidence_of(&world.mixed_index(&world.unknown_base, "linux/arm64"))
}

/// An image of both platforms that runs `/app` as `user`.
fn run_as(user: Value, others: &[(&str, Value)]) -> Image {
    run_config(ImageBuilder::multi(), user, others).build().expect("an image without a base")
}

fn run_config(builder: ImageBuilder, user: Value, others: &[(&str, Value)]) -> ImageBuilder {
    let builder = builder.program("app").config("User", user).config("Entrypoint", json!(["/app"]));
    others.iter().fold(builder, |builder, (name, value)| builder.config(name, value.clone()))
}

fn built(world: &World, provenance: &serde_json::Value) -> Evidence {
    world.evidence().attest(&world.release, provenance).build()
}

fn only_the_annotation(world: &World) -> Evidence {
    let image = ImageBuilder::multi()
        .base(&world.unknown_base)
        .program("app")
        .annotation("org.opencontainers.image.base.name", "registry.example/base/debian:12-slim")
        .annotation("org.opencontainers.image.base.digest", &world.base.digest().to_string());
    world.evidence_of(&image.build().expect("an image on a base for the same platforms"))
}

fn forged_diff_ids(world: &World) -> Evidence {
    let layers = world.unknown_base.platforms().iter().flat_map(|platform| &platform.layers);
    let mut diff_ids: Vec<_> = layers.take(2).map(|layer| layer.diff_id).collect();
    diff_ids.extend(world.app.platforms().iter().take(1).flat_map(|app| app.layers.last()).map(|layer| layer.diff_id));
    let image = ImageBuilder::multi().base(&world.base).program("app").forged_diff_ids(&diff_ids);
    world.evidence_of(&image.build().expect("an image on a base for the same platforms"))
}
