//! The analyzer, seen from outside: the built binary over folders and an S3 server of logs whose
//! truth is known.
//!
//! One binary, because linking is what takes long.

mod common;

mod sources;
mod texts;
mod corpus;
mod culprits;
mod origin;
mod told;
mod ids;
mod incidents;
mod triage;
mod browser;
mod show;
mod tail;
mod way;
mod damage;
mod samples;
mod generated;
mod cloudwatch;
mod recover;
mod publishing;
mod compact;
mod compact_odd;
mod twins;
mod compacted;
mod job;
mod engines;
mod sql;
mod compact_crash;
mod deployment;
mod steps;
mod partial;
