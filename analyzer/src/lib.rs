//! The analyzer: reads the proxy's logs and says whose error it was, with the evidence.
//!
//! The modules stand in the order in which a question becomes an answer: a pasted text is recognised
//! (`text`), the logs of a window are listed, read and classified (`logs`), AWS is asked for what
//! leaves no log (`aws`), and all of it is weighed (`verdict`), or put together as an incident
//! (`triage`), and told (`report`). Everything that decides takes values and returns values; the
//! folder, S3, AWS, the clock and the terminal are at the edges (`logs::source`, `aws`, `cli`).

pub mod cli;
pub mod number;
pub mod window;
pub mod text;
pub mod question;
pub mod logs;
pub mod hour;
pub mod aws;
pub mod verdict;
pub mod inquire;
pub mod triage;
pub mod report;
mod memory;
pub mod compact;
pub mod job;
#[cfg(feature = "sql")]
pub mod sql;
pub mod tail;
