//! The rule for old records, place by place, and its traps.

use serde_json::{Value, json};

use super::*;

fn of(record: &Value) -> Option<(Origin, String)> {
    let json = record.to_string();
    let view = RecordView::parse(json.as_bytes()).expect("an object");
    let exchange = classify(&view, "logs/x.json", Timestamp::UNIX_EPOCH);
    exchange.error.map(|error| (error.origin, error.code))
}

fn origin(record: &Value) -> Option<Origin> {
    of(record).map(|(origin, _)| origin)
}

fn sse(events: &[(&str, Value)]) -> String {
    let events = events.iter().map(|(name, data)| format!("event: {name}\ndata: {data}\n\n"));
    events.collect::<Vec<_>>().concat()
}

#[test]
fn in_every_accepted_place_our_message_is_ours_and_any_other_is_openais() {
    for (message, expected) in [
        ("internal error", Origin::Proxy),
        ("missing or invalid Authorization header", Origin::Proxy),
        ("invalid or disabled token", Origin::Proxy),
        ("token lookup failed", Origin::Proxy),
        ("upstream request failed", Origin::Proxy),
        ("An internal error occurred", Origin::Openai),
        ("Internal error", Origin::Openai),
    ] {
        for body in [
            json!({"error": {"message": message}}).to_string(),
            json!({"error": message}).to_string(),
            json!({"message": message}).to_string(),
            format!("\n  {message}\n"),
            sse(&[("error", json!({"type": "error", "message": message}))]),
            sse(&[(
                "response.failed",
                json!({"type": "response.failed", "response": {"error": {"code": null, "message": message}}}),
            )]),
        ] {
            let as_text = json!({"response_body": body});
            assert_eq!(origin(&as_text), Some(expected), "{body}");
            if let Ok(object @ Value::Object(_)) = serde_json::from_str::<Value>(&body) {
                assert_eq!(origin(&json!({"response_body": object})), Some(expected), "{object}");
            }
        }
    }
}

#[test]
fn a_success_that_quotes_an_error_is_no_error() {
    let quote = "{\"error\":{\"message\":\"internal error\"}} may cause temporary errors";
    let answer =
        json!({"id": "r", "object": "response", "error": null, "output": [{"text": quote}]});
    let delta = json!({"type": "response.output_text.delta", "delta": quote});
    let completed =
        json!({"type": "response.completed", "response": {"error": null, "output": [quote]}});
    let streamed = sse(&[("response.output_text.delta", delta), ("response.completed", completed)]);
    for body in [answer.clone(), json!(answer.to_string()), json!(streamed), json!("")] {
        assert_eq!(of(&json!({"response_body": body})), None, "{body}");
        assert_eq!(of(&json!({"response_body": body, "status": 200})), None, "{body}");
    }
    assert_eq!(of(&json!({"response_body": "internal error", "status": 200})), None);
    assert_eq!(of(&json!({})), None);
}

#[test]
fn a_record_of_version_1_says_its_origin_itself() {
    let error = json!({"origin": "network", "code": "proxy_upstream_failed", "message": "upstream request failed"});
    let record = json!({"origin": "proxy", "status": 502, "error": error, "response_body": "{}"});
    assert_eq!(of(&record), Some((Origin::Network, "proxy_upstream_failed".to_owned())));
    let success = json!({"origin": "openai", "status": 200, "error": null, "response_body": "internal error"});
    assert_eq!(of(&success), None);
    let odd = json!({"origin": "openai", "status": 500, "error": null, "response_body": ""});
    assert_eq!(of(&odd), Some((Origin::Openai, "http_500".to_owned())));
}

#[test]
fn a_status_makes_an_error_of_a_body_without_a_shape() {
    assert_eq!(
        origin(&json!({"status": 502, "response_body": "<html>cloudflare</html>"})),
        Some(Origin::Openai)
    );
    assert_eq!(origin(&json!({"status": 500, "response_body": ""})), Some(Origin::Openai));
    assert_eq!(
        origin(&json!({"status": 503, "response_body": {"detail": "x"}})),
        Some(Origin::Openai)
    );
}

#[test]
fn an_old_record_without_an_id_is_named_by_its_key() {
    let view = RecordView::default();
    let exchange = classify(&view, "logs/x.json", Timestamp::UNIX_EPOCH);
    assert_eq!(exchange.exchange_id.len(), "old_".len() + 64);
    assert_eq!(exchange.exchange_id, classify(&view, "logs/x.json", Timestamp::MAX).exchange_id);
}

#[test]
fn what_a_model_said_before_its_answer_failed_is_not_the_error() {
    let quoting = json!({"object": "response", "status": "incomplete", "output": [{"text": "internal error"}]});
    let error = json!({"origin": "openai", "code": "max_output_tokens", "message": "incomplete: max_output_tokens"});
    let record = json!({"status": 200, "origin": "openai", "error": error, "response_body": quoting.to_string()}).to_string();
    let view = RecordView::parse(record.as_bytes()).expect("an object");
    let searched = classify(&view, "logs/x.json", Timestamp::UNIX_EPOCH).searched;
    assert!(searched.contains("max_output_tokens") && !searched.contains("internal error"));
}

#[test]
fn a_list_is_no_error_object() {
    assert_eq!(origin(&json!({"response_body": ["internal error"]})), None);
    assert_eq!(origin(&json!({"response_body": "[\"internal error\", 1]"})), None);
    let stream = "data: [\"response.failed\", {\"error\": \"internal error\"}]\n\n";
    assert_eq!(origin(&json!({"response_body": stream})), None);
}

#[test]
fn a_quote_is_found_however_the_body_escapes_it() {
    let searched = |body: Value| {
        let record = json!({"response_body": body}).to_string();
        let view = RecordView::parse(record.as_bytes()).expect("an object");
        classify(&view, "logs/x.json", Timestamp::UNIX_EPOCH).searched
    };
    let body = r#"{"id":"r","output":"We\u2019re\n\"b\u0075sy\" C:\\\\x \\u12 \ud83e"}"#
        .replace("\\\\", "\\");
    assert!(searched(json!(body)).contains("we're \"busy\" c:\\x"), "{}", searched(json!(body)));
    assert!(searched(json!({"id": "r", "output": "a\nb"})).contains("\"a b\""));
}
