//! Administration of a table. Rows are added and switched one by one, each under a condition:
//! nothing is overwritten, and nothing that was deleted meanwhile comes back.

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::future::BoxFuture;

use super::row::{self, ENABLED, TOKEN};
use super::{DynamoDbTokens, TableError, Unread};
use crate::aws::Trouble;
use crate::token::cache::TTL;
use crate::token::register::{RegisterError, TokenRegister, TokenRow};

/// The answer to a condition that does not hold.
const CONDITION_FAILED: &str = "ConditionalCheckFailedException";

impl DynamoDbTokens {
    /// Reads the whole table, page by page.
    async fn scan(&self) -> Result<Vec<TokenRow>, TableError> {
        let mut rows = Vec::new();
        let scan = self.client.scan().table_name(&self.table).consistent_read(true);
        let mut pages = scan.into_paginator().send();
        while let Some(page) = pages.next().await {
            let page =
                page.map_err(|error| self.failed("read", "dynamodb:Scan", Trouble::of(&error)))?;
            rows.extend(page.items().iter().filter_map(row::read));
        }
        Ok(rows)
    }

    /// Switches one row; `false` when it was deleted meanwhile.
    async fn switch(&self, row: &TokenRow, enabled: bool) -> Result<bool, TableError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(row::key(row.stored.key().expose())))
            .update_expression("SET #enabled = :enabled")
            .condition_expression("attribute_exists(#token)")
            .expression_attribute_names("#enabled", ENABLED)
            .expression_attribute_names("#token", TOKEN)
            .expression_attribute_values(":enabled", AttributeValue::Bool(enabled));
        match update.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some(CONDITION_FAILED) => Ok(false),
            Err(error) => Err(self.failed("change", "dynamodb:UpdateItem", Trouble::of(&error))),
        }
    }
}

impl TokenRegister for DynamoDbTokens {
    fn ready(&self) -> BoxFuture<'_, Result<Option<usize>, RegisterError>> {
        Box::pin(async {
            // What a look-up does, with a key that no row can have: it needs the same right.
            match self.read(&["sha256:"]).await {
                Ok(_) | Err(Unread::Unprocessed) => Ok(None),
                Err(Unread::Failed(error)) => Err(error.into()),
            }
        })
    }

    fn rows(&self) -> BoxFuture<'_, Result<Vec<TokenRow>, RegisterError>> {
        Box::pin(async { Ok(self.scan().await?) })
    }

    fn add(&self, row: TokenRow) -> BoxFuture<'_, Result<(), RegisterError>> {
        Box::pin(async move {
            let id = row.token_id().unwrap_or_default();
            let put = self
                .client
                .put_item()
                .table_name(&self.table)
                .set_item(Some(row::write(row)))
                .condition_expression("attribute_not_exists(#token)")
                .expression_attribute_names("#token", TOKEN);
            match put.send().await {
                Ok(_) => Ok(()),
                Err(error) if error.code() == Some(CONDITION_FAILED) => {
                    Err(RegisterError::Exists(id))
                }
                Err(error) => {
                    Err(self.failed("change", "dynamodb:PutItem", Trouble::of(&error)).into())
                }
            }
        })
    }

    fn set_enabled<'a>(
        &'a self,
        is_meant: &'a (dyn Fn(&TokenRow) -> bool + Sync),
        enabled: bool,
    ) -> BoxFuture<'a, Result<usize, RegisterError>> {
        Box::pin(async move {
            let mut meant = self.scan().await?;
            meant.retain(is_meant);
            let (mut changed, mut gone, mut first_failure) = (0, 0, None);
            // One that fails does not keep the others enabled.
            for row in &meant {
                match self.switch(row, enabled).await {
                    Ok(true) => changed += 1,
                    Ok(false) => gone += 1,
                    Err(error) => {
                        first_failure.get_or_insert(error);
                    }
                }
            }
            match first_failure {
                None => Ok(changed),
                Some(error) if changed == 0 => Err(error.into()),
                Some(error) => {
                    let meant = meant.len() - gone;
                    Err(RegisterError::Partly { changed, meant, source: Box::new(error) })
                }
            }
        })
    }

    fn place(&self) -> String {
        let region = self.client.config().region().map(ToString::to_string);
        format!("DynamoDB table {} ({})", self.table, region.unwrap_or_default())
    }

    fn takes_effect(&self) -> String {
        format!("within {} s", TTL.as_secs())
    }
}
