//! Logs in an S3 bucket, read by a client of our own.
//!
//! Reading many small objects is all requests and no bytes. A bare client on hyper that signs by
//! itself takes less than a fifth of the SDK's CPU time for a GET, and half of `object_store`'s (see
//! `benches/README.md`). The SDK still says where a bucket is, and who we are.

mod connect;
mod listing;
mod pace;
mod place;
mod sign;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;

use aws_config::SdkConfig;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderValue, Request, header};
use http_body_util::Empty;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use tokio::time::Instant;

use super::{Depth, Listing, LogSource, Part, Piece, Rates, SourceError, Span, Version};
use crate::aws;
use crate::logs::decode::RECORD_LIMIT;
use connect::{Answer, Connections, NoAnswer};
use listing::{element, read_page};
use pace::{ATTEMPTS, Pace, Patience, backoff};
use place::Place;
use sign::{NO_BODY, Signer, encode};

/// Reads logs below a prefix of a bucket. Credentials, region and endpoint come from where the AWS
/// CLI takes them.
pub struct S3Source {
    place: Place,
    connections: Connections,
    bucket: String,
    /// Empty, or with its slash.
    prefix: String,
    pace: Pace,
    patience: Patience,
}

/// What of an object is wanted, as headers say it.
#[derive(Default)]
struct Wanted {
    range: Option<String>,
    /// Only this version.
    version: Option<Version>,
}

/// Why one try gave nothing.
enum Trouble {
    /// Worth another try; `is_load` where S3 asks for less.
    Passing { why: String, is_load: bool },
    /// Another try, with other credentials or another clock, at once.
    Renewed(String),
    /// The connection was stale: another try at once, which costs nothing.
    Stale,
    /// The object is empty, of which S3 gives no range: all of it is asked for.
    Empty(String),
    /// This is the answer.
    Final(SourceError),
}

impl S3Source {
    /// Opens a bucket; the first listing tells whether it can be read.
    ///
    /// # Errors
    ///
    /// Without a region or credentials.
    pub async fn open(bucket: &str, prefix: &str) -> Result<Self, SourceError> {
        Self::with(aws::load().await, bucket, prefix).await
    }

    /// Opens a bucket with settings that are loaded already.
    ///
    /// # Errors
    ///
    /// Without a region or credentials.
    pub async fn with(config: SdkConfig, bucket: &str, prefix: &str) -> Result<Self, SourceError> {
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let place = Place::resolve(config, bucket).await?;
        let connections = Connections::new(place.uri.clone())
            .map_err(|error| SourceError::Unreachable(format!("cannot speak TLS: {error}")))?;
        Ok(Self {
            place,
            connections,
            bucket: bucket.to_owned(),
            prefix,
            pace: Pace::new(),
            patience: Patience::new(),
        })
    }

    async fn list_pages(&self, prefix: &str, depth: Depth) -> Result<Listing, SourceError> {
        let whole = format!("{}{prefix}", self.prefix);
        let mut listing = Listing::default();
        let mut token: Option<String> = None;
        loop {
            let query = list_query(token.as_deref(), depth, &whole);
            let answer = self.request("", &query, &whole, Wanted::default()).await?;
            let Some(page) = read_page(&answer.body) else {
                let place = self.name(&whole);
                return Err(SourceError::Unreachable(format!("cannot list `{place}`: no listing")));
            };
            let strip = |key: &mut String| {
                if key.starts_with(&self.prefix) {
                    key.drain(..self.prefix.len());
                }
            };
            let (mut objects, mut folders) = (page.listing.objects, page.listing.folders);
            objects.iter_mut().map(|object| &mut object.key).for_each(strip);
            folders.iter_mut().for_each(strip);
            listing.objects.append(&mut objects);
            listing.folders.append(&mut folders);
            token = page.next;
            if token.is_none() {
                return Ok(listing);
            }
        }
    }

    /// Asks until there is an answer, or reason to give up.
    async fn request(
        &self,
        key: &str,
        query: &str,
        names: &str,
        mut wanted: Wanted,
    ) -> Result<Answer, SourceError> {
        let mut path = self.place.path.clone();
        encode(key, true, &mut path);
        // A bucket itself is asked without the slash at its end where it stands in the path.
        let path =
            if key.is_empty() && path.len() > 1 { path.trim_end_matches('/') } else { &path };
        let (mut attempt, mut stale, mut renewed) = (1, 0, 0);
        loop {
            let begun = Instant::now();
            let trouble = match self.attempt(path, query, names, &wanted).await {
                Ok(answer) => {
                    self.patience.restore(attempt - 1);
                    if key.is_empty() {
                        return Ok(answer);
                    }
                    self.pace.rise(Instant::now());
                    return Ok(answer);
                }
                Err(trouble) => trouble,
            };
            let why = match trouble {
                Trouble::Final(error) => return Err(error),
                Trouble::Stale if stale < pace::CONNECTIONS => {
                    stale += 1;
                    continue;
                }
                Trouble::Renewed(_) if renewed < 2 => {
                    renewed += 1;
                    continue;
                }
                Trouble::Empty(_) if wanted.range.take().is_some() => continue,
                Trouble::Stale => "the connection was closed".to_owned(),
                Trouble::Empty(why) => return Err(SourceError::Unreachable(why)),
                Trouble::Renewed(why) => return Err(SourceError::Denied(why)),
                Trouble::Passing { why, is_load } => {
                    if is_load {
                        self.pace.halve(begun, Instant::now());
                    }
                    why
                }
            };
            if attempt == ATTEMPTS || !self.patience.take() {
                let times = if attempt == 1 { String::new() } else { format!(", {attempt} times") };
                return Err(SourceError::Unreachable(format!("{why}{times}")));
            }
            tokio::time::sleep(backoff(attempt, random())).await;
            attempt += 1;
        }
    }

    async fn attempt(
        &self,
        path: &str,
        query: &str,
        names: &str,
        wanted: &Wanted,
    ) -> Result<Answer, Trouble> {
        let cannot_reach = |why: &str| format!("cannot reach `{}`: {why}", self.name(names));
        let signer = self
            .place
            .signer()
            .await
            .map_err(|why| Trouble::Final(SourceError::Unreachable(cannot_reach(&why))))?;
        let request = self.signed(&signer, path, query, wanted).ok_or_else(|| {
            let text = format!("cannot read `{}`: its name is no URL", self.name(names));
            Trouble::Final(SourceError::Unreachable(text))
        })?;
        let answer = self.connections.send(request, RECORD_LIMIT).await;
        match answer {
            Ok(answer) if answer.status.is_success() => Ok(answer),
            Ok(answer) => Err(self.explain(&answer, &signer, names)),
            Err(NoAnswer::Stale) => Err(Trouble::Stale),
            Err(error @ NoAnswer::TooLong(_)) => {
                let text = format!("cannot read `{}`: {error}", self.name(names));
                Err(Trouble::Final(SourceError::Unreachable(text)))
            }
            Err(error) => {
                let is_load = matches!(error, NoAnswer::Silent(_));
                Err(Trouble::Passing { why: cannot_reach(&error.to_string()), is_load })
            }
        }
    }

    fn signed(
        &self,
        signer: &Signer,
        path: &str,
        query: &str,
        wanted: &Wanted,
    ) -> Option<Request<Empty<Bytes>>> {
        let signature = signer.sign(self.place.now(), path, query)?;
        let to = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let mut request = Request::get(to)
            .header(header::HOST, &self.place.host)
            .header("x-amz-content-sha256", HeaderValue::from_static(NO_BODY))
            .header("x-amz-date", signature.date)
            .header(header::AUTHORIZATION, signature.authorization);
        if let Some(token) = signer.session_token() {
            request = request.header("x-amz-security-token", token);
        }
        if let Some(range) = &wanted.range {
            request = request.header(header::RANGE, range);
        }
        if let Some(Version(etag)) = &wanted.version {
            request = request.header(header::IF_MATCH, etag);
        }
        request.body(Empty::new()).ok()
    }

    /// Says what an answer without a success means.
    fn explain(&self, answer: &Answer, signer: &Arc<Signer>, names: &str) -> Trouble {
        let status = answer.status.as_u16();
        let xml = String::from_utf8_lossy(&answer.body);
        let code = element(&xml, "Code").unwrap_or_default();
        let message = element(&xml, "Message").unwrap_or_default();
        let text = format!("cannot read `{}`: HTTP {status} {code} {message}", self.name(names));
        let text = text.trim_end().to_owned();
        if matches!(&*code, "ExpiredToken" | "ExpiredTokenException" | "TokenRefreshRequired") {
            self.place.forget(signer);
            return Trouble::Renewed(text);
        }
        let header = |name: &str| answer.headers.get(name)?.to_str().ok();
        if code == "RequestTimeTooSkewed"
            && let Some(theirs) = header("date").and_then(parse_date)
            && self.place.set_clock(theirs)
        {
            return Trouble::Renewed(text);
        }
        let region = header("x-amz-bucket-region").map(str::to_owned);
        let region = region.or_else(|| element(&xml, "Region").map(std::borrow::Cow::into_owned));
        match (status, region) {
            (301 | 307 | 400, Some(region)) => {
                let text = format!("{text}; the bucket is in {region}");
                Trouble::Final(SourceError::Elsewhere { text, region })
            }
            (404, _) => Trouble::Final(SourceError::Missing(text)),
            (412, _) => Trouble::Final(SourceError::Changed(text)),
            (416, _) if element(&xml, "ActualObjectSize").is_none_or(|size| size == "0") => {
                Trouble::Empty(text)
            }
            (400, _) if code == "RequestTimeout" => Trouble::Passing { why: text, is_load: true },
            (429 | 503 | 504, _) => Trouble::Passing { why: text, is_load: true },
            (408 | 500.., _) => Trouble::Passing { why: text, is_load: false },
            (301 | 307 | 400 | 401 | 403, _) => Trouble::Final(SourceError::Denied(text)),
            _ => Trouble::Final(SourceError::Unreachable(text)),
        }
    }

    fn name(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }
}

/// Writes the query of a page, in the order in which it is signed.
fn list_query(token: Option<&str>, depth: Depth, prefix: &str) -> String {
    let mut query = String::new();
    if let Some(token) = token {
        query.push_str("continuation-token=");
        encode(token, false, &mut query);
        query.push('&');
    }
    if depth == Depth::Here {
        query.push_str("delimiter=%2F&");
    }
    query.push_str("encoding-type=url&list-type=2&prefix=");
    encode(prefix, false, &mut query);
    query
}

/// Reads of which version an answer is, and how large all of it is.
fn piece_of(answer: Answer) -> Option<Piece> {
    let header = |name: header::HeaderName| answer.headers.get(name)?.to_str().ok();
    let version = Version(header(header::ETAG)?.to_owned());
    let size = match header(header::CONTENT_RANGE) {
        Some(range) => range.rsplit('/').next()?.parse().ok()?,
        None => answer.body.len() as u64,
    };
    Some(Piece { bytes: answer.body, version, size })
}

/// Reads the `date` header of an answer.
fn parse_date(text: &str) -> Option<Timestamp> {
    static PARSER: DateTimeParser = DateTimeParser::new();
    PARSER.parse_timestamp(text).ok()
}

/// A number between 0 and 1, so that not all try again at once.
fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 40;
    bits as f64 / f64::from(1 << 24)
}

impl LogSource for S3Source {
    fn list<'a>(
        &'a self,
        prefix: &'a str,
        depth: Depth,
    ) -> BoxFuture<'a, Result<Listing, SourceError>> {
        Box::pin(self.list_pages(prefix, depth))
    }

    fn get<'a>(&'a self, key: &'a str, part: Part) -> BoxFuture<'a, Result<Bytes, SourceError>> {
        Box::pin(async move {
            let whole = format!("{}{key}", self.prefix);
            let range = match part {
                Part::Whole => None,
                Part::Head(bytes) => Some(format!("bytes=0-{}", bytes.max(1) - 1)),
            };
            let wanted = Wanted { range, version: None };
            Ok(self.request(&whole, "", &whole, wanted).await?.body)
        })
    }

    fn read<'a>(
        &'a self,
        key: &'a str,
        span: Span,
        of: Option<&'a Version>,
    ) -> BoxFuture<'a, Result<Piece, SourceError>> {
        Box::pin(async move {
            let whole = format!("{}{key}", self.prefix);
            let range = Some(match &span {
                Span::Last(bytes) => format!("bytes=-{}", (*bytes).max(1)),
                Span::Range(range) => format!("bytes={}-{}", range.start, range.end.max(1) - 1),
            });
            let wanted = Wanted { range, version: of.cloned() };
            let answer = self.request(&whole, "", &whole, wanted).await?;
            piece_of(answer).ok_or_else(|| {
                let text =
                    format!("cannot read `{}`: the answer names no version", self.name(&whole));
                SourceError::Unreachable(text)
            })
        })
    }

    fn concurrency(&self) -> usize {
        self.pace.limit()
    }

    fn rates(&self) -> Rates {
        Rates::S3
    }

    fn place(&self) -> String {
        self.name(&self.prefix)
    }
}
