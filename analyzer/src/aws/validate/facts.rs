//! Everything that the checks need to know, asked for at the same time.

use aws_sdk_dynamodb::types::{AttributeValue, Select};
use futures::FutureExt as _;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use schemas::key::LOGS;

use crate::aws::cloudwatch::watch::patience;
use crate::aws::cloudwatch::{Configuration, Counts, Observed, Scope, Unseen, last_line, observe};
use crate::aws::deployment::lambda::{Account, FunctionUrl, Lambda};
use crate::aws::deployment::{Deployment, Guessed};
use crate::aws::permission::Action;
use crate::aws::{self, Trouble};
use crate::window::Window;

/// Something that was seen, or why not.
pub(crate) type Seen<T> = Result<T, Unseen>;

/// How far back recent is.
pub(super) const RECENT: SignedDuration = SignedDuration::from_hours(24);
/// Metrics and logs of the last minutes may still be on their way, and exchanges may still run.
const ON_THE_WAY: SignedDuration = SignedDuration::from_mins(20);

/// What is known of a deployment.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) now: Timestamp,
    pub(crate) region: String,
    pub(crate) function: String,
    /// The flags that name the deployment, each with a space before it.
    pub(crate) naming: String,
    pub(crate) log_group: String,
    pub(crate) source: Option<String>,
    pub(crate) table: Option<String>,
    pub(crate) secret: Option<String>,
    /// Names that only habit tells, since the configuration does not.
    pub(crate) is_guessed: Guessed,
    pub(crate) configuration: Seen<Configuration>,
    pub(crate) url: Seen<FunctionUrl>,
    /// Who may invoke the function: a policy, as JSON.
    pub(crate) policy: Seen<String>,
    pub(crate) account: Seen<Account>,
    /// Metrics of the last 24 hours.
    pub(crate) recent: Seen<Counts>,
    /// Metrics of today, UTC, without the last minutes.
    pub(crate) today: Seen<Counts>,
    /// The newest line of the last 24 hours.
    pub(crate) last_line: Seen<Option<Timestamp>>,
    /// Days that lines are kept; `None` = for ever.
    pub(crate) retention: Seen<Option<u32>>,
    pub(crate) tokens: Seen<Tokens>,
    pub(crate) logs: Seen<Logs>,
    pub(crate) guard: Seen<Guard>,
    pub(crate) secret_state: Seen<SecretState>,
}

/// Rows of the token table, as far as one page goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tokens {
    pub(crate) enabled: usize,
    pub(crate) disabled: usize,
    /// There are more pages.
    pub(crate) has_more: bool,
}

/// Logs in the bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Logs {
    /// Of today, UTC, as far as one page goes.
    pub(crate) today: usize,
    /// Of yesterday, the same.
    pub(crate) yesterday: usize,
}

/// A bucket's guard against the public.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    /// All four doors are shut.
    Whole,
    /// Some are.
    Partial,
    /// There is none.
    None,
}

/// A secret, without what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretState {
    /// It has a current value.
    Present,
    /// It has none yet.
    Empty,
    /// It is to be deleted.
    Deleted,
    /// The key stands in the function's environment instead.
    InEnvironment,
}

/// Asks for everything.
pub(crate) async fn gather(deployment: &Deployment, now: Timestamp) -> Facts {
    let config = deployment.config();
    let lambda = Lambda::new(config);
    let function = deployment.function.as_str();
    let window = Window { since: now - RECENT, until: now };
    let has_region = deployment.region.is_some();
    // Without a region the clients fail one by one, each in its own words.
    let see = |action| {
        move |trouble| {
            let trouble = if has_region { trouble } else { Trouble::NoRegion };
            Unseen { action, trouble, means: "" }
        }
    };
    let (url, policy, account, observed, last_line, retention, tokens, logs, guard, secret_state) = futures::join!(
        lambda.url(function),
        lambda.policy(function),
        lambda.account(),
        observe(deployment, &window, Scope::Metrics, now),
        last_line(deployment, &window),
        retention(deployment),
        tokens(deployment),
        logs(deployment, now).boxed(),
        guard(deployment).boxed(),
        secret(deployment),
    );
    let configuration = deployment.configuration.clone().ok_or_else(|| {
        let denied =
            deployment.unseen.iter().find(|it| it.action == Action::GetFunctionConfiguration);
        denied.cloned().unwrap_or_else(|| see(Action::GetFunctionConfiguration)(Trouble::NoRegion))
    });
    let metrics = |window: &Window| match observed.unseen_metrics() {
        Some(unseen) => Err(unseen),
        None => Ok(observed.totals(window)),
    };
    let midnight = day(now, 0);
    let today = Window { since: midnight, until: (now - ON_THE_WAY).max(midnight) };
    let (recent, today) = (metrics(&window), metrics(&today));
    Facts {
        now,
        region: deployment.region.clone().unwrap_or_else(|| "no region".to_owned()),
        function: deployment.function.clone(),
        naming: deployment.naming(),
        log_group: deployment.log_group.clone(),
        source: deployment.source.clone(),
        table: deployment.table.clone(),
        secret: deployment.secret.clone(),
        is_guessed: deployment.is_guessed,
        configuration,
        url: url.map_err(see(Action::GetFunctionUrlConfig)),
        policy: policy.map_err(see(Action::GetPolicy)),
        account: account.map_err(see(Action::GetAccountSettings)),
        recent,
        today,
        last_line: last_line.map_err(see(Action::FilterLogEvents)),
        retention: retention.map_err(see(Action::DescribeLogGroups)),
        tokens: tokens.map_err(|(action, trouble)| see(action)(trouble)),
        logs: logs.map_err(see(Action::ListBucket)),
        guard: guard.map_err(see(Action::GetBucketPublicAccessBlock)),
        secret_state: secret_state.map_err(see(Action::DescribeSecret)),
    }
}

impl Observed {
    fn unseen_metrics(&self) -> Option<Unseen> {
        self.unseen.iter().find(|unseen| unseen.action == Action::GetMetricData).cloned()
    }
}

impl Facts {
    /// Tells whether AWS as a whole could not be asked.
    pub(crate) fn is_unreachable(&self) -> bool {
        let lost = |unseen: Option<&Unseen>| unseen.is_some_and(|it| it.trouble.is_everywhere());
        lost(self.configuration.as_ref().err())
            && lost(self.recent.as_ref().err())
            && lost(self.policy.as_ref().err())
    }
}

/// Returns the beginning of a day, UTC, some days back.
fn day(now: Timestamp, back: i64) -> Timestamp {
    let date = TimeZone::UTC.to_datetime(now - SignedDuration::from_hours(24 * back)).date();
    TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).unwrap_or(now)
}

async fn retention(deployment: &Deployment) -> Result<Option<u32>, Trouble> {
    let (timeouts, retries) = patience();
    let config = aws_sdk_cloudwatchlogs::config::Builder::from(deployment.config());
    let config = config.timeout_config(timeouts).retry_config(retries);
    let client = aws_sdk_cloudwatchlogs::Client::from_conf(config.build());
    let group = deployment.log_group.as_str();
    let groups = client.describe_log_groups().log_group_name_prefix(group).send().await;
    let groups = groups.map_err(|error| Trouble::of(&error))?;
    // The name itself sorts before all that begin with it.
    let group = groups.log_groups().iter().find(|it| it.log_group_name() == Some(group));
    let group = group.ok_or_else(|| Trouble::Missing(String::new()))?;
    Ok(group.retention_in_days().and_then(|days| u32::try_from(days).ok()))
}

async fn tokens(deployment: &Deployment) -> Result<Tokens, (Action, Trouble)> {
    let Some(table) = &deployment.table else { return Ok(Tokens::default()) };
    let (timeouts, retries) = patience();
    let config = aws_sdk_dynamodb::config::Builder::from(deployment.config());
    let config = config.timeout_config(timeouts).retry_config(retries);
    let client = aws_sdk_dynamodb::Client::from_conf(config.build());
    // What is not read cannot be printed: neither the token nor its hash is asked for.
    let scan = client
        .scan()
        .table_name(table)
        .select(Select::SpecificAttributes)
        .projection_expression("#enabled")
        .expression_attribute_names("#enabled", "enabled");
    let page = scan.send().await.map_err(|error| (Action::Scan, Trouble::of(&error)))?;
    let is_enabled = |item: &std::collections::HashMap<String, AttributeValue>| {
        // As the proxy reads it: a row that does not say is enabled.
        item.get("enabled").is_none_or(|enabled| match enabled {
            AttributeValue::Bool(enabled) => *enabled,
            AttributeValue::N(number) => number == "1",
            AttributeValue::S(text) => ["true", "1"].contains(&text.trim().to_lowercase().as_str()),
            _ => false,
        })
    };
    let enabled = page.items().iter().filter(|item| is_enabled(item)).count();
    let disabled = page.items().len() - enabled;
    Ok(Tokens { enabled, disabled, has_more: page.last_evaluated_key().is_some() })
}

/// Splits `s3://BUCKET[/PREFIX]` into the bucket and the prefix, empty or with its slash.
fn bucket(source: &str) -> Option<(&str, String)> {
    let place = source.strip_prefix("s3://")?;
    let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
    let prefix = prefix.trim_matches('/');
    Some((bucket, if prefix.is_empty() { String::new() } else { format!("{prefix}/") }))
}

async fn logs(deployment: &Deployment, now: Timestamp) -> Result<Logs, Trouble> {
    let Some((bucket, prefix)) = deployment.source.as_deref().and_then(bucket) else {
        return Ok(Logs::default());
    };
    let client = aws::s3(deployment.config());
    let count = |back| {
        let date = TimeZone::UTC.to_datetime(day(now, back));
        let day = date.strftime("%Y/%m/%d/");
        let list = client.list_objects_v2().bucket(bucket).prefix(format!("{prefix}{LOGS}{day}"));
        async move {
            let listed = list.send().await.map_err(|error| Trouble::of(&error))?;
            Ok::<_, Trouble>(listed.contents().len())
        }
    };
    let (today, yesterday) = futures::try_join!(count(0), count(1))?;
    Ok(Logs { today, yesterday })
}

async fn guard(deployment: &Deployment) -> Result<Guard, Trouble> {
    let Some((bucket, _)) = deployment.source.as_deref().and_then(bucket) else {
        return Ok(Guard::Whole);
    };
    let client = aws::s3(deployment.config());
    match client.get_public_access_block().bucket(bucket).send().await.map_err(|e| Trouble::of(&e))
    {
        Ok(answer) => {
            let Some(shut) = answer.public_access_block_configuration() else {
                return Ok(Guard::None);
            };
            let all = [
                shut.block_public_acls(),
                shut.ignore_public_acls(),
                shut.block_public_policy(),
                shut.restrict_public_buckets(),
            ];
            let is_shut = |door: &Option<bool>| *door == Some(true);
            Ok(match all.iter().filter(|door| is_shut(door)).count() {
                4 => Guard::Whole,
                0 => Guard::None,
                _ => Guard::Partial,
            })
        }
        // `NoSuchPublicAccessBlockConfiguration`: the bucket is there, and has none.
        Err(Trouble::Missing(said)) if said.contains("PublicAccessBlock") => Ok(Guard::None),
        Err(trouble) => Err(trouble),
    }
}

async fn secret(deployment: &Deployment) -> Result<SecretState, Trouble> {
    let Some(secret) = &deployment.secret else {
        let holds_key = deployment.configuration.as_ref().is_some_and(|it| it.holds_key);
        return if holds_key {
            Ok(SecretState::InEnvironment)
        } else {
            Err(Trouble::Missing("nothing says which secret holds the key".to_owned()))
        };
    };
    let (timeouts, retries) = patience();
    let config = aws_sdk_secretsmanager::config::Builder::from(deployment.config());
    let config = config.timeout_config(timeouts).retry_config(retries);
    let client = aws_sdk_secretsmanager::Client::from_conf(config.build());
    let described = client.describe_secret().secret_id(secret).send().await;
    let described = described.map_err(|error| Trouble::of(&error))?;
    if described.deleted_date().is_some() {
        return Ok(SecretState::Deleted);
    }
    let mut stages = described.version_ids_to_stages().into_iter().flat_map(|map| map.values());
    let has_current = stages.any(|stages| stages.iter().any(|stage| stage == "AWSCURRENT"));
    Ok(if has_current { SecretState::Present } else { SecretState::Empty })
}
