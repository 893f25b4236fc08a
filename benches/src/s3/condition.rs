//! The conditions under which a write takes place.
//!
//! The header and the object that is there, if any, come in; the answer is yes, or S3's error. With
//! `If-None-Match: *` one of many writers wins.

use s3s::{S3Error, S3Result, dto::ETagCondition, s3_error};

use super::store::Object;

/// `If-Match`: without an object S3 answers 404, with another one 412.
pub(super) fn if_match(condition: Option<&ETagCondition>, stored: Option<&Object>) -> S3Result {
    match (condition, stored) {
        (None, _) | (Some(ETagCondition::Any), Some(_)) => Ok(()),
        (Some(_), None) => Err(s3_error!(NoSuchKey, "The specified key does not exist.")),
        (Some(ETagCondition::ETag(wanted)), Some(stored)) if wanted.value() == stored.etag => {
            Ok(())
        }
        (Some(ETagCondition::ETag(_)), Some(_)) => Err(precondition_failed()),
    }
}

/// `If-None-Match`: an object that meets the condition stays as it is.
pub(super) fn if_none_match(
    condition: Option<&ETagCondition>,
    stored: Option<&Object>,
) -> S3Result {
    match (condition, stored) {
        (Some(ETagCondition::Any), Some(_)) => Err(precondition_failed()),
        (Some(ETagCondition::ETag(unwanted)), Some(stored)) if unwanted.value() == stored.etag => {
            Err(precondition_failed())
        }
        _ => Ok(()),
    }
}

fn precondition_failed() -> S3Error {
    s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
}
