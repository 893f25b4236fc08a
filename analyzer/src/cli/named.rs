//! The flags that say which deployment is meant: the same for every command that asks AWS.

use clap::Args;

use crate::deployment::{DEFAULT_STACK, Names};

/// Which deployment is meant.
#[derive(Args, Clone, Debug)]
pub(super) struct Named {
    /// Deployment that is meant; its function's configuration names the rest
    #[arg(long, env = "ANALYZER_STACK", value_name = "NAME", default_value = DEFAULT_STACK)]
    stack: String,
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
        // A variable that is set to nothing names nothing.
        let stack = given(Some(stack)).unwrap_or_else(|| DEFAULT_STACK.to_owned());
        Names {
            stack,
            function: given(function),
            source: given(source),
            table: given(table),
            secret: given(secret),
            log_group: given(log_group),
        }
    }
}
