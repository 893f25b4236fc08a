//! `analyzer schema`: the contracts, for other programs and other engines.

use clap::{Args, ValueEnum};
use schemas::{ddl, render};

use super::{Exit, Failure, print};

#[derive(Args)]
#[command(after_help = "\
Examples:
  analyzer schema                                       the JSON Schema of a log record
  analyzer schema athena --source s3://my-bucket/codex  two tables for Athena: compacted hours, raw logs
  analyzer schema columns                               what each column of the Parquet files is
  analyzer schema origin                                the JSON Schema of `analyzer origin --json`

The DDL was held against its documentation and never run on Athena.")]
pub(super) struct SchemaArguments {
    /// Which contract
    #[arg(value_enum, default_value = "record", value_name = "WHAT")]
    of: Contract,
    /// Where the logs are, for the tables of Athena: `s3://BUCKET[/PREFIX]`
    #[arg(long, env = "ANALYZER_SOURCE", value_name = "PLACE")]
    source: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Contract {
    /// A log record: JSON Schema
    Record,
    /// The tables of Athena: SQL
    Athena,
    /// The columns of compacted hours: Markdown
    Columns,
    /// The answer of `analyzer origin --json`: JSON Schema
    Origin,
    /// The page of `analyzer triage --json`: JSON Schema
    Triage,
    /// The answer of `analyzer compact --json`: JSON Schema
    Compact,
}

pub(super) fn run(arguments: &SchemaArguments) -> Result<Exit, Failure> {
    let text = match arguments.of {
        Contract::Record => render::json_schema(),
        Contract::Columns => ddl::columns_page(),
        Contract::Origin => crate::report::schema(),
        Contract::Triage => crate::report::page_schema(),
        Contract::Compact => super::compact::schema(),
        Contract::Athena => ddl::athena(place(arguments.source.as_deref())?),
    };
    print(&text);
    Ok(Exit::Answered)
}

/// Returns the place of the tables: Athena reads S3 alone.
fn place(source: Option<&str>) -> Result<&str, Failure> {
    let place = source.filter(|place| !place.is_empty()).unwrap_or("s3://BUCKET");
    let is_safe = place.strip_prefix("s3://").is_some_and(|bucket| {
        !bucket.is_empty() && !bucket.contains(['\'', '\\']) && !bucket.contains(char::is_control)
    });
    is_safe.then(|| place.trim_end_matches('/')).ok_or_else(|| Failure {
        error: format!("`{place}` is no place that Athena reads"),
        hint: Some("--source s3://BUCKET[/PREFIX]".to_owned()),
        exit: Exit::Usage,
    })
}
