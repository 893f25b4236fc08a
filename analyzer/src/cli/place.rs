//! Where the logs are: the flag that every command reading them takes, and what to say when they are
//! not to be had.

use std::sync::Arc;

use clap::Args;
use schemas::key::LOGS;

use super::named::Named;
use super::{Exit, Failure, say, say_unseen};
use crate::aws;
use crate::aws::deployment::Deployment;
use crate::logs::source::{self, Depth, LogSource, SourceError};
use crate::report::printable;

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

    /// Finds the logs, and the deployment where AWS is to be asked: without a place, the stack's function says
    /// where the logs are, and AWS has to be set up for that.
    pub(super) async fn locate(&self) -> Located {
        let named = self.source().map(str::to_owned);
        let resolved = match &named {
            None if self.is_on_aws() || aws::is_set_up() => Some(self.deployment().await),
            _ => None,
        };
        let found = resolved.as_ref().and_then(|deployment| deployment.source.clone());
        Located { source: named.or(found), resolved }
    }

    /// Opens the logs; a command that has nothing to say without them ends here.
    pub(super) async fn open(&self) -> Result<Arc<dyn LogSource>, Failure> {
        open(&self.resolve().await?).await
    }

    /// Returns where the logs are: what was named, else where the stack's function puts them.
    pub(super) async fn resolve(&self) -> Result<String, Failure> {
        if let Some(place) = self.source() {
            return Ok(place.to_owned());
        }
        let deployment = self.deployment().await;
        if let Some(place) = &deployment.source {
            return Ok(place.clone());
        }
        Err(nowhere(Some(&deployment)))
    }
}

/// Where logs are, and the deployment that said so.
pub(super) struct Located {
    /// The place; `None` where nobody knows one.
    pub(super) source: Option<String>,
    /// The deployment, where it had to be asked for that.
    pub(super) resolved: Option<Deployment>,
}

/// Says that nothing tells where the logs are, and what could not be seen of the deployment that might.
pub(super) fn nowhere(deployment: Option<&Deployment>) -> Failure {
    let of = deployment.map_or(String::new(), |it| format!(" of `{}`", it.function));
    say_unseen(deployment.map_or(&[], |it| &it.unseen), "");
    Failure {
        error: format!("nothing says where the logs{of} are"),
        hint: Some(
            "--source DIR or --source s3://BUCKET[/PREFIX], or set ANALYZER_SOURCE".to_owned(),
        ),
        exit: Exit::Usage,
    }
}

/// Opens a place.
pub(super) async fn open(place: &str) -> Result<Arc<dyn LogSource>, Failure> {
    let source: Arc<dyn LogSource> =
        source::open(place).await.map_err(|error| unreachable(&error))?.into();
    hint_at_parent(place, &*source).await;
    Ok(source)
}

/// Whoever names the folder of the logs means the one above it, unless there are logs below.
pub(super) async fn hint_at_parent(place: &str, source: &dyn LogSource) {
    let Some(parent) = parent_of_logs(place) else { return };
    let Ok(listing) = source.list(LOGS, Depth::Here).await else { return };
    if listing.folders.is_empty() && listing.objects.is_empty() {
        let place = printable(place);
        let parent = printable(&parent);
        say(&format!(
            "hint: nothing stands in {LOGS} below `{place}`; is it --source '{parent}'? (the parent of {LOGS})"
        ));
    }
}

/// Returns what is above `logs`, for a place that is this folder or one of the times in it.
pub(super) fn parent_of_logs(place: &str) -> Option<String> {
    let (scheme, path) = match place.strip_prefix("s3://") {
        Some(path) => ("s3://", path.to_owned()),
        // The folder may be named by a dot.
        None => ("", std::fs::canonicalize(place).ok()?.to_string_lossy().into_owned()),
    };
    let is_time = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let mut path = path.trim_end_matches('/');
    while let Some((above, _)) = path.rsplit_once('/').filter(|(_, name)| is_time(name)) {
        path = above.trim_end_matches('/');
    }
    let above = path.strip_suffix(LOGS.trim_end_matches('/'))?.strip_suffix('/')?;
    Some(format!("{scheme}{}", if above.is_empty() { "/" } else { above }))
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
        SourceError::Changed(_) => "somebody writes to it just now; ask again",
        SourceError::Unreachable(_) => {
            "check AWS_REGION, AWS_ENDPOINT_URL, credentials (AWS_PROFILE) and the network"
        }
        SourceError::Elsewhere { region, .. } => &format!("set AWS_REGION={region}"),
    };
    Failure { error: error.to_string(), hint: Some(hint.to_owned()), exit: Exit::Unreachable }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_the_logs_and_all_in_it_have_one_parent() {
        for (place, parent) in [
            ("s3://b/logs", Some("s3://b")),
            ("s3://b/codex/logs/", Some("s3://b/codex")),
            ("s3://b/codex/logs/2026/11/22/02", Some("s3://b/codex")),
            ("s3://b/codex", None),
            ("s3://b/my-logs", None),
            ("s3://logs", None),
            ("s3://b/2026", None),
            ("no/such/folder/logs", None),
        ] {
            assert_eq!(parent_of_logs(place).as_deref(), parent, "{place}");
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let hour = folder.path().join("logs/2026/11");
        std::fs::create_dir_all(&hour).expect("folders");
        let found = parent_of_logs(&hour.to_string_lossy()).map(std::path::PathBuf::from);
        assert_eq!(found, std::fs::canonicalize(folder.path()).ok());
    }
}
