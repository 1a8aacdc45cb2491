//! Trusted roots that can be used, and those that cannot.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use sigstore_verify::crypto::parse_certificate_info;

/// The library looks at the window of an authority and at no anchor's own dates (attack 14).
#[test]
fn attack_14_no_authority_outlives_its_certificates() {
    let mut root: TrustedRoot = serde_json::from_str(PUBLIC_GOOD).unwrap();
    for authority in &mut root.certificate_authorities {
        authority.valid_for = None;
    }
    let dated = chain::Authorities::of(&root).unwrap().dated(&root);
    let certificates: usize = root.certificate_authorities.iter().map(|ca| ca.cert_chain.certificates.len()).sum();
    assert!(certificates > root.certificate_authorities.len(), "the root has intermediates");
    assert_eq!(dated.certificate_authorities.len(), certificates);
    for authority in &dated.certificate_authorities {
        let [one] = authority.cert_chain.certificates.as_slice() else { panic!("one certificate each") };
        let (info, window) = (parse_certificate_info(&one.raw_bytes).unwrap(), authority.valid_for.unwrap());
        assert!(info.not_before <= window.start && window.end.unwrap() <= info.not_after);
    }
}

/// What older log entries need of a certificate is found in real ones, where the library finds it too.
#[test]
fn real_certificates_have_a_path_and_a_timestamp() {
    macro_rules! vector {
        ($path:literal) => {
            include_bytes!(concat!("../../../../tests/vectors/sigstore-conformance/", $path))
        };
    }
    let usual = &vector!("trusted_root.json")[..];
    let cases = [
        (&vector!("bundle-verify/happy-path-v0.3/bundle.sigstore.json")[..], usual, true),
        (vector!("bundle-verify/happy-path-v0.1/bundle.sigstore.json"), usual, true),
        (
            vector!("bundle-verify/bundle-with-sct-with-extensions/bundle.sigstore.json"),
            vector!("bundle-verify/bundle-with-sct-with-extensions/trusted_root.json"),
            true,
        ),
        (
            vector!("bundle-verify/invalid-ct-key_fail/bundle.sigstore.json"),
            vector!("bundle-verify/invalid-ct-key_fail/trusted_root.json"),
            false,
        ),
    ];
    for (at, (bundle, root, good)) in cases.into_iter().enumerate() {
        let root = TrustRoot::from_json(root, Demands::default()).unwrap();
        let material = crate::bundle::UnverifiedBundle::parse(bundle).unwrap().material;
        let chain = material::chain(&material).unwrap();
        let (from, until) = material::validity(&chain[0]).unwrap();
        let issuer = root.authorities.hold(chain, &[from, until]).unwrap();
        let certificate = Certificate::from_der(&chain[0]).unwrap();
        let held = |issuer: &[u8]| root.certificate_logs.hold(&certificate, issuer).map_err(|refusal| refusal.code);
        let expected = if good { Ok(()) } else { Err(ReasonCode::SctInvalid) };
        assert_eq!(held(&issuer), expected, "case {at}");
        assert_eq!(held(b"another issuer"), Err(ReasonCode::SctInvalid), "case {at}");
        // Neither a second too early nor without any time.
        let second = jiff::SignedDuration::from_secs(1);
        let early = root.authorities.hold(chain, &[from, from.checked_sub(second).unwrap()]);
        assert_eq!(early.unwrap_err().code, ReasonCode::CertificateNotValidThen, "case {at}");
        assert_eq!(root.authorities.hold(chain, &[]).unwrap_err().code, ReasonCode::CertificateUntrusted, "case {at}");
    }
}

#[test]
fn the_built_in_root_can_be_read() {
    let root = TrustRoot::public_good(Demands::default());
    assert_eq!(root.digest(), Digest::of(PUBLIC_GOOD));
    assert!(root.demands().sct && root.demands().log);
}

#[test]
fn a_root_with_anything_unusable_is_refused_whole() {
    for (from, to) in [
        (r#""mediaType""#, r#""kind""#),
        ("version=0.1", "version=0.9"),
        (r#""start""#, r#""begin""#),
        ("MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE", "AAAwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE"),
    ] {
        let changed = PUBLIC_GOOD.replacen(from, to, 1);
        assert_ne!(changed, PUBLIC_GOOD, "{from}");
        let read = TrustRoot::from_json(changed.as_bytes(), Demands::default());
        assert!(read.is_err(), "{from} -> {to}");
    }
    let twice = PUBLIC_GOOD.replacen('{', r#"{"mediaType":"a","#, 1);
    assert!(matches!(TrustRoot::from_json(twice.as_bytes(), Demands::default()), Err(TrustRootError::Json(_))));
    let padded = |size: usize| format!("{PUBLIC_GOOD}{}", " ".repeat(size - PUBLIC_GOOD.len())).into_bytes();
    assert!(TrustRoot::from_json(&padded(MAX_TRUSTED_ROOT), Demands::default()).is_ok());
    let large = padded(MAX_TRUSTED_ROOT + 1);
    assert_eq!(TrustRoot::from_json(&large, Demands::default()).unwrap_err(), TrustRootError::TooLarge);
}
