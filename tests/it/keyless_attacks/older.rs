//! Log entries of kinds that older clients wrote: `intoto` 0.0.1 beside cosign's legacy layer, `dsse` 0.0.2 of early
//! Rekor v2. The same attacks as on other entries, refused for the same reasons.

use attestry_core::{
    Digest, ReasonCode,
    attachment::{Attachment, Form, LegacyMaterial},
    envelope::EnvelopeJson,
    legacy,
    trust_root::{Demands, LogProof},
    verify::TrustedKey,
};
use attestry_sign::SigningKey;
use attestry_testkit::{
    authorities::{
        CaFault, CertificateAuthority, CtLog, Leaf, LeafFault, TimestampFault,
        log::{Generation, LogFault, propose},
    },
    clock,
};
use serde_json::{Value, json};

use super::world::{
    ISSUER, MANIFEST, Parts, SUBJECT, V01, V03, World, attachment, bundle_attachment, judge_by_key, judge_under,
    root_of, signed, statement,
};

/// The two kinds, each in the layout that it stands in.
const KINDS: [Kind; 2] = [Kind::Intoto, Kind::Dsse];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Intoto,
    Dsse,
}

impl Kind {
    /// What an honest signer made. The second generation has no time of its own, so a timestamp comes along.
    fn honest(self, world: &mut World) -> Parts {
        self.with(world, &World::leaf())
    }

    fn with(self, world: &mut World, leaf: &Leaf) -> Parts {
        let parts = world.bare(leaf);
        self.logged(world, parts, None, "2026-01-20T10:01:00Z")
    }

    fn logged(self, world: &mut World, mut parts: Parts, fault: Option<LogFault>, at: &str) -> Parts {
        let at = clock::at(at);
        let verifier = propose::Verifier::Certificate(&parts.leaf);
        parts.entries = vec![match self {
            Self::Intoto => world.v1.append_with(&propose::intoto_v001(&parts.envelope, verifier), at, fault).unwrap(),
            Self::Dsse => world.v2.append_with(&propose::dsse_v002(&parts.envelope, verifier), at, fault).unwrap(),
        }];
        if self == Self::Dsse {
            parts.timestamps = vec![world.tsa.stamp(&parts.signature(), at)];
        }
        parts
    }

    fn stored(self, parts: &Parts, chain: &[Vec<u8>]) -> Attachment {
        match self {
            Self::Intoto => {
                let text = serde_json::to_vec(&parts.envelope).unwrap();
                attachment(Form::Envelope(parts.annotations(chain, b"")), text)
            }
            Self::Dsse => bundle_attachment(parts.bundle()),
        }
    }

    fn judge(self, world: &World, parts: &Parts) -> Result<LogProof, ReasonCode> {
        let stored = self.stored(parts, &world.ca.chain());
        world.judge_attachment(&stored, clock::now()).map(|verified| verified.log())
    }

    #[track_caller]
    fn refused(self, world: &World, parts: &Parts, expected: ReasonCode) {
        assert_eq!(self.judge(world, parts), Err(expected), "{self:?}");
    }
}

#[test]
fn older_kinds_of_log_entries_are_accepted() {
    for kind in KINDS {
        let mut world = World::new();
        let parts = kind.honest(&mut world);
        let verified = world.judge_attachment(&kind.stored(&parts, &world.ca.chain()), clock::now()).unwrap();
        let identity = verified.identity().unwrap();
        assert_eq!((identity.subject.as_str(), identity.issuer.as_str()), (SUBJECT, ISSUER));
        assert_eq!(verified.key_id(), World::key("signer").key_id());
        let known = if kind == Kind::Intoto { LogProof::Promise } else { LogProof::Inclusion };
        assert_eq!((verified.time(), verified.log()), (Some(signed()), known), "{kind:?}");
    }
    // Both times together, as cosign writes them with a timestamp authority.
    let mut world = World::new();
    let mut parts = Kind::Intoto.honest(&mut world);
    let text = serde_json::to_vec(&parts.envelope).unwrap();
    parts.timestamps = vec![world.tsa.stamp(&text, signed())];
    assert_eq!(Kind::Intoto.judge(&world, &parts), Ok(LogProof::Promise));
    // Before 2022 the entry said nothing of the payload.
    let mut old = World::new();
    let mut parts = Kind::Intoto.honest(&mut old);
    parts.entries = vec![old.v1.relog(&parts.entries[0], |body| {
        body["spec"]["content"].as_object_mut().unwrap().remove("payloadHash").unwrap();
    })];
    assert_eq!(Kind::Intoto.judge(&old, &parts), Ok(LogProof::Promise));
}

#[test]
fn a_legacy_envelope_by_certificate_with_a_timestamp_alone() {
    let world = World { demands: Demands { sct: true, log: false }, ..World::new() };
    let mut parts = world.bare(&World::leaf());
    let text = serde_json::to_vec(&parts.envelope).unwrap();
    parts.timestamps = vec![world.tsa.stamp(&text, signed())];
    assert_eq!(Kind::Intoto.judge(&world, &parts), Ok(LogProof::None));
    // Where there is a log, it is one that waits for its entry.
    Kind::Intoto.refused(&World::new(), &parts, ReasonCode::LogEntryMissing);
    parts.timestamps = vec![world.tsa.stamp(&parts.signature(), signed())];
    Kind::Intoto.refused(&world, &parts, ReasonCode::TimestampInvalid);
    parts.timestamps = vec![world.tsa.stamp(&text, clock::at("2026-01-20T11:00:00Z"))];
    Kind::Intoto.refused(&world, &parts, ReasonCode::CertificateNotValidThen);
    let bad = World::new().tsa.faulty(TimestampFault::ChangedSignature);
    parts.timestamps = vec![bad.stamp(&text, signed())];
    Kind::Intoto.refused(&world, &parts, ReasonCode::TimestampInvalid);
    // Without a time there is nothing that the certificate could be held against.
    parts.timestamps.clear();
    Kind::Intoto.refused(&world, &parts, ReasonCode::CertificateNotValidThen);
    let while_valid = world.judge_attachment(&Kind::Intoto.stored(&parts, &world.ca.chain()), signed());
    assert_eq!(while_valid.map(|_| ()), Err(ReasonCode::TimestampMissing));
}

#[test]
fn attack_07_an_older_log_entry_of_something_else() {
    for kind in KINDS {
        let mut world = World::new();
        let honest = kind.honest(&mut world);
        for foreign in world.foreign(&honest) {
            let foreign = kind.logged(&mut world, foreign, None, "2026-01-20T10:01:00Z");
            let mixed = Parts { entries: foreign.entries, ..honest.clone() };
            kind.refused(&world, &mixed, ReasonCode::LogEntryMismatch);
            let both = Parts { entries: [honest.entries.clone(), mixed.entries].concat(), ..honest.clone() };
            // cosign's layout has room for one.
            if kind == Kind::Dsse {
                kind.refused(&world, &both, ReasonCode::LogEntryMismatch);
            }
        }
        // The same envelope in other words is another one to an entry that names its bytes; to the other it is not.
        let mut spaced = honest.clone();
        spaced.envelope.signatures[0].keyid = Some("hint".to_owned());
        let known = if kind == Kind::Intoto { Err(ReasonCode::LogEntryMismatch) } else { Ok(LogProof::Inclusion) };
        assert_eq!(kind.judge(&world, &spaced), known, "{kind:?}");
    }
}

/// Genuine entries whose body is not what the signature needs: each member that binds the two.
#[test]
fn attack_07_older_log_entries_with_another_body() {
    let changed = |kind: Kind, change: &dyn Fn(&mut Value)| {
        let mut world = World::new();
        let mut parts = kind.honest(&mut world);
        let log = if kind == Kind::Intoto { &mut world.v1 } else { &mut world.v2 };
        parts.entries = vec![log.relog(&parts.entries[0], change)];
        kind.judge(&world, &parts)
    };
    let mismatch = Err(ReasonCode::LogEntryMismatch);
    let zeros = "00".repeat(32);
    assert_eq!(changed(Kind::Intoto, &|_| ()), Ok(LogProof::Promise));
    assert_eq!(changed(Kind::Dsse, &|_| ()), Ok(LogProof::Inclusion));
    for (pointer, value) in [
        ("/apiVersion", json!("0.0.2")),
        ("/kind", json!("dsse")),
        ("/spec/content/hash/value", json!(zeros)),
        ("/spec/content/hash/algorithm", json!("sha512")),
        ("/spec/content/payloadHash/value", json!(zeros)),
        ("/spec/publicKey", json!("")),
        ("/spec/publicKey", json!("AAAA")),
        ("/spec/content", json!({})),
    ] {
        let set = |body: &mut Value| *body.pointer_mut(pointer).unwrap() = value.clone();
        assert_eq!(changed(Kind::Intoto, &set), mismatch, "{pointer}");
    }
    let signature = "/spec/dsseV002/signatures/0";
    for (pointer, value) in [
        ("/apiVersion".to_owned(), json!("0.0.1")),
        ("/kind".to_owned(), json!("intoto")),
        ("/spec/dsseV002/payloadHash/digest".to_owned(), json!("AAAA")),
        ("/spec/dsseV002/payloadHash/algorithm".to_owned(), json!("SHA2_512")),
        ("/spec/dsseV002/signatures".to_owned(), json!([])),
        (format!("{signature}/content"), json!("AAAA")),
        (format!("{signature}/verifier"), json!({})),
        (format!("{signature}/verifier/x509Certificate/rawBytes"), json!("AAAA")),
        (format!("{signature}/verifier/x509Certificate/rawBytes"), json!("?")),
    ] {
        let set = |body: &mut Value| *body.pointer_mut(&pointer).unwrap() = value.clone();
        assert_eq!(changed(Kind::Dsse, &set), mismatch, "{pointer}");
    }
    let twice = |body: &mut Value| {
        let signatures = body.pointer_mut("/spec/dsseV002/signatures").unwrap().as_array_mut().unwrap();
        signatures.push(signatures[0].clone());
    };
    assert_eq!(changed(Kind::Dsse, &twice), mismatch, "two signatures");
    // A key in place of the certificate, though it is the certificate's key.
    let key = World::key("signer");
    let pem = propose::Verifier::PublicKey(key.public_key_der()).pem();
    let named = |body: &mut Value| body["spec"]["publicKey"] = base64(pem.as_bytes()).into();
    assert_eq!(changed(Kind::Intoto, &named), mismatch);
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn older_log_entries_where_they_cannot_be() {
    let mut world = World::new();
    // A bundle does not keep the bytes that the entry names.
    let intoto = Kind::Intoto.honest(&mut world);
    world.refused(&intoto, ReasonCode::BundleUnsupported);
    world.refused(&intoto.clone().older(V01, &[world.ca.chain()[0].clone()]), ReasonCode::BundleUnsupported);
    // Beside an entry of today's kinds.
    let mut dsse = Kind::Dsse.honest(&mut world);
    let today = world.honest_v2();
    dsse.entries.extend(today.entries);
    world.refused(&dsse, ReasonCode::BundleUnsupported);
    // A simple-signing payload is no envelope.
    let payload = legacy::payload(&"registry.example/app".parse().unwrap(), Digest::of(MANIFEST), None);
    let signature = World::key("signer").sign(&payload);
    let layer = attachment(Form::SimpleSigning(intoto.annotations(&world.ca.chain(), &signature)), payload);
    let judged = world.judge_attachment(&layer, clock::now()).map(|_| ());
    assert_eq!(judged, Err(ReasonCode::LogEntryMismatch));
    // Several certificates where one belongs, and a root that comes along.
    let dsse = Kind::Dsse.honest(&mut World::new());
    assert_eq!(dsse.media_type, V03);
    let [intermediate, root] = world.ca.chain();
    let with_root = dsse.older("application/vnd.dev.sigstore.bundle+json;version=0.2", &[intermediate, root]);
    world.refused(&with_root, ReasonCode::BundleMalformed);
}

#[test]
fn attack_08_older_proofs_that_do_not_prove() {
    let judge = |kind: Kind, fault: LogFault| {
        let mut world = World::new();
        let parts = world.bare(&World::leaf());
        let parts = kind.logged(&mut world, parts, Some(fault), "2026-01-20T10:01:00Z");
        kind.judge(&world, &parts)
    };
    for fault in [LogFault::PromiseOfAnotherEntry, LogFault::IntegratedTimeMoved] {
        assert_eq!(judge(Kind::Intoto, fault), Err(ReasonCode::LogProofInvalid), "{fault:?}");
    }
    for fault in [
        LogFault::ProofOfAnotherTree,
        LogFault::ProofHashFlipped,
        LogFault::ProofMissing,
        LogFault::CheckpointByAnotherKey,
        LogFault::CheckpointForged,
        LogFault::CheckpointOfSmallerTree,
    ] {
        assert_eq!(judge(Kind::Dsse, fault), Err(ReasonCode::LogProofInvalid), "{fault:?}");
    }
    for kind in KINDS {
        // A log that the trust root does not name.
        kind.refused(&World::new(), &kind.honest(&mut World::elsewhere()), ReasonCode::LogProofInvalid);
        // Another log of the same root.
        let mut world = World::new();
        let mut parts = kind.honest(&mut world);
        let other = if kind == Kind::Intoto { world.v2.key_id() } else { world.v1.key_id() };
        parts.entries[0]["logId"]["keyId"] = base64(&other).into();
        kind.refused(&world, &parts, ReasonCode::LogProofInvalid);
        // One whose key had ended, or had not begun.
        let windows = [
            ("end", "2026-01-20T10:00:59Z", false),
            ("end", "2026-01-20T10:01:00Z", true),
            ("end", "2026-01-20T10:01:01Z", true),
            ("start", "2026-01-20T10:01:00Z", true),
            // A log without times of its own has no start that its entries could be held against.
            ("start", "2026-01-20T10:01:01Z", kind == Kind::Dsse),
        ];
        for (side, time, good) in windows {
            let mut root = world.trusted_root();
            for log in root["tlogs"].as_array_mut().unwrap() {
                log["publicKey"]["validFor"][side] = time.into();
            }
            let parts = kind.honest(&mut World::new());
            let judged = judge_under(&root, &kind.stored(&parts, &world.ca.chain()), clock::now());
            assert_eq!(judged, if good { Ok(()) } else { Err(ReasonCode::LogProofInvalid) }, "{kind:?} {side} {time}");
        }
    }
}

/// What cannot be an entry at all, and what an entry of its generation cannot have.
#[test]
fn older_log_entries_of_other_shapes() {
    let mut world = World::new();
    let honest = Kind::Dsse.honest(&mut world);
    for (kind, version) in [("dsse", "0.0.2"), ("intoto", "0.0.1")] {
        for entry in [
            json!([{"kind": kind, "version": version}]),
            json!([[kind, version]]),
            json!({"kindVersion": {"kind": kind, "version": version}}),
            json!({"kindVersion": [kind, version], "logIndex": []}),
        ] {
            let parts = Parts { entries: vec![entry], ..honest.clone() };
            assert!(world.judge(&parts).is_err(), "{:?}", parts.entries);
        }
    }
    let mut promised = honest.clone();
    promised.entries[0]["inclusionPromise"] = json!({"signedEntryTimestamp": "AAAA"});
    world.refused(&promised, ReasonCode::LogProofInvalid);
    world.refused(&promised.older(V01, &[world.ca.chain()[0].clone()]), ReasonCode::LogProofInvalid);
    // A log whose key is not valid yet.
    let mut root = world.trusted_root();
    root["tlogs"][1]["publicKey"]["validFor"]["start"] = "2026-02-02T00:00:00Z".into();
    let stored = bundle_attachment(honest.bundle());
    for (now, expected) in
        [("2026-02-01T23:59:59Z", Err(ReasonCode::LogProofInvalid)), ("2026-02-02T00:00:00Z", Ok(()))]
    {
        assert_eq!(judge_under(&root, &stored, clock::at(now)), expected, "{now}");
    }
}

/// The log that promised the entry had ended, and the later entry's time is only what somebody wrote beside it.
#[test]
fn attack_15_an_unsigned_time_does_not_make_a_timestamp_a_promise() {
    let mut world = World::new();
    let (key, payload) = (World::key("release"), statement(Digest::of(MANIFEST)));
    let mut parts = world.signed_by(&World::leaf(), &key, &payload);
    parts.material = ("publicKey", json!({"hint": ""}));
    let verifier = propose::Verifier::PublicKey(key.public_key_der());
    let request = propose::dsse(&parts.envelope, verifier);
    parts.entries = vec![world.v1.append(&request, signed()).unwrap()];
    let request = propose::hashedrekord_v002(&parts.message(), &parts.signature(), verifier);
    let stamped = clock::at("2026-01-20T12:00:00Z");
    parts.entries.push(world.v2.append(&request, stamped).unwrap());
    parts.entries[1]["integratedTime"] = stamped.as_second().to_string().into();
    parts.timestamps = vec![world.tsa.stamp(&parts.signature(), stamped)];
    let judge = |until: &str| {
        let mut root = world.trusted_root();
        root["tlogs"][0]["publicKey"]["validFor"]["end"] = until.into();
        let trusted = TrustedKey { trust_root: Some(root_of(&root)), ..TrustedKey::always(key.public_key().clone()) };
        judge_by_key(&trusted, &bundle_attachment(parts.bundle()))
    };
    assert_eq!(judge("2026-01-20T13:00:00Z"), Ok(Some(signed())));
    assert_eq!(judge("2026-01-20T11:00:00Z"), Err(ReasonCode::LogProofInvalid));
}

/// A witness signs other logs' checkpoints, and may itself be a log of the trust root.
#[test]
fn attack_08_checkpoints_that_another_trusted_log_has_signed() {
    let mut world = World::new();
    let (first, second, older) = (world.honest(), world.honest_v2(), Kind::Dsse.honest(&mut world));
    let envelope = "/inclusionProof/checkpoint/envelope";
    for (parts, own) in [(first, Generation::V1), (second, Generation::V2), (older, Generation::V2)] {
        let other = if own == Generation::V1 { &world.v2 } else { &world.v1 };
        let checkpoint = parts.entries[0].pointer(envelope).unwrap().as_str().unwrap().to_owned();
        let both = other.cosign(&checkpoint);
        let (text, _) = checkpoint.split_once("\n\n").unwrap();
        let alone = other.cosign(&format!("{text}\n\n"));
        let judge = |checkpoint: &str| {
            let mut parts = parts.clone();
            *parts.entries[0].pointer_mut(envelope).unwrap() = checkpoint.into();
            world.judge(&parts).map(|verified| verified.log())
        };
        assert_eq!(judge(&both), Ok(LogProof::Inclusion), "{own:?}");
        assert_eq!(judge(&alone), Err(ReasonCode::LogProofInvalid), "{own:?}");
    }
}

#[test]
fn attack_09_certificates_beside_older_log_entries() {
    for kind in KINDS {
        let mut evil = World::new();
        evil.ca = CertificateAuthority::new("evil").with_ct_log(CtLog::new("acme"));
        let forged = kind.honest(&mut evil);
        let stored = kind.stored(&forged, &evil.ca.chain());
        let judged = World::new().judge_attachment(&stored, clock::now()).map(|_| ());
        assert_eq!(judged, Err(ReasonCode::CertificateUntrusted), "{kind:?}");
        let mut impostor = World::new();
        impostor.ca = CertificateAuthority::faulty("acme", CaFault::OtherIssuer);
        kind.refused(&impostor, &kind.honest(&mut impostor_of(&impostor)), ReasonCode::CertificateUntrusted);
        let mut world = World::new();
        let for_tls = kind.with(&mut world, &World::leaf().faulty(LeafFault::NoCodeSigning));
        kind.refused(&world, &for_tls, ReasonCode::CertificateUntrusted);
        // 14. An intermediate that had expired.
        world.ca = CertificateAuthority::faulty("acme", CaFault::ExpiredIntermediate);
        let expired = kind.honest(&mut impostor_of(&world));
        kind.refused(&world, &expired, ReasonCode::CertificateNotValidThen);
        for fault in [LeafFault::NoSct, LeafFault::SctByAnotherLog, LeafFault::SctOverOtherBytes] {
            let mut world = World::new();
            let parts = kind.with(&mut world, &World::leaf().faulty(fault));
            kind.refused(&world, &parts, ReasonCode::SctInvalid);
            world.demands = Demands { sct: false, log: true };
            assert!(kind.judge(&world, &parts).is_ok(), "{kind:?} {fault:?}");
        }
        // 25. Nobody has two names.
        let mut world = World::new();
        let parts = kind.with(&mut world, &World::leaf().faulty(LeafFault::TwoSans));
        kind.refused(&world, &parts, ReasonCode::IdentityMismatch);
    }
}

/// A world with this authority and logs of its own.
fn impostor_of(world: &World) -> World {
    World { ca: world.ca.clone(), ..World::new() }
}

#[test]
fn attack_13_times_of_older_log_entries() {
    for kind in KINDS {
        for time in ["2026-01-20T09:59:59Z", "2026-01-20T10:10:01Z"] {
            let mut world = World::new();
            let parts = world.bare(&World::leaf());
            let parts = kind.logged(&mut world, parts, None, time);
            kind.refused(&world, &parts, ReasonCode::CertificateNotValidThen);
        }
        // Both ends of its ten minutes are inside.
        for time in ["2026-01-20T10:00:00Z", "2026-01-20T10:10:00Z"] {
            let mut world = World::new();
            let parts = world.bare(&World::leaf());
            let parts = kind.logged(&mut world, parts, None, time);
            assert!(kind.judge(&world, &parts).is_ok(), "{kind:?} {time}");
        }
        // 16. Signed later than now.
        let mut world = World::new();
        let parts = kind.honest(&mut world);
        let stored = kind.stored(&parts, &world.ca.chain());
        let early = world.judge_attachment(&stored, clock::at("2026-01-20T10:00:59Z")).map(|_| ());
        assert_eq!(early, Err(ReasonCode::TimestampInvalid), "{kind:?}");
        assert!(world.judge_attachment(&stored, signed()).is_ok(), "{kind:?}");
    }
    let mut world = World::new();
    let mut untimed = Kind::Dsse.honest(&mut world);
    untimed.timestamps.clear();
    Kind::Dsse.refused(&world, &untimed, ReasonCode::CertificateNotValidThen);
    untimed.timestamps = vec![world.tsa.stamp(b"another signature", signed())];
    Kind::Dsse.refused(&world, &untimed, ReasonCode::TimestampInvalid);
}

#[test]
fn a_signature_that_does_not_fit_has_no_use_for_its_entry() {
    for kind in KINDS {
        let mut world = World::new();
        let mut parts = kind.honest(&mut world);
        let wrong = World::key("other").sign(&parts.message());
        let payload = statement(Digest::of(MANIFEST));
        parts.envelope = EnvelopeJson::new(&parts.envelope.payload_type, &payload, &wrong);
        kind.refused(&world, &parts, ReasonCode::SignatureInvalid);
    }
}

#[test]
fn older_log_entries_of_keys() {
    let world = World::new();
    let key = World::key("release");
    let payload = statement(Digest::of(MANIFEST));
    let parts = world.signed_by(&World::leaf(), &key, &payload);
    let judge = |kind: Kind, named: &SigningKey, certified: bool| {
        let certificate = world.certificate(&World::leaf(), named);
        let verifier = match certified {
            true => propose::Verifier::Certificate(&certificate),
            false => propose::Verifier::PublicKey(named.public_key_der()),
        };
        let other = world.signed_by(&World::leaf(), named, &payload);
        let mut parts = Parts { material: ("publicKey", json!({"hint": ""})), ..parts.clone() };
        let stored = match kind {
            Kind::Intoto => {
                let text = serde_json::to_vec(&parts.envelope).unwrap();
                let request = propose::intoto_v001(&other.envelope, verifier);
                parts.entries = vec![World::new().v1.append(&request, signed()).unwrap()];
                let material = parts.annotations(&[], b"");
                attachment(Form::Envelope(LegacyMaterial { certificate: None, chain: None, ..material }), text)
            }
            Kind::Dsse => {
                let request = propose::dsse_v002(&other.envelope, verifier);
                parts.entries = vec![World::new().v2.append(&request, signed()).unwrap()];
                bundle_attachment(parts.bundle())
            }
        };
        let trusted = TrustedKey {
            trust_root: Some(world.root()),
            log: LogProof::Promise,
            ..TrustedKey::always(key.public_key().clone())
        };
        judge_by_key(&trusted, &stored)
    };
    for certified in [false, true] {
        assert_eq!(judge(Kind::Intoto, &key, certified), Ok(Some(signed())));
        assert_eq!(judge(Kind::Dsse, &key, certified), Ok(None), "its generation states no time");
        for kind in KINDS {
            assert_eq!(judge(kind, &World::key("other"), certified), Err(ReasonCode::LogEntryMismatch), "{kind:?}");
        }
    }
}
