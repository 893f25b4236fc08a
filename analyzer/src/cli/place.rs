//! Where the logs are: the flag that every command reading them takes, and what to say when they are
//! not to be had.

use std::sync::Arc;

use clap::Args;

use super::named::Named;
use super::{Exit, Failure, say_unseen};
use crate::aws::deployment::Deployment;
use crate::logs::source::{self, LogSource, SourceError};

/// Where the logs are, and which deployment knows where.
#[derive(Args, Clone, Debug)]
pub(super) struct Place {
    /// Where the logs are: the folder or `s3://BUCKET[/PREFIX]` above logs/; by default where the
    /// stack's function puts them
    #[arg(long, env = "ANALYZER_SOURCE", value_name = "PLACE")]
    source: Option<String>,
    #[command(flatten)]
    named: Named,
}

impl Place {
    /// Returns the place that was named, if any.
    pub(super) fn source(&self) -> Option<&str> {
        self.source.as_deref().filter(|place| !place.is_empty())
    }

    /// Tells whether AWS has anything to do with these logs.
    pub(super) fn is_on_aws(&self) -> bool {
        self.names_deployment() || self.source().is_some_and(|place| place.starts_with("s3://"))
    }

    /// Tells whether somebody named a deployment.
    pub(super) fn names_deployment(&self) -> bool {
        self.named.is_given()
    }

    /// Finds the deployment.
    pub(super) async fn deployment(&self) -> Deployment {
        let source = self.source().map(str::to_owned);
        Box::pin(Deployment::resolve(self.named.clone().names(source))).await
    }

    /// Opens the logs; a command that has nothing to say without them ends here.
    pub(super) async fn open(&self) -> Result<Arc<dyn LogSource>, Failure> {
        if let Some(place) = self.source() {
            return open(place).await;
        }
        let deployment = self.deployment().await;
        if let Some(place) = &deployment.source {
            return open(place).await;
        }
        say_unseen(&deployment.unseen, "");
        Err(Failure {
            error: format!("nothing says where the logs of `{}` are", deployment.function),
            hint: Some(
                "--source DIR or --source s3://BUCKET[/PREFIX], or set ANALYZER_SOURCE".to_owned(),
            ),
            exit: Exit::Usage,
        })
    }
}

/// Opens a place.
pub(super) async fn open(place: &str) -> Result<Arc<dyn LogSource>, Failure> {
    Ok(source::open(place).await.map_err(|error| unreachable(&error))?.into())
}

/// Says what to do about a source that cannot be used.
pub(super) fn unreachable(error: &SourceError) -> Failure {
    let hint = match error {
        SourceError::Missing(_) => {
            "--source is the folder or s3://BUCKET[/PREFIX] above logs/, the same as the proxy's --logs"
        }
        SourceError::Denied(_) => {
            "check the credentials (AWS_PROFILE, `aws sts get-caller-identity`), the region, and the right to s3:ListBucket"
        }
        SourceError::Unreachable(_) => {
            "check AWS_REGION, AWS_ENDPOINT_URL, credentials (AWS_PROFILE) and the network"
        }
        SourceError::Elsewhere { region, .. } => &format!("set AWS_REGION={region}"),
    };
    Failure { error: error.to_string(), hint: Some(hint.to_owned()), exit: Exit::Unreachable }
}
