//! The flags that say which deployment is meant: the same for every command that asks AWS.

use clap::Args;

use crate::aws::deployment::{DEFAULT_STACK, Names};

/// Which deployment is meant.
#[derive(Args, Clone, Debug)]
pub(super) struct Named {
    /// Deployment that is meant; its function's configuration names the rest [default: codex-proxy]
    #[arg(long, env = "ANALYZER_STACK", value_name = "NAME")]
    stack: Option<String>,
    /// Its function, if it is not named like the stack
    #[arg(long, value_name = "NAME")]
    function: Option<String>,
    /// Its token table
    #[arg(long, value_name = "NAME")]
    table: Option<String>,
    /// The secret that holds the OpenAI key
    #[arg(long, value_name = "NAME|ARN")]
    secret: Option<String>,
    /// The log group of its function
    #[arg(long, value_name = "NAME")]
    log_group: Option<String>,
}

impl Named {
    /// Returns the names, with the root of the logs, where somebody named it.
    pub(super) fn names(self, source: Option<String>) -> Names {
        let Self { stack, function, table, secret, log_group } = self;
        let given = |name: Option<String>| name.filter(|name| !name.is_empty());
        Names {
            stack: given(stack).unwrap_or_else(|| DEFAULT_STACK.to_owned()),
            function: given(function),
            source: given(source),
            table: given(table),
            secret: given(secret),
            log_group: given(log_group),
        }
    }

    /// Tells whether somebody named a deployment, so that it is asked even beside a local folder.
    pub(super) fn is_given(&self) -> bool {
        let given = |name: &Option<String>| name.as_ref().is_some_and(|name| !name.is_empty());
        given(&self.stack) || given(&self.function) || given(&self.log_group)
    }
}
