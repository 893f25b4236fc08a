//! The token store of a team: a DynamoDB table with the key `token`.
//!
//! Rows are kept under `sha256:` and the token's hash; old ones under the token itself. A look-up
//! reads both in one consistent `BatchGetItem`: a key that comes back unprocessed means that we do
//! not know, and of two rows for one token the disabled one wins.

mod register;
mod row;

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use futures::future::BoxFuture;

use super::format::{TokenHash, is_like_a_hash};
use super::register::{StoredAs, TokenRow};
use super::store::{LookUpFailed, Owner, TokenStore};
use crate::aws::{self, Patience, Trouble};
use crate::client::harmless;
use crate::redact::MASK;
use crate::secret::Secret;

/// A request waits for this; DynamoDB mostly answers in milliseconds.
const PATIENCE: Patience =
    Patience { attempt: Duration::from_secs(2), in_all: Duration::from_secs(5) };

/// The table could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} DynamoDB table `{table}` in {region}: {trouble}")]
pub struct TableError {
    /// What was tried: read or change.
    action: &'static str,
    /// The operation, as IAM writes it.
    operation: &'static str,
    table: String,
    region: String,
    trouble: Trouble,
}

impl TableError {
    /// Returns what to do about it; `None` where trying again is all.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let Self { operation, table, region, .. } = self;
        match &self.trouble {
            Trouble::Missing(_) => Some(format!(
                "check name and region, or make it: aws dynamodb create-table --region {region} \
                 --table-name {table} --attribute-definitions \
                 AttributeName=token,AttributeType=S --key-schema \
                 AttributeName=token,KeyType=HASH --billing-mode PAY_PER_REQUEST"
            )),
            Trouble::Denied(_) => {
                Some(format!("the role or user needs `{operation}` on table `{table}`"))
            }
            trouble => trouble.hint(),
        }
    }
}

/// A table of tokens.
pub struct DynamoDbTokens {
    client: Client,
    table: String,
}

impl DynamoDbTokens {
    /// Names a table; asks nothing of it yet. Credentials, region and endpoint come from where the
    /// AWS CLI takes them.
    ///
    /// # Errors
    ///
    /// When nothing says which region.
    pub async fn open(table: &str) -> Result<Self, TableError> {
        let tokens = Self::new(&Client::new(aws::config().await), table);
        if tokens.client.config().region().is_none() {
            return Err(tokens.failed("read", "dynamodb:BatchGetItem", Trouble::NoRegion));
        }
        Ok(tokens)
    }

    /// Uses this client, but with our time-outs.
    #[must_use]
    pub fn new(client: &Client, table: &str) -> Self {
        let config: Builder = client.config().to_builder();
        let config = config.timeout_config(PATIENCE.timeouts()).retry_config(PATIENCE.retries());
        Self { client: Client::from_conf(config.build()), table: table.to_owned() }
    }

    /// Reads the rows that are kept under these keys.
    async fn read(&self, keys: &[&str]) -> Result<Vec<TokenRow>, Unread> {
        let keys = keys.iter().map(|key| row::key(key)).collect();
        let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
        let wanted = wanted.build().map_err(|_| Unread::Unprocessed)?;
        let request = self.client.batch_get_item().request_items(&self.table, wanted);
        let answer = request.send().await.map_err(|error| {
            let trouble = Trouble::of(&error);
            Unread::Failed(self.failed("read", "dynamodb:BatchGetItem", trouble))
        })?;
        let BatchGetItemOutput { responses, unprocessed_keys, .. } = answer;
        if unprocessed_keys.is_some_and(|tables| !tables.is_empty()) {
            return Err(Unread::Unprocessed);
        }
        let items: Vec<HashMap<String, AttributeValue>> =
            responses.into_iter().flatten().flat_map(|(_, items)| items).collect();
        Ok(items.iter().filter_map(row::read).collect())
    }

    fn failed(
        &self,
        action: &'static str,
        operation: &'static str,
        trouble: Trouble,
    ) -> TableError {
        let region = self.client.config().region();
        let region = region.map_or("no region".to_owned(), ToString::to_string);
        TableError { action, operation, table: self.table.clone(), region, trouble }
    }
}

/// Why rows were not read.
enum Unread {
    Failed(TableError),
    Unprocessed,
}

impl TokenStore for DynamoDbTokens {
    fn look_up<'a>(
        &'a self,
        token: &'a Secret,
        hash: TokenHash,
    ) -> BoxFuture<'a, Result<Option<Owner>, LookUpFailed>> {
        Box::pin(async move {
            let plain = token.expose();
            if is_like_a_hash(plain) {
                // Here a stored hash would find its own row.
                return Ok(None);
            }
            let rows = self.read(&[&hash.to_string(), plain]).await.map_err(|unread| {
                let reason = match unread {
                    Unread::Failed(error) => error.to_string(),
                    Unread::Unprocessed => {
                        format!("DynamoDB table `{}` left keys unprocessed", self.table)
                    }
                };
                LookUpFailed(reason.replace(plain, MASK))
            })?;
            Ok(owner(&rows))
        })
    }
}

/// Whose the rows of one token are: what the hashed row says goes before what the old one says,
/// and either of them can disable the token.
fn owner(rows: &[TokenRow]) -> Option<Owner> {
    let hashed = rows.iter().filter(|row| matches!(row.stored, StoredAs::Hash(_)));
    let old = rows.iter().filter(|row| !matches!(row.stored, StoredAs::Hash(_)));
    let developer = hashed.chain(old).find_map(|row| row.developer.as_deref());
    (!rows.is_empty()).then(|| Owner {
        developer: developer.map(harmless),
        enabled: rows.iter().all(|row| row.enabled),
    })
}
