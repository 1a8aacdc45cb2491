//! Which base an image stands on, and what changes in a catalog file.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::{
    PolicySet, SourceFile,
    compile::RequirementKind,
    document::{BuildSpec, OwnerSpec, PlatformSpec},
};

/// A digest for a word.
fn digest(word: &str) -> Digest {
    match word {
        "empty" => Digest::of([0u8; 1024]),
        word => Digest::of(word),
    }
}

fn digests(words: &str, prefix: &str) -> Vec<Digest> {
    let of = |word: &str| if word == "empty" { digest(word) } else { digest(&format!("{prefix}{word}")) };
    words.split_whitespace().map(of).collect()
}

fn list(words: &str, prefix: &str) -> String {
    digests(words, prefix).iter().map(|digest| format!("\"{digest}\"")).collect::<Vec<_>>().join(", ")
}

/// `base` is `name status until`, each build `addedAt status layers…`.
fn catalog(bases: &[(&str, &[&str])]) -> String {
    let mut text =
        "apiVersion: attestry.dev/v1alpha1\nkind: BaseCatalog\nmetadata: {name: c}\nspec:\n  bases:\n".to_owned();
    for (base, builds) in bases {
        let [name, status, until] = base.split(' ').collect::<Vec<_>>()[..] else { panic!("{base}") };
        text.push_str(&format!(
            "  - name: {name}\n    owner: {{team: platform, contact: \"#platform\"}}\n    supportedUntil: {until}\n    status: {status}\n    builds:\n"
        ));
        for build in *builds {
            let (added, rest) = build.split_once(' ').unwrap();
            let (status, layers) = rest.split_once(' ').unwrap();
            text.push_str(&format!(
                "    - addedAt: {added}T00:00:00Z\n      status: {status}\n      index: \"{}\"\n      platforms: [{{platform: linux/amd64, digest: \"{}\", layers: [{}], diffIDs: [{}]}}]\n",
                digest(&format!("index of {layers}")), digest(&format!("image of {layers}")), list(layers, "layer "), list(layers, "diff "),
            ));
        }
    }
    text
}

struct Image<'a> {
    layers: &'a str,
    diff_ids: &'a str,
    claim: Option<Digest>,
    digest: Digest,
}

fn image(layers: &str) -> Image<'_> {
    Image { layers, diff_ids: layers, claim: None, digest: digest("the image itself") }
}

/// `base until`, or the reason code.
fn outcome(catalog: &str, requirement: &str, image: &Image<'_>) -> String {
    judged(catalog, requirement, image).unwrap_or_else(|reason| reason.code.to_string())
}

fn judged(catalog: &str, requirement: &str, image: &Image<'_>) -> Result<String, Reason> {
    let policy = format!(
        "apiVersion: attestry.dev/v1alpha1\nkind: ImagePolicy\nmetadata: {{name: p}}\nspec:\n  match: {{images: [\"**\"]}}\n  require: [{{name: b, baseImage: {{catalogs: [c]{requirement}}}}}]\n"
    );
    let set = PolicySet::load(&[SourceFile::new("p.yaml", format!("{catalog}---\n{policy}"))]).unwrap();
    let RequirementKind::BaseImage(base) = &set.policies()[0].require[0].kind else { panic!("a base") };
    let (layers, diff_ids) = (digests(image.layers, "layer "), digests(image.diff_ids, "diff "));
    let claimed = image.claim.map(|digest| digest.to_string());
    let image =
        ImageLayers { digest: image.digest, layers: &layers, diff_ids: &diff_ids, claimed_base: claimed.as_deref() };
    let assessment = base.assess(image, "2026-06-01T00:00:00Z".parse().unwrap());
    assert_eq!(assessment.valid_until.is_some(), assessment.reason.is_none());
    match assessment.reason {
        Some(reason) => Err(reason),
        None => {
            let found = assessment.found.unwrap();
            Ok(format!("{} until {}", found.base.name, assessment.valid_until.unwrap()))
        }
    }
}

#[test]
fn a_refusal_says_what_of_the_base_it_is() {
    let plain = catalog(&[
        ("gone Revoked 2027-01-31", &["2026-01-01 Supported g"]),
        ("mixed Supported 2027-01-31", &["2026-01-01 Revoked m"]),
    ]);
    let said = |layers: &str| judged(&plain, "", &image(layers)).unwrap_err();
    assert_eq!(said("g app").message, "the base gone (build of 2026-01-01T00:00:00Z) is revoked");
    assert_eq!(said("m app").message, "the build mixed (build of 2026-01-01T00:00:00Z) is revoked");
    assert_eq!(said("m app").details["contact"], "#platform");
}

#[test]
fn the_longest_match_decides() {
    let plain = catalog(&[
        ("debian Supported 2027-01-31", &["2026-01-01 Supported a b"]),
        ("java Supported 2026-12-31", &["2026-02-01 Supported a b c"]),
        ("old Supported 2026-05-31", &["2026-01-01 Supported o"]),
        ("dropped Deprecated 2027-01-31", &["2026-01-01 Supported d"]),
        (
            "mixed Supported 2027-01-31",
            &["2026-01-01 Revoked m1", "2026-02-01 Deprecated m2", "2026-03-01 Supported m3"],
        ),
        ("gone Revoked 2027-01-31", &["2026-01-01 Supported a b g"]),
        ("holed Supported 2027-01-31", &["2026-01-01 Supported empty h empty"]),
        ("early Supported 2028-01-31", &["2025-01-01 Supported a b e"]),
        ("hollow Supported 2027-01-31", &["2026-01-01 Supported k empty empty"]),
        ("later Supported 2028-01-31", &["2026-02-01 Supported k empty"]),
    ]);
    let check = |requirement: &str, layers: &str, expected: &str| {
        assert_eq!(outcome(&plain, requirement, &image(layers)), expected, "{requirement} {layers}");
    };
    check("", "a b app", "debian until 2027-02-01T00:00:00Z");
    check("", "a b c app", "java until 2027-01-01T00:00:00Z");
    // What is longer wins over what is newer; empty layers make nothing longer.
    check("", "a b e app", "early until 2028-02-01T00:00:00Z");
    check("", "k empty empty app", "later until 2028-02-01T00:00:00Z");
    check("", "a app", "base-unknown");
    check("", "b a app", "base-unknown");
    check("", "", "base-unknown");
    check("", "x", "base-unknown");
    // The support of a base ends with its last day.
    check("", "o app", "base-unsupported");
    check("", "d app", "base-not-trusted");
    check(", allow: [Supported, Deprecated]", "d app", "dropped until 2027-02-01T00:00:00Z");
    check("", "m1 app", "base-revoked");
    check("", "m2 app", "base-not-trusted");
    check("", "m3 app", "mixed until 2027-02-01T00:00:00Z");
    // Attack 78: the derived base is revoked, the shorter one is not.
    check("", "a b g app", "base-revoked");
    // Attack 71: empty layers keep their place.
    check("", "empty h empty app", "holed until 2027-02-01T00:00:00Z");
    check("", "h app", "base-unknown");
    check("", "empty app", "base-unknown");
    check(", maxBuildAge: 2400h", "a b app", "base-unsupported");
    check(", maxBuildAge: 4800h", "a b app", "debian until 2026-07-20T00:00:00Z");
    // A strict prefix: the same layers under another config are no derived image.
    check("", "a b", "base-unknown");
    let itself = Image { digest: digest("image of a b"), ..image("a b") };
    assert_eq!(outcome(&plain, "", &itself), "debian until 2027-02-01T00:00:00Z");
}

#[test]
fn of_equal_builds_the_worst_decides() {
    let twice = catalog(&[
        ("one Supported 2027-01-31", &["2026-01-01 Supported a"]),
        ("two Supported 2027-01-31", &["2026-01-01 Revoked a", "2026-02-01 Supported a"]),
    ]);
    assert_eq!(outcome(&twice, "", &image("a app")), "base-revoked");
}

#[test]
fn attack_77_layers_and_diff_ids_must_agree() {
    let plain = catalog(&[("debian Supported 2027-01-31", &["2026-01-01 Supported a b"])]);
    let check = |requirement: &str, layers: &str, diff_ids: &str, expected: &str| {
        let image = Image { diff_ids, ..image(layers) };
        assert_eq!(outcome(&plain, requirement, &image), expected, "{requirement} {layers} / {diff_ids}");
    };
    let dif = ", proof: DiffIDs";
    check("", "a b app", "a evil app", "base-claims-disagree");
    check(dif, "a b app", "a evil app", "base-claims-disagree");
    check("", "x b app", "x evil app", "base-claims-disagree");
    check("", "a b app", "a b", "base-claims-disagree");
    check("", "za zb app", "a b app", "base-unknown");
    check(dif, "za zb app", "a b app", "debian until 2027-02-01T00:00:00Z");
    check(dif, "za zb", "a b", "base-unknown");
}

#[test]
fn attack_69_annotations_prove_nothing_and_lies_are_refused() {
    let plain = catalog(&[
        ("debian Supported 2027-01-31", &["2026-01-01 Supported a b", "2026-02-01 Supported a c"]),
        ("java Supported 2027-01-31", &["2026-01-01 Supported a b c"]),
    ]);
    let check = |layers: &str, claim: &str, expected: &str| {
        let image = Image { claim: Some(digest(claim)), ..image(layers) };
        assert_eq!(outcome(&plain, "", &image), expected, "{layers} claims {claim}");
    };
    let debian = "debian until 2027-02-01T00:00:00Z";
    check("x app", "image of a b", "base-claims-disagree");
    check("x app", "index of a b", "base-claims-disagree");
    check("x app", "something else", "base-unknown");
    check("a b app", "index of a b", debian);
    check("a b app", "image of a b", debian);
    check("a b app", "index of a c", "base-claims-disagree");
    // An image between base and application that no catalog knows.
    check("a b app", "something else", debian);
    // True of a base further down.
    check("a b c app", "index of a b", "java until 2027-02-01T00:00:00Z");
}

#[test]
fn a_build_of_empty_layers_alone_is_refused() {
    let error = PolicySet::load(&[SourceFile::new(
        "c.yaml",
        catalog(&[("e Supported 2027-01-31", &["2026-01-01 Supported empty empty"])]),
    )]);
    assert!(error.unwrap_err().to_string().contains("no layer holds anything"));
}

fn new_build(base: &str, layers: &str) -> NewBuild {
    let strings = |prefix: &str| digests(layers, prefix).iter().map(Digest::to_string).collect::<Vec<_>>();
    NewBuild {
        base: base.to_owned(),
        owner: Some(OwnerSpec { team: "platform".to_owned(), contact: None }),
        supported_until: Some("2030-01-31".to_owned()),
        build: BuildSpec {
            added_at: "2026-06-01T00:00:00Z".to_owned(),
            status: Status::Supported,
            index: Some(digest(&format!("index of {layers}")).to_string()),
            platforms: vec![PlatformSpec {
                platform: "linux/amd64".to_owned(),
                digest: digest(&format!("image of {layers}")).to_string(),
                layers: strings("layer "),
                diff_ids: strings("diff "),
            }],
        },
    }
}

#[test]
fn builds_are_added_and_the_rest_of_the_file_stays() {
    let others = "# Other documents.\napiVersion: attestry.dev/v1alpha1\nkind: Revocation   # kept\nmetadata: {name: r}\nspec: {entries: []}\n";
    let old = format!(
        "{others}---\n# The catalog.\n{}---\n{}",
        catalog(&[("debian Supported 2027-01-31", &["2026-01-01 Supported a"])]),
        others.replace("name: r", "name: s")
    );
    let file = SourceFile::new("c.yaml", old);
    let text = add_build(&file, None, new_build("debian", "a b")).unwrap();
    assert!(text.starts_with(&format!("{others}---\n# The catalog.\n")), "{text}");
    assert!(text.ends_with(&others.replace("name: r", "name: s")), "{text}");
    let set = PolicySet::load(&[SourceFile::new("c.yaml", text.as_bytes())]).unwrap();
    let base = &set.catalogs()["c"].bases[0];
    assert_eq!((base.builds.len(), base.contact.as_deref()), (2, None), "the owner was given anew");

    let again = add_build(&SourceFile::new("c.yaml", text.as_bytes()), None, new_build("other", "a b"));
    assert_eq!(again, Err(EditError::AlreadyListed("debian".to_owned())));
    let text = add_build(&SourceFile::new("c.yaml", text), Some("c"), new_build("other", "o")).unwrap();
    let set = PolicySet::load(&[SourceFile::new("c.yaml", text)]).unwrap();
    assert_eq!(set.catalogs()["c"].bases.len(), 2);
}

#[test]
fn what_stands_before_the_first_field_stays() {
    let body = catalog(&[("debian Supported 2027-01-31", &["2026-01-01 Supported a"])]);
    for (before, kept) in [
        ("--- # The catalog.\n# Kept.\n\n", "--- # The catalog.\n# Kept.\n\n"),
        ("---\n# Kept.\n", "---\n# Kept.\n"),
        ("---   \n", "---   \n"),
        ("# Kept.\n", "# Kept.\n"),
        ("", ""),
    ] {
        let file = SourceFile::new("c.yaml", format!("{before}{body}"));
        let text = set_status(&file, None, "debian", None, Status::Deprecated).unwrap();
        assert!(text.starts_with(&format!("{kept}apiVersion")), "{before:?}: {text}");
    }
}

#[test]
fn a_catalog_begins_in_an_empty_file() {
    for (old, between) in [
        ("", ""),
        ("# My bases.\n", "---\n"),
        ("apiVersion: attestry.dev/v1alpha1\nkind: Revocation\nmetadata: {name: r}\nspec: {entries: []}", "\n---\n"),
    ] {
        let text = add_build(&SourceFile::new("c.yaml", old), None, new_build("debian", "a")).unwrap();
        assert!(text.starts_with(&format!("{old}{between}apiVersion")), "{text}");
        let set = PolicySet::load(&[SourceFile::new("c.yaml", text)]).unwrap();
        assert_eq!(set.catalogs()["bases"].bases[0].name, "debian");
    }
    let text = add_build(&SourceFile::new("c.yaml", ""), Some("mine"), new_build("debian", "a")).unwrap();
    insta::assert_snapshot!(text);
}

#[test]
fn what_is_not_added_leaves_no_text() {
    let nothing = SourceFile::new("c.yaml", "");
    let without_owner = NewBuild { owner: None, ..new_build("debian", "a") };
    assert!(matches!(add_build(&nothing, None, without_owner), Err(EditError::NewBaseNeeds { .. })));
    let bad_day = NewBuild { supported_until: Some("tomorrow".to_owned()), ..new_build("debian", "a") };
    assert!(matches!(add_build(&nothing, None, bad_day), Err(EditError::Invalid(_))));
    assert!(matches!(add_build(&nothing, None, new_build("debian", "empty")), Err(EditError::Invalid(_))));
    assert!(matches!(
        add_build(&SourceFile::new("c.yaml", "a: [\n"), None, new_build("d", "a")),
        Err(EditError::Invalid(_))
    ));
    let two = catalog(&[]).replace("bases:\n", "bases: []\n");
    let two = SourceFile::new("c.yaml", format!("{two}---\n{}", two.replace("name: c", "name: d")));
    assert!(
        matches!(add_build(&two, None, new_build("debian", "a")), Err(EditError::SeveralCatalogs(names)) if names == ["c", "d"])
    );
}

#[test]
fn statuses_change_and_nothing_else() {
    let file = SourceFile::new(
        "c.yaml",
        catalog(&[("debian Supported 2027-01-31", &["2026-01-01 Supported a", "2026-02-01 Supported b"])]),
    );
    let status = |text: &str| {
        let set = PolicySet::load(&[SourceFile::new("c.yaml", text)]).unwrap();
        let base = &set.catalogs()["c"].bases[0];
        format!(
            "{} {}",
            base.status.as_str(),
            base.builds.iter().map(|b| b.status.as_str()).collect::<Vec<_>>().join(" ")
        )
    };
    let text = set_status(&file, None, "debian", None, Status::Deprecated).unwrap();
    assert_eq!(status(&text), "Deprecated Supported Supported");
    for named in ["index of b", "image of b"] {
        let text = set_status(&file, None, "debian", Some(&digest(named).to_string()), Status::Revoked).unwrap();
        assert_eq!(status(&text), "Supported Supported Revoked");
    }
    let error = set_status(&file, None, "debain", None, Status::Revoked).unwrap_err();
    assert_eq!(error.to_string(), "the catalog has no base \"debain\"; did you mean \"debian\"?");
    assert!(set_status(&file, None, "debian", Some("sha256:00"), Status::Revoked).is_err());
    assert_eq!(
        set_status(&SourceFile::new("c.yaml", ""), None, "a", None, Status::Revoked),
        Err(EditError::NoCatalog(None))
    );
}
