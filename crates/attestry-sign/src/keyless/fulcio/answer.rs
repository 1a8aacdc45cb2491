//! What a certificate authority answers (sigstore/fulcio, `SigningCertificate`).

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    /// The usual form.
    signed_certificate_embedded_sct: Option<Issued>,
    /// An instance without a certificate transparency log answers so, with an empty timestamp.
    signed_certificate_detached_sct: Option<Issued>,
}

#[derive(Deserialize)]
struct Issued {
    chain: Chain,
}

#[derive(Deserialize)]
struct Chain {
    certificates: Vec<String>,
}

/// The certificate for our key, in PEM, as it was received. The chain above it proves nothing: verifiers have their own.
pub(super) fn leaf(body: &[u8]) -> Result<String, &'static str> {
    let answer: Answer = serde_json::from_slice(body).map_err(|_| "it is no certificate response")?;
    let issued = match (answer.signed_certificate_embedded_sct, answer.signed_certificate_detached_sct) {
        (Some(issued), None) | (None, Some(issued)) => issued,
        _ => return Err("it holds none or several certificate chains"),
    };
    issued.chain.certificates.into_iter().next().ok_or("its certificate chain is empty")
}

#[cfg(test)]
mod tests {
    use super::leaf;

    #[test]
    fn one_chain_is_taken_and_its_first_certificate() {
        let chain = r#"{"chain":{"certificates":["leaf","above"]}}"#;
        for (body, expected) in [
            (format!(r#"{{"signedCertificateEmbeddedSct":{chain}}}"#), Ok("leaf")),
            (format!(r#"{{"signedCertificateDetachedSct":{chain}}}"#), Ok("leaf")),
            (
                format!(r#"{{"signedCertificateEmbeddedSct":{chain},"signedCertificateDetachedSct":{chain}}}"#),
                Err("it holds none or several certificate chains"),
            ),
            ("{}".to_owned(), Err("it holds none or several certificate chains")),
            (
                r#"{"signedCertificateEmbeddedSct":{"chain":{"certificates":[]}}}"#.to_owned(),
                Err("its certificate chain is empty"),
            ),
            ("[]".to_owned(), Err("it is no certificate response")),
        ] {
            assert_eq!(leaf(body.as_bytes()), expected.map(str::to_owned), "{body}");
        }
    }
}
