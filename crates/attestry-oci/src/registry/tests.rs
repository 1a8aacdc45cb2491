//! Who may be talked to on behalf of which registry, without a connection.
#![allow(clippy::unwrap_used, reason = "tests")]

use attestry_core::GapCause;

use super::*;

fn service(entries: Vec<RegistryEntry>) -> Registries {
    Registries::new(&ClientOptions::for_service(entries)).unwrap()
}

fn user() -> Registries {
    Registries::new(&ClientOptions::for_user(Credentials::Anonymous)).unwrap()
}

fn repository(text: &str) -> Repository {
    text.parse().unwrap()
}

#[test]
fn origins_follow_the_rules_for_plain_http() {
    let entry = |host: &str, plain_http: bool| RegistryEntry { host: host.into(), plain_http, ..Default::default() };
    let options = ClientOptions {
        registries: vec![entry("plain.example", true), entry("Listed.Example.:443", false)],
        unlisted: Unlisted { private: true, plain_http: vec!["lab.example:5000".into()], ..Default::default() },
        ..Default::default()
    };
    let registries = Registries::new(&options).unwrap();
    for (name, expected) in [
        ("debian", "https://registry-1.docker.io/"),
        ("ghcr.io/a/b", "https://ghcr.io/"),
        ("registry.example:5000/a", "https://registry.example:5000/"),
        ("plain.example/a", "http://plain.example/"),
        ("listed.example/a", "https://listed.example/"),
        ("lab.example:5000/a", "http://lab.example:5000/"),
        ("localhost:5000/a", "http://localhost:5000/"),
        ("127.0.0.9:5000/a", "http://127.0.0.9:5000/"),
        ("[::1]:5000/a", "http://[::1]:5000/"),
        ("localhost.example/a", "https://localhost.example/"),
    ] {
        assert_eq!(registries.of(&repository(name)).unwrap().origin.as_str(), expected, "{name}");
    }
}

#[test]
fn attack_48_a_service_connects_to_public_hosts_on_443_only() {
    let registries = service(vec![RegistryEntry { host: "10.1.2.3:5000".into(), private: true, ..Default::default() }]);
    let check = |name: &str, allowed: bool| {
        let result = registries.of(&repository(name)).and_then(|registry| registry.route(&registry.url("x")).map(drop));
        match result {
            Ok(()) => assert!(allowed, "{name} was allowed"),
            Err(fault) => {
                assert!(!allowed, "{name}: {fault:?}");
                assert_eq!(fault.cause, GapCause::NotAllowed, "{name}");
            }
        }
    };
    check("registry.example/a", true);
    check("1.1.1.1/a", true);
    check("10.1.2.3:5000/a", true);
    for name in [
        "registry.example:5000/a",
        "registry.example:22/a",
        "10.1.2.3/a",
        "10.1.2.4/a",
        "127.0.0.1/a",
        "127.0.0.1:5000/a",
        "169.254.169.254/a",
        "[::1]/a",
        "[::ffff:127.0.0.1]/a",
        "[fd00:ec2::254]/a",
        "[64:ff9b::a00:1]/a",
        "100.64.0.1/a",
    ] {
        check(name, false);
    }
    // Numbers in other spellings are addresses for a URL, not names.
    for name in ["0x7f000001.x/a", "2130706433.x/a"] {
        check(name, true);
    }
    for name in ["0177.0.0.1/a", "127.1/a", "0x7f.1/a"] {
        check(name, false);
    }
}

#[test]
fn attack_48_even_a_private_registry_is_not_link_local() {
    let entry = RegistryEntry { host: "169.254.169.254".into(), private: true, ..Default::default() };
    for registries in [service(vec![entry]), user()] {
        let registry = registries.of(&repository("169.254.169.254/a")).unwrap();
        assert_eq!(registry.route(&registry.url("x")).unwrap_err().cause, GapCause::NotAllowed);
    }
}

#[test]
fn attack_47_redirects_go_to_public_https_or_named_hosts() {
    let registries = service(vec![
        RegistryEntry {
            host: "corp.example".into(),
            private: true,
            blob_hosts: vec!["10.0.0.7:9000".into()],
            ..Default::default()
        },
        RegistryEntry {
            host: "lab.example".into(),
            private: true,
            plain_http: true,
            blob_hosts: vec!["store.lab.example".into(), "10.0.0.7:9000".into()],
            ..Default::default()
        },
    ]);
    for (name, target, allowed) in [
        ("ghcr.io/a", "https://store.example/blob?signature=1", true),
        ("ghcr.io/a", "http://store.example/blob", false),
        ("ghcr.io/a", "https://10.0.0.7:9000/blob", false),
        ("ghcr.io/a", "https://127.0.0.1/blob", false),
        ("ghcr.io/a", "https://169.254.169.254/blob", false),
        ("ghcr.io/a", "https://user:pass@store.example/blob", false),
        ("ghcr.io/a", "file:///etc/passwd", false),
        ("corp.example/a", "https://10.0.0.7:9000/blob", true),
        ("corp.example/a", "http://10.0.0.7:9000/blob", false),
        ("corp.example/a", "https://10.0.0.8:9000/blob", false),
        ("lab.example/a", "http://store.lab.example/blob", true),
        ("lab.example/a", "http://10.0.0.7:9000/blob", true),
        ("lab.example/a", "http://10.0.0.8:9000/blob", false),
        ("lab.example/a", "http://elsewhere.lab.example/blob", false),
        ("lab.example/a", "http://127.0.0.1:6379/blob", false),
    ] {
        let registry = registries.of(&repository(name)).unwrap();
        let result = registry.route(&Url::parse(target).unwrap());
        assert_eq!(result.is_ok(), allowed, "{name} to {target}: {result:?}");
        if let Err(fault) = result {
            assert_eq!(fault.cause, GapCause::NotAllowed, "{name} to {target}");
        }
    }
}

#[test]
fn attacks_46_and_92_only_known_realms_see_credentials() {
    use RealmTrust::{Anonymous, Credentials as Trusted};
    let registries = service(vec![RegistryEntry {
        host: "corp.example".into(),
        token_realms: vec!["sso.corp.example".into(), "https://idp.example:8443/token".into()],
        ..Default::default()
    }]);
    for (name, realm, expected) in [
        ("debian", "https://auth.docker.io/token", Some(Trusted)),
        ("debian", "https://auth.docker.io.evil.example/token", Some(Anonymous)),
        ("debian", "http://auth.docker.io/token", None),
        ("ghcr.io/a", "https://ghcr.io/token", Some(Trusted)),
        ("ghcr.io/a", "https://auth.docker.io/token", Some(Anonymous)),
        ("registry.gitlab.com/a", "https://gitlab.com/jwt/auth", Some(Trusted)),
        ("evil.example/a", "https://gitlab.com/jwt/auth", Some(Anonymous)),
        ("corp.example/a", "https://corp.example/token", Some(Trusted)),
        ("corp.example/a", "https://corp.example:444/token", Some(Anonymous)),
        ("corp.example/a", "https://sso.corp.example/token", Some(Trusted)),
        ("corp.example/a", "https://idp.example:8443/other", Some(Trusted)),
        ("corp.example/a", "https://idp.example/token", Some(Anonymous)),
        ("registry.default.svc.cluster.local/a", "https://vault.default.svc.cluster.local/", Some(Anonymous)),
        ("corp.example/a", "https://169.254.169.254/token", None),
        ("corp.example/a", "https://10.0.0.1/token", None),
        ("corp.example/a", "https://user@evil.example/token", None),
    ] {
        let registry = registries.of(&repository(name)).unwrap();
        let result = registry.realm(&Url::parse(realm).unwrap()).map(|(_, trust)| trust);
        assert_eq!(result.ok(), expected, "{name} with realm {realm}");
    }
}

#[test]
fn attack_46_a_plain_token_service_must_be_named_and_belong_to_a_plain_registry() {
    let lab = RegistryEntry { host: "lab.example".into(), plain_http: true, ..Default::default() };
    let unlisted = Unlisted { plain_http: vec!["sso.lab.example".into()], ..Default::default() };
    let options = ClientOptions { registries: vec![lab], unlisted, ..Default::default() };
    let registries = Registries::new(&options).unwrap();
    for (name, realm, expected) in [
        ("lab.example/a", "http://sso.lab.example/token", Some(RealmTrust::Anonymous)),
        ("lab.example/a", "http://other.lab.example/token", None),
        ("ghcr.io/a", "http://sso.lab.example/token", None),
    ] {
        let registry = registries.of(&repository(name)).unwrap();
        let result = registry.realm(&Url::parse(realm).unwrap()).map(|(_, trust)| trust);
        assert_eq!(result.map_err(|fault| fault.cause).ok(), expected, "{name} with realm {realm}");
    }
}

#[test]
fn mistakes_in_the_configuration_are_found_at_once() {
    let check = |entry: RegistryEntry, wanted: fn(&OciError) -> bool| {
        let error = Registries::new(&ClientOptions::for_service(vec![entry.clone()])).unwrap_err();
        assert!(wanted(&error), "{entry:?}: {error}");
    };
    let entry = RegistryEntry { host: "a.example".into(), ..Default::default() };
    check(RegistryEntry { host: "https://a.example".into(), ..entry.clone() }, |e| matches!(e, OciError::Host { .. }));
    check(RegistryEntry { ca: Some(b"no pem".into()), ..entry.clone() }, |e| matches!(e, OciError::CaFile));
    check(RegistryEntry { blob_hosts: vec!["a b".into()], ..entry.clone() }, |e| matches!(e, OciError::Host { .. }));
    check(RegistryEntry { token_realms: vec!["ftp://x/".into()], ..entry.clone() }, |e| {
        matches!(e, OciError::TokenRealm(_))
    });
    let twice = vec![entry.clone(), RegistryEntry { host: "A.example.".into(), ..entry }];
    let error = Registries::new(&ClientOptions::for_service(twice)).unwrap_err();
    assert!(matches!(error, OciError::TwoEntries(_)));
}
