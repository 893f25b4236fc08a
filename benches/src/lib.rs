//! The services that the tests, the demo and the benchmarks talk to instead of the real ones.
//!
//! [`upstream`] answers as `api.openai.com` does, faults on request included. [`s3`] speaks the S3
//! protocol over a map in memory (feature `s3-server`). [`lambda`] runs a real `bootstrap` as Lambda
//! does, behind a Function URL (feature `lambda`). [`tunnel`] is a company's proxy, and [`tls`] speaks
//! TLS in front of any of them (feature `tls`). All listen on loopback ports of their own choice
//! and stop, with every connection, when they are dropped. [`corpus`] makes logs to look into, and
//! tells the truth about them (feature `corpus`). [`load`] measures what a proxy costs (feature
//! `load`).

pub mod upstream;
#[cfg(feature = "s3-server")]
pub mod s3;
#[cfg(feature = "lambda")]
pub mod lambda;
pub mod tunnel;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "corpus")]
pub mod corpus;
#[cfg(feature = "load")]
pub mod load;

mod body;
mod server;
