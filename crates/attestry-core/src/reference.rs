//! What a person names: `registry/repository[:tag][@digest]`, in one normal form.
//!
//! Every spelling that registries treat alike is made one before anything looks at it, so that no policy, cache
//! or log can be dodged by a trailing dot, a default port, another case or a Docker Hub alias.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::Digest;

/// The normal form of Docker Hub's many host names.
pub const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_ALIASES: [&str; 4] =
    ["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"];
const MAX_REFERENCE: usize = 1024;
const MAX_PATH: usize = 255;
const MAX_TAG: usize = 128;

/// Why a text is no image reference. The reason code is `reference-malformed`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReferenceError {
    /// Nothing was given.
    #[error("the image reference is empty")]
    Empty,
    /// Longer than 1024 bytes.
    #[error("the image reference is longer than {MAX_REFERENCE} bytes")]
    TooLong,
    /// A host that is no DNS name, IPv4 or bracketed IPv6 address with an optional port.
    #[error("{0:?} is no registry host")]
    Host(String),
    /// A repository path with characters or a shape that the distribution specification does not allow.
    #[error("{0:?} is no repository name: lower-case letters, digits and single separators . _ - / are allowed")]
    Path(String),
    /// A tag that does not match `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`.
    #[error("{0:?} is no tag")]
    Tag(String),
    /// What follows `@` is no digest.
    #[error("the digest after @ cannot be read")]
    Digest(#[from] crate::digest::DigestError),
    /// A URL or user information, which an image reference never has.
    #[error("{0:?} is not part of an image reference: write registry/repository[:tag][@digest]")]
    Url(String),
}

/// A registry host and a repository path, both in normal form; written `host/path`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    host: String,
    path: String,
}

impl Repository {
    /// Host with port if it is not the default one, for example `registry.example` or `127.0.0.1:5000`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Path without the host, for example `library/debian`.
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// A tag: a name that can move. Only `oci::resolve` turns one into a digest.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Tag(String);

impl Tag {
    /// The text of the tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A parsed image reference. Without tag and digest, the tag `latest` is meant.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    repository: Repository,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl Reference {
    /// The repository in normal form.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The tag as written, if one was.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// The tag that a registry is asked for when there is no digest: the one written, else `latest`.
    pub fn effective_tag(&self) -> Tag {
        self.tag.clone().unwrap_or_else(|| Tag("latest".to_owned()))
    }

    /// The digest, if the reference is pinned.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The subject that a pinned reference names; `None` for one that can move.
    pub fn subject(&self) -> Option<Subject> {
        self.digest.map(|digest| Subject { repository: self.repository.clone(), digest })
    }

    /// The same reference with `digest`, in normal form: `host/path[:tag]@digest`.
    pub fn pin(&self, digest: Digest) -> Reference {
        Reference { digest: Some(digest), ..self.clone() }
    }
}

/// The resolved thing: a repository and the digest of a manifest or index in it; written `host/path@digest`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Subject {
    /// Where it lies.
    pub repository: Repository,
    /// The digest of its raw manifest bytes.
    pub digest: Digest,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.repository, self.digest)
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if text.is_empty() {
            return Err(ReferenceError::Empty);
        }
        if text.len() > MAX_REFERENCE {
            return Err(ReferenceError::TooLong);
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(ReferenceError::Url(format!("{}://", cut(scheme))));
        }
        let (name, digest) = match text.split_once('@') {
            // `user@host/repo` would hide the true host; what follows @ is a digest or nothing.
            Some((name, rest)) if rest.contains('/') || rest.contains('@') => {
                return Err(ReferenceError::Url(format!("{}@", cut(name))));
            }
            Some((name, digest)) => (name, Some(digest.parse::<Digest>()?)),
            None => (text, None),
        };
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') && !tag.contains(']') => (name, Some(parse_tag(tag)?)),
            _ => (name, None),
        };
        Ok(Reference { repository: name.parse()?, tag, digest })
    }
}

impl FromStr for Repository {
    type Err = ReferenceError;

    /// Reads a repository name without tag and digest.
    fn from_str(name: &str) -> Result<Self, ReferenceError> {
        let (host, path) = match name.split_once('/') {
            Some((first, rest)) if names_a_host(first) => {
                // A host known by its capitals, final dot or port alone would read as a path on Docker Hub next time.
                let host = normal_host(first)?;
                if !names_a_host(&host) {
                    return Err(ReferenceError::Host(cut(first)));
                }
                (host, rest)
            }
            _ => (DOCKER_HUB.to_owned(), name),
        };
        let path = if host == DOCKER_HUB && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
        // The normal form is what must be readable again, so it is the one that is measured.
        check_path(&path)?;
        Ok(Repository { host, path })
    }
}

/// The rule that every client shares: a first component with a dot, a colon, an upper-case letter or the name
/// `localhost` is a host, anything else a path on Docker Hub.
fn names_a_host(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':', '[']) || first.bytes().any(|b| b.is_ascii_uppercase())
}

/// Lower case, no trailing dot, no default port, one name for Docker Hub.
///
/// Public because configuration names hosts too and must mean the same ones.
pub fn normal_host(text: &str) -> Result<String, ReferenceError> {
    let bad = || ReferenceError::Host(cut(text));
    let (name, port) = if let Some(rest) = text.strip_prefix('[') {
        let (address, port) = rest.split_once(']').ok_or_else(bad)?;
        let address: core::net::Ipv6Addr = address.parse().map_err(|_| bad())?;
        (format!("[{address}]"), if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or_else(bad)?) })
    } else {
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let label_ok = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if name.len() > 253 || !name.split('.').all(label_ok) {
            return Err(bad());
        }
        (name, port)
    };
    let port = match port {
        None => None,
        Some(port) => {
            let plain = !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
            let number = port.parse::<u16>().ok().filter(|n| plain && *n > 0).ok_or_else(bad)?;
            Some(number).filter(|n| *n != 443)
        }
    };
    if port.is_none() && DOCKER_HUB_ALIASES.contains(&name.as_str()) {
        return Ok(DOCKER_HUB.to_owned());
    }
    Ok(match port {
        Some(port) => format!("{name}:{port}"),
        None => name,
    })
}

/// Distribution specification v1.1: `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` components joined by `/`.
fn check_path(path: &str) -> Result<(), ReferenceError> {
    let component_ok = |component: &str| {
        let bytes = component.as_bytes();
        let alnum = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let ends_ok = bytes.first().copied().is_some_and(alnum) && bytes.last().copied().is_some_and(alnum);
        let separators_ok = component
            .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .all(|run| matches!(run, "" | "." | "_" | "__") || run.bytes().all(|b| b == b'-'));
        ends_ok && separators_ok
    };
    if path.len() > MAX_PATH || !path.split('/').all(component_ok) {
        return Err(ReferenceError::Path(cut(path)));
    }
    Ok(())
}

fn parse_tag(text: &str) -> Result<Tag, ReferenceError> {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let ok = text.len() <= MAX_TAG
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || b == b'.' || b == b'-');
    if ok { Ok(Tag(text.to_owned())) } else { Err(ReferenceError::Tag(cut(text))) }
}

/// At most 64 characters of foreign text, for a message.
fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

impl fmt::Debug for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! as_text {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )*};
}
as_text!(Repository, Reference);

#[cfg(test)]
mod tests;
