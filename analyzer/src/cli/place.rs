//! Where the logs are: the flag that every command reading them takes, and what to say when they are
//! not to be had.

use std::sync::Arc;

use clap::Args;

use super::{Exit, Failure};
use crate::source::{self, LogSource, SourceError};

/// Where the logs are.
#[derive(Args, Clone, Debug)]
pub(super) struct Place {
    /// Where the logs are: the folder or `s3://BUCKET[/PREFIX]` above logs/
    #[arg(long, env = "ANALYZER_SOURCE", value_name = "PLACE")]
    source: Option<String>,
}

impl Place {
    /// Returns the place that was named, if any.
    pub(super) fn named(&self) -> Option<&str> {
        self.source.as_deref().filter(|place| !place.is_empty())
    }

    /// Opens the place; a command that has nothing to say without logs ends here.
    pub(super) async fn open(&self) -> Result<Arc<dyn LogSource>, Failure> {
        let Some(place) = self.named() else {
            return Err(Failure {
                error: "no source of logs is named".to_owned(),
                hint: Some(
                    "--source DIR or --source s3://BUCKET[/PREFIX], or set ANALYZER_SOURCE"
                        .to_owned(),
                ),
                exit: Exit::Usage,
            });
        };
        Ok(source::open(place).await.map_err(|error| unreachable(&error))?.into())
    }
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
    };
    Failure { error: error.to_string(), hint: Some(hint.to_owned()), exit: Exit::Unreachable }
}
