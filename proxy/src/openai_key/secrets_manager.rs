//! A secret in AWS Secrets Manager, and the forms in which people keep a key there.

use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::config::{Builder, Region};
use futures::future::BoxFuture;
use serde_json::{Map, Value};

use super::{KeyUnavailable, KeyVault, OpenAiKey};
use crate::aws::{self, Patience, Trouble};

/// A first request waits for this.
const PATIENCE: Patience =
    Patience { attempt: Duration::from_secs(3), in_all: Duration::from_secs(8) };

/// Fields that hold the key in a JSON secret, the first one found.
const FIELDS: [&str; 5] = ["OPENAI_API_KEY", "openai_api_key", "api_key", "apiKey", "key"];

/// One secret of Secrets Manager.
pub struct SecretsManager {
    client: Client,
    secret: String,
}

impl SecretsManager {
    /// Names a secret, by its name or ARN; asks nothing yet. An ARN says its region itself.
    pub async fn open(secret: &str) -> Self {
        let config = aws::config().await;
        let region = region_of_arn(secret).or_else(|| config.region().cloned());
        let config = Builder::from(config).region(region);
        Self::new(&Client::from_conf(config.build()), secret)
    }

    /// Reads with this client, but with our time-outs.
    #[must_use]
    pub fn new(client: &Client, secret: &str) -> Self {
        let config = client.config().to_builder();
        let config = config.timeout_config(PATIENCE.timeouts()).retry_config(PATIENCE.retries());
        Self { client: Client::from_conf(config.build()), secret: secret.to_owned() }
    }

    async fn value(&self) -> Result<String, KeyUnavailable> {
        let region = self.client.config().region();
        let failed = |trouble| KeyUnavailable::Fetch {
            secret: self.secret.clone(),
            region: region.map_or("no region".to_owned(), ToString::to_string),
            trouble,
        };
        if region.is_none() {
            return Err(failed(Trouble::NoRegion));
        }
        let answer = self.client.get_secret_value().secret_id(&self.secret).send().await;
        let answer = answer.map_err(|error| failed(Trouble::of(&error)))?;
        let binary = || {
            let bytes = answer.secret_binary().map(|blob| blob.as_ref().to_vec());
            bytes.and_then(|bytes| String::from_utf8(bytes).ok())
        };
        let text = answer.secret_string().map(str::to_owned).or_else(binary);
        text.ok_or_else(|| self.unusable("it is binary, and not text".to_owned()))
    }

    fn unusable(&self, reason: String) -> KeyUnavailable {
        KeyUnavailable::Content { secret: self.secret.clone(), reason }
    }
}

impl KeyVault for SecretsManager {
    fn fetch(&self) -> BoxFuture<'_, Result<OpenAiKey, KeyUnavailable>> {
        Box::pin(async {
            let value = self.value().await?;
            let key = key_in(&value).and_then(|key| OpenAiKey::parse(&key));
            key.map_err(|reason| self.unusable(reason))
        })
    }
}

/// Finds the key in a secret: the whole of it, or a field of a JSON object.
fn key_in(secret: &str) -> Result<String, String> {
    let secret = secret.trim();
    if !secret.starts_with('{') {
        return Ok(secret.to_owned());
    }
    let fields: Map<String, Value> =
        serde_json::from_str(secret).map_err(|_| "it begins like JSON, and is none".to_owned())?;
    let named = FIELDS.iter().find_map(|name| fields.get(*name)?.as_str());
    let mut texts = fields.values().filter_map(Value::as_str);
    let only = texts.next().filter(|_| texts.next().is_none());
    let key = named.or(only).map(str::to_owned);
    key.ok_or_else(|| format!("its JSON object has none of the fields {}", FIELDS.join(", ")))
}

fn region_of_arn(secret: &str) -> Option<Region> {
    let mut parts = secret.strip_prefix("arn:")?.split(':');
    let region = parts.nth(2).filter(|region| !region.is_empty())?;
    Some(Region::new(region.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_every_form_that_people_store() {
        for secret in [
            "sk-canary",
            " sk-canary\n",
            r#"{"OPENAI_API_KEY":"sk-canary","key":"another"}"#,
            r#"{"note":"of March","api_key":"sk-canary"}"#,
            r#"{"apiKey":"sk-canary","n":1}"#,
            r#"{"whatever":"sk-canary","rotated":3}"#,
        ] {
            assert_eq!(key_in(secret).as_deref(), Ok("sk-canary"), "{secret}");
        }
        for secret in [r#"{"a":"canary-1","b":"canary-2"}"#, "{canary", r#"{"n":1}"#, "{}"] {
            let error = key_in(secret).expect_err("no key");
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn an_arn_says_its_region() {
        let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:codex-proxy/key-AbCdEf";
        assert_eq!(region_of_arn(arn), Some(Region::new("eu-west-1")));
        assert_eq!(region_of_arn("codex-proxy/key"), None);
        assert_eq!(region_of_arn("arn:x"), None);
    }
}
