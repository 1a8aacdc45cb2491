//! What has broken verifiers of keyless signatures, made with an instance of our own: the honest forms are accepted, and
//! each forgery is refused for its own reason.

mod older;
mod policy;
mod world;

use attestry_core::{
    Digest, ReasonCode,
    attachment::{Form, LegacyMaterial},
    envelope::{EnvelopeJson, IN_TOTO},
    legacy,
    trust_root::{Demands, LogProof},
    verify::TrustedKey,
};
use attestry_testkit::{
    authorities::{
        CaFault, CertificateAuthority, CtLog, Leaf, LeafFault, TimestampFault,
        log::{Generation, LogFault, RekorLog, propose},
    },
    clock,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use world::{
    ISSUER, MANIFEST, Parts, SUBJECT, V01, V02, World, attachment, bundle_attachment, candidate, judge_by_key,
    judge_under, root_of, signed, statement,
};

#[test]
fn every_honest_form_is_accepted() {
    let mut world = World::new();
    let chain = [world.ca.chain()[0].clone()];
    let logged = world.honest();
    let second = world.honest_v2();
    let mut promise_only = World::new().logged(&World::leaf(), Some(LogFault::ProofMissing)).older(V01, &chain);
    let mut intoto = world.bare(&World::leaf());
    let request = propose::intoto(&intoto.envelope, propose::Verifier::Certificate(&intoto.leaf));
    intoto.entries.push(world.v1.append(&request, signed()).unwrap());
    let mut both = World::new().honest();
    both.timestamps.push(world.tsa.stamp(&both.signature(), signed()));
    for (name, parts, log) in [
        ("v0.3, first generation", logged.clone(), LogProof::Inclusion),
        ("v0.3, second generation", second.clone(), LogProof::Inclusion),
        ("v0.2 with a chain", logged.clone().older(V02, &chain), LogProof::Inclusion),
        ("v0.1 with a chain", logged.clone().older(V01, &chain), LogProof::Inclusion),
        ("v0.1, a promise alone", promise_only.clone(), LogProof::Promise),
        ("intoto 0.0.2", intoto.clone(), LogProof::Inclusion),
        ("log time and timestamp", both.clone(), LogProof::Inclusion),
    ] {
        let verified = world.judge(&parts).unwrap_or_else(|code| panic!("{name}: {code}"));
        let identity = verified.identity().unwrap();
        assert_eq!((identity.subject.as_str(), identity.issuer.as_str()), (SUBJECT, ISSUER), "{name}");
        assert_eq!(identity.claims["sourceRepositoryURI"], "https://ci.test/acme/app", "{name}");
        assert_eq!((verified.time(), verified.log()), (Some(signed()), log), "{name}");
    }
    // The same promise is too little from v0.2 on.
    promise_only.media_type = V02;
    world.refused(&promise_only, ReasonCode::LogProofInvalid);
}

#[test]
fn legacy_layers_with_certificates_are_judged_by_the_same_code() {
    let mut world = World::new();
    let chain = world.ca.chain();
    // `.sig`: the payload is what was signed and logged.
    let key = World::key("signer");
    let payload = legacy::payload(&"registry.example/app".parse().unwrap(), Digest::of(MANIFEST), None);
    let signature = key.sign(&payload);
    let mut parts = world.bare(&World::leaf());
    let request = propose::hashedrekord(&payload, &signature, propose::Verifier::Certificate(&parts.leaf));
    parts.entries = vec![world.v1.append(&request, signed()).unwrap()];
    let layer = |parts: &Parts, bytes: &[u8]| {
        attachment(Form::SimpleSigning(parts.annotations(&chain, &signature)), bytes.to_vec())
    };
    let judge = |world: &World, layer| world.judge_attachment(&layer, clock::now()).map(|verified| verified.log());
    assert_eq!(judge(&world, layer(&parts, &payload)), Ok(LogProof::Promise));
    let other = legacy::payload(
        &"registry.example/app".parse().unwrap(),
        Digest::of(MANIFEST),
        Some(&[("a".to_owned(), "b".to_owned())].into()),
    );
    assert_eq!(judge(&world, layer(&parts, &other)), Err(ReasonCode::SignatureInvalid));
    // With a timestamp as well, over the signature; then over something else.
    parts.timestamps = vec![world.tsa.stamp(&signature, signed())];
    assert_eq!(judge(&world, layer(&parts, &payload)), Ok(LogProof::Promise));
    parts.timestamps = vec![world.tsa.stamp(b"something else", signed())];
    assert_eq!(judge(&world, layer(&parts, &payload)), Err(ReasonCode::TimestampInvalid));

    // `.att`: an envelope, whose timestamp is over its whole text.
    let mut parts = world.honest();
    let text = serde_json::to_vec(&parts.envelope).unwrap();
    let layer = |parts: &Parts| attachment(Form::Envelope(parts.annotations(&chain, b"")), text.clone());
    assert_eq!(judge(&world, layer(&parts)), Ok(LogProof::Promise));
    parts.timestamps = vec![world.tsa.stamp(&text, signed())];
    assert_eq!(judge(&world, layer(&parts)), Ok(LogProof::Promise));
    parts.timestamps = vec![world.tsa.stamp(&parts.signature(), signed())];
    assert_eq!(judge(&world, layer(&parts)), Err(ReasonCode::TimestampInvalid));
    parts.timestamps = vec![world.tsa.stamp(&text, clock::at("2026-01-20T11:00:00Z"))];
    assert_eq!(judge(&world, layer(&parts)), Err(ReasonCode::CertificateNotValidThen));
}

/// The certificate is about one of an envelope's signatures, wherever that stands.
#[test]
fn a_legacy_envelope_with_signatures_of_others() {
    let mut world = World::new();
    let parts = world.honest();
    let own = parts.envelope.signatures[0].clone();
    let others: Vec<_> = (0..3)
        .map(|n| EnvelopeJson::new(IN_TOTO, b"x", &World::key(&n.to_string()).sign(b"x")).signatures.remove(0))
        .collect();
    let judge = |signatures: Vec<_>| {
        let envelope = EnvelopeJson { signatures, ..parts.envelope.clone() };
        let form = Form::Envelope(parts.annotations(&world.ca.chain(), b""));
        let layer = attachment(form, serde_json::to_vec(&envelope).unwrap());
        world.judge_attachment(&layer, clock::now()).map(|verified| verified.payload())
    };
    let payload = Digest::of(statement(Digest::of(MANIFEST)));
    assert_eq!(judge(others.iter().cloned().chain([own.clone()]).collect()), Ok(payload));
    assert_eq!(judge([own].into_iter().chain(others.iter().cloned()).collect()), Ok(payload));
    assert_eq!(judge(others), Err(ReasonCode::SignatureInvalid));
}

/// By a key, and with no more than a timestamp over the envelope.
#[test]
fn a_legacy_envelope_by_a_key_with_a_timestamp_alone() {
    let world = World::new();
    let key = World::key("release");
    let parts = world.signed_by(&World::leaf(), &key, &statement(Digest::of(MANIFEST)));
    let text = serde_json::to_vec(&parts.envelope).unwrap();
    let until = clock::at("2026-01-25T00:00:00Z");
    let trusted = TrustedKey {
        valid_until: Some(until),
        trust_root: Some(world.root()),
        ..TrustedKey::always(key.public_key().clone())
    };
    let judge = |stamped: &[u8]| {
        let timestamp = json!({"SignedRFC3161Timestamp": STANDARD.encode(world.tsa.stamp(stamped, signed()))});
        let material = LegacyMaterial { timestamp: Some(timestamp.to_string()), ..LegacyMaterial::default() };
        let layer = attachment(Form::Envelope(material), text.clone());
        judge_by_key(&trusted, &layer)
    };
    assert_eq!(judge(&text), Ok(Some(signed())), "the key may have ended since");
    assert_eq!(judge(b"another text"), Err(ReasonCode::TimestampInvalid));
}

#[test]
fn attack_07_a_log_entry_of_something_else() {
    let mut world = World::new();
    let honest = world.honest();
    for foreign in world.foreign(&honest) {
        let verifier = propose::Verifier::Certificate(&foreign.leaf);
        let entry = world.v1.append(&propose::dsse(&foreign.envelope, verifier), signed()).unwrap();
        world.refused(&Parts { entries: vec![entry.clone()], ..honest.clone() }, ReasonCode::LogEntryMismatch);
        // A good entry beside it does not excuse it.
        let both = vec![honest.entries[0].clone(), entry];
        world.refused(&Parts { entries: both, ..honest.clone() }, ReasonCode::LogEntryMismatch);
        let second = world.honest_v2();
        let request = propose::hashedrekord_v002(&foreign.message(), &foreign.signature(), verifier);
        let entry = world.v2.append(&request, signed()).unwrap();
        world.refused(&Parts { entries: vec![entry], ..second }, ReasonCode::LogEntryMismatch);
    }
}

#[test]
fn log_entries_of_other_kinds_are_told_from_damaged_ones() {
    let mut world = World::new();
    let honest = world.honest();
    let with = |member: &str, value: serde_json::Value| {
        let mut parts = honest.clone();
        parts.entries[0][member] = value;
        parts
    };
    for (kind, version) in [("intoto", "0.0.1"), ("tuf", "0.0.1"), ("", "")] {
        let other = with("kindVersion", json!({"kind": kind, "version": version}));
        world.refused(&other, ReasonCode::BundleUnsupported);
    }
    world.refused(&with("kindVersion", json!({"kind": "dsse", "version": "0.0.2"})), ReasonCode::LogEntryMismatch);
    for (member, value) in [("logIndex", json!("x")), ("canonicalizedBody", json!(7)), ("kindVersion", json!("dsse"))] {
        world.refused(&with(member, value), ReasonCode::BundleMalformed);
    }
}

#[test]
fn attack_08_proofs_that_do_not_prove() {
    for fault in [
        LogFault::ProofOfAnotherTree,
        LogFault::ProofHashFlipped,
        LogFault::ProofMissing,
        LogFault::CheckpointByAnotherKey,
        LogFault::CheckpointForged,
        LogFault::CheckpointOfSmallerTree,
        LogFault::PromiseOfAnotherEntry,
        LogFault::IntegratedTimeMoved,
    ] {
        let mut world = World::new();
        let parts = world.logged(&World::leaf(), Some(fault));
        assert_eq!(world.judge(&parts).map(|_| ()), Err(ReasonCode::LogProofInvalid), "{fault:?}");
    }
    for fault in [
        LogFault::ProofOfAnotherTree,
        LogFault::ProofHashFlipped,
        LogFault::ProofMissing,
        LogFault::CheckpointForged,
        LogFault::CheckpointOfSmallerTree,
    ] {
        let mut world = World::new();
        let mut parts = world.honest_v2();
        parts.entries = vec![world.v2.entry(world.v2.size() - 1, Some(fault))];
        assert_eq!(world.judge(&parts).map(|_| ()), Err(ReasonCode::LogProofInvalid), "{fault:?}");
    }
    // A log that the trust root does not name proves nothing, however good its proofs are.
    let mut elsewhere = World::elsewhere();
    let world = World::new();
    world.refused(&elsewhere.honest(), ReasonCode::LogProofInvalid);
    world.refused(&elsewhere.honest_v2(), ReasonCode::LogProofInvalid);
    // An entry that names another log of the same root: its promise, and without one its checkpoint, is not of that.
    let mut world = World::new();
    let (mut first, mut second) = (world.honest(), world.honest_v2());
    let names = [first.entries[0]["logId"].clone(), second.entries[0]["logId"].clone()];
    [first.entries[0]["logId"], second.entries[0]["logId"]] = [names[1].clone(), names[0].clone()];
    world.refused(&first, ReasonCode::LogProofInvalid);
    world.refused(&second, ReasonCode::LogProofInvalid);
    // A log whose key had ended before the signature was made.
    let world_until = |until: &str| {
        let mut world = World::new();
        let parts = [world.honest(), world.honest_v2()];
        let mut root = world.trusted_root();
        for log in root["tlogs"].as_array_mut().unwrap() {
            log["publicKey"]["validFor"]["end"] = until.into();
        }
        parts.map(|parts| judge_under(&root, &bundle_attachment(parts.bundle()), clock::now()))
    };
    assert_eq!(world_until("2026-01-20T10:00:59Z"), [Err(ReasonCode::LogProofInvalid); 2]);
    assert_eq!(world_until("2026-01-20T10:01:00Z"), [Ok(()); 2]);
    // And a good entry does not excuse a bad one.
    let mut world = World::new();
    let mut parts = world.honest();
    let bad = world.v1.entry(world.v1.size() - 1, Some(LogFault::CheckpointForged));
    parts.entries.push(bad);
    world.refused(&parts, ReasonCode::LogProofInvalid);
}

#[test]
fn attack_09_certificates_that_nobody_vouches_for() {
    let mut world = World::new();
    let honest = world.honest();
    // A raw public key where the certificate belongs.
    let raw = json!({"rawBytes": STANDARD.encode(World::key("signer").public_key_der())});
    world.refused(&Parts { material: ("certificate", raw), ..honest.clone() }, ReasonCode::CertificateUntrusted);
    // An authority of the attacker's, whose chain comes along.
    let mut evil = World::new();
    evil.ca = CertificateAuthority::new("evil").with_ct_log(CtLog::new("acme"));
    let forged = evil.honest();
    world.refused(&forged, ReasonCode::CertificateUntrusted);
    let [intermediate, root] = evil.ca.chain();
    for media_type in [V01, V02] {
        world.refused(
            &forged.clone().older(media_type, std::slice::from_ref(&intermediate)),
            ReasonCode::CertificateUntrusted,
        );
        let with_root = forged.clone().older(media_type, &[intermediate.clone(), root.clone()]);
        world.refused(&with_root, ReasonCode::BundleMalformed);
    }
    let chain = evil.ca.chain();
    let text = serde_json::to_vec(&forged.envelope).unwrap();
    let layer = attachment(Form::Envelope(forged.annotations(&chain, b"")), text);
    assert_eq!(world.judge_attachment(&layer, clock::now()).map(|_| ()), Err(ReasonCode::CertificateUntrusted));
    // A certificate in the intermediate's name that another key signed, and one that is for something else.
    let mut impostor = World::new();
    impostor.ca = CertificateAuthority::faulty("acme", CaFault::OtherIssuer);
    world.refused(&impostor.honest(), ReasonCode::CertificateUntrusted);
    let for_tls = World::new().logged(&World::leaf().faulty(LeafFault::NoCodeSigning), None);
    world.refused(&for_tls, ReasonCode::CertificateUntrusted);
}

#[test]
fn attack_13_an_expired_certificate_without_a_proven_time() {
    let mut world = World::new();
    let mut untimed = world.honest_v2();
    untimed.timestamps.clear();
    world.refused(&untimed, ReasonCode::CertificateNotValidThen);
    // While the certificate lives, the time is what is missing.
    let while_valid = world.judge_attachment(&bundle_attachment(untimed.bundle()), signed());
    assert_eq!(while_valid.map(|_| ()), Err(ReasonCode::TimestampMissing));
    // A proven time outside the certificate's minutes, before and after.
    for time in ["2026-01-20T09:59:59Z", "2026-01-20T10:10:01Z"] {
        let mut world = World::new();
        let mut parts = world.honest_v2();
        parts.timestamps = vec![world.tsa.stamp(&parts.signature(), clock::at(time))];
        world.refused(&parts, ReasonCode::CertificateNotValidThen);
        let mut parts = world.bare(&World::leaf());
        let request = propose::dsse(&parts.envelope, propose::Verifier::Certificate(&parts.leaf));
        parts.entries = vec![world.v1.append(&request, clock::at(time)).unwrap()];
        world.refused(&parts, ReasonCode::CertificateNotValidThen);
        // A good time does not excuse a bad one.
        parts.timestamps = vec![world.tsa.stamp(&parts.signature(), signed())];
        world.refused(&parts, ReasonCode::CertificateNotValidThen);
    }
}

#[test]
fn attack_14_an_expired_intermediate() {
    let mut world = World::new();
    world.ca = CertificateAuthority::faulty("acme", CaFault::ExpiredIntermediate);
    let parts = world.honest();
    world.refused(&parts, ReasonCode::CertificateNotValidThen);
    // The same where the root alone is trusted and the intermediate comes along.
    let mut root = world.trusted_root();
    let certificates = root["certificateAuthorities"][0]["certChain"]["certificates"].as_array_mut().unwrap();
    certificates.remove(0);
    let older = bundle_attachment(parts.older(V02, &[world.ca.chain()[0].clone()]).bundle());
    assert_eq!(judge_under(&root, &older, clock::now()), Err(ReasonCode::CertificateNotValidThen));
}

/// An intermediate was renewed under its name; the old one's key still signs, and says it were the new one's.
#[test]
fn attack_14_a_certificate_that_lies_about_its_issuers_key() {
    let renewed = CertificateAuthority::faulty("acme", CaFault::OtherKeys);
    let judge = |signing: CertificateAuthority| {
        let mut world = World::new();
        world.ca = signing;
        let parts = world.honest();
        let mut root = world.trusted_root();
        let start = clock::at("2020-01-01T00:00:00Z");
        root["certificateAuthorities"].as_array_mut().unwrap().push(renewed.trusted_root_entry(start, None));
        judge_under(&root, &bundle_attachment(parts.bundle()), clock::now())
    };
    assert_eq!(judge(renewed.clone()), Ok(()));
    assert_eq!(judge(CertificateAuthority::new("acme")), Ok(()), "both are trusted while both hold");
    let expired = CertificateAuthority::faulty("acme", CaFault::ExpiredIntermediate);
    assert_eq!(judge(expired.clone()), Err(ReasonCode::CertificateNotValidThen));
    // What it says of itself does not matter: the key that signed it had ended.
    assert_eq!(judge(expired.stating_the_key_of(&renewed)), Err(ReasonCode::CertificateNotValidThen));
}

#[test]
fn an_intermediate_that_comes_along_is_accepted_under_its_root() {
    let mut world = World::new();
    let parts = world.honest().older(V02, &[world.ca.chain()[0].clone()]);
    let mut root = world.trusted_root();
    root["certificateAuthorities"][0]["certChain"]["certificates"].as_array_mut().unwrap().remove(0);
    assert_eq!(judge_under(&root, &bundle_attachment(parts.bundle()), clock::now()), Ok(()));
}

#[test]
fn attack_15_timestamps_that_do_not_count() {
    for fault in [
        TimestampFault::WrongImprint,
        TimestampFault::ChangedSignature,
        TimestampFault::OtherAuthority,
        TimestampFault::Impostor,
        TimestampFault::Rejection,
    ] {
        let mut world = World::new();
        let mut parts = world.honest_v2();
        let bad = World::new().tsa.faulty(fault).stamp(&parts.signature(), signed());
        let good = parts.timestamps[0].clone();
        for timestamps in [vec![bad.clone()], vec![good, bad.clone()]] {
            parts.timestamps = timestamps;
            assert_eq!(world.judge(&parts).map(|_| ()), Err(ReasonCode::TimestampInvalid), "{fault:?}");
        }
    }
    let mut world = World::new();
    let mut parts = world.honest_v2();
    parts.timestamps = vec![world.tsa.stamp(b"another signature", signed())];
    world.refused(&parts, ReasonCode::TimestampInvalid);
    // An authority whose time had ended.
    let parts = world.honest_v2();
    world.tsa_until = Some(clock::at("2026-01-20T10:00:59Z"));
    world.refused(&parts, ReasonCode::TimestampInvalid);
}

#[test]
fn attack_15_a_proven_time_before_the_keys_window() {
    let mut world = World::new();
    let key = World::key("release");
    let payload = statement(Digest::of(MANIFEST));
    let mut parts = world.signed_by(&World::leaf(), &key, &payload);
    parts.material = ("publicKey", json!({"hint": ""}));
    let request = propose::dsse(&parts.envelope, propose::Verifier::PublicKey(key.public_key_der()));
    parts.entries = vec![world.v1.append(&request, signed()).unwrap()];
    let judge = |parts: &Parts, from: &str, until: &str, log: LogProof| {
        let trusted = TrustedKey {
            valid_from: Some(clock::at(from)),
            valid_until: Some(clock::at(until)),
            trust_root: Some(world.root()),
            log,
            ..TrustedKey::always(key.public_key().clone())
        };
        judge_by_key(&trusted, &bundle_attachment(parts.bundle()))
    };
    let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-20T10:00:59Z");
    // The window may have ended by now: what counts is when it was signed.
    assert_eq!(judge(&parts, early, "2026-01-25T00:00:00Z", LogProof::Inclusion), Ok(Some(signed())));
    assert_eq!(
        judge(&parts, "2026-01-20T10:01:01Z", "2027-01-01T00:00:00Z", LogProof::None),
        Err(ReasonCode::KeyNotValidThen)
    );
    assert_eq!(judge(&parts, early, late, LogProof::None), Err(ReasonCode::KeyNotValidThen));
    // Without any time, a log that has ended counts no more: whoever got its key could make any tree.
    let mut timeless = parts.clone();
    timeless.entries[0].as_object_mut().unwrap().remove("inclusionPromise");
    let mut backdated = parts.clone();
    backdated.timestamps = vec![world.tsa.stamp(&parts.signature(), clock::at("2026-01-20T12:00:00Z"))];
    let ended = |parts: &Parts, until: &str| {
        let mut root = world.trusted_root();
        for log in root["tlogs"].as_array_mut().unwrap() {
            log["publicKey"]["validFor"]["end"] = until.into();
        }
        let trusted = TrustedKey {
            trust_root: Some(root_of(&root)),
            log: LogProof::Inclusion,
            ..TrustedKey::always(key.public_key().clone())
        };
        judge_by_key(&trusted, &bundle_attachment(parts.bundle()))
    };
    assert_eq!(ended(&timeless, "2040-01-01T00:00:00Z"), Ok(None));
    assert_eq!(ended(&timeless, "2026-01-20T11:00:00Z"), Err(ReasonCode::LogProofInvalid));
    // Nor does its own promise count against a timestamp that is later than its end.
    assert_eq!(ended(&parts, "2026-01-20T11:00:00Z"), Ok(Some(signed())));
    assert_eq!(ended(&backdated, "2026-01-20T13:00:00Z"), Ok(Some(signed())));
    assert_eq!(ended(&backdated, "2026-01-20T11:00:00Z"), Err(ReasonCode::LogProofInvalid));
    // An entry that says another key, and one that is not there.
    let foreign = World::key("other");
    let other = world::World::new().signed_by(&World::leaf(), &foreign, &payload);
    let mut log = RekorLog::new(Generation::V1, "https://rekor.acme.test");
    let entry = log
        .append(&propose::dsse(&other.envelope, propose::Verifier::PublicKey(foreign.public_key_der())), signed())
        .unwrap();
    let mismatched = Parts { entries: vec![entry], ..parts.clone() };
    assert_eq!(judge(&mismatched, early, "2027-01-01T00:00:00Z", LogProof::None), Err(ReasonCode::LogEntryMismatch));
    let unlogged = Parts { entries: Vec::new(), ..parts };
    assert_eq!(judge(&unlogged, early, "2027-01-01T00:00:00Z", LogProof::None), Ok(None));
    assert_eq!(judge(&unlogged, early, "2027-01-01T00:00:00Z", LogProof::Promise), Err(ReasonCode::LogEntryMissing));
}

#[test]
fn attack_16_the_given_now_decides() {
    let mut world = World::new();
    for parts in [world.honest(), world.honest_v2()] {
        let attachment = bundle_attachment(parts.bundle());
        let judge = |now: &str| world.judge_attachment(&attachment, clock::at(now)).map(|_| ());
        assert_eq!(judge("2026-01-20T10:00:59Z"), Err(ReasonCode::TimestampInvalid), "signed later than now");
        assert_eq!(judge("2026-01-20T10:01:00Z"), Ok(()));
        assert_eq!(judge("2035-01-01T00:00:00Z"), Ok(()), "what was proven stays proven");
    }
}

#[test]
fn attack_25_several_names_and_names_of_other_kinds() {
    for fault in [LeafFault::TwoSans, LeafFault::SanOfOtherType] {
        let user = Leaf::user("release!ci.acme.test", ISSUER);
        let leaves = [World::leaf(), Leaf::email("release@acme.test", ISSUER)];
        for leaf in leaves.iter().chain((fault == LeafFault::SanOfOtherType).then_some(&user)) {
            let mut world = World::new();
            let parts = world.logged(&leaf.clone().faulty(fault), None);
            world.refused(&parts, ReasonCode::IdentityMismatch);
        }
    }
}

#[test]
fn every_kind_of_name_and_either_issuer_extension_is_read() {
    for (leaf, subject) in [
        (Leaf::uri(SUBJECT, ISSUER), SUBJECT),
        (Leaf::email("release@acme.test", ISSUER), "release@acme.test"),
        (Leaf::user("release!ci.acme.test", ISSUER), "release!ci.acme.test"),
        (Leaf { issuer_extensions: vec![1], ..Leaf::uri(SUBJECT, ISSUER) }, SUBJECT),
        (Leaf { issuer_extensions: vec![8], ..Leaf::uri(SUBJECT, ISSUER) }, SUBJECT),
    ] {
        let mut world = World::new();
        let parts = world.logged(&leaf, None);
        let verified = world.judge(&parts).unwrap_or_else(|code| panic!("{leaf:?}: {code}"));
        let identity = verified.identity().unwrap();
        assert_eq!((identity.subject.as_str(), identity.issuer.as_str()), (subject, ISSUER));
        assert_eq!(identity.to_string(), format!("{subject} of {ISSUER}"));
    }
    // An identity without an issuer is nobody's.
    let mut world = World::new();
    let parts = world.logged(&Leaf { issuer_extensions: Vec::new(), ..Leaf::uri(SUBJECT, ISSUER) }, None);
    world.refused(&parts, ReasonCode::IdentityMismatch);
    // Two issuers are no issuer.
    let two = Leaf { issuer_extensions: vec![8], ..Leaf::uri(SUBJECT, ISSUER) }.claim(1, "https://token.evil.test");
    let parts = world.logged(&two, None);
    world.refused(&parts, ReasonCode::IdentityMismatch);
}

#[test]
fn certificates_without_a_good_sct() {
    for fault in [LeafFault::NoSct, LeafFault::SctByAnotherLog, LeafFault::SctOverOtherBytes] {
        let mut world = World::new();
        let parts = world.logged(&World::leaf().faulty(fault), None);
        assert_eq!(world.judge(&parts).map(|_| ()), Err(ReasonCode::SctInvalid), "{fault:?}");
        // An instance without such a log says so in its TrustRoot.
        world.demands = Demands { sct: false, log: true };
        assert!(world.judge(&parts).is_ok(), "{fault:?}");
    }
}

#[test]
fn a_pending_log_entry_counts_as_long_as_it_is_allowed_to() {
    use jiff::SignedDuration;
    let world = World::new();
    let mut parts = world.bare(&World::leaf());
    parts.timestamps = vec![world.tsa.stamp(&parts.signature(), signed())];
    let candidate = candidate(&bundle_attachment(parts.bundle()));
    let judge = |pending: Option<i64>, now: &str| {
        let pending = pending.map(SignedDuration::from_hours);
        let verified = candidate.verify_keyless(&world.root(), pending, clock::at(now));
        verified.map(|verified| verified.pending_until()).map_err(|reason| reason.code)
    };
    assert_eq!(judge(None, "2026-01-20T10:02:00Z"), Err(ReasonCode::LogEntryMissing));
    assert_eq!(judge(Some(1), "2026-01-20T10:02:00Z"), Ok(Some(clock::at("2026-01-20T11:01:00Z"))));
    assert_eq!(judge(Some(1), "2026-01-20T11:01:00Z"), Err(ReasonCode::PendingTooLong));
    // An instance without a log demands none.
    let offline = World { demands: Demands { sct: true, log: false }, ..World::new() };
    let verified = candidate.verify_keyless(&offline.root(), None, clock::now()).unwrap();
    assert_eq!((verified.pending_until(), verified.log()), (None, LogProof::None));
    // What a log says that nobody asked for is no proof of it.
    let logged = offline.judge(&World::new().honest()).unwrap();
    assert_eq!((logged.time(), logged.log()), (Some(signed()), LogProof::None));
    // Without any time there is nothing that the certificate could be held against.
    parts.timestamps.clear();
    offline.refused(&parts, ReasonCode::CertificateNotValidThen);
}
