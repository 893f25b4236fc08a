//! The fake upstream, seen by a client that keeps to the bytes.

use std::{collections::BTreeSet, time::Duration};

use benches::upstream::{
    BYTES_HEADER, DELAY_HEADER, FAULT_HEADER, FAULTS, FakeOpenAi, SEED_HEADER, TOKENS, random_body,
};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};

const RESPONSES: &str = "/v1/responses";
const CHAT: &str = "/v1/chat/completions";
/// Longer than any answer takes that is not silent on purpose.
const PATIENCE: Duration = Duration::from_secs(10);
/// Long enough to see that an answer does not end.
const IMPATIENCE: Duration = Duration::from_millis(20);
const SILENT: [&str; 4] = ["failed-open", "idle", "idle-after-headers", "completed-open"];

async fn send(
    upstream: &FakeOpenAi,
    method: Method,
    path: &str,
    headers: &[(&'static str, &str)],
    body: &Value,
) -> hyper::Result<Response<Incoming>> {
    let address = upstream.url().strip_prefix("http://").expect("the URL is plain").to_owned();
    let stream = TcpStream::connect(address).await.expect("the upstream listens");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", "upstream");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Full::new(Bytes::from(body.to_string()));
    sender.send_request(request.body(body).expect("the request is valid")).await
}

async fn ask(
    upstream: &FakeOpenAi,
    fault: &str,
    stream: bool,
) -> hyper::Result<Response<Incoming>> {
    let headers = [(FAULT_HEADER, fault), ("authorization", "Bearer token-of-a-test")];
    let headers = if fault.is_empty() { &headers[1..] } else { &headers };
    send(upstream, Method::POST, RESPONSES, headers, &json!({ "model": "m", "stream": stream }))
        .await
}

/// Collects what arrives, and how the body ends.
async fn read(response: Response<Incoming>) -> (Vec<u8>, hyper::Result<()>) {
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(&frame.into_data().expect("no trailers")),
            Err(error) => return (bytes, Err(error)),
        }
    }
    (bytes, Ok(()))
}

async fn read_whole(response: Response<Incoming>) -> String {
    let (bytes, end) = read(response).await;
    end.expect("the body is complete");
    String::from_utf8(bytes).expect("the body is UTF-8")
}

async fn read_json(response: Response<Incoming>) -> Value {
    serde_json::from_str(&read_whole(response).await).expect("the body is JSON")
}

/// Splits a stream of Responses events; `event:` has to repeat the data's type.
fn events(stream: &str) -> Vec<Value> {
    assert!(stream.is_empty() || stream.ends_with("\n\n"), "the last event is whole");
    let event = |block: &str| {
        let (name, data) = block.split_once('\n').expect("two lines an event");
        let data = data.strip_prefix("data: ").expect("the second line is data");
        let data: Value = serde_json::from_str(data).expect("the data is JSON");
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
        data
    };
    stream.split_terminator("\n\n").map(event).collect()
}

fn request_id(headers: &HeaderMap) -> &str {
    headers["x-request-id"].to_str().expect("an id is text")
}

#[tokio::test]
async fn a_streamed_answer_ends_in_response_completed() {
    let upstream = FakeOpenAi::start().await.unwrap();
    let response = ask(&upstream, "", true).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    let events = events(&read_whole(response).await);

    let mut names: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    names.dedup();
    assert_eq!(
        names,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    assert!(events.iter().enumerate().all(|(at, event)| event["sequence_number"] == at));

    let deltas: Vec<_> = events.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert!(deltas.len() > 1);
    let response = &events.last().unwrap()["response"];
    assert_eq!(response["output"][0]["content"][0]["text"], deltas.concat());
    assert_eq!(response["id"], events[0]["response"]["id"]);
    assert_eq!(response["status"], "completed");
    assert_eq!(response["model"], "m");
    assert_eq!(response["usage"]["input_tokens_details"]["cached_tokens"], TOKENS.cached_input);
    assert_eq!(response["usage"]["total_tokens"], TOKENS.total());
}

#[tokio::test]
async fn an_unstreamed_answer_is_one_completed_response() {
    let upstream = FakeOpenAi::start().await.unwrap();
    let response = ask(&upstream, "", false).await.unwrap();
    assert!(response.headers().contains_key("content-length"));
    let response = read_json(response).await;
    assert_eq!(response["status"], "completed");
    assert_eq!(response["error"], Value::Null);
    assert_eq!(response["usage"]["output_tokens_details"]["reasoning_tokens"], TOKENS.reasoning);
}

#[tokio::test]
async fn chat_chunks_end_in_the_usage_that_was_asked_for() {
    let upstream = FakeOpenAi::start().await.unwrap();
    for include_usage in [false, true] {
        let body = json!({ "stream": true, "stream_options": { "include_usage": include_usage } });
        let response = send(&upstream, Method::POST, CHAT, &[], &body).await.unwrap();
        let stream = read_whole(response).await;
        let mut chunks: Vec<_> = stream.split_terminator("\n\n").collect();
        assert_eq!(chunks.pop(), Some("data: [DONE]"));
        let last: Value = serde_json::from_str(&chunks.pop().unwrap()["data: ".len()..]).unwrap();
        assert_eq!(last["object"], "chat.completion.chunk");
        if include_usage {
            assert_eq!(last["choices"], json!([]));
            assert_eq!(last["usage"]["completion_tokens"], TOKENS.output);
        } else {
            assert_eq!(last["choices"][0]["finish_reason"], "stop");
            assert_eq!(last.get("usage"), None);
        }
    }
}

#[tokio::test]
async fn an_unstreamed_chat_answer_is_one_completion() {
    let upstream = FakeOpenAi::start().await.unwrap();
    let response = send(&upstream, Method::POST, CHAT, &[], &json!({})).await.unwrap();
    let completion = read_json(response).await;
    assert_eq!(completion["object"], "chat.completion");
    assert_eq!(completion["choices"][0]["finish_reason"], "stop");
    assert_eq!(completion["usage"]["prompt_tokens_details"]["cached_tokens"], TOKENS.cached_input);
}

#[tokio::test]
async fn the_list_of_models_and_head_requests_are_answered() {
    let upstream = FakeOpenAi::start().await.unwrap();
    let models = send(&upstream, Method::GET, "/v1/models", &[], &json!("")).await.unwrap();
    assert_eq!(read_json(models).await["object"], "list");
    let head = send(&upstream, Method::HEAD, "/any/path", &[], &json!("")).await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    assert_eq!(read_whole(head).await, "");
}

#[tokio::test]
async fn an_unknown_path_is_an_invalid_url() {
    let upstream = FakeOpenAi::start().await.unwrap();
    let response = send(&upstream, Method::POST, "/responses", &[], &json!({})).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let message = &read_json(response).await["error"]["message"];
    assert_eq!(message, "Invalid URL (POST /responses)");
}

#[tokio::test]
async fn openai_marks_each_answer_with_an_id_of_its_own_and_the_edge_does_not() {
    let upstream = FakeOpenAi::start().await.unwrap();
    let mut ids = BTreeSet::new();
    for fault in ["", "http-400", "http-500-empty", "failed", "empty-200"] {
        let response = ask(&upstream, fault, true).await.unwrap();
        let headers = response.headers();
        let digits = request_id(headers).strip_prefix("req_").unwrap();
        assert!(digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        assert!(headers["cf-ray"].to_str().unwrap().ends_with("-FRA"));
        assert_eq!(headers["openai-version"], "2020-10-01");
        assert!(ids.insert(digits.to_owned()));
    }
    for fault in ["edge-502", "edge-520", "html-200"] {
        let response = ask(&upstream, fault, true).await.unwrap();
        assert!(response.headers().contains_key("cf-ray"));
        let from_openai = |name: &str| name.starts_with("openai-") || name == "x-request-id";
        assert!(!response.headers().keys().any(|name| from_openai(name.as_str())));
    }
}

#[tokio::test]
async fn every_fault_answers_without_hanging_unless_silence_is_the_fault() {
    let upstream = FakeOpenAi::start().await.unwrap();
    let once = async |fault: &'static str, path, stream| {
        let headers = [(FAULT_HEADER, fault), (DELAY_HEADER, "1")];
        let body = json!({ "stream": stream });
        let Ok(response) = send(&upstream, Method::POST, path, &headers, &body).await else {
            assert_eq!(fault, "reset");
            return;
        };
        let (_, end) = read(response).await;
        let broken = ["cut-abrupt", "cut-json"].contains(&fault);
        assert_eq!(end.is_err(), broken, "{fault} {path} stream: {stream}");
    };
    for fault in FAULTS {
        for path in [RESPONSES, CHAT] {
            for stream in [true, false] {
                let silent = SILENT.contains(&fault.name);
                let limit = if silent { IMPATIENCE } else { PATIENCE };
                let hung = timeout(limit, once(fault.name, path, stream)).await.is_err();
                assert_eq!(hung, silent, "{} {path} stream: {stream}", fault.name);
            }
        }
    }
}

#[tokio::test]
async fn fault_names_are_unique_and_an_unknown_one_is_told_them_all() {
    let names: BTreeSet<_> = FAULTS.iter().map(|fault| fault.name).collect();
    assert_eq!(names.len(), FAULTS.len());
    let upstream = FakeOpenAi::start().await.unwrap();
    let response = ask(&upstream, "no-such-fault", true).await.unwrap();
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let error = read_whole(response).await;
    assert!(names.into_iter().all(|name| error.contains(name)));
}

#[tokio::test]
async fn the_model_chooses_a_fault_unless_the_header_does() {
    let upstream = FakeOpenAi::start().await.unwrap();
    let body = json!({ "model": "fault-http-503" });
    let by_model = send(&upstream, Method::POST, RESPONSES, &[], &body).await.unwrap();
    assert_eq!(by_model.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(read_json(by_model).await["error"]["code"], "server_is_overloaded");
    let header = [(FAULT_HEADER, "http-404")];
    let by_header = send(&upstream, Method::POST, RESPONSES, &header, &body).await.unwrap();
    assert_eq!(by_header.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_spent_rate_limit_says_when_to_come_again() {
    let upstream = FakeOpenAi::start().await.unwrap();
    let response = ask(&upstream, "http-429", true).await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "2");
    assert_eq!(response.headers()["x-ratelimit-remaining-tokens"], "0");
    assert_eq!(read_json(response).await["error"]["type"], "tokens");
}

#[tokio::test]
async fn a_failure_in_the_stream_names_the_request_id_of_its_headers() {
    let upstream = FakeOpenAi::start().await.unwrap();
    let response = ask(&upstream, "failed", true).await.unwrap();
    let id = request_id(response.headers()).to_owned();
    let events = events(&read_whole(response).await);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.failed");
    assert_eq!(last["response"]["status"], "failed");
    assert_eq!(last["response"]["error"]["code"], "server_error");
    assert!(last["response"]["error"]["message"].as_str().unwrap().contains(&id));
}

#[tokio::test]
async fn an_error_event_comes_flat_or_nested() {
    let upstream = FakeOpenAi::start().await.unwrap();
    let mut last = Vec::new();
    for fault in ["error-event", "error-event-nested"] {
        let response = ask(&upstream, fault, true).await.unwrap();
        last.extend(events(&read_whole(response).await).pop());
    }
    assert_eq!(last[0]["message"], "The model is overloaded.");
    assert_eq!(last[1]["error"]["message"], "The model is overloaded.");
}

#[tokio::test]
async fn an_incomplete_answer_says_why() {
    let upstream = FakeOpenAi::start().await.unwrap();
    let response = ask(&upstream, "incomplete-content-filter", true).await.unwrap();
    let events = events(&read_whole(response).await);
    let last = events.last().unwrap();
    assert_eq!(last["type"], "response.incomplete");
    assert_eq!(last["response"]["incomplete_details"]["reason"], "content_filter");
}

#[tokio::test]
async fn a_clean_cut_ends_the_body_and_an_abrupt_one_breaks_it() {
    let upstream = FakeOpenAi::start().await.unwrap();
    let clean = read(ask(&upstream, "cut-clean", true).await.unwrap()).await;
    let abrupt = read(ask(&upstream, "cut-abrupt", true).await.unwrap()).await;
    assert!(clean.1.is_ok());
    assert!(abrupt.1.is_err());
    for bytes in [clean.0, abrupt.0] {
        let events = events(std::str::from_utf8(&bytes).unwrap());
        assert_eq!(events.last().unwrap()["type"], "response.output_text.delta");
    }
}

#[tokio::test]
async fn half_a_json_body_breaks_its_promise_of_length() {
    let upstream = FakeOpenAi::start().await.unwrap();
    let response = ask(&upstream, "cut-json", false).await.unwrap();
    let promised: usize = response.headers()["content-length"].to_str().unwrap().parse().unwrap();
    let (bytes, end) = read(response).await;
    assert_eq!(bytes.len(), promised / 2);
    assert!(end.is_err());
}

#[tokio::test]
async fn a_slow_first_byte_takes_as_long_as_asked() {
    let upstream = FakeOpenAi::start().await.unwrap();
    let headers = [(FAULT_HEADER, "slow-first-byte"), (DELAY_HEADER, "40")];
    let begin = Instant::now();
    send(&upstream, Method::POST, RESPONSES, &headers, &json!({})).await.unwrap();
    assert!(begin.elapsed() >= Duration::from_millis(40));
}

#[tokio::test]
async fn credentials_and_error_messages_can_stand_in_a_good_answer() {
    let upstream = FakeOpenAi::start().await.unwrap();
    let echo = read_json(ask(&upstream, "echo-authorization", false).await.unwrap()).await;
    let quote = read_json(ask(&upstream, "quote", false).await.unwrap()).await;
    let text = |answer: &Value| answer["output"][0]["content"][0]["text"].to_string();
    assert!(text(&echo).contains("Bearer token-of-a-test"));
    assert!(text(&quote).contains("We're currently experiencing high demand"));
    assert_eq!(quote["status"], "completed");
}

#[tokio::test]
async fn a_random_body_can_be_computed_from_its_seed() {
    let upstream = FakeOpenAi::start().await.unwrap();
    let headers = [(FAULT_HEADER, "random"), (SEED_HEADER, "7"), (BYTES_HEADER, "200000")];
    let response = send(&upstream, Method::POST, RESPONSES, &headers, &json!({})).await.unwrap();
    let (bytes, end) = read(response).await;
    end.unwrap();
    assert_eq!(bytes.len(), 200_000);
    assert!(bytes == random_body(7, 200_000), "the same bytes");
    assert!(bytes != random_body(8, 200_000), "another seed, other bytes");

    let text = std::str::from_utf8(&bytes).unwrap();
    let (noise, last) = text.trim_end().rsplit_once("\n\n").unwrap();
    assert!(noise.is_ascii());
    assert_eq!(events(&format!("{last}\n\n"))[0]["type"], "response.completed");
}

#[tokio::test]
async fn a_hang_up_of_the_client_closes_the_stream_here() {
    let upstream = FakeOpenAi::start().await.unwrap();
    let mut response = ask(&upstream, "idle", true).await.unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(upstream.open_streams(), 1);
    drop(response);
    let closed = async {
        while upstream.open_streams() > 0 {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, closed).await.expect("the hang-up arrives");
}

#[tokio::test]
async fn requests_are_remembered_in_order() {
    let upstream = FakeOpenAi::start().await.unwrap();
    let path = "/v1/responses?a=%2F";
    for turn in ["first", "second"] {
        let headers = [("x-turn", turn)];
        send(&upstream, Method::POST, path, &headers, &json!({ "turn": turn })).await.unwrap();
    }
    let requests = upstream.requests();
    assert_eq!(requests.len(), 2);
    for (request, turn) in requests.iter().zip(["first", "second"]) {
        assert_eq!(request.method, Method::POST);
        assert_eq!(request.path_and_query, path);
        assert_eq!(request.headers["x-turn"], turn);
        assert_eq!(request.body, json!({ "turn": turn }).to_string());
    }
}

#[tokio::test]
async fn dropping_the_upstream_closes_its_port_for_the_next_one() {
    let upstream = FakeOpenAi::start().await.unwrap();
    let url = upstream.url();
    let mut response = ask(&upstream, "idle", true).await.unwrap();
    drop(upstream);
    let ended = async { while let Some(Ok(_)) = response.body_mut().frame().await {} };
    timeout(PATIENCE, ended).await.expect("the open stream breaks");
    let address = url.strip_prefix("http://").unwrap().parse().unwrap();
    assert_eq!(FakeOpenAi::start_on(address).await.unwrap().url(), url);
}

#[tokio::test]
async fn an_address_that_others_can_reach_is_refused() {
    assert!(FakeOpenAi::start_on("0.0.0.0:0".parse().unwrap()).await.is_err());
}

#[tokio::test]
async fn the_long_answer_has_200_events_or_one_object() {
    let upstream = FakeOpenAi::start().await.unwrap();
    let events = read_whole(ask(&upstream, "long", true).await.unwrap()).await;
    assert_eq!(events.matches("event: ").count(), 200);
    assert!((45_000..52_000).contains(&events.len()), "{} bytes", events.len());
    let object = read_whole(ask(&upstream, "long", false).await.unwrap()).await;
    assert!((2_000..3_000).contains(&object.len()), "{} bytes", object.len());
}
