//! One incident on one page: what happened, since when, whom it hurts, whose fault, what changed, what to
//! do.
//!
//! Exchanges of a window, and of the time before it, are gathered ([`gather`]) as facts ([`fact`]); AWS is
//! asked for what left no log ([`watch`]). What happens more often than usual is a trouble ([`detect`], by
//! [`burst`]); troubles that belong together are an incident, with what it brought about ([`incident`]).
//! Tables beside them say how many, who, how long and how much. All of it is one [`page`], which
//! `report::triage` writes in its forms.

pub mod name;
pub mod fingerprint;
pub mod fact;
mod rows;
pub mod gather;
pub mod watch;
mod percentile;
pub mod burst;
pub mod series;
pub mod latency;
pub mod trouble;
pub mod detect;
pub mod deploy;
mod traffic;
mod cause;
mod words;
pub mod incident;
pub mod story;
pub mod change;
pub mod failures;
pub mod pattern;
pub mod usage;
pub mod timeline;
pub mod whole;
pub mod page;
pub mod packet;
pub mod threshold;
