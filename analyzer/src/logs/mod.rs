//! From a window to the exchanges in its logs: listed, chosen, read, unpacked and classified.
//!
//! In come a source and a question; out go the exchanges that can matter, and what could not be read.
//! What is I/O stands in [`source`]; what the bytes mean is decided without it.

pub mod source;
pub mod list;
pub mod find;
mod queue;
pub mod decode;
mod literal;
mod words;
pub mod needle;
pub mod classify;
pub(crate) mod understand;
pub mod aim;
pub mod read;
mod earlier;
pub mod scan;
