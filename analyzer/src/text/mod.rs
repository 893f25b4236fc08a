//! What was pasted, and what it proves: from a terminal's decoration to a row of the symptom catalogue.
//!
//! In comes any text; out goes [`recognise::Recognised`]. Nothing here looks at a log.

pub(crate) mod bound;
pub(crate) mod fold;
mod python;
mod paste;
pub mod ids;
mod row;
pub mod elsewhere;
mod ours;
mod end;
mod wanted;
pub mod recognise;
pub mod secret;
