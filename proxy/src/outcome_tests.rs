//! Every row of the table of outcomes, as one line.

use super::*;

fn openai_said(status: u16) -> Seen<'static> {
    Seen {
        answered: Answered::Openai {
            status,
            has_request_id: true,
            has_cf_ray: true,
            may_have_body: true,
        },
        end: End::Clean,
        shape: if status == 200 { Shape::Events } else { Shape::Json },
        terminal: None,
        body_error: None,
        owes_terminal: status == 200,
    }
}

fn edge(status: u16, shape: Shape) -> Seen<'static> {
    let answered =
        Answered::Openai { status, has_request_id: false, has_cf_ray: true, may_have_body: true };
    Seen { answered, shape, ..openai_said(status) }
}

/// `origin error.origin error.code error.detail ending`
fn line(seen: &Seen<'_>) -> String {
    let outcome = classify(seen);
    let name = |value| serde_json::to_value(value).expect("a name");
    let origin = name(serde_json::json!(outcome.origin));
    let ending = name(serde_json::json!(outcome.ending));
    let error = outcome.error.map_or("-".to_owned(), |e| {
        format!("{} {} {}", e.origin, e.code, e.detail.as_deref().unwrap_or("-"))
    });
    format!("{} {error} {}", origin.as_str().unwrap_or(""), ending.as_str().unwrap_or(""))
}

#[test]
fn every_row_of_the_table_has_its_outcome() {
    let said = BodyError {
        code: Some("overloaded".to_owned()),
        kind: Some("server_error".to_owned()),
        message: "busy".to_owned(),
    };
    let only_type = BodyError { code: None, ..said.clone() };
    let [completed, failed, event, incomplete] = [
        Terminal::Completed,
        Terminal::Failed(said.clone()),
        Terminal::ErrorEvent(said.clone()),
        Terminal::Incomplete("max_output_tokens".to_owned()),
    ];
    let ok = openai_said(200);
    let with = |terminal| Seen { terminal: Some(terminal), ..ok.clone() };
    let ended = |end| Seen { end, ..ok.clone() };
    let proxy = |code, detail| Seen { answered: Answered::Proxy { code, detail }, ..ok.clone() };
    let nobody = |end| Seen { answered: Answered::Nobody, end, ..ok.clone() };
    let error = |error| Seen { body_error: Some(error), ..openai_said(503) };
    let plain = Seen { owes_terminal: false, ..ok.clone() };

    for (seen, expected) in [
        (with(&completed), "openai - complete"),
        (plain.clone(), "openai - complete"),
        (error(&said), "openai openai overloaded - complete"),
        (error(&only_type), "openai openai server_error - complete"),
        (openai_said(500), "openai openai http_500 - complete"),
        (edge(502, Shape::Html), "openai openai_edge edge_502 - complete"),
        (edge(520, Shape::Empty), "openai openai_edge edge_520 - complete"),
        (edge(200, Shape::Html), "openai openai_edge edge_200 - complete"),
        (edge(502, Shape::Json), "openai openai http_502 - complete"),
        (with(&failed), "openai openai overloaded response.failed complete"),
        (with(&event), "openai openai overloaded error complete"),
        (with(&incomplete), "openai openai max_output_tokens response.incomplete complete"),
        (ok.clone(), "openai openai upstream_cut http_response_incomplete upstream_cut"),
        (ended(End::Abrupt), "openai openai upstream_cut http_response_incomplete upstream_cut"),
        (
            Seen { end: End::Abrupt, ..plain },
            "openai openai upstream_cut http_response_incomplete upstream_cut",
        ),
        (ended(End::Silent), "openai openai upstream_idle http_response_timeout upstream_cut"),
        (
            proxy(ErrorCode::UpstreamFailed, Some("dns_error".into())),
            "proxy network proxy_upstream_failed dns_error complete",
        ),
        (proxy(ErrorCode::InvalidToken, None), "proxy proxy proxy_invalid_token - complete"),
        (ended(End::ClientLeft), "openai client client_closed - client_closed"),
        (nobody(End::ClientLeft), "proxy client client_closed - client_closed"),
        (ended(End::Deadline), "openai aws deadline - deadline"),
        (ended(End::ProxyDied), "openai proxy interrupted - interrupted"),
        (nobody(End::ProxyDied), "proxy proxy interrupted - interrupted"),
        // Once the terminal event went on, nothing that follows can spoil the exchange.
        (Seen { end: End::ClientLeft, ..with(&completed) }, "openai - complete"),
        (Seen { end: End::Abrupt, ..with(&completed) }, "openai - complete"),
        (
            Seen { end: End::ClientLeft, ..with(&failed) },
            "openai openai overloaded response.failed complete",
        ),
        // An error that was cut short is still OpenAI's error.
        (Seen { end: End::ClientLeft, ..error(&said) }, "openai openai overloaded - client_closed"),
    ] {
        assert_eq!(line(&seen), expected, "{seen:?}");
    }
}

#[test]
fn an_empty_answer_that_may_be_empty_is_no_failure_of_the_edge() {
    let mut head = edge(200, Shape::Empty);
    if let Answered::Openai { may_have_body, .. } = &mut head.answered {
        *may_have_body = false;
    }
    head.owes_terminal = false;
    assert_eq!(line(&head), "openai - complete");
}
