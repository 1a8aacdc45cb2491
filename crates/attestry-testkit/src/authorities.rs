//! Authorities that tests run themselves: everything that a public instance of Sigstore does, with fixed keys.
//!
//! Each is one thing in memory that can also be told to do a named wrong. A fragment of `trusted_root.json` comes
//! from each, so a test trusts exactly the authorities that it made.

use attestry_core::Timestamp;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

pub mod ca;
mod certificate;
pub mod ct;
pub mod instance;
pub mod log;
pub mod oidc;
mod services;
pub mod tsa;
pub mod tuf;

pub use ca::{CaFault, CertificateAuthority, Leaf, LeafFault, San};
pub use ct::CtLog;
pub use instance::{Instance, Outage, Service};
pub use tsa::{TimestampAuthority, TimestampFault};
pub use tuf::{TufFault, TufRepository, TufServer};

/// The `trusted_root.json` of these authorities, all trusted from `start` on and the timestamps until `stamped_until`.
pub fn trusted_root(
    ca: &CertificateAuthority,
    tsa: &TimestampAuthority,
    logs: [&log::RekorLog; 2],
    start: Timestamp,
    stamped_until: Option<Timestamp>,
) -> Value {
    json!({
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": logs.map(|log| log.trusted_root_entry(start, None)),
        "certificateAuthorities": [ca.trusted_root_entry(start, None)],
        "ctlogs": [ca.ct_log().trusted_root_entry(start, None)],
        "timestampAuthorities": [tsa.trusted_root_entry(start, stamped_until)],
    })
}

/// An element of `certificateAuthorities` or `timestampAuthorities`.
fn authority_entry(
    organization: &str,
    service: &str,
    chain: &[Vec<u8>],
    start: Timestamp,
    end: Option<Timestamp>,
) -> Value {
    let certificates: Vec<_> = chain.iter().map(|der| json!({ "rawBytes": STANDARD.encode(der) })).collect();
    json!({
        "subject": { "organization": organization, "commonName": format!("{organization} {service}") },
        "uri": format!("https://{service}.test"),
        "certChain": { "certificates": certificates },
        "validFor": period(start, end),
    })
}

/// When an authority or a key is trusted, both ends included.
fn period(start: Timestamp, end: Option<Timestamp>) -> Value {
    let mut period = json!({ "start": start.to_string() });
    if let Some(end) = end {
        period["end"] = end.to_string().into();
    }
    period
}
