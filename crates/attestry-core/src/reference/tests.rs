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
