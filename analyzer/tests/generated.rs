//! The schema of the JSON answer is what the code says, and real answers keep to it. When the first
//! test fails, run `UPDATE_GENERATED=1 cargo test -p analyzer --test analyzer generated` and commit
//! what changed.

use std::path::Path;

use analyzer::report;
use jsonschema::Validator;
use serde_json::Value;

use crate::common::{Folder, analyzer, object, run, server_error};

const FILE: &str = "../schemas/generated/origin.schema.json";

#[test]
fn the_json_schema_of_origin_is_its_answer() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE);
    let rendered = report::schema();
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, &rendered).expect("generated/ can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == rendered,
        "{} is out of date; run: UPDATE_GENERATED=1 cargo test -p analyzer --test analyzer generated",
        path.display()
    );
}

#[track_caller]
fn check(validator: &Validator, json: &Value) {
    let errors: Vec<_> = validator.iter_errors(json).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?} in {json:#}");
}

#[test]
fn every_form_of_answer_keeps_to_the_schema() {
    let schema = serde_json::from_str(&report::schema()).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is a JSON Schema");
    assert!(!validator.is_valid(&serde_json::json!({"query": "x"})), "it demands something");

    let alone = |text| run(analyzer(&["origin", "--json", text]), "").json();
    check(&validator, &alone("temporary errors"));
    check(&validator, &alone("invalid or disabled token"));
    check(&validator, &alone("nobody prints this"));

    let folder = Folder::of(&[object(&server_error(1, "2026-11-22T02:00:00.000Z"))]);
    folder.put("logs/2026/11/22/02/garbage.json", b"\x00garbage");
    folder.put("logs/2026/11/22/02/old.json", br#"{"response_body":"internal error"}"#);
    for text in ["temporary errors", "internal error", "stream closed before response.completed"] {
        let window = ["--since", "2026-11-22T01:00:00Z", "--until", "2026-11-22T03:00:00Z"];
        let json = folder.ask(&[&[text], &window[..]].concat()).ends(4).json();
        check(&validator, &json);
    }
}
