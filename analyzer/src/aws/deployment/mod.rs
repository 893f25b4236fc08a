//! A deployment of the proxy on AWS: from the name of a stack to function, log group, bucket, token
//! table and secret.
//!
//! The function is named like the stack, and its configuration says which logs, tokens and secret the
//! proxy really uses. What a person names goes before that; where the configuration cannot be read, the
//! documented names are taken, and that is said. Nothing here fails: metrics and lines can be asked for
//! by name alone.

pub(crate) mod lambda;

use aws_config::SdkConfig;

use self::lambda::Lambda;
use crate::aws::cloudwatch::{Configuration, Unseen};
use crate::aws::permission::Action;
use crate::aws::{self, Trouble};

/// The stack that is meant where nobody names one.
pub const DEFAULT_STACK: &str = "codex-proxy";
/// The token table that a proxy uses where nobody names one.
const DEFAULT_TABLE: &str = "codex-proxy-tokens";

/// What a person named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The stack.
    pub stack: String,
    /// The function, if it is not named like the stack.
    pub function: Option<String>,
    /// The root of the logs: a folder or `s3://BUCKET[/PREFIX]`.
    pub source: Option<String>,
    /// The token table.
    pub table: Option<String>,
    /// The secret with the OpenAI key: name or ARN.
    pub secret: Option<String>,
    /// The log group.
    pub log_group: Option<String>,
}

/// Which names only habit tells, because the function's configuration could not be read and nobody
/// named them. What is not found under such a name may well be there under another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Guessed {
    pub(crate) log_group: bool,
    pub(crate) table: bool,
}

/// A deployment, as far as it is known.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// The stack.
    pub stack: String,
    /// Its function.
    pub function: String,
    /// Region that is asked; `None` when nobody said which.
    pub region: Option<String>,
    /// The function's log group.
    pub log_group: String,
    /// The root of the logs; `None` when nobody says where they are.
    pub source: Option<String>,
    /// The token table; `None` when the proxy keeps its tokens elsewhere.
    pub table: Option<String>,
    /// The secret with the OpenAI key; `None` when it is not known.
    pub secret: Option<String>,
    /// What the function's configuration says; `None` when it could not be read.
    pub configuration: Option<Configuration>,
    /// Names that were taken because nothing says others.
    pub assumed: Vec<String>,
    /// The same, for those who look for what has these names.
    pub(crate) is_guessed: Guessed,
    /// What could not be seen.
    pub unseen: Vec<Unseen>,
    aws: SdkConfig,
}

impl Deployment {
    /// Finds a deployment: asks for the function's configuration once.
    pub async fn resolve(names: Names) -> Self {
        Self::resolve_with(names, aws::load().await).await
    }

    /// The same, with AWS reached like this.
    pub async fn resolve_with(names: Names, aws: SdkConfig) -> Self {
        let function = names.function.clone().unwrap_or_else(|| names.stack.clone());
        let region = aws.region().map(ToString::to_string);
        let (mut unseen, mut configuration) = (Vec::new(), None);
        let mut unsee = |action, trouble, means| unseen.push(Unseen { action, trouble, means });
        if region.is_some() {
            let lambda = Lambda::new(&aws);
            let (read, reserved) =
                futures::join!(lambda.configuration(&function), lambda.reserved(&function));
            match read {
                Ok(read) => {
                    configuration =
                        Some(Configuration { reserved: reserved.as_ref().ok().copied(), ..read });
                }
                Err(trouble) => {
                    unsee(Action::GetFunctionConfiguration, trouble, UNREAD_CONFIGURATION);
                }
            }
            if let Err(trouble) = reserved {
                let means = "cannot tell how many slots the function has";
                unsee(Action::GetFunctionConcurrency, trouble, means);
            }
        } else {
            unsee(Action::GetFunctionConfiguration, Trouble::NoRegion, UNREAD_CONFIGURATION);
        }
        let found = Found::of(&names, &function, configuration.as_ref());
        Self {
            stack: names.stack,
            function,
            region,
            log_group: found.log_group,
            source: found.source,
            table: found.table,
            secret: found.secret,
            configuration,
            assumed: found.assumed,
            is_guessed: found.is_guessed,
            unseen,
            aws,
        }
    }

    /// Returns how AWS is reached.
    pub(crate) fn config(&self) -> &SdkConfig {
        &self.aws
    }

    /// Returns the flags that name this deployment to another command, each with a space before it:
    /// empty for the one that is meant where nobody names one.
    #[must_use]
    pub fn naming(&self) -> String {
        let Self { stack, function, .. } = self;
        let mut naming = String::new();
        if stack != DEFAULT_STACK {
            naming = format!(" --stack {stack}");
        }
        if function != stack {
            naming = format!("{naming} --function {function}");
        }
        naming
    }

    /// Returns the account, if the function's ARN is known.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.arn_part(4)
    }

    /// Returns the partition: `aws`, unless the function's ARN says another.
    #[must_use]
    pub fn partition(&self) -> &str {
        self.arn_part(1).unwrap_or("aws")
    }

    fn arn_part(&self, index: usize) -> Option<&str> {
        let arn = self.configuration.as_ref()?.arn.as_deref()?;
        arn.split(':').nth(index).filter(|part| !part.is_empty())
    }
}

const UNREAD_CONFIGURATION: &str =
    "function, log group and table are taken by their usual names, the bucket is not known";

/// Names, and which of them were only assumed.
#[derive(Debug, PartialEq)]
struct Found {
    log_group: String,
    source: Option<String>,
    table: Option<String>,
    secret: Option<String>,
    assumed: Vec<String>,
    is_guessed: Guessed,
}

impl Found {
    fn of(names: &Names, function: &str, configuration: Option<&Configuration>) -> Self {
        let mut assumed = Vec::new();
        let mut assume = |what: &str, name: String| {
            assumed.push(format!("{what} {name}"));
            name
        };
        let said = |read: fn(&Configuration) -> &Option<String>| {
            configuration.and_then(|configuration| read(configuration).clone())
        };
        let usual_group = || format!("/aws/lambda/{function}");
        let log_group = names.log_group.clone().or_else(|| said(|it| &it.log_group));
        let log_group = log_group.unwrap_or_else(|| match configuration {
            // Lambda's own default, so nothing is assumed.
            Some(_) => usual_group(),
            None => assume("log group", usual_group()),
        });
        let table = names.table.clone().or_else(|| match (configuration, said(|it| &it.tokens)) {
            (_, Some(place)) => place.strip_prefix("dynamodb://").map(str::to_owned),
            (Some(_), None) => Some(DEFAULT_TABLE.to_owned()),
            (None, None) => Some(assume("token table", DEFAULT_TABLE.to_owned())),
        });
        let source = names.source.clone().or_else(|| said(|it| &it.logs));
        let secret = names.secret.clone().or_else(|| said(|it| &it.secret));
        let is_guessed = Guessed {
            log_group: names.log_group.is_none() && configuration.is_none(),
            table: names.table.is_none() && configuration.is_none(),
        };
        Self { log_group, source, table, secret, assumed, is_guessed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        Names { stack: "blue".to_owned(), ..Names::default() }
    }

    fn configured() -> Configuration {
        let text = |text: &str| Some(text.to_owned());
        Configuration {
            log_group: text("/teams/blue"),
            logs: text("s3://blue-logs/codex"),
            tokens: text("dynamodb://blue-tokens"),
            secret: text("blue/key"),
            ..Configuration::default()
        }
    }

    #[test]
    fn the_configuration_says_what_the_proxy_really_uses() {
        let found = Found::of(&names(), "blue", Some(&configured()));
        assert_eq!(found.log_group, "/teams/blue");
        assert_eq!(found.source.as_deref(), Some("s3://blue-logs/codex"));
        assert_eq!(found.table.as_deref(), Some("blue-tokens"));
        assert_eq!(found.secret.as_deref(), Some("blue/key"));
        assert!(found.assumed.is_empty());
    }

    #[test]
    fn what_a_person_names_goes_before_it() {
        let text = |text: &str| Some(text.to_owned());
        let named = Names {
            source: text("./logs"),
            table: text("t"),
            secret: text("s"),
            log_group: text("/g"),
            ..names()
        };
        let found = Found::of(&named, "blue", Some(&configured()));
        let Found { log_group, source, table, secret, assumed, is_guessed } = found;
        assert_eq!(is_guessed, Guessed::default());
        assert_eq!(
            (log_group, source, table, secret),
            ("/g".to_owned(), text("./logs"), text("t"), text("s"))
        );
        assert!(assumed.is_empty());
    }

    #[test]
    fn without_the_configuration_the_usual_names_are_taken_and_said() {
        let found = Found::of(&names(), "blue", None);
        assert_eq!(found.log_group, "/aws/lambda/blue");
        assert_eq!(found.table.as_deref(), Some("codex-proxy-tokens"));
        assert_eq!((found.source, found.secret), (None, None));
        assert_eq!(found.is_guessed, Guessed { log_group: true, table: true });
        assert_eq!(found.assumed, ["log group /aws/lambda/blue", "token table codex-proxy-tokens"]);
    }

    #[test]
    fn a_configuration_that_is_silent_means_the_proxys_own_defaults() {
        let found = Found::of(&names(), "blue", Some(&Configuration::default()));
        assert_eq!(found.log_group, "/aws/lambda/blue");
        assert_eq!(found.table.as_deref(), Some("codex-proxy-tokens"));
        assert!(found.assumed.is_empty());
        let tokens = Some("./tokens.json".to_owned());
        let in_a_file = Configuration { tokens, ..Configuration::default() };
        assert_eq!(Found::of(&names(), "blue", Some(&in_a_file)).table, None);
    }
}
