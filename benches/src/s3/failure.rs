//! Requests, counted and made to fail.
//!
//! A test orders failures for a kind of request; each order is used up by the next requests of that
//! kind. The kinds are those that a reader and a writer of logs make.

use std::collections::VecDeque;

use s3s::{S3Error, s3_error};

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `GetObject`.
    Get,
    /// `HeadObject`.
    Head,
    /// `ListObjectsV2`.
    List,
    /// `PutObject`.
    Put,
}

/// How a request fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// 503 `SlowDown`.
    SlowDown,
    /// 500 `InternalError`.
    Internal,
    /// 403 `AccessDenied`.
    AccessDenied,
    /// The body stops half way, and the connection is dropped: [`Operation::Get`] only.
    Truncate,
    /// The object is stored, and the answer is 500 `InternalError`: [`Operation::Put`] only.
    StoredUntold,
    /// The object is stored, and no answer ever comes: [`Operation::Put`] only.
    StoredUnanswered,
    /// The connection is dropped, and nothing is stored: [`Operation::Put`] only.
    Reset,
    /// The object is stored, and the connection is dropped: [`Operation::Put`] only.
    StoredReset,
}

/// The number of requests answered, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// `GetObject`.
    pub get: usize,
    /// `HeadObject`.
    pub head: usize,
    /// `ListObjectsV2`.
    pub list: usize,
    /// `PutObject`.
    pub put: usize,
}

impl Counts {
    pub(crate) fn add(&mut self, operation: Operation) {
        let count = match operation {
            Operation::Get => &mut self.get,
            Operation::Head => &mut self.head,
            Operation::List => &mut self.list,
            Operation::Put => &mut self.put,
        };
        *count += 1;
    }
}

/// The failures that are still to come.
#[derive(Default)]
pub(crate) struct Orders(VecDeque<(Operation, Failure, usize)>);

impl Orders {
    pub(crate) fn add(&mut self, operation: Operation, failure: Failure, times: usize) {
        assert!(
            failure != Failure::Truncate || operation == Operation::Get,
            "only the body of a GET can be cut",
        );
        let is_of_put = matches!(
            failure,
            Failure::StoredUntold
                | Failure::StoredUnanswered
                | Failure::Reset
                | Failure::StoredReset
        );
        assert!(!is_of_put || operation == Operation::Put, "only a PUT fails like this");
        self.0.push_back((operation, failure, times));
    }

    /// Forgets every order.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes a failure that drops the connection of a PUT, if that is what is due.
    pub(crate) fn take_reset(&mut self) -> Option<Failure> {
        self.0.retain(|&(_, _, times)| times > 0);
        let (_, failure, times) = self.0.iter_mut().find(|order| order.0 == Operation::Put)?;
        let is_reset = matches!(failure, Failure::Reset | Failure::StoredReset);
        *times -= usize::from(is_reset);
        is_reset.then_some(*failure)
    }

    /// Takes the failure that is due for this request, or `None`.
    pub(crate) fn take(&mut self, operation: Operation) -> Option<Failure> {
        self.0.retain(|&(_, _, times)| times > 0);
        let (_, failure, times) = self.0.iter_mut().find(|order| order.0 == operation)?;
        *times -= 1;
        Some(*failure)
    }
}

impl Failure {
    /// Returns the error to answer with, or `None` for a failure that begins as a success.
    pub(crate) fn error(self) -> Option<S3Error> {
        match self {
            Self::SlowDown => Some(s3_error!(SlowDown, "Please reduce your request rate.")),
            Self::Internal => Some(s3_error!(
                InternalError,
                "We encountered an internal error. Please try again."
            )),
            Self::AccessDenied => Some(s3_error!(AccessDenied, "Access Denied")),
            Self::Truncate
            | Self::StoredUntold
            | Self::StoredUnanswered
            | Self::Reset
            | Self::StoredReset => None,
        }
    }
}
