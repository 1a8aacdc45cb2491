//! A strict pass over foreign JSON, before any lenient parser sees it.
//!
//! Two parsers that read one document differently are an attack (27, 28): duplicate members, invalid UTF-8, a byte
//! order mark, data after the end, depth without bound. Here they are refused once, for bundles, payloads,
//! manifests and configs alike.

use std::{collections::HashSet, fmt};

use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// How deep arrays and objects may nest.
pub const MAX_DEPTH: usize = 64;
/// How many values one document may hold. An SBOM of 16 MiB has about a million.
pub const MAX_NODES: usize = 4_000_000;

/// What is wrong with a JSON text, with its line and column where the parser knows them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StrictJsonError(String);

impl StrictJsonError {
    /// An error with this message, for a typed reader that finds a member absent.
    pub(crate) fn new(message: &str) -> Self {
        Self(message.to_owned())
    }
}

/// Members of a document that are read elsewhere by a parser that ignores the case of names, as Go's does. Anything else
/// may stand beside them.
#[derive(Debug)]
pub struct Names {
    /// Those below which nothing is read by name, in groups: texts, and maps whose names mean only themselves.
    pub plain: &'static [&'static [&'static str]],
    /// Those with members below them, through lists.
    pub nested: &'static [(&'static str, &'static Names)],
}

impl Names {
    /// Nothing is read by name.
    pub const NONE: &'static Self = &Self { plain: &[], nested: &[] };

    /// What is read below `name`; an error for a name that such a parser would take for another.
    fn below(&self, name: &str) -> Result<&'static Self, &'static str> {
        let plain = self.plain.iter().copied().flatten().map(|exact| (*exact, Self::NONE));
        let known = || plain.clone().chain(self.nested.iter().copied());
        match known().find(|(exact, _)| *exact == name) {
            Some((_, below)) => Ok(below),
            None => match known().find(|(exact, _)| same_but_case(exact, name)) {
                Some((exact, _)) => Err(exact),
                None => Ok(Self::NONE),
            },
        }
    }
}

/// Whether two names are one without their case. Both ways, since two letters of other scripts become `s` and `k` in one
/// of them only.
fn same_but_case(exact: &str, name: &str) -> bool {
    match name.is_ascii() {
        true => exact.eq_ignore_ascii_case(name),
        false => exact.to_lowercase() == name.to_uppercase().to_lowercase(),
    }
}

/// Checks `bytes` and returns nothing: for documents that are read by a typed parser afterwards.
pub fn check(bytes: &[u8]) -> Result<(), StrictJsonError> {
    run(bytes, Names::NONE).map(|_| ())
}

/// Checks `bytes` and returns the value.
pub fn parse(bytes: &[u8]) -> Result<Value, StrictJsonError> {
    read(bytes)
}

/// Checks `bytes` and reads them as `T`.
pub fn read<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, StrictJsonError> {
    read_named(bytes, Names::NONE)
}

/// As [`read`], and refuses a member that differs from one of `names` in case alone: `Layers` beside `layers` is a
/// second meaning for a node, whose parser takes either, while here it would be a member that nobody reads.
pub fn read_named<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8], names: &'static Names) -> Result<T, StrictJsonError> {
    let text = run(bytes, names)?;
    serde_json::from_str(text).map_err(|error| StrictJsonError(error.to_string()))
}

fn run<'a>(bytes: &'a [u8], names: &'static Names) -> Result<&'a str, StrictJsonError> {
    // serde_json accepts lone surrogate escapes as bytes and checks strings lazily; the whole text first.
    let text = std::str::from_utf8(bytes).map_err(|_| StrictJsonError("the text is not valid UTF-8".to_owned()))?;
    if text.starts_with('\u{feff}') {
        return Err(StrictJsonError("the text begins with a byte order mark".to_owned()));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let failed = |error: serde_json::Error| StrictJsonError(error.to_string());
    Check { depth: 0, nodes: &mut 0, names }.deserialize(&mut deserializer).map_err(failed)?;
    deserializer.end().map_err(failed)?;
    Ok(text)
}

/// Walks a value without building it.
struct Check<'n> {
    depth: usize,
    nodes: &'n mut usize,
    names: &'static Names,
}

impl Check<'_> {
    fn deeper<E: de::Error>(&mut self, names: &'static Names) -> Result<Check<'_>, E> {
        if self.depth >= MAX_DEPTH {
            return Err(E::custom(format_args!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(Check { depth: self.depth + 1, nodes: self.nodes, names })
    }
}

impl<'de> DeserializeSeed<'de> for Check<'_> {
    type Value = ();

    fn deserialize<D: de::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        *self.nodes += 1;
        if *self.nodes > MAX_NODES {
            return Err(de::Error::custom(format_args!("more than {MAX_NODES} values")));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Check<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<(), E> {
        if number.is_finite() { Ok(()) } else { Err(E::custom("a number out of range")) }
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(self.deeper(self.names)?)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            let below = self.names.below(&name).map_err(|exact| {
                let name = crate::reason::clean(&name, 64);
                de::Error::custom(format_args!(
                    "the member {name:?} would be read as {exact:?} by some and not by others"
                ))
            })?;
            map.next_value_seed(self.deeper(below)?)?;
            if names.contains(&name) {
                return Err(de::Error::custom(format_args!(
                    "the member {:?} stands twice",
                    crate::reason::clean(&name, 64)
                )));
            }
            names.insert(name);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_27_28_what_two_parsers_could_read_differently_is_refused() {
        let deep = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
        for (text, refused) in [
            (r#"{"a":1,"b":{"a":2}}"#.to_owned(), false),
            (r#"{"a":1,"a":1}"#.to_owned(), true),
            (r#"[{"x":{"a":1,"\u0061":2}}]"#.to_owned(), true),
            (r#"{"a":1} {"#.to_owned(), true),
            ("\u{feff}{}".to_owned(), true),
            ("{} \n\t".to_owned(), false),
            ("1e999".to_owned(), true),
            ("12345678901234567890123".to_owned(), false),
            (r#""\ud800""#.to_owned(), true),
            ("NaN".to_owned(), true),
            (String::new(), true),
            (deep(MAX_DEPTH), false),
            (deep(MAX_DEPTH + 1), true),
            (deep(100_000), true),
        ] {
            assert_eq!(check(text.as_bytes()).is_err(), refused, "{:?}", &text[..text.len().min(40)]);
        }
        assert!(check(b"\"\xff\"").is_err());
    }

    #[test]
    fn attack_27_names_that_differ_in_case_alone_are_refused_where_they_mean_something() {
        const INNER: Names = Names { plain: &[&["diff_ids", "keys"]], nested: &[] };
        const NAMES: Names = Names { plain: &[&["layers"], &["Labels"]], nested: &[("rootfs", &INNER)] };
        for (text, refused) in [
            (r#"{"layers":[],"rootfs":{"diff_ids":[],"type":1},"Labels":{"a":1,"A":2}}"#, false),
            (r#"{"Layers":[]}"#, true),
            (r#"{"layers":[],"LAYERS":[]}"#, true),
            (r#"{"layer\u017f":[]}"#, true),
            (r#"{"rootfs":{"\u212aeys":[]}}"#, true),
            (r#"{"rootfs":{"Diff_IDs":[]}}"#, true),
            (r#"{"rootfs":[{"diff_ids":[]},{"diff_IDs":[]}]}"#, true),
            (r#"{"labels":{}}"#, true),
            // Only where it is read, and only what is the same name.
            (r#"{"other":{"Layers":[]},"Diff_IDs":1,"Labels":{"layers":1,"Layers":2}}"#, false),
            (r#"{"layer":[],"layerss":[],"größe":1,"ſ":2}"#, false),
        ] {
            let read = read_named::<Value>(text.as_bytes(), &NAMES);
            assert_eq!(read.is_err(), refused, "{text}: {read:?}");
            assert!(check(text.as_bytes()).is_ok(), "{text}");
        }
        let told = read_named::<Value>(br#"{"Layers":[]}"#, &NAMES).map_err(|error| error.to_string());
        assert!(told.is_err_and(|text| text.contains(r#"the member "Layers" would be read as "layers""#)));
    }

    #[test]
    fn attack_36_values_are_counted() {
        // A list is a value too.
        let list = |values: usize| [b"[0".to_vec(), b",0".repeat(values - 2), b"]".to_vec()].concat();
        assert!(check(&list(MAX_NODES)).is_ok());
        assert!(check(&list(MAX_NODES + 1)).is_err());
    }
}
