//! The proxy, seen from outside: over real HTTP, with a fake OpenAI behind it.
//!
//! One binary, because linking is what takes long; `samples` stands alone, because it writes the
//! golden samples of the contract.

mod common;

mod outcomes;
mod refusals;
mod tokens;
mod openai_key;
mod fidelity;
mod pool;
mod environment_proxy;
mod record;
mod sinks;
mod refused;
mod shutdown;
mod lambda;
mod lambda_ends;
mod spool;
mod masked;
mod chaos;
mod commands;
