//! The edge to Lambda: a function's settings, its URL, who may invoke it, and the account's limits.
//!
//! Of the function's environment only the proxy's own names are read, and never a key.

use aws_config::SdkConfig;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::types::{AccountLimit, LogFormat};

use crate::aws::Trouble;
use crate::aws::cloudwatch::watch::patience;
use crate::aws::cloudwatch::{Configuration, Reserved};

/// Asks Lambda.
pub(crate) struct Lambda {
    client: Client,
}

/// A Function URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FunctionUrl {
    pub(crate) url: String,
    /// `BUFFERED` or `RESPONSE_STREAM`.
    pub(crate) mode: String,
    /// `NONE` or `AWS_IAM`.
    pub(crate) auth: String,
}

/// What an account may run at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    /// All its slots.
    pub(crate) slots: u32,
    /// Those that are reserved for no function.
    pub(crate) unreserved: u32,
}

impl Account {
    /// Slots that must stay unreserved. A small account must keep all that it has.
    pub(crate) fn floor(self) -> u32 {
        self.slots.min(100)
    }

    /// Returns how many more slots can be reserved.
    pub(crate) fn free(self) -> u32 {
        self.unreserved.saturating_sub(self.floor())
    }
}

impl Lambda {
    pub(crate) fn new(config: &SdkConfig) -> Self {
        let (timeouts, retries) = patience();
        let config = aws_sdk_lambda::config::Builder::from(config);
        let config = config.timeout_config(timeouts).retry_config(retries);
        Self { client: Client::from_conf(config.build()) }
    }

    /// Reads a function's settings, without its slots, which need a right of their own.
    pub(crate) async fn configuration(&self, function: &str) -> Result<Configuration, Trouble> {
        let request = self.client.get_function_configuration().function_name(function);
        let answer = request.send().await.map_err(|error| Trouble::of(&error))?;
        let environment = answer.environment().and_then(|environment| environment.variables());
        let variable = |name: &str| {
            let value = environment.and_then(|variables| variables.get(name));
            value.map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
        };
        let logging = answer.logging_config();
        let group = logging.and_then(|logging| logging.log_group()).map(str::to_owned);
        let format = logging.and_then(|logging| logging.log_format());
        // Whoever put the key itself where its name belongs will not find it in our output.
        let secret = variable("OPENAI_API_KEY_SECRET").filter(|name| !name.starts_with("sk-"));
        Ok(Configuration {
            arn: answer.function_arn().map(str::to_owned),
            timeout_s: answer.timeout().and_then(|seconds| u32::try_from(seconds).ok()),
            memory_mb: answer.memory_size().and_then(|size| u32::try_from(size).ok()),
            reserved: None,
            log_group: group,
            logs_json: format.map(|format| *format == LogFormat::Json),
            state: answer.state().map(|state| state.as_str().to_owned()),
            last_modified: answer.last_modified().map(str::to_owned),
            logs: variable("CODEX_PROXY_LOGS"),
            tokens: variable("CODEX_PROXY_TOKENS"),
            secret,
            kms_key: variable("LOG_KMS_KEY_ARN"),
            holds_key: variable("OPENAI_API_KEY").is_some(),
        })
    }

    /// Reads how many slots are reserved for a function.
    pub(crate) async fn reserved(&self, function: &str) -> Result<Reserved, Trouble> {
        let request = self.client.get_function_concurrency().function_name(function);
        let answer = request.send().await.map_err(|error| Trouble::of(&error))?;
        let slots = answer.reserved_concurrent_executions();
        let slots = slots.and_then(|slots| u32::try_from(slots).ok());
        Ok(slots.map_or(Reserved::Shared, Reserved::Slots))
    }

    /// Reads a function's URL.
    pub(crate) async fn url(&self, function: &str) -> Result<FunctionUrl, Trouble> {
        let request = self.client.get_function_url_config().function_name(function);
        let answer = request.send().await.map_err(|error| Trouble::of(&error))?;
        Ok(FunctionUrl {
            url: answer.function_url().to_owned(),
            // Lambda's own default, where it says nothing.
            mode: answer.invoke_mode().map_or("BUFFERED", |mode| mode.as_str()).to_owned(),
            auth: answer.auth_type().as_str().to_owned(),
        })
    }

    /// Reads who may invoke a function: a policy, as JSON.
    pub(crate) async fn policy(&self, function: &str) -> Result<String, Trouble> {
        let request = self.client.get_policy().function_name(function);
        let answer = request.send().await.map_err(|error| Trouble::of(&error))?;
        Ok(answer.policy().unwrap_or_default().to_owned())
    }

    /// Reads the account's limits.
    pub(crate) async fn account(&self) -> Result<Account, Trouble> {
        let answer = self.client.get_account_settings().send().await;
        let answer = answer.map_err(|error| Trouble::of(&error))?;
        let limit = answer.account_limit();
        let number = |number: Option<i32>| number.and_then(|number| u32::try_from(number).ok());
        let missing = || Trouble::Refused("the answer names no limit".to_owned());
        Ok(Account {
            slots: number(limit.map(AccountLimit::concurrent_executions)).ok_or_else(missing)?,
            unreserved: number(limit.and_then(AccountLimit::unreserved_concurrent_executions))
                .ok_or_else(missing)?,
        })
    }
}
