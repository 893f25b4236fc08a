//! Texts as they stand in terminals, and what they must be taken for.

use super::*;

fn id(text: &str) -> &'static str {
    recognise(text).symptom.map_or("-", |symptom| symptom.id)
}

#[test]
fn decoration_of_every_kind_is_folded_away() {
    for text in [
        "We're currently experiencing high demand, which may cause temporary errors.",
        "We’re currently experiencing high demand, which may cause temporary errors.",
        "\u{1b}[31m■ We’re currently experiencing high\n  demand, which may cause\n  temporary errors.\u{1b}[0m",
        "ERROR: We're currently experiencing high demand, which may cause temporary errors.",
        "Reconnecting... 2/5 (We’re currently experiencing high demand, which may cause temporary errors.)",
        r#"{"type":"error","message":"We’re currently experiencing high demand, which may cause temporary errors."}"#,
        r#"{"type":"turn.failed","error":{"message":"We’re currently experiencing high demand, which may cause temporary errors."}}"#,
        "temporary errors",
        "high demand",
    ] {
        assert_eq!(id(text), "codex_high_demand", "{text}");
        assert_eq!(recognise(text).wanted.statuses, [500], "{text}");
    }
}

#[test]
fn every_text_that_codex_prints_finds_its_row() {
    for (text, expected) in [
        ("exceeded retry limit, last status: 429 Too Many Requests", "codex_retry_limit"),
        ("Selected model is at capacity. Please try a different model.", "codex_capacity"),
        ("rate limit exceeded: Rate limit reached for gpt-5.5", "openai_rate_limit"),
        ("rate limit exceeded: slow down", "openai_overloaded"),
        ("rate limit exceeded: whatever it says", "codex_rate_limit"),
        ("Codex ran out of room in the model’s context window.", "codex_context_window"),
        ("Quota exceeded. Check your plan and billing details.", "codex_quota"),
        ("You’ve hit your usage limit. Upgrade to Pro", "codex_usage_limit"),
        (
            "stream disconnected before completion: stream closed before response.completed",
            "codex_stream_closed",
        ),
        (
            "stream disconnected before completion: Transport error: network error: error decoding response body",
            "codex_body_cut",
        ),
        ("stream disconnected before completion: idle timeout waiting for SSE", "codex_idle"),
        (
            "stream disconnected before completion: error sending request for url (http://x/)",
            "codex_no_answer",
        ),
        ("stream disconnected before completion: The model is sorry", "codex_stream_message"),
        ("Incomplete response returned, reason: max_output_tokens", "codex_incomplete"),
        ("Missing environment variable: `OPENAI_API_KEY`.", "codex_missing_variable"),
        (
            "unexpected status 502 Bad Gateway: Internal Server Error, url: https://x.on.aws/v1/responses",
            "aws_crash",
        ),
        (
            "unexpected status 403 Forbidden: {\"Message\":\"Forbidden\"}, url: https://x.on.aws",
            "aws_forbidden",
        ),
        (
            "unexpected status 413 Payload Too Large: {\"Message\":\"Request must be smaller than 6291456 bytes\"}",
            "aws_too_large",
        ),
        (
            "unexpected status 401 Unauthorized: Incorrect API key provided: cpt_x, url: https://api.openai.com/v1/responses",
            "openai_bypassed",
        ),
        (
            "unexpected status 502 Bad Gateway: <html><center>cloudflare</center></html>, url: http://x",
            "openai_edge_page",
        ),
        (
            "unexpected status 504 Gateway Timeout: upstream request failed, url: x",
            "codex_unexpected_status",
        ),
        ("unexpected status 503 Service Unavailable", "codex_unexpected_status"),
        ("stream disconnected before completion", "codex_stream_disconnected"),
        ("something nobody has ever printed", "-"),
        // Pieces that stand in several texts, or in one by chance, tell nothing.
        ("unexpected status", "codex_unexpected_status"),
        ("502 Bad Gateway", "http_status"),
        ("HTTP 500", "http_status"),
        ("forbidden", "-"),
        ("try again", "-"),
        ("Payload Too Large", "-"),
    ] {
        assert_eq!(id(text), expected, "{text}");
    }
}

#[test]
fn a_status_line_carries_status_words_and_ids() {
    let line = "■ unexpected status 401 Unauthorized: invalid or disabled token, url: http://127.0.0.1:1/v1/responses, request id: cpx_01a200ea080c7b3e9f1c2d4a5b6c7d8e";
    let found = recognise(line);
    assert_eq!(found.author, Some(Origin::Proxy));
    assert_eq!(found.ours, Some(ErrorCode::InvalidToken));
    assert_eq!(found.wanted.statuses, [401]);
    assert_eq!(found.wanted.words, "invalid or disabled token");
    assert_eq!(found.ids, ["cpx_01a200ea080c7b3e9f1c2d4a5b6c7d8e"]);
    let empty = recognise("unexpected status 502 Bad Gateway: Unknown error, url: http://x");
    assert_eq!((empty.wanted.words.as_str(), empty.wanted.without_words), ("", true));
    assert!(empty.would_show_id());
    assert!(!recognise("unexpected status 502 Bad Gateway: ").would_show_id(), "not a whole line");
}

#[test]
fn our_own_messages_are_ours_and_only_whole() {
    assert_eq!(recognise("internal error").ours, Some(ErrorCode::Internal));
    assert_eq!(recognise("Upstream request failed").ours, Some(ErrorCode::UpstreamFailed));
    assert_eq!(recognise("an internal error occurred").ours, None);
    let body = r#"{"error":{"message":"malformed request","type":"proxy_error","code":"proxy_malformed_request","param":null}}"#;
    assert_eq!(recognise(body).ours, Some(ErrorCode::MalformedRequest));
    assert_eq!(recognise(body).author, Some(Origin::Proxy));
}

#[test]
fn a_raw_error_body_is_what_codex_prints_of_a_400() {
    let found = recognise(
        r#"{"error": {"message": "Unsupported parameter: 'x'", "type": "invalid_request_error"}}"#,
    );
    assert_eq!(found.author, Some(Origin::Openai));
    assert_eq!(found.wanted.statuses, [400]);
    assert_eq!(found.wanted.words, "unsupported parameter: 'x'");
}

#[test]
fn recognising_never_panics() {
    for text in
        ["", " ", "{", "{}", "[]", "\u{1b}", "\u{1b}[", "unexpected status", "é", "{\"error\":1}"]
    {
        let _ = recognise(text);
    }
}
