//! An image's configuration (OCI image-spec v1.1.1, `config.md`), as far as judging needs it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{ManifestError, PLATFORM, Platform};
use crate::{
    Digest, strict_json,
    strict_json::{Names, StrictJsonError},
};

/// What judging needs of an image's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageConfig {
    /// What it runs on.
    pub platform: Option<Platform>,
    /// Digests of the uncompressed layers, lowest first.
    pub diff_ids: Vec<Digest>,
    /// `config.Labels`.
    pub labels: BTreeMap<String, String>,
    /// `config`: what is run, as whom and with what, where a Pod says nothing else. As written.
    execution: Map<String, Value>,
}

/// What a member of `config` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Text,
    Texts,
    /// A map by name; what stands behind the names is not looked at.
    Map,
}

impl Holds {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Texts => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
            Self::Map => value.is_object(),
        }
    }

    fn empty(self) -> Value {
        match self {
            Self::Text => Value::from(""),
            Self::Texts => Value::Array(Vec::new()),
            Self::Map => Value::Object(Map::new()),
        }
    }
}

/// The members of `config` that decide what runs.
const EXECUTION: [(&str, Holds); 9] = [
    ("User", Holds::Text),
    ("ExposedPorts", Holds::Map),
    ("Env", Holds::Texts),
    ("Entrypoint", Holds::Texts),
    ("Cmd", Holds::Texts),
    ("Volumes", Holds::Map),
    ("WorkingDir", Holds::Text),
    ("Labels", Holds::Map),
    ("StopSignal", Holds::Text),
];

/// Their names, of which a node ignores the case.
const EXECUTION_NAMES: [&str; EXECUTION.len()] = {
    let mut names = [""; EXECUTION.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = EXECUTION[at].0;
        at += 1;
    }
    names
};

/// Whatever else Docker and Podman read there (Docker image specification v1.3), `Healthcheck` apart.
const DOCKER: &[&str] = &[
    "Hostname",
    "Domainname",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "Tty",
    "OpenStdin",
    "StdinOnce",
    "ArgsEscaped",
    "Image",
    "NetworkDisabled",
    "MacAddress",
    "OnBuild",
    "StopTimeout",
    "Shell",
    "Memory",
    "MemorySwap",
    "CpuShares",
];
const HEALTHCHECK: &[&str] = &["Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"];

/// Members of a configuration as a node reads them.
const CONFIG: Names = Names {
    plain: &[PLATFORM],
    nested: &[
        ("rootfs", &Names { plain: &[&["type", "diff_ids"]], nested: &[] }),
        (
            "config",
            &Names {
                plain: &[&EXECUTION_NAMES, DOCKER],
                nested: &[("Healthcheck", &Names { plain: &[HEALTHCHECK], nested: &[] })],
            },
        ),
    ],
};

impl ImageConfig {
    /// Reads a configuration blob. Members of another type than expected are an error, absent ones are not.
    pub fn parse(bytes: &[u8]) -> Result<Self, ManifestError> {
        #[derive(Deserialize)]
        struct Wire {
            #[serde(default)]
            architecture: String,
            #[serde(default)]
            os: String,
            variant: Option<String>,
            rootfs: Option<RootFs>,
            config: Option<Map<String, Value>>,
        }
        #[derive(Deserialize)]
        struct RootFs {
            diff_ids: Option<Vec<Digest>>,
        }
        let wire: Wire = strict_json::read_named(bytes, &CONFIG).map_err(ManifestError::Config)?;
        let platform = (!wire.os.is_empty() || !wire.architecture.is_empty()).then_some(Platform {
            architecture: wire.architecture,
            os: wire.os,
            variant: wire.variant,
        });
        let execution = wire.config.unwrap_or_default();
        let labels: Option<BTreeMap<String, String>> = match execution.get("Labels") {
            None => None,
            Some(labels) => Deserialize::deserialize(labels)
                .map_err(|error: serde_json::Error| unreadable(&format!("config.Labels: {error}")))?,
        };
        Ok(Self {
            platform,
            diff_ids: wire.rootfs.and_then(|r| r.diff_ids).unwrap_or_default(),
            labels: labels.unwrap_or_default(),
            execution,
        })
    }

    /// The member `config` with every part that decides what runs: `User`, `ExposedPorts`, `Env`, `Entrypoint`,
    /// `Cmd`, `Volumes`, `WorkingDir`, `Labels` and `StopSignal`, empty where the document has none. Whatever else
    /// the document holds there stands beside them as written.
    ///
    /// # Errors
    ///
    /// The part that is of another type than the specification says: a node could not read it either, or would read
    /// something else.
    pub fn execution(&self) -> Result<Map<String, Value>, ManifestError> {
        let mut execution = self.execution.clone();
        for (name, holds) in EXECUTION {
            match self.execution.get(name).filter(|written| !written.is_null()) {
                None => drop(execution.insert(name.to_owned(), holds.empty())),
                Some(written) if holds.fits(written) => {}
                Some(_) => {
                    return Err(unreadable(&format!("config.{name} is of another type than it should be")));
                }
            }
        }
        Ok(execution)
    }
}

fn unreadable(what: &str) -> ManifestError {
    ManifestError::Config(StrictJsonError::new(what))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn configurations_name_a_platform_if_they_say_anything_of_it() {
        for (text, platform) in [
            (r#"{"os":"linux","architecture":"arm64","variant":"v8"}"#, Some("linux/arm64/v8")),
            (r#"{"os":"linux","architecture":"amd64","variant":""}"#, Some("linux/amd64")),
            (r#"{"os":"linux","architecture":"amd64"}"#, Some("linux/amd64")),
            (r#"{"os":"linux"}"#, Some("linux/")),
            (r#"{"architecture":"amd64"}"#, Some("/amd64")),
            ("{}", None),
        ] {
            let found = ImageConfig::parse(text.as_bytes()).map(|config| config.platform.map(|p| p.to_string()));
            assert_eq!(found, Ok(platform.map(str::to_owned)), "{text}");
        }
        let digest = Digest::of("layer");
        let text = format!(r#"{{"rootfs":{{"diff_ids":["{digest}"]}},"config":{{"Labels":{{"a":"b"}}}}}}"#);
        let config = ImageConfig::parse(text.as_bytes()).expect("test data");
        assert_eq!((config.diff_ids, config.labels), (vec![digest], [("a".to_owned(), "b".to_owned())].into()));
        assert!(ImageConfig::parse(br#"{"os":1}"#).is_err());
    }

    #[test]
    fn attack_70_every_part_that_decides_what_runs_is_there_and_of_its_type() {
        let execution = |inner: &str| {
            let config = ImageConfig::parse(format!(r#"{{"config":{inner}}}"#).as_bytes())?;
            config.execution().map(Value::Object)
        };
        let with = |name: &str, value: Value| {
            let mut all = json!({
                "User": "", "ExposedPorts": {}, "Env": [], "Entrypoint": [], "Cmd": [], "Volumes": {},
                "WorkingDir": "", "Labels": {}, "StopSignal": "",
            });
            all[name] = value;
            all
        };
        let nothing = with("User", json!(""));
        assert_eq!(execution("null"), Ok(nothing.clone()));
        assert_eq!(execution(r#"{"User":null,"Env":null,"Volumes":null,"Labels":null}"#), Ok(nothing.clone()));
        assert_eq!(ImageConfig::default().execution().map(Value::Object), Ok(nothing));
        for (inner, name, value) in [
            (r#"{"User":"0:0"}"#, "User", json!("0:0")),
            (r#"{"Env":["A=1"]}"#, "Env", json!(["A=1"])),
            (r#"{"ExposedPorts":{"22/tcp":{}}}"#, "ExposedPorts", json!({"22/tcp": {}})),
            (r#"{"Labels":{"a":"b"}}"#, "Labels", json!({"a": "b"})),
            (r#"{"Healthcheck":{"Test":["NONE"]}}"#, "Healthcheck", json!({"Test": ["NONE"]})),
        ] {
            assert_eq!(execution(inner), Ok(with(name, value)), "{inner}");
        }
        for (inner, name) in [
            (r#"{"User":0}"#, "User"),
            (r#"{"Cmd":"sh"}"#, "Cmd"),
            (r#"{"Entrypoint":["sh",1]}"#, "Entrypoint"),
            (r#"{"Volumes":[]}"#, "Volumes"),
            (r#"{"Labels":{"a":1}}"#, "Labels"),
        ] {
            let told = execution(inner).map_err(|error| error.to_string());
            assert!(told.as_ref().is_err_and(|text| text.contains(&format!("config.{name}"))), "{inner}: {told:?}");
        }
        assert!(execution("[]").is_err());
    }

    #[test]
    fn attack_70_a_configuration_that_a_node_reads_differently_is_refused() {
        let digest = Digest::of("layer");
        for text in [
            r#"{"config":{"User":"1000","user":"0"}}"#.to_owned(),
            r#"{"config":{"ENTRYPOINT":["/evil"]}}"#.to_owned(),
            r#"{"config":{},"Config":{"User":"0"}}"#.to_owned(),
            format!(r#"{{"rootfs":{{"diff_ids":[]}},"rootFS":{{"diff_ids":["{digest}"]}}}}"#),
            format!(r#"{{"rootfs":{{"diff_ids":[],"Diff_IDs":["{digest}"]}}}}"#),
            r#"{"os":"linux","OS":"windows"}"#.to_owned(),
            r#"{"os.version":"1","OS.Version":"2"}"#.to_owned(),
            r#"{"config":{"healthcheck":{"Test":["CMD","/evil"]}}}"#.to_owned(),
            r#"{"config":{"Healthcheck":{"test":["CMD","/evil"]}}}"#.to_owned(),
            r#"{"config":{"SHELL":["/evil"]}}"#.to_owned(),
        ] {
            let read = ImageConfig::parse(text.as_bytes());
            assert!(matches!(read, Err(ManifestError::Config(_))), "{text}: {read:?}");
        }
        // As Docker writes it: a second configuration under a name of its own, and labels in both cases.
        let docker = r#"{"container_config":{"User":""},"config":{"Labels":{"a":"1","A":"2"},"Image":"x"}}"#;
        assert!(ImageConfig::parse(docker.as_bytes()).is_ok());
    }
}
