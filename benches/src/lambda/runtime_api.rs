//! The Runtime API and the Extensions API of one environment.
//!
//! A request of the process comes in; what it means for the environment is decided there. An error
//! returned from here breaks the connection.

use std::{io, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    body::Incoming,
    service::{Service, service_fn},
};
use serde_json::{Value, json};

use super::{
    environment::Environment,
    function::{ARN, NAME},
    invocation::Outcome,
    order::{Moment, Order},
    response,
};

pub(super) type Answer = Response<Full<Bytes>>;

/// Makes the API of `environment`; each connection holds one `connection` more.
pub(super) fn service(
    environment: Arc<Environment>,
    connection: Arc<()>,
) -> impl Service<Request<Incoming>, Response = Answer, Error = io::Error, Future: Send>
+ Clone
+ Send
+ 'static {
    service_fn(move |request| {
        let environment = Arc::clone(&environment);
        let connection = Arc::clone(&connection);
        async move {
            let answer = serve(&environment, request).await;
            drop(connection);
            answer
        }
    })
}

async fn serve(environment: &Arc<Environment>, request: Request<Incoming>) -> io::Result<Answer> {
    let path = request.uri().path().to_owned();
    let steps: Vec<_> = path.split('/').skip(1).collect();
    match (request.method(), &steps[..]) {
        (&Method::GET, ["2018-06-01", "runtime", "invocation", "next"]) => {
            next_invocation(environment).await
        }
        (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "response"]) => {
            response::take_in(environment, id, request).await
        }
        (&Method::POST, ["2018-06-01", "runtime", "invocation", id, "error"]) => {
            let error = text(request).await?;
            let Some(call) = environment.call(id) else { return Ok(unknown_invocation()) };
            call.reply(Outcome::Failed(error));
            drop(call.take_parts());
            Ok(accepted())
        }
        (
            &Method::POST,
            ["2018-06-01", "runtime", "init", "error"]
            | ["2020-01-01", "extension", "init" | "exit", "error"],
        ) => {
            environment.note_error(text(request).await?);
            Ok(accepted())
        }
        (&Method::POST, ["2020-01-01", "extension", "register"]) => {
            register(environment, request).await
        }
        (&Method::GET, ["2020-01-01", "extension", "event", "next"]) => {
            let id = header(request.headers(), "lambda-extension-identifier").to_owned();
            Ok(match environment.next_notice(&id).await {
                Some(notice) => answer(StatusCode::OK, &notice),
                None => refused("Extension.UnknownExtensionIdentifier"),
            })
        }
        _ => Ok(answer(StatusCode::NOT_FOUND, &json!({"errorMessage": "no such path"}))),
    }
}

async fn next_invocation(environment: &Environment) -> io::Result<Answer> {
    let call = environment.next_invocation().await;
    if call.order == Some(Order::Kill(Moment::Delivered)) {
        environment.end(Outcome::Killed);
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    let deadline_ms = call.seen().deadline_ms.unwrap_or_default();
    let mut answer = Response::new(Full::new(call.event.clone()));
    for (name, value) in [
        ("content-type", "application/json"),
        ("lambda-runtime-aws-request-id", &call.request_id),
        ("lambda-runtime-deadline-ms", &deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", ARN),
        ("lambda-runtime-trace-id", &call.trace),
    ] {
        insert(&mut answer, name, value);
    }
    Ok(answer)
}

async fn register(environment: &Environment, request: Request<Incoming>) -> io::Result<Answer> {
    let name = header(request.headers(), "lambda-extension-name").to_owned();
    let features = header(request.headers(), "lambda-extension-accept-feature").to_owned();
    let wishes: Value = serde_json::from_str(&text(request).await?).unwrap_or_default();
    let events = wishes["events"].as_array().map(Vec::as_slice).unwrap_or_default();
    let events: Vec<_> = events.iter().filter_map(Value::as_str).collect();
    if environment.leaves_extensions_unanswered() {
        return std::future::pending().await;
    }
    let Some(id) = environment.register(&name, &events) else {
        return Ok(refused("Extension.RegistrationError"));
    };
    let mut function =
        json!({"functionName": NAME, "functionVersion": "$LATEST", "handler": "bootstrap"});
    if features.contains("accountId") {
        function["accountId"] = "000000000000".into();
    }
    let mut answer = answer(StatusCode::OK, &function);
    insert(&mut answer, "lambda-extension-identifier", &id);
    Ok(answer)
}

pub(super) fn accepted() -> Answer {
    answer(StatusCode::ACCEPTED, &json!({"status": "OK"}))
}

pub(super) fn unknown_invocation() -> Answer {
    let error = json!({"errorType": "InvalidRequestID", "errorMessage": "no such invocation"});
    answer(StatusCode::BAD_REQUEST, &error)
}

fn refused(error_type: &str) -> Answer {
    answer(StatusCode::FORBIDDEN, &json!({"errorType": error_type, "errorMessage": "refused"}))
}

pub(super) fn answer(status: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = status;
    insert(&mut answer, "content-type", "application/json");
    answer
}

fn insert(answer: &mut Answer, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).expect("ids and numbers make header values");
    answer.headers_mut().insert(HeaderName::from_static(name), value);
}

pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

async fn text(request: Request<Incoming>) -> io::Result<String> {
    let body = request.into_body().collect().await.map_err(io::Error::other)?.to_bytes();
    Ok(String::from_utf8_lossy(&body).into_owned())
}
