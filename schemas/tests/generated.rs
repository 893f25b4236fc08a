//! The rendered pages are what the tables say. When this fails, run
//! `UPDATE_GENERATED=1 cargo test -p schemas --test generated` and commit what changed.

use std::path::Path;

use schemas::catalogue::CATALOGUE;
use schemas::ddl;
use schemas::record::LogRecord;
use schemas::render;

fn check(name: &str, rendered: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("generated").join(name);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, rendered).expect("generated/ can be written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == rendered,
        "{} is out of date; run: UPDATE_GENERATED=1 cargo test -p schemas --test generated",
        path.display()
    );
}

#[test]
fn the_json_schema_is_the_record() {
    check("record.schema.json", &render::json_schema());
}

#[test]
fn the_error_page_is_the_error_catalogue() {
    check("errors.md", &render::errors_page());
}

#[test]
fn the_symptom_page_is_the_symptom_catalogue() {
    check("symptoms.md", &render::symptoms_page());
}

#[test]
fn the_tables_for_athena_and_the_page_of_columns_are_the_columns() {
    check("athena.sql", &ddl::athena("s3://BUCKET"));
    check("columns.md", &ddl::columns_page());
}

#[test]
fn every_catalogue_entry_has_a_golden_sample_that_is_a_valid_record() {
    let schema = serde_json::from_str(&render::json_schema()).expect("the schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("the schema is a JSON Schema");
    for entry in &CATALOGUE {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
        let path = path.join(entry.name).with_extension("json");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|e| {
            panic!("{}: {e}; the proxy's tests write it: UPDATE_GENERATED=1 cargo test -p proxy --test samples", path.display())
        });
        let json = serde_json::from_str(&text).expect("a sample is JSON");
        let errors: Vec<_> = validator.iter_errors(&json).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", entry.name);
        let record: LogRecord = serde_json::from_value(json).expect("a sample is a record");
        let error = record.error.expect("a sample of a failure");
        assert_eq!((error.code.as_str(), error.origin), (entry.name, entry.origin));
        assert_eq!((record.status, error.message.as_str()), (entry.status, entry.message));
    }
}
