//! Challenges, tokens and who gets to see credentials.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::{
    ProxyOptions, RegistryEntry,
    hostile::{Reply, Seen},
};

/// The sample behind a token service at `realm`; every token that begins with `good` opens it.
fn guarded(store: Store, realm: String) -> impl Fn(&Seen) -> Reply + Send + Sync + 'static {
    move |seen| {
        if seen.path == "/token" {
            return token(seen);
        }
        if seen.header("authorization").is_some_and(|value| value.starts_with("Bearer good")) {
            return store.answer(seen);
        }
        let challenge =
            format!(r#"Bearer realm="{realm}",service="the service, really",scope="repository:app:pull,push""#);
        Reply::status(401).with("www-authenticate", challenge)
    }
}

fn token(seen: &Seen) -> Reply {
    match seen.header("authorization") {
        // user:secret
        None | Some("Basic dXNlcjpzZWNyZXQ=") => Reply::json(&json!({"token": "good", "expires_in": 300})),
        Some(_) => Reply::status(401),
    }
}

fn entry(server: &Server, credentials: Credentials) -> RegistryEntry {
    RegistryEntry { host: server.address.to_string(), private: true, credentials, ..RegistryEntry::default() }
}

async fn read(client: &Client, server: &Server, sample: &Sample) -> Vec<GapCause> {
    let evidence = collect_everything(client, &server.subject(sample.image)).await;
    if evidence.gaps.is_empty() {
        assert!(evidence.document(&sample.bundle).is_some());
    }
    causes(&evidence)
}

#[tokio::test]
async fn one_token_serves_a_whole_collection() {
    let sample = Sample::new(true);
    let server = Server::start(guarded(sample.store.clone(), "/token".into())).await;
    let client = user_with(basic());
    assert_eq!(read(&client, &server, &sample).await, []);
    assert_eq!(client.stats().tokens, 1);
    assert_eq!(server.count("/token"), 1);
    let asked = server.seen().into_iter().find(|seen| seen.path == "/token").unwrap();
    assert_eq!(asked.header("authorization"), Some("Basic dXNlcjpzZWNyZXQ="));
    // Ours first, then what the registry asked for in addition.
    assert_eq!(
        asked.query,
        "service=the+service%2C+really&scope=repository%3Aapp%3Apull&scope=repository%3Aapp%3Apull%2Cpush&client_id=attestry"
    );
    // What the registry wants is known now: no request is refused first.
    let before = server.seen().len();
    assert_eq!(read(&client, &server, &sample).await, []);
    assert_eq!(server.seen().len() - before, 8);
}

#[tokio::test]
async fn without_credentials_the_token_is_asked_for_anonymously() {
    let sample = Sample::new(true);
    let server = Server::start(guarded(sample.store.clone(), "/token".into())).await;
    assert_eq!(read(&user(), &server, &sample).await, []);
    assert!(
        server.seen().iter().filter(|seen| seen.path == "/token").all(|seen| seen.header("authorization").is_none())
    );
}

#[tokio::test]
async fn attack_46_another_realm_gets_no_credentials() {
    let sample = Sample::new(true);
    let realm = Server::start(|seen| match seen.header("authorization") {
        None => Reply::json(&json!({"token": "anonymous"})),
        Some(_) => Reply::json(&json!({"token": "good"})),
    })
    .await;
    let server = Server::start(guarded(sample.store.clone(), realm.url("/token"))).await;
    let client = user_with(basic());
    assert_eq!(read(&client, &server, &sample).await, [GapCause::Denied; 4]);
    assert!(!realm.seen().is_empty());
    assert!(realm.seen().iter().all(|seen| seen.header("authorization").is_none() && seen.body.is_empty()));
    let gap = client.resolve(&server.reference("app:1"), &Budget::default()).await.unwrap_err();
    assert!(gap.detail.contains("tokenRealms"), "{}", gap.detail);

    // The administrator vouches for it.
    let listed = RegistryEntry { token_realms: vec![realm.url("/")], ..entry(&server, basic()) };
    let client = Client::new(&ClientOptions::for_service(vec![listed])).unwrap();
    assert_eq!(read(&client, &server, &sample).await, []);
}

#[tokio::test]
async fn attack_92_a_service_does_not_ask_a_private_realm_at_all() {
    let sample = Sample::new(true);
    let realm = Server::start(|_| Reply::json(&json!({"token": "good"}))).await;
    for url in [
        realm.url("/token"),
        format!("https://{}/token", realm.address),
        "http://169.254.169.254/token".into(),
        // Its name gives a private address only when it is looked up.
        format!("https://localhost:{}/token", realm.address.port()),
    ] {
        let server = Server::start(guarded(sample.store.clone(), url.clone())).await;
        let client = Client::new(&ClientOptions::for_service(vec![entry(&server, basic())])).unwrap();
        assert_eq!(read(&client, &server, &sample).await, [GapCause::Denied; 4], "{url}");
    }
    assert_eq!(realm.seen().len(), 0);
}

#[tokio::test]
async fn tls_is_checked_against_the_entry_and_speaks_http_2() {
    let sample = Sample::new(true);
    let store = sample.store.clone();
    let (server, ca) = Server::start_tls(move |seen| store.answer(seen)).await;
    let check = async |ca: Option<String>| {
        let trusted = RegistryEntry { ca: ca.map(String::into_bytes), ..entry(&server, Credentials::Anonymous) };
        let client = Client::new(&ClientOptions::for_service(vec![trusted])).unwrap();
        read(&client, &server, &sample).await
    };
    assert_eq!(check(Some(ca)).await, []);
    assert!(server.seen().iter().all(|seen| seen.version == axum::http::Version::HTTP_2));
    let before = server.seen().len();
    let (_, other) = Server::start_tls(|_| Reply::status(500)).await;
    assert_eq!(check(Some(other)).await, [GapCause::Unreachable; 4]);
    // An entry for a loopback host without its own authorities means plain HTTP, which this server does not speak.
    assert_eq!(check(None).await, [GapCause::Unreachable; 4]);
    assert_eq!(server.seen().len(), before);
}

#[tokio::test]
async fn https_goes_through_the_proxy_unless_the_host_is_exempt() {
    let sample = Sample::new(true);
    let store = sample.store.clone();
    let (server, ca) = Server::start_tls(move |seen| store.answer(seen)).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let (tunnels, target) = (Arc::new(AtomicU32::new(0)), server.address);
    let counter = Arc::clone(&tunnels);
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let counter = Arc::clone(&counter);
            tokio::spawn(async move {
                let mut head = [0; 1024];
                let length = client.read(&mut head).await.unwrap();
                assert!(head[..length].starts_with(format!("CONNECT {target} ").as_bytes()));
                counter.fetch_add(1, SeqCst);
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let mut upstream = tokio::net::TcpStream::connect(target).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
            });
        }
    });
    for (no_proxy, tunnelled) in [(vec![], true), (vec!["127.0.0.1".to_owned()], false)] {
        tunnels.store(0, SeqCst);
        let entry = RegistryEntry { ca: Some(ca.clone().into_bytes()), ..entry(&server, Credentials::Anonymous) };
        let mut options = ClientOptions::for_service(vec![entry]);
        options.proxy = Some(ProxyOptions { https: proxy.parse().unwrap(), no_proxy });
        assert_eq!(read(&Client::new(&options).unwrap(), &server, &sample).await, []);
        assert_eq!(tunnels.load(SeqCst) > 0, tunnelled);
    }
}

#[tokio::test]
async fn basic_goes_to_the_registry_only_when_it_asks() {
    let sample = Sample::new(true);
    let store = sample.store.clone();
    let server = Server::start(move |seen| match seen.header("authorization") {
        Some("Basic dXNlcjpzZWNyZXQ=") => store.answer(seen),
        _ => Reply::status(401).with("www-authenticate", "Basic realm=\"Registry\""),
    })
    .await;
    assert_eq!(read(&user_with(basic()), &server, &sample).await, []);
    assert!(server.seen()[0].header("authorization").is_none());
    assert_eq!(read(&user(), &server, &sample).await, [GapCause::Denied; 4]);
    let wrong = Credentials::Basic { username: "user".into(), password: "wrong".into() };
    assert_eq!(read(&user_with(wrong), &server, &sample).await, [GapCause::Denied; 4]);
}

#[tokio::test]
async fn identity_tokens_use_the_form_and_fall_back_to_get() {
    let sample = Sample::new(true);
    for knows_form in [true, false] {
        let guarded = guarded(sample.store.clone(), "/token".into());
        let server = Server::start(move |seen| match (seen.path.as_str(), seen.method.as_str()) {
            ("/token", "POST") if knows_form => Reply::json(&json!({"access_token": "good"})),
            ("/token", "POST") => Reply::status(405),
            _ => guarded(seen),
        })
        .await;
        let client = user_with(Credentials::IdentityToken("re fresh".into()));
        assert_eq!(read(&client, &server, &sample).await, []);
        let asked = server.seen().into_iter().find(|seen| seen.method == "POST").unwrap();
        let form = String::from_utf8(asked.body.to_vec()).unwrap();
        assert!(form.starts_with("grant_type=refresh_token&service=the+service%2C+really&"), "{form}");
        assert!(form.ends_with("&refresh_token=re+fresh"), "{form}");
        assert_eq!(server.count("GET /token"), usize::from(!knows_form));
    }
    let server = Server::start(guarded(sample.store.clone(), "/token".into())).await;
    assert_eq!(read(&user_with(Credentials::RegistryToken("good".into())), &server, &sample).await, []);
    assert_eq!(server.count("/token"), 0);
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once() {
    let sample = Sample::new(true);
    let good = Arc::new(AtomicU32::new(0));
    let (store, now) = (sample.store.clone(), Arc::clone(&good));
    let server = Server::start(move |seen| {
        let current = format!("t{}", now.load(SeqCst));
        if seen.path == "/token" {
            return Reply::json(&json!({"token": current, "expires_in": 3600}));
        }
        match seen.header("authorization") == Some(&format!("Bearer {current}")) {
            true => store.answer(seen),
            false => Reply::status(401).with("www-authenticate", "Bearer realm=\"/token\""),
        }
    })
    .await;
    let client = user();
    assert_eq!(read(&client, &server, &sample).await, []);
    good.store(1, SeqCst);
    assert_eq!(read(&client, &server, &sample).await, []);
    assert_eq!(server.count("/token"), 2);
}

#[tokio::test]
async fn token_services_that_misbehave_are_gaps() {
    let sample = Sample::new(true);
    let check = async |reply: fn() -> Reply, expected: GapCause| {
        let guarded = guarded(sample.store.clone(), "/token".into());
        let server = Server::start(move |seen| if seen.path == "/token" { reply() } else { guarded(seen) }).await;
        let gap = user().resolve(&server.reference("app:1"), &Budget::default()).await.unwrap_err();
        assert_eq!(gap.cause, expected, "{}", gap.detail);
        assert!(server.count("/token") <= 1);
    };
    check(|| Reply::status(401), GapCause::Denied).await;
    check(|| Reply::status(403), GapCause::Denied).await;
    check(|| Reply::status(404), GapCause::Denied).await;
    check(|| Reply::status(429), GapCause::Throttled).await;
    check(|| Reply::status(500), GapCause::Unreachable).await;
    check(|| Reply::redirect(302, "/token"), GapCause::Malformed).await;
    check(|| Reply::json(&json!({})), GapCause::Malformed).await;
    check(|| Reply::json(&json!({"token": ""})), GapCause::Malformed).await;
    check(|| Reply::json(&json!({"token": "a\nb"})), GapCause::Malformed).await;
    check(|| Reply::ok("application/json", "<html>"), GapCause::Malformed).await;
    check(|| Reply::status(200).endless(), GapCause::OverLimit).await;
    // A token that opens nothing ends as a refusal, not in a loop.
    check(|| Reply::json(&json!({"token": "bad"})), GapCause::Denied).await;
}

#[tokio::test]
async fn what_was_refused_is_not_sent_again() {
    let server = Server::start(|_| Reply::status(401).with("www-authenticate", "Basic realm=\"x\"")).await;
    let client = user_with(basic());
    for requests in [2, 3] {
        client.resolve(&server.reference("app"), &Budget::default()).await.unwrap_err();
        assert_eq!(server.seen().len(), requests);
    }
}

#[tokio::test]
async fn the_wishes_of_two_registries_are_both_remembered() {
    let sample = Sample::new(true);
    let one = Server::start(guarded(sample.store.clone(), "/token".into())).await;
    let two = Server::start(guarded(sample.store.clone(), "/token".into())).await;
    let client = user();
    for _ in 0..2 {
        for server in [&one, &two] {
            client.resolve(&server.reference("app:1"), &Budget::default()).await.unwrap();
        }
    }
    // Refused, token, answered; then answered at once.
    assert_eq!((one.seen().len(), two.seen().len()), (4, 4));
}

#[tokio::test]
async fn tokens_that_expired_make_room() {
    let server = Server::start(|seen| match seen.path.as_str() {
        "/token" => {
            let life = if seen.query.contains("%3Afirst%3A") { 300 } else { 0 };
            Reply::json(&json!({"token": "good", "expires_in": life}))
        }
        _ if seen.header("authorization").is_none() => {
            Reply::status(401).with("www-authenticate", "Bearer realm=\"/token\"")
        }
        _ => Reply::status(200).with("docker-content-digest", Digest::of("x").to_string()),
    })
    .await;
    let client = user();
    let resolve = async |name: &str| client.resolve(&server.reference(name), &Budget::default()).await.unwrap();
    let kept = || format!("{:?}", client.transport.auth).matches("TokenKey").count();
    resolve("first").await;
    for number in 1..1024 {
        resolve(&format!("app{number}")).await;
    }
    assert_eq!(kept(), 1024);
    resolve("last").await;
    assert_eq!(kept(), 2);
    let before = client.stats().tokens;
    resolve("first").await;
    assert_eq!(client.stats().tokens, before);
}

#[tokio::test]
async fn the_proxy_may_be_private_and_nothing_else() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = format!("http://user:hunter2@localhost:{}", listener.local_addr().unwrap().port());
    let heads = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = [0; 1024];
        let length = stream.read(&mut head).await.unwrap();
        String::from_utf8_lossy(&head[..length]).into_owned()
    });
    let service = |https: &str, no_proxy: &[&str]| {
        let no_proxy = no_proxy.iter().map(ToString::to_string).collect();
        let proxy = ProxyOptions { https: https.parse().unwrap(), no_proxy };
        assert!(!format!("{proxy:?}").contains("hunter2"));
        assert!(format!("{proxy:?}").contains("localhost") || https.contains("proxy.example"));
        Client::new(&ClientOptions { proxy: Some(proxy), ..ClientOptions::for_service(Vec::new()) }).unwrap()
    };
    let resolve = async |client: Client, name: &str| {
        client.resolve(&name.parse().unwrap(), &Budget::default()).await.unwrap_err()
    };
    let gap = resolve(service(&proxy, &[]), "registry.example/app").await;
    assert_eq!(gap.cause, GapCause::Unreachable, "{}", gap.detail);
    assert!(heads.await.unwrap().starts_with("CONNECT registry.example:443 "));
    let gap = resolve(service("http://proxy.example:3128", &["localhost"]), "localhost/app").await;
    assert_eq!(gap.cause, GapCause::NotAllowed, "{}", gap.detail);
}
