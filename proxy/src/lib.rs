//! The proxy: checks the token, swaps in the real key, forwards unchanged, leaves one log.
//!
//! The modules stand in the order in which a request passes them; `handle` is the paragraph that
//! ties them together. Everything that decides (`path`, `admit`, `outcome`, `record`) takes values
//! and returns values; sockets, files and S3 are at the edges (`serve`, `upstream`, `sink`).

pub mod cli;
pub mod settings;
pub mod secret;
mod spelling;
pub mod clock;
pub mod aws;
mod workers;
pub mod serve;
pub mod lambda;
pub mod handle;
pub mod path;
pub mod token;
pub mod admit;
pub mod openai_key;
pub mod answer;
pub mod memory;
pub mod upload;
pub mod asked;
pub mod upstream;
pub mod relay;
pub mod response;
pub mod facts;
pub mod exchange;
pub mod outcome;
pub mod client;
pub mod redact;
pub mod record;
pub mod encode;
pub mod log;
pub mod journal;
pub mod spill;
pub mod stdout;
pub mod spool;
pub mod sink;
