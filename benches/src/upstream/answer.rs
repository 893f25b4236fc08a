//! The response to a request.
//!
//! What was asked comes in, and a fault if one was chosen; a response goes out, or the error that
//! makes hyper close the connection without one. Whether OpenAI or the edge in front of it speaks
//! shows in the headers, as it does with the real ones.

use std::{io, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE},
};
use serde_json::{Value, json};

use super::{
    asked::{Asked, Delivery, Dialect},
    chat,
    fault::{Act, Fault, Last, Limit},
    random,
    refusal::ErrorBody,
    responses,
    stamp::Stamp,
    story::{CREATED_AT, Story, pretty},
};
use crate::body::{Body, Ending};

const JSON: &str = "application/json";
const EVENT_STREAM: &str = "text/event-stream; charset=utf-8";
const HTML: &str = "text/html; charset=UTF-8";

const TEXT: &str = "Hello from the fake upstream. This answer comes in several pieces.";
const MODELS: [&str; 3] = ["gpt-5.5", "gpt-5.5-codex", "gpt-5.5-mini"];

pub(crate) async fn answer(asked: &Asked, stamp: &Stamp) -> io::Result<Response<Body>> {
    let Some(name) = &asked.fault else {
        return Ok(by_path(asked, stamp));
    };
    let Some(fault) = Fault::named(name) else {
        let error = ErrorBody::unknown_fault(name);
        return Ok(refuse(stamp, StatusCode::BAD_REQUEST, Limit::Room, &error));
    };
    by_fault(fault.act, asked, stamp).await
}

/// The answer of an OpenAI in good health.
fn by_path(asked: &Asked, stamp: &Stamp) -> Response<Body> {
    if asked.method == Method::HEAD {
        return openai(stamp, JSON, Body::new([], Ending::Finish));
    }
    if asked.method == Method::GET && asked.path == "/v1/models" {
        return whole(StatusCode::OK, stamp.openai(Limit::Room), JSON, pretty(&models()));
    }
    if asked.dialect.is_none() {
        let message = format!("Invalid URL ({} {})", asked.method, asked.path);
        return refuse(stamp, StatusCode::NOT_FOUND, Limit::Room, &ErrorBody::invalid(message));
    }
    if !asked.readable {
        let error = ErrorBody::invalid("We could not parse the JSON body of your request.");
        return refuse(stamp, StatusCode::BAD_REQUEST, Limit::Room, &error);
    }
    turn(asked, stamp, TEXT, Last::Completed, Ending::Finish)
}

async fn by_fault(act: Act, asked: &Asked, stamp: &Stamp) -> io::Result<Response<Body>> {
    let good = |text| turn(asked, stamp, text, Last::Completed, Ending::Finish);
    let delay = |default_ms| asked.delay.unwrap_or(Duration::from_millis(default_ms));
    Ok(match act {
        Act::Refuse(refusal) => {
            let error = ErrorBody::of(&refusal, &asked.model);
            refuse(stamp, status(refusal.status), refusal.limit, &error)
        }
        Act::Empty { status: code } => {
            whole(status(code), stamp.openai(Limit::Room), JSON, String::new())
        }
        Act::Edge { status: code, page } => {
            whole(status(code), stamp.edge(), HTML, page.to_owned())
        }
        Act::Turn { last, ending } => turn(asked, stamp, TEXT, last, ending),
        Act::HeadersOnly => openai(stamp, EVENT_STREAM, Body::new([], Ending::Silence)),
        Act::SlowFirstByte { default_ms } => {
            tokio::time::sleep(delay(default_ms)).await;
            good(TEXT)
        }
        Act::SlowStream { default_ms } => good(TEXT).map(|body| body.with_gap(delay(default_ms))),
        Act::Reset => return Err(io::ErrorKind::ConnectionReset.into()),
        Act::HalfJson => half_json(asked, stamp),
        Act::Say { text } => good(text),
        Act::Repeat { sentence, times } => {
            let answer = good(&sentence.repeat(times));
            match asked.delay {
                Some(gap) => answer.map(|body| body.with_gap(gap)),
                None => answer,
            }
        }
        Act::EchoAuthorization => {
            good(&format!("The Authorization header was: {}", asked.authorization))
        }
        Act::Random => {
            let body = random::random_body(asked.seed, asked.random_bytes);
            let pieces = random::random_pieces(asked.seed, body);
            openai(stamp, EVENT_STREAM, Body::new(pieces, Ending::Finish))
        }
    })
}

/// An answer that begins well, in the API and the delivery that were asked for.
///
/// An end that an unstreamed answer cannot tell comes in the middle of its JSON.
fn turn(asked: &Asked, stamp: &Stamp, text: &str, last: Last, ending: Ending) -> Response<Body> {
    let story = Story { id: &stamp.id, model: &asked.model, text, last };
    if asked.delivery == Delivery::Stream {
        let pieces = match asked.dialect {
            Some(Dialect::Chat) => chat::chunks(&story, asked.usage_chunk),
            Some(Dialect::Responses) | None => responses::events(&story),
        };
        return openai(stamp, EVENT_STREAM, Body::new(pieces, ending));
    }
    let json = object(asked, &story);
    match (json, ending) {
        (Some(json), Ending::Finish) => {
            whole(StatusCode::OK, stamp.openai(Limit::Room), JSON, json)
        }
        (Some(json), ending) => openai(stamp, JSON, Body::new([json.into()], ending)),
        (None, ending) => {
            let half = first_half(good_object(asked, stamp));
            openai(stamp, JSON, Body::new([half], ending))
        }
    }
}

fn half_json(asked: &Asked, stamp: &Stamp) -> Response<Body> {
    let json = good_object(asked, stamp);
    let promised = HeaderValue::from(json.len());
    let mut response = openai(stamp, JSON, Body::new([first_half(json)], Ending::Break));
    response.headers_mut().insert(CONTENT_LENGTH, promised);
    response
}

fn good_object(asked: &Asked, stamp: &Stamp) -> String {
    let story = Story { id: &stamp.id, model: &asked.model, text: TEXT, last: Last::Completed };
    object(asked, &story).expect("a completed answer has an object")
}

fn object(asked: &Asked, story: &Story) -> Option<String> {
    match asked.dialect {
        Some(Dialect::Chat) => chat::object(story),
        Some(Dialect::Responses) | None => responses::object(story),
    }
}

fn first_half(json: String) -> Bytes {
    let mut bytes = Bytes::from(json);
    bytes.truncate(bytes.len() / 2);
    bytes
}

fn models() -> Value {
    let model =
        |id| json!({ "id": id, "object": "model", "created": CREATED_AT, "owned_by": "openai" });
    json!({ "object": "list", "data": MODELS.map(model) })
}

/// Status 200 from OpenAI, with a body whose length is not told beforehand.
fn openai(stamp: &Stamp, content_type: &'static str, body: Body) -> Response<Body> {
    respond(StatusCode::OK, stamp.openai(Limit::Room), content_type, body)
}

fn refuse(stamp: &Stamp, status: StatusCode, limit: Limit, error: &ErrorBody) -> Response<Body> {
    whole(status, stamp.openai(limit), JSON, error.json())
}

fn whole(
    status: StatusCode,
    mut headers: HeaderMap,
    content_type: &'static str,
    text: String,
) -> Response<Body> {
    headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
    let pieces = (!text.is_empty()).then(|| Bytes::from(text));
    respond(status, headers, content_type, Body::new(pieces, Ending::Finish))
}

fn respond(
    status: StatusCode,
    headers: HeaderMap,
    content_type: &'static str,
    body: Body,
) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).expect("the table of faults holds valid status codes")
}
