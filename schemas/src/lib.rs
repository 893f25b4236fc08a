//! The contract between the proxy, which writes, and the analyzer, which reads. No I/O here.
//!
//! Each fact stands once: the record, the error catalogue, the symptom catalogue and the key
//! format are tables and types in this crate; the pages under `generated/` are rendered from them
//! and checked for drift by `tests/generated.rs`.
//!
//! # Glossary
//!
//! - *exchange*: one request of a client and the answer it got, whatever ended it
//! - *record*: the JSON object that the proxy leaves for one exchange
//! - *key*: the name of the object that holds a record; tells time, id, token, status and outcome
//! - *origin*: the layer that produced a failure (OpenAI, its edge, proxy, AWS, network, client)
//! - *author*: who wrote the words that a developer sees; often not the origin
//! - *code*: the machine-readable name of a failure: ours from the catalogue, or OpenAI's
//! - *symptom*: a text that a developer pastes, and the condition that it proves
//! - *evidence*: what logs and metrics say about that condition
//! - *verdict*: origin, who acts, and how sure we are, with the evidence
//! - *turn*: one step of a developer's session; Codex repeats one turn up to 30 times
//! - *window*: the time span that an answer speaks about

pub mod origin;
pub mod record;
pub mod key;
pub mod catalogue;
pub mod body;
pub mod view;
pub mod columns;
pub mod journal;
pub mod spill;
pub mod symptom;
pub mod ddl;
pub mod render;
