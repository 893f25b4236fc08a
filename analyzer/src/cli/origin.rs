//! `analyzer origin`: a pasted text in, a verdict out.

use std::io::{self, Read as _, Write as _};

use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Zoned};

use super::place::{self, Place, unreachable};
use super::progress::Bar;
use super::{Exit, Failure, current_time, say, say_unseen};
use crate::aws::cloudwatch::{Observed, Unseen};
use crate::aws::permission::Action;
use crate::aws::{self, Trouble};
use crate::inquire::{Inquiry, inquire};
use crate::logs::scan::{Consent, ScanError, Scanned, scan};
use crate::logs::source::SourceError;
use crate::question::{Filters, Question};
use crate::report::{self, Answer};
use crate::text::bound::{cut_note, end_of};
use crate::text::recognise::recognise;
use crate::verdict::{About, Confidence};
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
    let (inquiry, blocked) = Box::pin(ask(&arguments, &question)).await;
    let blocked = match blocked {
        Some(blocked) if !blocked.is_worth_going_on(&inquiry) => return Err(blocked.failure),
        blocked => blocked.map(|blocked| blocked.failure),
    };
    let Inquiry { verdict, evidence, observed, sum } = inquiry;
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
        is_partial: arguments.place.names_deployment(),
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
    let _ = io::stdout().write_all(text.as_bytes());
    if let Some(Failure { error, hint, .. }) = blocked {
        say(&format!("warning: partial answer, without the logs: {}", report::printable(&error)));
        if let Some(hint) = hint {
            say(&format!("\nhint: {hint}"));
        }
        return Ok(Exit::Partial);
    }
    Ok(end(&answer, &arguments.place))
}

/// Why there are no logs to judge by.
struct Blocked {
    failure: Failure,
    /// It is for want of a right, and not for want of logs.
    is_denied: bool,
}

impl Blocked {
    /// Tells whether an answer without the logs is worth more than none: nothing else was missing than a
    /// right, and the text proves it, or AWS has been seen.
    fn is_worth_going_on(&self, inquiry: &Inquiry) -> bool {
        let saw_aws = inquiry.observed.as_ref().is_some_and(Observed::saw_anything);
        self.is_denied && (saw_aws || inquiry.verdict.confidence == Confidence::Certain)
    }
}

/// Names what is wrong with the data on stderr, and says how the command ends.
fn end(answer: &Answer, place: &Place) -> Exit {
    if let Some(evidence) = answer.evidence.as_ref().filter(|e| !e.unrecognised.is_empty()) {
        say(&format!("note: {} objects are no logs by their names", evidence.unrecognised.len()));
        for key in evidence.unrecognised.iter().take(NAMED) {
            say(&format!("  {}", report::printable(key)));
        }
    }
    if let Some(evidence) = &answer.evidence
        && evidence.is_partial()
    {
        say(&format!("warning: partial answer: {} logs could not be read", evidence.unread.len()));
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
    if let Some(observed) = answer.observed.as_ref().filter(|o| !o.broken_spills.is_empty()) {
        let broken = &observed.broken_spills;
        say(&format!(
            "warning: partial answer: of {} records that S3 refused a part is missing",
            broken.len()
        ));
        for key in broken.iter().take(NAMED) {
            say(&report::printable(&format!("  {key}")));
        }
        return Exit::Partial;
    }
    let named = place.names_deployment();
    // More of the same could be seen, except where the text or the very exchange has proved it. Who only
    // names a source may have logs in S3 and nothing more.
    let verdict = &answer.verdict;
    let is_certain = verdict.confidence == Confidence::Certain;
    let is_settled = is_certain && (!named || verdict.about != About::Matches);
    if let Some(observed) = answer.observed.as_ref().filter(|_| !is_settled) {
        say_unseen(&observed.unseen, "origin");
        let is_missing = |unseen: &Unseen| matches!(unseen.trouble, Trouble::Missing(_));
        let is_nowhere = observed.unseen.iter().all(is_missing) && !observed.saw_anything();
        // Lines that nobody has written are not unseen.
        let counts =
            |unseen: &&Unseen| !is_missing(unseen) || unseen.action != Action::FilterLogEvents;
        if named && observed.unseen.iter().any(|unseen| counts(&unseen)) {
            // A name that nothing has is no deployment.
            let saw_nothing = is_nowhere && answer.evidence.is_none();
            return if saw_nothing { Exit::Unreachable } else { Exit::Partial };
        }
    }
    if answer.verdict.origin.is_some() { Exit::Answered } else { Exit::Unknown }
}

/// Asks the logs and CloudWatch, as far as there are any.
async fn ask(arguments: &OriginArguments, question: &Question) -> (Inquiry, Option<Blocked>) {
    let place = &arguments.place;
    let named = place.source().map(str::to_owned);
    // Without a place, the stack's function says where the logs are; AWS has to be set up for that.
    let resolved = match &named {
        None if place.is_on_aws() || aws::is_set_up() => Some(place.deployment().await),
        _ => None,
    };
    let found = resolved.as_ref().and_then(|deployment| deployment.source.clone());
    let source = named.or(found);
    let look = source.as_deref().map(|place| Box::pin(look(place, question, arguments.yes)));
    let may_ask = !arguments.no_cloudwatch && (resolved.is_some() || place.is_on_aws());
    let deployment = may_ask.then_some(async {
        match resolved {
            Some(deployment) => deployment,
            None => place.deployment().await,
        }
    });
    inquire(question, look, deployment).await
}

/// Lists, chooses, reads.
async fn look(place: &str, question: &Question, yes: bool) -> Result<Scanned, Blocked> {
    let source = place::open(place).await;
    let source = source.map_err(|failure| Blocked { failure, is_denied: false })?;
    let consent = if yes { Consent::Given } else { Consent::Needed };
    scan(source, question, consent, Bar::new).await.map_err(|error| match error {
        ScanError::Source(error) => {
            let is_denied = matches!(error, SourceError::Denied(_));
            Blocked { failure: unreachable(&error), is_denied }
        }
        ScanError::TooMuch(_) => Blocked {
            failure: Failure {
                error: error.to_string(),
                hint: Some("narrow it down with --since or --max, or say --yes".to_owned()),
                exit: Exit::Usage,
            },
            is_denied: false,
        },
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
