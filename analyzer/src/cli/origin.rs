//! `analyzer origin`: a pasted text in, a verdict out.

use std::io::{self, Read as _, Write as _};

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Zoned};

use super::place::{self, Located, Place, unreachable};
use super::progress::Bar;
use super::{Exit, Failure, current_time, say, say_unseen};
use crate::aws::cloudwatch::Observed;
use crate::inquire::{Asked, Barred, Inquiry, inquire, is_nowhere};
use crate::logs::scan::{Consent, ScanError, Scanned, scan};
use crate::number::count;
use crate::question::{Filters, Question};
use crate::report::{self, Answer};
use crate::text::bound::{cut_note, end_of};
use crate::text::recognise::recognise;
use crate::text::secret::masked;
use crate::verdict::Confidence;
use crate::window::{Window, parse_moment};

/// Characters of a text that can be looked for; any log holds fewer than these.
const SHORTEST_TEXT: usize = 3;
/// Bytes of stdin that are read.
const STDIN_BYTES: u64 = 256 << 20;
/// How far a proxy's clock may be ahead of ours.
const SKEW: SignedDuration = SignedDuration::from_mins(15);
/// Keys of unreadable logs that are named.
const NAMED: usize = 5;

#[derive(Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one per flag; typed choices begin in `Question`"
)]
#[command(after_help = "\
Examples:
  analyzer origin \"temporary errors\" --max 50 --source s3://my-bucket/codex
  pbpaste | analyzer origin - --developer dev-17 --since 02:10
  analyzer origin \"exceeded retry limit, last status: 429 Too Many Requests\"
  analyzer origin \"invalid or disabled token\" --json | jq .counts

With a source on S3, or a --stack, CloudWatch is asked for what leaves no log. Without any source the
text alone is judged. See `analyzer --help` for exit codes.")]
pub(super) struct OriginArguments {
    /// What the developer sees: a line, or a piece of one; - reads stdin
    #[arg(required = true, num_args = 1.., value_name = "TEXT")]
    text: Vec<String>,
    #[command(flatten)]
    place: Place,
    /// Do not ask CloudWatch, whatever the logs leave open
    #[arg(long)]
    no_cloudwatch: bool,
    /// Read at most the N newest candidate logs
    #[arg(long, value_name = "N")]
    max: Option<usize>,
    /// From when: 30m, 2h, 3d, 02:10, 2026-11-22 or RFC 3339
    #[arg(long, value_name = "TIME", default_value = "24h")]
    since: String,
    /// Until when; now by default
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only this developer's exchanges
    #[arg(long, value_name = "NAME")]
    developer: Option<String>,
    /// Only exchanges of this session, as Codex prints it
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Only exchanges with this model
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Look into successes too, and count those that only quote the text
    #[arg(long)]
    all: bool,
    /// Show the matching exchanges, newest first
    #[arg(long)]
    list: bool,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value_t, value_name = "FORM")]
    output: Output,
    /// Short for --output json
    #[arg(long)]
    json: bool,
    /// Read however much there is, without asking
    #[arg(long)]
    yes: bool,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    #[default]
    Text,
    Json,
    Markdown,
}

pub(super) async fn run(arguments: OriginArguments) -> Result<Exit, Failure> {
    let now = current_time();
    let begun = tokio::time::Instant::now();
    let window = window(&arguments, &now)?;
    let query = query(&arguments.text)?;
    let recognised = recognise(&query);
    let question = Question {
        window: window.clone(),
        filters: Filters {
            developer: arguments.developer.clone(),
            // A whole run of Codex names its session: nobody else's exchanges are meant.
            session: arguments.session.clone().or_else(|| recognised.session.clone()),
            model: arguments.model.clone(),
        },
        all: arguments.all,
        max: arguments.max,
        now: now.timestamp(),
        recognised,
    };
    let (inquiry, blocked) = Box::pin(ask(&arguments, &question)).await?;
    let is_nowhere = inquiry.observed.as_ref().is_some_and(is_nowhere);
    let nowhere = (is_nowhere && arguments.place.names_deployment())
        .then(|| no_such_function(inquiry.observed.as_ref()));
    // Somebody who has a part of the answer is told it; nobody is told what rests on nothing.
    let saw_aws = inquiry.observed.as_ref().is_some_and(Observed::saw_anything);
    let is_proven = inquiry.verdict.confidence == Confidence::Certain;
    let blocked = match blocked {
        Some(failure) if !saw_aws && !is_proven => return Err(failure),
        blocked => blocked,
    };
    let nowhere = match nowhere {
        Some(failure) if inquiry.evidence.is_none() && !is_proven => return Err(failure),
        nowhere => nowhere,
    };
    let Inquiry { verdict, evidence, observed, sum, lacks } = inquiry;
    let answer = Answer {
        query,
        capped: evidence.as_ref().is_some_and(|evidence| evidence.left_out > 0),
        recognised: question.recognised,
        evidence,
        observed,
        sum,
        verdict,
        window,
        zone: now.time_zone().clone(),
        now: now.timestamp(),
        seconds: begun.elapsed().as_secs_f64(),
        blocked: blocked.as_ref().map(|failure| failure.error.clone()),
    };
    let output = if arguments.json { Output::Json } else { arguments.output };
    let text = match (output, arguments.list) {
        (Output::Json, _) => report::to_json(&answer),
        (Output::Markdown, false) => report::to_markdown(&answer),
        (Output::Markdown, true) => {
            report::to_markdown(&answer) + "\n" + &report::list_in_markdown(&answer)
        }
        (Output::Text, false) => report::to_text(&answer),
        (Output::Text, true) => report::to_text(&answer) + "\n" + &report::render_list(&answer),
    };
    // A closed pipe (`| head`) is the reader's choice.
    // In JSON the text that was given is masked by itself, so that no member is torn.
    let text = if output == Output::Json { text } else { masked(&text).into_owned() };
    let _ = io::stdout().write_all(text.as_bytes());
    if let Some(Failure { error, hint, .. }) = blocked {
        say(&format!("warning: partial answer, without the logs: {}", report::printable(&error)));
        if let Some(hint) = hint {
            say(&format!("\nhint: {hint}"));
        }
        return Ok(Exit::Partial);
    }
    let exit = end(&answer, lacks);
    if let Some(failure) = nowhere {
        say(&format!("error: {}", failure.error));
        return Ok(failure.exit);
    }
    Ok(exit)
}

/// A deployment that was named has no function.
fn no_such_function(observed: Option<&Observed>) -> Failure {
    let function = observed.map_or("", |observed| &observed.function);
    let region = observed.and_then(|observed| observed.region.as_deref()).unwrap_or_default();
    Failure {
        error: format!("there is no function `{function}` in {region}"),
        hint: Some("check --stack or --function, AWS_REGION and AWS_PROFILE".to_owned()),
        exit: Exit::Unreachable,
    }
}

/// Names what is wrong with the data on stderr, and says how the command ends.
fn end(answer: &Answer, lacks: bool) -> Exit {
    if let Some(evidence) = answer.evidence.as_ref().filter(|e| !e.unrecognised.is_empty()) {
        let objects = count(evidence.unrecognised.len() as u64, "object");
        say(&format!("note: {objects} by name no log"));
        for key in evidence.unrecognised.iter().take(NAMED) {
            say(&format!("  {}", report::printable(key)));
        }
    }
    if let Some(evidence) = &answer.evidence
        && evidence.is_partial()
    {
        let logs = count(evidence.unread.len() as u64, "log");
        say(&format!("warning: partial answer: {logs} could not be read"));
        for unread in evidence.unread.iter().take(NAMED) {
            say(&report::printable(&format!("  {}: {}", unread.key, unread.why)));
        }
        if evidence.unread.iter().any(|unread| unread.denied) {
            say(
                "\nhint: the role needs `s3:GetObject` (and `kms:Decrypt` for an encrypted bucket)",
            );
        }
        return Exit::Partial;
    }
    let is_certain = answer.verdict.confidence == Confidence::Certain;
    if let Some(observed) = answer.observed.as_ref().filter(|_| !is_certain) {
        say_unseen(&observed.unseen, "origin");
    }
    if lacks {
        say("warning: partial answer: what was not seen could change it");
        return Exit::Partial;
    }
    if answer.verdict.origin.is_some() { Exit::Answered } else { Exit::Unknown }
}

/// Asks the logs and CloudWatch, as far as there are any.
async fn ask(
    arguments: &OriginArguments,
    question: &Question,
) -> Result<(Inquiry, Option<Failure>), Failure> {
    let place = &arguments.place;
    let Located { source, resolved } = place.locate().await;
    let look = source.as_deref().map(|place| Box::pin(look(place, question, arguments.yes)));
    let may_ask = !arguments.no_cloudwatch && (resolved.is_some() || place.is_on_aws());
    let deployment = may_ask.then_some(async {
        match resolved {
            Some(deployment) => deployment,
            None => place.deployment().await,
        }
    });
    let asked = if place.names_deployment() { Asked::ByName } else { Asked::InPassing };
    Box::pin(inquire(question, look, deployment, asked)).await
}

/// Lists, chooses, reads.
async fn look(place: &str, question: &Question, yes: bool) -> Result<Scanned, Barred<Failure>> {
    let source = place::open(place).await.map_err(Barred::GoesOn)?;
    let consent = if yes { Consent::Given } else { Consent::Needed };
    let scanned = scan(source, question, consent, Bar::new).await;
    if scanned.as_ref().is_ok_and(|scanned| scanned.hides_hours) {
        say("note: parquet/ may not be listed: logs that have expired are not here");
        say("hint: `analyzer permissions origin` prints the smallest policy that would do");
    }
    scanned.map_err(|error| match error {
        ScanError::Source(error) => Barred::GoesOn(unreachable(&error)),
        ScanError::TooMuch(_) => Barred::Ends(Failure {
            error: error.to_string(),
            hint: Some("narrow it down with --since or --max, or say --yes".to_owned()),
            exit: Exit::Usage,
        }),
    })
}

fn query(text: &[String]) -> Result<String, Failure> {
    let bytes = if text == ["-"] {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().take(STDIN_BYTES).read_to_end(&mut bytes);
        read.map_err(|error| usage(&format!("cannot read stdin: {error}")))?;
        bytes
    } else {
        text.join(" ").into_bytes()
    };
    let (query, left_out) = end_of(&bytes);
    if let Some(note) = cut_note(left_out) {
        say(&note);
    }
    let text = query.trim();
    if text.is_empty() {
        return Err(usage("the text is empty; paste what the developer sees"));
    }
    if text.chars().count() < SHORTEST_TEXT {
        return Err(usage(&format!(
            "`{text}` is too short to mean anything; paste the whole line"
        )));
    }
    Ok(query)
}

fn window(arguments: &OriginArguments, now: &Zoned) -> Result<Window, Failure> {
    let moment = |flag: &str, text: &str| {
        parse_moment(text, now).map_err(|error| usage(&format!("{flag}: {error}")))
    };
    let since = moment("--since", &arguments.since)?;
    let until = match &arguments.until {
        Some(until) => moment("--until", until)?,
        // Clocks differ: what the proxy's clock dates a little ahead has happened all the same.
        None => now.timestamp() + SKEW,
    };
    if since >= until {
        return Err(usage(&format!("--since {since} is not before --until {until}")));
    }
    Ok(Window { since, until })
}

fn usage(error: &str) -> Failure {
    let hint = Some("see `analyzer origin --help`".to_owned());
    Failure { error: error.to_owned(), hint, exit: Exit::Usage }
}
