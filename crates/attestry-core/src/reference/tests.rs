//! Spellings of image references and their one normal form.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn check(input: &str, expected: &str) {
    let reference: Reference = input.parse().unwrap_or_else(|error| panic!("{input}: {error}"));
    assert_eq!(reference.to_string(), expected, "{input}");
    assert_eq!(expected.parse::<Reference>().unwrap(), reference, "the normal form is a fixed point: {expected}");
}

#[test]
fn attack_80_every_spelling_has_one_normal_form() {
    let digest = Digest::of("");
    for (input, expected) in [
        ("debian", "docker.io/library/debian"),
        ("debian:12", "docker.io/library/debian:12"),
        ("docker.io/debian:12", "docker.io/library/debian:12"),
        ("index.docker.io/library/debian:12", "docker.io/library/debian:12"),
        ("Registry-1.Docker.IO./library/debian", "docker.io/library/debian"),
        ("docker.io:443/debian", "docker.io/library/debian"),
        ("grafana/loki", "docker.io/grafana/loki"),
        ("Registry.Example./shop/app:v1", "registry.example/shop/app:v1"),
        ("registry.example:443/shop/app", "registry.example/shop/app"),
        ("registry.example:5000/shop/app", "registry.example:5000/shop/app"),
        ("localhost/app", "localhost/app"),
        ("localhost:5000/app:1", "localhost:5000/app:1"),
        ("127.0.0.1:5000/a/b__c-d---e.f:v1.2_3-x", "127.0.0.1:5000/a/b__c-d---e.f:v1.2_3-x"),
        ("[::1]:5000/app:1", "[::1]:5000/app:1"),
        ("[0:0:0:0:0:0:0:1]/app", "[::1]/app"),
    ] {
        check(input, expected);
        check(&format!("{input}@{digest}"), &format!("{expected}@{digest}"));
    }
}

#[test]
fn attack_80_a_host_by_its_capitals_final_dot_or_port_alone_does_not_become_a_path_on_docker_hub() {
    for input in ["Indexbaba/library/debian", "registry./app", "registry:443/app", "Registry.:443/shop/app:v1"] {
        assert!(matches!(input.parse::<Reference>(), Err(ReferenceError::Host(_))), "{input}");
        assert!(matches!(input.split(":v1").next().unwrap().parse::<Repository>(), Err(ReferenceError::Host(_))));
    }
    check("registry:5000/app", "registry:5000/app");
    check("LOCALHOST.:443/app", "localhost/app");
}

#[test]
fn the_normal_form_is_what_is_measured() {
    let path = "a".repeat(MAX_PATH - "library/".len());
    check(&path, &format!("docker.io/library/{path}"));
    assert!(format!("{path}a").parse::<Reference>().is_err(), "it could not be read again");
    check(&format!("registry.example/{path}a"), &format!("registry.example/{path}a"));
}

#[test]
fn attack_48_probes_are_refused_before_any_connection() {
    for input in [
        "",
        "https://registry.example/app",
        "user@registry.example/app",
        "user:secret@registry.example/app",
        "registry.example/app@sha512:00",
        "registry.example/App",
        "registry.example/../app",
        "registry.example/a//b",
        "registry.example/app/",
        "registry.example/app:",
        "registry.example/app:-x",
        "registry.example/app:v1:v2",
        "registry.example:0/app",
        "registry.example:99999/app",
        "registry.example:+80/app",
        "registry.example:/app",
        "registry..example/app",
        "-registry.example/app",
        "rеgistry.example/app", // a Cyrillic letter
        "registry.example/app%2f",
        "registry.example/app\n",
        "[::1/app",
        "[fe80::1%25eth0]/app",
        "registry.example/a.-b",
        "registry.example/app-",
        "registry.example/-app",
        "registry.example/app./x",
        "registry.example/_app",
        "registry.example/a___b",
    ] {
        assert!(input.parse::<Reference>().is_err(), "{input:?}");
    }
    assert_eq!(format!("a/{}", "b".repeat(1100)).parse::<Reference>(), Err(ReferenceError::TooLong));
}

#[test]
fn only_a_digest_pins() {
    let reference: Reference = "registry.example/app:v1".parse().unwrap();
    assert_eq!(reference.subject(), None);
    let pinned = reference.pin(Digest::of("x"));
    assert_eq!(pinned.to_string(), format!("registry.example/app:v1@{}", Digest::of("x")));
    assert_eq!(pinned.subject().unwrap().to_string(), format!("registry.example/app@{}", Digest::of("x")));
}

#[test]
fn what_hides_a_host_is_told_from_a_bad_digest() {
    let digest = Digest::of("x");
    for input in ["user@registry.example/app", &format!("a@b@{digest}"), &format!("user@host/app@{digest}")] {
        assert!(matches!(input.parse::<Reference>(), Err(ReferenceError::Url(_))), "{input}");
    }
    assert!(matches!("registry.example/app@sha256:00".parse::<Reference>(), Err(ReferenceError::Digest(_))));
}

#[test]
fn the_longest_parts_are_read_and_no_longer_ones() {
    let labels = |last: usize| format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(last));
    assert_eq!(labels(61).len(), 253);
    assert!(normal_host(&labels(61)).is_ok());
    assert!(normal_host(&labels(62)).is_err());
    let path = |length: usize| format!("registry.example/{}", "a".repeat(length)).parse::<Repository>();
    assert!(path(MAX_PATH).is_ok());
    assert!(matches!(path(MAX_PATH + 1), Err(ReferenceError::Path(_))));
    // Longer than any reference can be, but for what is written of the host that its normal form leaves out.
    let text = |zeros: usize| format!("[{}::1]/app", "0".repeat(zeros));
    assert!(matches!(text(MAX_REFERENCE - 9).parse::<Reference>(), Err(ReferenceError::Host(_))));
    assert!(matches!(text(MAX_REFERENCE - 8).parse::<Reference>(), Err(ReferenceError::TooLong)));
    for port in ["00080", "1"] {
        assert!(normal_host(&format!("registry.example:{port}")).is_ok(), "{port}");
    }
    assert!(normal_host("registry.example:000080").is_err());
}

#[test]
fn a_tag_is_kept_as_written() {
    let tagged: Reference = "registry.example/app:v1".parse().unwrap();
    assert_eq!(tagged.tag().map(ToString::to_string).as_deref(), Some("v1"));
    let bare: Reference = "registry.example/app".parse().unwrap();
    assert_eq!((bare.tag(), bare.effective_tag().to_string().as_str()), (None, "latest"));
    assert_eq!(format!("{:?}", bare.repository()), "registry.example/app");
}
