//! JSON Schema of every kind, for editors and for `attestry policy schema`.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{AuthoritySpec, BaseCatalogSpec, Document, ImagePolicySpec, Kind, RevocationSpec, TrustRootSpec};

/// The schema of any policy document (JSON Schema 2020-12): one alternative for each kind.
///
/// A schema cannot say all: names that must exist, globs, conditions and "exactly one of" are checked when a set
/// is loaded.
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let alternatives: Vec<Value> = Kind::ALL.into_iter().map(|kind| of_kind(kind, &mut generator)).collect();
    let definitions: Map<String, Value> = generator.take_definitions(true);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "attestry policy documents",
        "oneOf": alternatives,
        "$defs": definitions,
    })
}

fn of_kind(kind: Kind, generator: &mut SchemaGenerator) -> Value {
    let schema = match kind {
        Kind::Authority => Document::<AuthoritySpec>::json_schema(generator),
        Kind::TrustRoot => Document::<TrustRootSpec>::json_schema(generator),
        Kind::BaseCatalog => Document::<BaseCatalogSpec>::json_schema(generator),
        Kind::Revocation => Document::<RevocationSpec>::json_schema(generator),
        Kind::ImagePolicy => Document::<ImagePolicySpec>::json_schema(generator),
    };
    let mut schema = schema.to_value();
    schema["title"] = json!(kind.as_str());
    schema["properties"]["apiVersion"] = json!({"const": attestry_core::API_VERSION});
    schema["properties"]["kind"] = json!({"const": kind.as_str()});
    schema
}

/// The words of core's enums, which know no schema themselves.
macro_rules! words {
    ($($name:ident: $($word:literal)*;)*) => {$(
        pub(super) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "enum": [$($word),*]})
            }
        }
    )*};
}
words! {
    Mode: "Enforce" "Warn" "Audit";
    OnUndeterminable: "Deny" "DangerWarn";
    TagRule: "Deny" "Pin" "DangerResolve";
    TagBesideDigest: "Any" "Same";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `$ref` leads somewhere, and every kind refuses what it does not know.
    #[test]
    fn the_schema_is_closed() {
        let schema = schema();
        let text = schema.to_string();
        for reference in text.split("\"$ref\":\"#/$defs/").skip(1) {
            let name = reference.split('"').next().unwrap_or_default();
            assert!(schema["$defs"].get(name).is_some(), "{name}");
        }
        let kinds = schema["oneOf"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert_eq!(kinds.len(), Kind::ALL.len());
        for kind in kinds {
            assert_eq!(kind["additionalProperties"], false, "{}", kind["title"]);
            assert_eq!(kind["properties"]["kind"]["const"], kind["title"]);
        }
        assert_eq!(
            schema["$defs"]["BaseProof"]["enum"]
                .as_array()
                .map(Vec::len)
                .or(schema["$defs"]["BaseProof"]["oneOf"].as_array().map(Vec::len)),
            Some(2)
        );
    }
}
