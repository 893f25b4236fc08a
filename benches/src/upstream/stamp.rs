//! The headers that tell who answered.
//!
//! Each answer gets one [`Stamp`] with ids of its own. OpenAI's answers carry all of it; what the
//! edge in front of OpenAI says by itself carries only `cf-ray` and `server`.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::atomic::{AtomicU64, Ordering},
};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{fault::Limit, random::SplitMix};

/// Makes stamps that no other answer carries, of this server or of another one.
pub(crate) struct Stamps {
    seed: u64,
    made: AtomicU64,
}

/// The ids of one answer.
pub(crate) struct Stamp {
    /// 32 hexadecimal digits, the stem of all ids in the answer.
    pub(crate) id: String,
    ray: u64,
}

impl Stamps {
    pub(crate) fn new() -> Self {
        // The one source of randomness in std; two servers must not give out the same ids.
        Self { seed: RandomState::new().hash_one("stamps"), made: AtomicU64::new(0) }
    }

    pub(crate) fn fresh(&self) -> Stamp {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let mut bits = SplitMix::new(self.seed.wrapping_add(number << 32));
        Stamp { id: format!("{:016x}{:016x}", bits.draw(), bits.draw()), ray: bits.draw() }
    }
}

impl Stamp {
    /// Returns `req_` and 32 hexadecimal digits.
    pub(crate) fn request_id(&self) -> String {
        format!("req_{}", self.id)
    }

    /// Returns the headers of an answer that OpenAI itself gives.
    pub(crate) fn openai(&self, limit: Limit) -> HeaderMap {
        let mut headers = self.edge();
        let (remaining, reset) = match limit {
            Limit::Room => ("1996000", "120ms"),
            Limit::Spent { .. } => ("0", "1.2s"),
        };
        set(&mut headers, "x-request-id", &self.request_id());
        set(&mut headers, "openai-processing-ms", &(100 + self.ray % 400).to_string());
        set(&mut headers, "openai-version", "2020-10-01");
        set(&mut headers, "openai-organization", "org-fake");
        set(&mut headers, "openai-project", "proj_fake");
        set(&mut headers, "x-ratelimit-limit-requests", "10000");
        set(&mut headers, "x-ratelimit-remaining-requests", "9999");
        set(&mut headers, "x-ratelimit-reset-requests", "6ms");
        set(&mut headers, "x-ratelimit-limit-tokens", "2000000");
        set(&mut headers, "x-ratelimit-remaining-tokens", remaining);
        set(&mut headers, "x-ratelimit-reset-tokens", reset);
        if let Limit::Spent { retry_after_seconds } = limit {
            set(&mut headers, "retry-after", &retry_after_seconds.to_string());
        }
        headers
    }

    /// Returns the headers of an answer that the edge gives without OpenAI.
    pub(crate) fn edge(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        set(&mut headers, "cf-ray", &format!("{:016x}-FRA", self.ray));
        set(&mut headers, "server", "cloudflare");
        headers
    }
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    let value = HeaderValue::from_str(value).expect("ids and constants are ASCII");
    headers.insert(HeaderName::from_static(name), value);
}
