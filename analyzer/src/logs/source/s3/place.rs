//! Where a bucket is and how to sign for it, as the SDK resolves both.
//!
//! Regions, dual stack, FIPS, own endpoints and path style are rules of the SDK that nobody wants to
//! write twice: it presigns one GET without sending it, and host, path and region are read off that.

use std::sync::{Arc, Mutex, PoisonError};

use aws_config::SdkConfig;
use aws_sdk_s3::config::{Credentials, ProvideCredentials as _};
use aws_sdk_s3::presigning::PresigningConfig;
use http::Uri;
use jiff::{SignedDuration, Timestamp};

use super::connect::root_cause;
use super::sign::Signer;
use crate::logs::source::SourceError;

/// Credentials are renewed this long before they expire, as the SDK does it.
const EARLY: SignedDuration = SignedDuration::from_secs(60);
/// A key that needs no encoding, to ask the SDK with.
const KEY: &str = "key";

/// A bucket's place.
pub(super) struct Place {
    config: SdkConfig,
    /// Scheme and host.
    pub(super) uri: Uri,
    /// Value of the `host` header.
    pub(super) host: String,
    /// Path of the bucket, with the slash at its end.
    pub(super) path: String,
    region: String,
    signer: Mutex<Option<Ready>>,
    /// Held by the one request that renews the credentials, while the others wait for them.
    renewing: tokio::sync::Mutex<()>,
    /// By how many seconds S3's clock is ahead of ours, once it has complained.
    skew: Mutex<SignedDuration>,
}

/// A signer, and when it has to be replaced.
struct Ready {
    signer: Arc<Signer>,
    until: Option<Timestamp>,
}

impl Place {
    /// Resolves where a bucket is; credentials are looked up, and S3 is not asked yet.
    pub(super) async fn resolve(config: SdkConfig, bucket: &str) -> Result<Self, SourceError> {
        // A server with an endpoint of its own rarely answers to `bucket.host`.
        let own_endpoint =
            config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
        let s3 = aws_sdk_s3::config::Builder::from(&config).force_path_style(own_endpoint).build();
        let unreachable =
            |why: &str| SourceError::Unreachable(format!("cannot reach `s3://{bucket}`: {why}"));
        let hour = PresigningConfig::expires_in(std::time::Duration::from_hours(1));
        let hour = hour.map_err(|error| unreachable(&error.to_string()))?;
        let client = aws_sdk_s3::Client::from_conf(s3);
        let presigned = client.get_object().bucket(bucket).key(KEY).presigned(hour).await;
        let presigned = presigned.map_err(|error| unreachable(&root_cause(&error)))?;

        let uri: Uri = presigned.uri().parse().map_err(|_| unreachable("its URL is none"))?;
        let (scheme, host) = (uri.scheme_str(), uri.authority().map(http::uri::Authority::as_str));
        let (Some(scheme), Some(host)) = (scheme, host) else {
            return Err(unreachable("its URL has no host"));
        };
        // AKID/20261122/REGION/s3/aws4_request, its slashes encoded.
        let mut pairs = uri.query().unwrap_or_default().split('&');
        let scope = pairs.find_map(|pair| pair.strip_prefix("X-Amz-Credential="));
        let region = scope.and_then(|scope| {
            let mut parts = scope.rsplit("%2F");
            parts.find(|part| *part == "s3")?;
            parts.next()
        });
        let Some(region) = region else {
            return Err(unreachable("it wants another signature than version 4"));
        };
        let path = uri.path().strip_suffix(KEY).unwrap_or("/").to_owned();
        let (host, region) = (host.to_owned(), region.to_owned());
        let uri = format!("{scheme}://{host}/").parse().map_err(|_| unreachable("no URL"))?;
        let (signer, skew) = (Mutex::default(), Mutex::default());
        let renewing = tokio::sync::Mutex::default();
        Ok(Self { config, uri, host, path, region, signer, renewing, skew })
    }

    /// Returns the time as S3 has it.
    pub(super) fn now(&self) -> Timestamp {
        #[expect(clippy::disallowed_methods, reason = "a signature holds for minutes only")]
        let now = Timestamp::now();
        now + *self.skew.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over S3's clock; tells whether that changes much.
    pub(super) fn set_clock(&self, theirs: Timestamp) -> bool {
        let off = theirs.duration_since(self.now());
        let mut skew = self.skew.lock().unwrap_or_else(PoisonError::into_inner);
        *skew += off;
        off.abs() > SignedDuration::from_secs(60)
    }

    /// Returns a signer whose credentials hold for now.
    pub(super) async fn signer(&self) -> Result<Arc<Signer>, String> {
        if let Some(signer) = self.held() {
            return Ok(signer);
        }
        let _one_at_a_time = self.renewing.lock().await;
        if let Some(signer) = self.held() {
            return Ok(signer);
        }
        let provider = self.config.credentials_provider();
        let provider = provider.ok_or_else(|| "there are no credentials".to_owned())?;
        let found = provider.provide_credentials().await;
        let found = found.map_err(|error| root_cause(&error))?;
        let signer = Arc::new(self.signer_of(&found));
        let until = found.expiry().and_then(|expiry| Timestamp::try_from(expiry).ok());
        let until = until.map(|until| until - EARLY);
        *self.signer.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Ready { signer: Arc::clone(&signer), until });
        Ok(signer)
    }

    /// Forgets a signer that S3 calls expired; one that has replaced it stays.
    pub(super) fn forget(&self, signer: &Arc<Signer>) {
        let mut held = self.signer.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(|held| Arc::ptr_eq(&held.signer, signer)) {
            *held = None;
        }
    }

    fn held(&self) -> Option<Arc<Signer>> {
        let now = self.now();
        let held = self.signer.lock().unwrap_or_else(PoisonError::into_inner);
        let held = held.as_ref()?;
        held.until.is_none_or(|until| now < until).then(|| Arc::clone(&held.signer))
    }

    fn signer_of(&self, found: &Credentials) -> Signer {
        Signer::new(
            found.access_key_id(),
            found.secret_access_key(),
            found.session_token(),
            &self.host,
            &self.region,
            self.now(),
        )
    }
}
