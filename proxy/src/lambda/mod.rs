//! The Lambda front: the same request path behind a Function URL that streams.
//!
//! The life of an invocation:
//!
//! ```text
//! event ─ request ─ Proxy::handle ─ prelude ─ body ─ last byte ─ runtime asks for the next event
//!                                               │        └─ record ─ PUT ─ extension asks too ─ freeze
//!                                               └─ deadline near: body ends, record is written
//! ```
//!
//! Nothing here returns an error to the runtime: Lambda would answer in its own words, and there
//! would be no record. A setting that is missing or wrong is answered `internal error`.

mod event;
mod extension;
mod invocation;
mod reply;
mod settings;

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::FutureExt as _;
use lambda_runtime::{LambdaEvent, StreamResponse, service_fn};
use serde_json::value::RawValue;
use tokio::time::Instant;

use self::event::{Event, EventRequest};
use self::extension::{Drain, until};
use self::invocation::Invocations;
use self::reply::ReplyStream;
use crate::clock::{Clock as _, SystemClock};
use crate::handle::{Arrival, Proxy};
use crate::stdout::Lines;

/// Time that is kept back at the end of an invocation, for the record: the PUT with all its tries,
/// then the spill.
const GUARD: Duration = Duration::from_secs(10);

/// Tells whether this process runs in Lambda.
#[must_use]
pub fn is_here() -> bool {
    std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some()
}

/// Serves invocations until Lambda ends this environment.
#[must_use]
pub fn run() -> ExitCode {
    // One thread: an environment has one invocation at a time, and mostly less than one core.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(serve())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say("start_failed", &error.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn serve() -> std::io::Result<()> {
    // At once: the line of a start proves what dies with its environment.
    let lines = Lines::stdout(Duration::ZERO)?;
    let proxy = settings::proxy(|name| std::env::var(name).ok(), &lines).await;
    let drain =
        Drain { log: Arc::clone(&proxy.log), lines, openai_key: Arc::clone(&proxy.openai_key) };
    let invocations = extension::register(drain.clone(), Arc::clone(&proxy.clock)).await;
    let front = Arc::new(Front { proxy, drain, invocations, invoked: AtomicU64::new(0) });
    loop {
        let before = front.invoked.load(Ordering::Relaxed);
        let service = service_fn(|event| {
            let front = Arc::clone(&front);
            async move { Ok::<_, Infallible>(front.invoke(event).await) }
        });
        let ended = lambda_runtime::run(service).await;
        // The runtime stops when an answer could not be handed over, for one: its record is written
        // all the same, and the next invocation is asked for.
        front.drain.run().await;
        if let Err(error) = ended {
            say("runtime_failed", &error.to_string());
        }
        if front.invoked.load(Ordering::Relaxed) == before {
            return Err(std::io::Error::other("the Lambda Runtime API does not answer"));
        }
    }
}

struct Front {
    proxy: Arc<Proxy>,
    drain: Drain,
    /// `None` where no extension holds the environment.
    invocations: Option<Invocations>,
    invoked: AtomicU64,
}

impl Front {
    async fn invoke(&self, event: LambdaEvent<Box<RawValue>>) -> StreamResponse<ReplyStream> {
        self.invoked.fetch_add(1, Ordering::Relaxed);
        let LambdaEvent { payload, context } = event;
        let invocation = self.invocations.as_ref().map(|all| all.begin(context.request_id.clone()));
        let EventRequest { request, ip, is_malformed } = Event::read(&payload).into_request();
        let method = request.method().clone();
        let (deadline, record_deadline) = deadlines(context.deadline);
        let arrival = Arrival {
            ip,
            connection: None,
            lambda_request_id: Some(context.request_id),
            deadline: Some(deadline),
            record_deadline: Some(record_deadline),
            is_malformed,
        };
        let answer = Arc::clone(&self.proxy).handle(request, arrival).await;
        let drained = invocation.is_none().then(|| {
            let drain = self.drain.clone();
            async move { drain.run().await }.boxed()
        });
        reply::respond(answer, &method, deadline, invocation, drained)
    }
}

/// Returns when an answer has to be over, and when its record has to be stored or spilled. A function
/// with a short time limit keeps half of it for the record.
fn deadlines(deadline_ms: u64) -> (Instant, Instant) {
    let left = until(SystemClock.now(), deadline_ms);
    let guard = GUARD.min(left / 2);
    let now = Instant::now();
    (now + left.saturating_sub(guard), now + left.saturating_sub(guard / 4))
}

/// Ends this process; Lambda starts another.
fn give_up() {
    #[expect(clippy::exit, clippy::disallowed_methods, reason = "a new environment is the way on")]
    std::process::exit(1);
}

/// Says on stderr, as one line of JSON, what went wrong outside any exchange.
fn say(event: &str, error: &str) {
    let line = serde_json::json!({"level": "error", "event": event, "error": error});
    #[expect(clippy::print_stderr, reason = "CloudWatch Logs is where operators look")]
    {
        eprintln!("{line}");
    }
}
