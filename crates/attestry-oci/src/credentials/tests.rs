//! Docker's and Podman's files as they are found on machines, and helpers as scripts.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn basic(username: &str, password: &str) -> Secret {
    Secret::Basic { username: username.to_owned(), password: password.to_owned() }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("nobody"),
            Self::Basic { username, password } => write!(f, "basic {username} {password}"),
            Self::Identity(token) => write!(f, "identity {token}"),
            Self::Registry(token) => write!(f, "registry {token}"),
        }
    }
}

async fn check(config: &str, repository: &str, expected: Secret) {
    let config = DockerConfig::from_json(config.as_bytes()).unwrap();
    let found = Credentials::Docker(vec![config]).secret(&repository.parse().unwrap()).await.unwrap();
    assert_eq!(found, expected, "{repository}");
}

#[tokio::test]
async fn files_as_docker_and_podman_write_them() {
    let auth = BASE64.encode("user:pass:word");
    let config = format!(
        r#"{{"auths": {{
            "https://index.docker.io/v1/": {{"auth": "{auth}"}},
            "registry.example:443": {{"username": "u", "password": "p"}},
            "https://other.example/v2/": {{"identitytoken": "refresh"}},
            "bearer.example": {{"registrytoken": "token"}},
            "empty.example": {{}},
            "quay.io": {{"auth": "{}"}},
            "quay.io/team": {{"auth": "{}"}},
            "quay.io/team/app": {{"auth": "{}"}}
        }}, "HttpHeaders": {{}}}}"#,
        BASE64.encode("host:1"),
        BASE64.encode("team:2"),
        BASE64.encode("app:3"),
    );
    for (repository, expected) in [
        ("debian", basic("user", "pass:word")),
        ("index.docker.io/acme/app", basic("user", "pass:word")),
        ("registry.example/app", basic("u", "p")),
        ("registry.example:5000/app", Secret::Nobody),
        ("other.example/app", Secret::Identity("refresh".into())),
        ("bearer.example/app", Secret::Registry("token".into())),
        ("empty.example/app", Secret::Nobody),
        ("quay.io/x/y", basic("host", "1")),
        ("quay.io/team/other", basic("team", "2")),
        ("quay.io/team/app", basic("app", "3")),
        ("quay.io/team/app/deeper", basic("app", "3")),
        ("quay.io/teams/app", basic("host", "1")),
        ("unknown.example/app", Secret::Nobody),
    ] {
        check(&config, repository, expected).await;
    }
    assert!(DockerConfig::from_json(b"[]").is_err());
    assert!(DockerConfig::from_json(b"{}").is_ok());
}

#[tokio::test]
async fn a_helper_name_is_no_path() {
    for (config, expected) in [
        (r#"{"credsStore": "../evil"}"#, "is no plain name"),
        (r#"{"credHelpers": {"quay.io": ""}}"#, "is no plain name"),
        (r#"{"credsStore": "no-such.helper_7"}"#, "cannot be started"),
    ] {
        let config = DockerConfig::from_json(config.as_bytes()).unwrap();
        let fault = config.secret(&"quay.io/a".parse().unwrap()).await.unwrap_err();
        assert_eq!(fault.cause, attestry_core::GapCause::Denied);
        assert!(fault.detail.contains(expected), "{}", fault.detail);
    }
}

#[tokio::test]
async fn helpers_answer_in_the_protocol_or_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let helper = |name: &str, script: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let echo = helper(
        "echo",
        r#"read -r server; test "$1" = get || exit 3; printf '{"ServerURL":"%s","Username":"u","Secret":"%s"}' "$server" "$server""#,
    );
    assert_eq!(ask_program(&echo, "registry.example").await.unwrap(), Some(basic("u", "registry.example")));
    assert_eq!(ask_program(&echo, DOCKER_HUB).await.unwrap(), Some(basic("u", HUB_KEY)));
    let token = helper("token", r#"echo '{"ServerURL":"","Username":"<token>","Secret":"refresh"}'"#);
    assert_eq!(ask_program(&token, "x").await.unwrap(), Some(Secret::Identity("refresh".into())));
    let nobody = helper("nobody", r#"echo '{"ServerURL":"","Username":"","Secret":""}'"#);
    assert_eq!(ask_program(&nobody, "x").await.unwrap(), None);
    let nameless = helper("nameless", r#"echo '{"ServerURL":"","Username":"","Secret":"key"}'"#);
    assert_eq!(ask_program(&nameless, "x").await.unwrap(), Some(basic("", "key")));
    let absent = helper("absent", "echo 'credentials not found in native keychain'; exit 1");
    assert_eq!(ask_program(&absent, "x").await.unwrap(), None);
    for script in ["echo broken; exit 1", "echo not json", "yes | head -c 1000000"] {
        let program = helper("bad", script);
        let fault = ask_program(&program, "x").await.unwrap_err();
        assert_eq!(fault.cause, attestry_core::GapCause::Denied, "{script}");
    }
    assert!(ask_program("/nonexistent/helper", "x").await.is_err());
}

#[test]
fn the_places_are_searched_in_order_and_may_be_missing() {
    let home = tempfile::tempdir().unwrap();
    let write = |path: &str, host: &str| {
        let path = home.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!(r#"{{"auths":{{"{host}":{{"registrytoken":"t"}}}}}}"#)).unwrap();
        path
    };
    let places = CredentialPlaces { home: Some(home.path().to_owned()), ..CredentialPlaces::default() };
    assert_eq!(DockerConfig::search(&places).unwrap().len(), 0);
    write(".docker/config.json", "docker.example");
    write(".config/containers/auth.json", "podman.example");
    let named = write("named.json", "named.example");
    let places = CredentialPlaces { registry_auth_file: Some(named), ..places };
    let found = DockerConfig::search(&places).unwrap();
    let hosts: Vec<_> = found.iter().flat_map(|config| config.auths.keys()).collect();
    assert_eq!(hosts, ["named.example", "docker.example", "podman.example"]);
    std::fs::write(home.path().join(".docker/config.json"), "{").unwrap();
    assert!(matches!(DockerConfig::search(&places), Err(OciError::CredentialFormat(_))));
}

#[test]
fn secrets_do_not_show_in_debug_output() {
    let secret = Credentials::Basic { username: "user".into(), password: "hunter2".into() };
    let config = DockerConfig::from_json(br#"{"auths":{"a.example":{"registrytoken":"hunter2"}}}"#).unwrap();
    let text = format!("{secret:?} {config:?} {:?}", Credentials::Docker(vec![config.clone()]));
    assert_eq!(text, "Basic DockerConfig { auths: 1, .. } Docker");
}

#[tokio::test(start_paused = true)]
async fn the_answer_of_a_helper_is_used_for_five_minutes() {
    let config = DockerConfig::from_json(br#"{"credsStore": "no-such-helper"}"#).unwrap();
    let repository = "quay.io/a".parse().unwrap();
    config.asked.lock().await.insert("quay.io".to_owned(), (Instant::now(), Some(basic("u", "p"))));
    tokio::time::advance(HELPER_FRESH - Duration::from_millis(1)).await;
    assert_eq!(config.secret(&repository).await.unwrap(), Some(basic("u", "p")));
    tokio::time::advance(Duration::from_millis(1)).await;
    // Asked anew, and there is no such helper.
    assert!(config.secret(&repository).await.is_err());
}

#[test]
fn a_file_of_one_mebibyte_is_read_and_no_larger_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.json");
    let write = |length: usize| std::fs::write(&path, format!("{{}}{}", " ".repeat(length - 2))).unwrap();
    write(1 << 20);
    assert!(DockerConfig::from_file(&path).is_ok());
    write((1 << 20) + 1);
    assert!(matches!(DockerConfig::from_file(&path), Err(OciError::CredentialFile { .. })));
}

#[test]
fn a_file_that_cannot_be_read_is_not_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let places = CredentialPlaces { registry_auth_file: Some(folder.path().to_owned()), ..CredentialPlaces::default() };
    assert!(matches!(DockerConfig::search(&places), Err(OciError::CredentialFile { .. })));
}
