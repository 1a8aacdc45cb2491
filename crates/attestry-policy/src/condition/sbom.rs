//! Packages of an SBOM in one form, whichever format it has.
//!
//! SPDX 2.3 §7 (packages), SPDX 3.0 (elements of type `software_Package`), CycloneDX 1.4 to 1.6 (components, which
//! nest). A field that the document does not state is absent, so that a condition on it is an error and not an
//! answer; `NOASSERTION` and `NONE` state nothing.

use attestry_core::predicate::PredicateFormat;
use serde_json::{Map, Value as Json, json};

use super::eval::{Budget, Failure};

/// `{packages: […]}`.
pub(super) fn packages(predicate_type: &str, predicate: &Json, budget: &mut Budget) -> Result<Json, Failure> {
    let mut packages = Vec::new();
    match PredicateFormat::of_uri(predicate_type) {
        Some(PredicateFormat::Spdx) => spdx(predicate, &mut packages, budget)?,
        Some(PredicateFormat::CycloneDx) => {
            let component = predicate.pointer("/metadata/component").and_then(|component| component.get("components"));
            cyclonedx(component, &mut packages, budget)?;
            cyclonedx(predicate.get("components"), &mut packages, budget)?;
        }
        // An empty list would make all() true of a document that lists nothing.
        _ => return Err(Failure::other("sbom needs a predicate that is SPDX or CycloneDX")),
    }
    Ok(json!({ "packages": packages }))
}

fn spdx(predicate: &Json, packages: &mut Vec<Json>, budget: &mut Budget) -> Result<(), Failure> {
    for package in list(predicate.get("packages")) {
        budget.pay(1)?;
        let purl = list(package.get("externalRefs"))
            .find(|reference| text(reference, "referenceType") == Some("purl"))
            .and_then(|reference| text(reference, "referenceLocator"));
        let licence = ["licenseConcluded", "licenseDeclared"].into_iter().find_map(|field| text(package, field));
        packages.push(one(text(package, "name"), text(package, "versionInfo"), purl, licence));
    }
    for element in list(predicate.get("@graph")) {
        budget.pay(1)?;
        let kind = text(element, "type").or_else(|| text(element, "@type"));
        if kind == Some("software_Package") {
            let version = text(element, "software_packageVersion");
            packages.push(one(text(element, "name"), version, text(element, "software_packageUrl"), None));
        }
    }
    Ok(())
}

fn cyclonedx(components: Option<&Json>, packages: &mut Vec<Json>, budget: &mut Budget) -> Result<(), Failure> {
    for component in list(components) {
        budget.pay(1)?;
        let licence = list(component.get("licenses")).find_map(|choice| {
            let licence = choice.get("license");
            text(choice, "expression").or_else(|| text(licence?, "id")).or_else(|| text(licence?, "name"))
        });
        let name = text(component, "name");
        packages.push(one(name, text(component, "version"), text(component, "purl"), licence));
        // Depth is that of the document, which the strict check bounds.
        cyclonedx(component.get("components"), packages, budget)?;
    }
    Ok(())
}

fn one(name: Option<&str>, version: Option<&str>, purl: Option<&str>, licence: Option<&str>) -> Json {
    let fields = [("name", name), ("version", version), ("purl", purl), ("licence", licence)];
    let stated = fields.into_iter().filter_map(|(field, text)| Some((field.to_owned(), Json::from(text?))));
    Json::Object(stated.collect::<Map<String, Json>>())
}

fn list(value: Option<&Json>) -> impl Iterator<Item = &Json> {
    value.and_then(Json::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Json, field: &str) -> Option<&'a str> {
    value.get(field)?.as_str().filter(|text| !matches!(*text, "" | "NOASSERTION" | "NONE"))
}
