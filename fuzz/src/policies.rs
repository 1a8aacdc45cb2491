//! Policies and conditions, which people write, and predicates, which anybody does.

use attestry_core::{manifest::ImageConfig, statement::Statement};
use attestry_policy::{
    PolicySet, SourceFile,
    cases::Case,
    condition::{Condition, ImageFacts, Scope},
};

/// A set that compiles is stored under its digest and read again as the same set.
pub fn policy(bytes: &[u8]) {
    let file = SourceFile::new("policy.yaml", bytes);
    let _ = Case::parse(&file);
    match PolicySet::load(&[file]) {
        Ok(set) => {
            let again = PolicySet::from_bytes(set.to_bytes()).expect("what we store we read");
            assert_eq!(again.digest(), set.digest());
        }
        Err(errors) => assert!(!errors.to_string().is_empty()),
    }
}

/// A condition, an empty line, a predicate or configuration: the answer is the same each time.
pub fn condition(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (source, predicate) = text.split_once("\n\n").unwrap_or((text, "null"));
    let image = ImageFacts::default();
    if let Ok(condition) = Condition::compile(source, Scope::Config)
        && let Ok(config) = ImageConfig::parse(predicate.as_bytes())
    {
        assert_eq!(condition.check_config(&config, &image), condition.check_config(&config, &image));
    }
    let Ok(condition) = Condition::compile(source, Scope::Statement) else { return };
    assert_eq!(condition.source(), source);
    let payload = format!(
        r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"https://spdx.dev/Document","predicate":{predicate}}}"#
    );
    let Ok(statement) = Statement::parse(payload.as_bytes()) else { return };
    assert_eq!(condition.check(&statement, &image), condition.check(&statement, &image));
}
