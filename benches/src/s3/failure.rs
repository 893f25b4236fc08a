//! Requests, counted and made to fail.
//!
//! A test orders failures for a kind of request; each order is used up by the next requests of that
//! kind. The kinds are those that a reader and a writer of logs make.

use std::collections::VecDeque;

use http::{HeaderMap, HeaderName, HeaderValue};
use s3s::{S3Error, S3ErrorCode, s3_error};

use crate::upstream::SplitMix;

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
    /// `CreateMultipartUpload`.
    CreateUpload,
    /// `UploadPart`.
    UploadPart,
    /// `CompleteMultipartUpload`.
    CompleteUpload,
    /// `AbortMultipartUpload`.
    AbortUpload,
}

/// On which side of a request something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// It is not carried out.
    Before,
    /// It is carried out, and never answered.
    After,
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
    /// 404 `NoSuchKey`: deleted after it was listed.
    Missing,
    /// 400 `ExpiredToken`: temporary credentials have run out.
    ExpiredToken,
    /// 301 `PermanentRedirect`: the bucket is in `eu-west-1`.
    OtherRegion,
    /// The body stops half way, and the connection is dropped: [`Operation::Get`] only.
    Truncate,
    /// The object is stored, and the answer is 500 `InternalError`: of a [`Operation::Put`] or
    /// [`Operation::CompleteUpload`].
    StoredUntold,
    /// The object is stored, and no answer ever comes: of the same.
    StoredUnanswered,
    /// The connection is dropped without an answer, and nothing is stored.
    Reset,
    /// The object is stored, and the connection is dropped: of the same.
    StoredReset,
    /// 409 `ConditionalRequestConflict`: another writer of the key was at work.
    Conflict,
    /// 412 `PreconditionFailed`, although the condition holds.
    Precondition,
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
    /// Requests of multipart uploads.
    pub multipart: usize,
    /// Bytes that `GetObject` answered with.
    pub got_bytes: u64,
}

impl Counts {
    /// Returns how many requests there were.
    #[must_use]
    pub fn total(&self) -> usize {
        let Self { get, head, list, put, multipart, got_bytes: _ } = self;
        get + head + list + put + multipart
    }

    pub(crate) fn add(&mut self, operation: Operation) {
        let count = match operation {
            Operation::Get => &mut self.get,
            Operation::Head => &mut self.head,
            Operation::List => &mut self.list,
            Operation::Put => &mut self.put,
            Operation::CreateUpload
            | Operation::UploadPart
            | Operation::CompleteUpload
            | Operation::AbortUpload => &mut self.multipart,
        };
        *count += 1;
    }
}

/// The failures that are still to come.
#[derive(Default)]
pub(crate) struct Orders {
    /// One after another.
    due: VecDeque<(Operation, Failure, usize)>,
    /// Now and then.
    chances: Vec<Chance>,
    /// How many failures there were.
    pub(crate) carried_out: usize,
}

/// A failure that meets so many of a thousand requests, chosen by its seed.
struct Chance {
    operation: Operation,
    failure: Failure,
    of_thousand: usize,
    random: SplitMix,
}

impl Orders {
    pub(crate) fn add(&mut self, operation: Operation, failure: Failure, times: usize) {
        failure.check(operation);
        self.due.push_back((operation, failure, times));
    }

    pub(crate) fn add_chance(
        &mut self,
        operation: Operation,
        failure: Failure,
        of_thousand: usize,
        seed: u64,
    ) {
        failure.check(operation);
        let random = SplitMix::new(seed);
        self.chances.push(Chance { operation, failure, of_thousand, random });
    }

    /// Forgets every order.
    pub(crate) fn clear(&mut self) {
        self.due.clear();
        self.chances.clear();
    }

    /// Takes the failure that is due for this request, or `None`.
    pub(crate) fn take(&mut self, operation: Operation) -> Option<Failure> {
        self.due.retain(|&(_, _, times)| times > 0);
        let due = self.due.iter_mut().find(|order| order.0 == operation);
        let due = due.map(|(_, failure, times)| {
            *times -= 1;
            *failure
        });
        let mut of_kind = self.chances.iter_mut().filter(|chance| chance.operation == operation);
        let failure = due.or_else(|| {
            of_kind.find_map(|chance| {
                (chance.random.below(1_000) < chance.of_thousand).then_some(chance.failure)
            })
        });
        self.carried_out += usize::from(failure.is_some());
        failure
    }
}

impl Failure {
    /// Refuses a failure that this operation cannot have.
    fn check(self, operation: Operation) {
        let is_of = match self {
            Self::Truncate => operation == Operation::Get,
            Self::StoredUntold
            | Self::StoredUnanswered
            | Self::StoredReset
            | Self::Conflict
            | Self::Precondition => {
                matches!(operation, Operation::Put | Operation::CompleteUpload)
            }
            _ => true,
        };
        assert!(is_of, "{operation:?} cannot fail by {self:?}");
    }

    /// Returns the error to answer with, or `None` for a failure that begins as a success.
    pub(crate) fn error(self) -> Option<S3Error> {
        match self {
            Self::SlowDown => Some(s3_error!(SlowDown, "Please reduce your request rate.")),
            Self::Internal => Some(s3_error!(
                InternalError,
                "We encountered an internal error. Please try again."
            )),
            Self::AccessDenied => Some(s3_error!(AccessDenied, "Access Denied")),
            Self::Missing => Some(s3_error!(NoSuchKey, "The specified key does not exist.")),
            Self::ExpiredToken => Some(s3_error!(ExpiredToken, "The provided token has expired.")),
            Self::OtherRegion => {
                let message = "The bucket you are attempting to access must be addressed using \
                               the specified endpoint.";
                let mut error = S3Error::with_message(S3ErrorCode::PermanentRedirect, message);
                let region = HeaderValue::from_static("eu-west-1");
                let name = HeaderName::from_static("x-amz-bucket-region");
                error.set_headers(HeaderMap::from_iter([(name, region)]));
                Some(error)
            }
            Self::Conflict => Some(s3_error!(
                ConditionalRequestConflict,
                "The conditional request cannot succeed due to a conflicting operation"
            )),
            Self::Precondition => Some(s3_error!(
                PreconditionFailed,
                "At least one of the pre-conditions you specified did not hold"
            )),
            Self::Truncate
            | Self::StoredUntold
            | Self::StoredUnanswered
            | Self::Reset
            | Self::StoredReset => None,
        }
    }
}
