//! The OpenAPI 3.1 description of the service, written by hand beside the routes and checked against them.

use attestry_core::ReasonCode;
use serde_json::{Value, json};

/// The whole document.
pub fn document() -> Value {
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "attestry",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Reviews of container images and the decisions that were recorded. Errors are RFC 9457 problems with a reason code.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"token": []}],
        "paths": paths(),
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer", "description": "Not needed where the API listens on loopback without tokens."}},
            "schemas": schemas(),
        },
    })
}

fn paths() -> Value {
    let query = |name: &str, description: &str, schema: Value| json!({"name": name, "in": "query", "description": description, "schema": schema});
    let timeout = query(
        "timeout",
        "The time of the whole call, such as 10s; the answer leaves 1.2 s before.",
        json!({"type": "string", "pattern": "^[0-9]+s$"}),
    );
    let admission = |summary: &str| {
        json!({"post": {
            "summary": summary,
            "description": "On the admission listener. HTTP 200 whatever the answer.",
            "security": [],
            "parameters": [timeout],
            "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/AdmissionReview"}}}},
            "responses": answers("The answer as an AdmissionReview.", "AdmissionReview"),
        }})
    };
    let plain = |summary: &str, description: &str| {
        json!({"get": {
            "summary": summary,
            "description": "On the ops listener.",
            "security": [],
            "responses": {"200": {"description": description}, "503": {"description": "Not ready."}},
        }})
    };
    json!({
        "/v1/admission/validate": admission("Judge every image of an object; never patches."),
        "/v1/admission/mutate": admission("Pin tags of Pods to digests where policy says Pin; never refuses."),
        "/v1/reviews": {"post": {
            "summary": "Judge one image.",
            "description": "HTTP 200 for every verdict. Recorded as a review, never as a decision. Needs the role reviewer.",
            "requestBody": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ReviewRequest"}}}},
            "responses": answers("The review.", "Review"),
        }},
        "/v1/decisions": {"get": {
            "summary": "Decisions, newest first.",
            "description": "Needs the role reader.",
            "parameters": [
                query("digest", "Only decisions about this digest.", json!({"$ref": "#/components/schemas/Digest"})),
                query("namespace", "Only decisions in this namespace.", json!({"type": "string"})),
                query("allowed", "Only admitted or only refused ones.", json!({"type": "boolean"})),
                query("limit", "Decisions on a page.", json!({"type": "integer", "minimum": 1, "maximum": 100, "default": 20})),
                query("cursor", "`next` of the page before.", json!({"type": "string"})),
            ],
            "responses": answers("A page of decisions.", "DecisionList"),
        }},
        "/v1/decisions/{id}": {"get": {
            "summary": "One decision with its reviews.",
            "description": "Needs the role reader.",
            "parameters": [{"name": "id", "in": "path", "required": true, "description": "`<log id>-<number>`", "schema": {"type": "string"}}],
            "responses": answers("The decision.", "DecisionRecord"),
        }},
        "/openapi.json": {"get": {
            "summary": "This document.",
            "security": [],
            "responses": {"200": {"description": "OpenAPI 3.1.", "content": {"application/json": {"schema": {"type": "object"}}}}},
        }},
        "/healthz": plain("Whether the process answers.", "It does."),
        "/readyz": plain("Whether a policy set is in force and the log can be written.", "Conditions as JSON; problems are conditions, not failures."),
        "/metrics": plain("Metrics.", "OpenMetrics text."),
    })
}

fn answers(description: &str, schema: &str) -> Value {
    let problem = |description: &str| json!({"description": description, "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}});
    let reference = format!("#/components/schemas/{schema}");
    json!({
        "200": {"description": description, "content": {"application/json": {"schema": {"$ref": reference}}}},
        "400": problem("The request cannot be read."),
        "401": problem("No valid token."),
        "404": problem("There is no such thing."),
        "408": problem("The body did not arrive in time."),
        "413": problem("The body is too large."),
        "415": problem("The body is not sent as JSON."),
        "503": problem("Overloaded, or the log cannot be written."),
    })
}

fn schemas() -> Value {
    let text = json!({"type": "string"});
    let codes: Vec<&str> = ReasonCode::ALL.iter().map(|code| code.as_str()).collect();
    let list = |of: &str| json!({"type": "array", "items": {"$ref": format!("#/components/schemas/{of}")}});
    let object = |required: &[&str], properties: Value| json!({"type": "object", "required": required, "properties": properties});
    let time = json!({"type": "string", "format": "date-time"});
    json!({
        "Digest": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
        "ReasonCode": {"type": "string", "enum": codes},
        "Verdict": {"type": "string", "enum": ["trusted", "undeterminable", "untrusted"]},
        "Reason": object(&["code", "message"], json!({"code": {"$ref": "#/components/schemas/ReasonCode"}, "message": text, "details": {"type": "object", "additionalProperties": text}})),
        "Problem": object(&["type", "title", "status", "code", "detail"], json!({"type": text, "title": text, "status": {"type": "integer"}, "code": {"$ref": "#/components/schemas/ReasonCode"}, "detail": text, "hint": text})),
        "ReviewRequest": {
            "type": "object", "required": ["image"], "additionalProperties": false,
            "properties": {"image": text, "namespace": text, "namespaceLabels": {"type": "object", "additionalProperties": text}},
        },
        "Proof": object(&[], json!({"attachment": {"$ref": "#/components/schemas/Digest"}, "subject": {"$ref": "#/components/schemas/Digest"}, "platform": text, "authority": text, "keyId": {"$ref": "#/components/schemas/Digest"}, "predicateType": text, "time": time, "details": {"type": "object", "additionalProperties": text}})),
        "RequirementReview": object(&["name", "kind", "outcome"], json!({"name": text, "kind": text, "outcome": {"enum": ["met", "undeterminable", "unmet"]}, "reasons": list("Reason"), "proofs": list("Proof"), "alternatives": list("RequirementReview")})),
        "PolicyReview": object(&["name", "mode", "onUndeterminable", "tags", "verdict", "requirements"], json!({"name": text, "mode": {"enum": ["Enforce", "Warn", "Audit"]}, "onUndeterminable": {"enum": ["Deny", "DangerWarn"]}, "tags": {"enum": ["Deny", "Pin", "DangerResolve"]}, "verdict": {"$ref": "#/components/schemas/Verdict"}, "reasons": list("Reason"), "requirements": list("RequirementReview")})),
        "Review": object(&["apiVersion", "kind", "repository", "verdict", "policies", "policySet", "evidence", "engine", "evaluatedAt"], json!({
            "apiVersion": {"const": attestry_core::API_VERSION}, "kind": {"const": "Review"}, "repository": text,
            "subject": object(&["repository", "digest"], json!({"repository": text, "digest": {"$ref": "#/components/schemas/Digest"}, "mediaType": text})),
            "namespace": text, "verdict": {"$ref": "#/components/schemas/Verdict"}, "findings": list("Reason"), "policies": list("PolicyReview"),
            "policySet": {"$ref": "#/components/schemas/Digest"}, "evidence": {"$ref": "#/components/schemas/Digest"},
            "engine": text, "evaluatedAt": time, "validUntil": time,
        })),
        "Objection": object(&["reason"], json!({"policy": text, "requirement": text, "reason": {"$ref": "#/components/schemas/Reason"}})),
        "Answer": object(&["allowed", "undeterminable", "denials", "warnings"], json!({"allowed": {"type": "boolean"}, "undeterminable": {"type": "boolean"}, "denials": list("Objection"), "warnings": list("Objection")})),
        "Decision": object(&["apiVersion", "kind", "time", "request", "allowed", "images", "policySet"], json!({
            "apiVersion": {"const": attestry_core::API_VERSION}, "kind": {"const": "Decision"}, "time": time,
            "request": object(&["uid", "operation", "kind", "images"], json!({"uid": text, "operation": text, "kind": text, "namespace": text, "name": text, "objectUid": text, "userName": text, "images": {"type": "array", "items": object(&["image", "fields"], json!({"image": text, "fields": {"type": "array", "items": text}}))}})),
            "allowed": {"type": "boolean"},
            "images": {"type": "array", "items": object(&["image", "answer"], json!({"image": text, "digest": {"$ref": "#/components/schemas/Digest"}, "tagged": {"$ref": "#/components/schemas/Digest"}, "verdict": {"$ref": "#/components/schemas/Verdict"}, "review": {"$ref": "#/components/schemas/Digest"}, "answer": {"$ref": "#/components/schemas/Answer"}}))},
            "reasons": list("Reason"), "policySet": {"$ref": "#/components/schemas/Digest"},
        })),
        "Kept": object(&["id", "decision"], json!({"id": text, "decision": {"$ref": "#/components/schemas/Decision"}})),
        "DecisionList": object(&["apiVersion", "kind", "decisions"], json!({"apiVersion": text, "kind": {"const": "DecisionList"}, "decisions": list("Kept"), "next": text})),
        "DecisionRecord": object(&["apiVersion", "kind", "id", "decision", "reviews"], json!({"apiVersion": text, "kind": {"const": "DecisionRecord"}, "id": text, "decision": {"$ref": "#/components/schemas/Decision"}, "reviews": list("Review")})),
        "AdmissionReview": {"type": "object", "description": "admission.k8s.io/v1 AdmissionReview", "required": ["apiVersion", "kind"]},
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    #[test]
    fn every_route_is_described() {
        let router = include_str!("router.rs");
        let document = super::document();
        let mut routes = 0;
        for line in router.lines().filter_map(|line| line.trim().strip_prefix(".route(\"")) {
            let route = line.split('"').next().unwrap();
            assert!(document["paths"].get(route).is_some(), "{route}");
            routes += 1;
        }
        assert_eq!(routes, document["paths"].as_object().unwrap().len());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn walk(value: &serde_json::Value, document: &serde_json::Value) {
            match value {
                serde_json::Value::Object(members) => {
                    if let Some(target) = members.get("$ref").and_then(|r| r.as_str()) {
                        assert!(document.pointer(target.trim_start_matches('#')).is_some(), "{target}");
                    }
                    members.values().for_each(|value| walk(value, document));
                }
                serde_json::Value::Array(items) => items.iter().for_each(|value| walk(value, document)),
                _ => {}
            }
        }
        let document = super::document();
        walk(&document, &document);
    }
}
