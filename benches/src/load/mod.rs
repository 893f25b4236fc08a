//! What does a proxy cost? The load, the targets, and the counting behind `proxy-overhead`.
//!
//! The [`plan`] says how long and how much. [`targets`] starts the fake OpenAI and the proxies, each
//! as a `process` of its own; `phases` puts each of them under the same load from `client`, in
//! rounds that take turns, and reads from `usage` what that cost; `report` writes the figures as
//! tables. Wall-clock figures of a busy machine are noisy; CPU per exchange is the one to trust.

pub mod plan;
pub mod targets;
pub mod phases;
pub mod report;

mod client;
mod figure;
mod process;
mod question;
mod usage;
