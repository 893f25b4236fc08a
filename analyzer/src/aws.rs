//! AWS as this command reaches it: credentials, region and endpoint, from where the AWS CLI takes them.
//!
//! Loaded once; each service's client is made from it, so that all of them share one HTTP client and
//! one set of credentials.

use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::tls;

/// Loads credentials, region and endpoint (`AWS_PROFILE`, `AWS_REGION`, `AWS_ENDPOINT_URL` and the
/// rest). Nothing is asked of AWS yet, so nothing can fail yet.
pub(crate) async fn load() -> SdkConfig {
    let ring = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring);
    let http = aws_smithy_http_client::Builder::new().tls_provider(ring).build_https();
    aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await
}
