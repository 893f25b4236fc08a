//! Where a server's records go, and where they wait: from flags to a sink and a spool.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};

use super::{Failure, state_folder};
use crate::log::Keep;
use crate::settings::Settings;
use crate::sink::{FolderSink, LogPlace, LogSink, S3Sink, check_kms_key};
use crate::spool::{self, Parked, Spool};

/// Where records go, and under which key S3 encrypts them.
pub(super) struct Logs {
    place: LogPlace,
    kms_key: Option<String>,
}

impl Logs {
    /// Reads `--logs` and `--log-kms-key-arn`.
    pub(super) fn parse(logs: &str, kms_key: Option<String>) -> Result<Self, Failure> {
        let place = LogPlace::parse(logs).map_err(|error| {
            Failure::usage(anyhow!(error), "--logs DIR or s3://BUCKET[/PREFIX]")
        })?;
        // A variable that is set to nothing is not set.
        let kms_key = kms_key.filter(|arn| !arn.trim().is_empty());
        if let Some(arn) = &kms_key {
            let hint = "name the key by its ARN, or leave out --log-kms-key-arn (LOG_KMS_KEY_ARN)";
            check_kms_key(arn).map_err(|error| Failure::usage(anyhow!(error), hint))?;
            if let LogPlace::Folder(folder) = &place {
                let folder = folder.display();
                let error =
                    anyhow!("a KMS key is for a bucket, and the logs go to folder `{folder}`");
                let hint =
                    "--logs s3://BUCKET[/PREFIX], or leave out --log-kms-key-arn (LOG_KMS_KEY_ARN)";
                return Err(Failure::usage(error, hint));
            }
        }
        Ok(Self { place, kms_key })
    }

    /// Opens the place.
    pub(super) async fn sink(&self) -> Result<Arc<dyn LogSink>, Failure> {
        Ok(match &self.place {
            LogPlace::Bucket { bucket, prefix } => {
                Arc::new(S3Sink::open(bucket, prefix, self.kms_key.as_deref()).await)
            }
            LogPlace::Folder(folder) => Arc::new(
                FolderSink::open(folder)
                    .with_context(|| format!("cannot write logs to folder `{}`", folder.display()))
                    .map_err(Failure::outside)?,
            ),
        })
    }

    /// Opens the spool. One that cannot be used is said, and exchanges go on without: a full disk on
    /// this machine must not stop a team.
    pub(super) fn spool(&self, told: Option<PathBuf>, settings: &Settings) -> (Keep, Vec<Parked>) {
        let folder = told.unwrap_or_else(|| default_spool(&self.place));
        match Spool::open(&folder, settings.log_body) {
            Ok((spool, orphans)) => (Keep::Spool(spool), orphans),
            Err(error) => {
                spool::complain(&folder, &error);
                (Keep::Nowhere, Vec::new())
            }
        }
    }
}

/// Beside the logs of a folder; for a bucket, a folder of its own below the user's state.
fn default_spool(place: &LogPlace) -> PathBuf {
    match place {
        LogPlace::Bucket { bucket, prefix } => {
            let name = format!("{bucket}/{prefix}").trim_matches('/').replace('/', "+");
            state_folder().join("codex-proxy").join("spool").join(name)
        }
        LogPlace::Folder(folder) => Path::new(folder).join("spool"),
    }
}
