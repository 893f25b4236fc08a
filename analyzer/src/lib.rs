//! The analyzer: reads the proxy's logs and says whose error it was, with the evidence.
//!
//! The modules stand in the order in which a question becomes an answer: a pasted text is
//! recognised, the logs of a window are listed, candidates are read, decoded and classified,
//! gathered as evidence, and judged. Everything that decides takes values and returns values; the
//! folder, S3, the clock and the terminal are at the edges (`source`, `cli`).

pub mod cli;
pub mod window;
mod fold;
mod python;
mod paste;
pub mod ids;
mod wanted;
pub mod recognise;
pub mod question;
mod aws;
pub mod permission;
pub mod source;
pub mod list;
mod queue;
pub mod read;
pub mod decode;
mod literal;
mod words;
pub mod needle;
mod understand;
pub mod scan;
pub mod classify;
pub mod turn;
pub mod evidence;
pub mod deployment;
pub mod cloudwatch;
pub mod unlogged;
pub mod capacity;
pub mod recover;
pub mod validate;
pub mod advice;
mod proof;
mod nearest;
pub mod verdict;
mod presume;
mod refusal;
pub mod judge;
pub mod corroborate;
pub mod inquire;
pub mod report;
pub mod tail;
