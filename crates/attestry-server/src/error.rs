//! Errors of starting, and the one mapping from causes to HTTP problems (RFC 9457).

use attestry_core::{Reason, ReasonCode};
use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

/// Why the service cannot start or had to end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// An address that cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A certificate or key that cannot be used.
    #[error("cannot use the certificate {path}: {message}")]
    Tls {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        message: String,
    },
    /// A data directory that cannot be made.
    #[error("cannot make the data directory {path}")]
    DataDirectory {
        /// The directory.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Remembered revocations that cannot be read.
    #[error("cannot read the remembered revocations {path}; restore the file from a backup")]
    Revocations {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The decision log.
    #[error("cannot open the decision log")]
    Store(#[from] attestry_store::StoreError),
    /// The key that signs checkpoints.
    #[error("cannot use the key that signs checkpoints")]
    Signer(#[from] crate::signing::SignerError),
    /// The registry client.
    #[error("cannot make the registry client")]
    Registry(#[from] attestry_oci::OciError),
    /// The threads that judge.
    #[error("cannot start the verification threads")]
    Threads(#[source] std::io::Error),
}

/// An HTTP error: a status, a reason code, and what a caller can do. Internal causes are logged, not returned.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    status: StatusCode,
    reason: Reason,
}

impl Problem {
    /// A problem with the status that belongs to the code.
    pub(crate) fn new(reason: Reason) -> Self {
        let status = match reason.code {
            ReasonCode::Unauthenticated => StatusCode::UNAUTHORIZED,
            ReasonCode::Overloaded | ReasonCode::RecordFailed => StatusCode::SERVICE_UNAVAILABLE,
            ReasonCode::NotFound => StatusCode::NOT_FOUND,
            ReasonCode::OverLimit => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self { status, reason }
    }

    /// A problem with another status, such as 405.
    pub(crate) fn with_status(status: StatusCode, reason: Reason) -> Self {
        Self { status, reason }
    }

    pub(crate) fn malformed(message: impl AsRef<str>) -> Self {
        Self::new(Reason::new(ReasonCode::RequestMalformed, message))
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": format!("https://attestry.dev/reasons/{}", self.reason.code),
            "title": self.reason.code.meaning(),
            "status": self.status.as_u16(),
            "code": self.reason.code,
            "detail": self.reason.message,
            "hint": self.reason.code.hint(),
        });
        let mut response = (self.status, body.to_string()).into_response();
        let json = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
