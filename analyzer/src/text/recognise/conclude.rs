//! From the piece that a developer is left with to what it proves.
//!
//! In: what was read of the piece, and the paste around it. Out: who wrote it, whom it is about, and what
//! the logs are to be searched for.

use regex::Captures;
use schemas::catalogue::ErrorCode;
use schemas::origin::Origin;
use schemas::symptom::{Breadth, Condition, ShowsId, Symptom};

use super::{Reading, Rules, STREAM};
use crate::text::elsewhere::{self, Other};
use crate::text::end::{End, end};
use crate::text::fold::{Squeezed, fold};
use crate::text::ids::{FEW_PIECES, Host, Ids, is_bare_ray, is_ray};
use crate::text::ours;
use crate::text::paste::{Body, Paste, Piece};
use crate::text::wanted::{
    Extent, Id, Recognised, Says, Standing, StreamEnding, Wanted, extent, wants,
};

/// Bytes that programs put before the body of an answer.
const BEFORE_BODY: usize = 60;

impl Rules {
    /// Draws from the piece that counts, and from what stands around it, what the text proves.
    pub(super) fn conclude(
        &self,
        reading: Reading<'_>,
        paste: &Paste,
        whole: &Piece,
    ) -> Recognised {
        let found = Ids::of_error(reading.piece, paste, whole);
        let Reading { piece, folded, squeezed, body, row, is_piece, ours, message } = reading;
        let symptom = row.map(|row| self.rows[row].symptom);
        let captures = row.and_then(|row| self.rows[row].captures(&squeezed.text));
        let ids = found.found;
        let is_foreign = |id: &&String| !id.starts_with("cpx_") && !found.of_lambda.contains(id);
        let has_foreign_id = ids.iter().any(|id| is_foreign(&id));
        let has_openai_id = ids.iter().any(|id| id.starts_with("req_"));
        let ours = ours.filter(|_| !has_foreign_id);
        let has_openai_body = ours.is_none() && body.as_ref().is_some_and(Body::is_of_openais_kind);
        let is_body = body.as_ref().is_some_and(|body| body.begins);
        let program =
            program_around(symptom, &Named { piece, squeezed: &squeezed.text, paste, whole });
        let (ours, of_shape) = in_our_shape(ours.filter(|_| program.is_none()), body.as_ref());
        let vendor = elsewhere::vendor(&squeezed.text, &ids).filter(|_| ours.is_none());
        let other = vendor.or(program).or(of_shape);
        // A sentence of another program stays known; words of OpenAI's kind are then not OpenAI's.
        let symptom = symptom.filter(|s| other.is_none() || s.author == Origin::Client);
        let passed_on = symptom.is_some_and(|s| matches!(s.proves, Condition::StatusInText(_)));
        let author = match (ours, symptom) {
            _ if other.is_some() => symptom.map(|symptom| symptom.author),
            (Some(_), _) => Some(Origin::Proxy),
            // The words behind the status are those of whoever gave the answer its id.
            (None, Some(symptom))
                if passed_on
                    && message.is_some()
                    && has_openai_id
                    && symptom.author == Origin::Client =>
            {
                Some(Origin::Openai)
            }
            (None, Some(symptom)) => Some(symptom.author),
            (None, None) if body.as_ref().is_some_and(Body::is_of_our_kind) => Some(Origin::Proxy),
            (None, None) => {
                // Any site behind Cloudflare shows a ray.
                let has_id = has_foreign_id && !ids.iter().all(|id| is_ray(id) || is_bare_ray(id));
                (is_body || has_id).then_some(Origin::Openai)
            }
        };
        let mut wanted = Wanted::default();
        if let Some(symptom) = symptom {
            wanted = wants(symptom, captures.as_ref(), message.is_some());
        }
        // Words that stand behind a status are only meant with this status.
        let status = self.wrapper.captures(&squeezed.text).and_then(|c| c["status"].parse().ok());
        if let Some(status) = status
            && symptom.is_some_and(|symptom| symptom.proves == Condition::Words)
        {
            wanted.statuses = vec![status];
            wanted.words_required = message.is_some();
        }
        let is_refusal = body.as_ref().is_some_and(|body| {
            let kind = body.error.kind.as_deref();
            body.begins && kind.is_none_or(|kind| kind == "invalid_request_error")
        });
        if ours.is_none() && is_refusal && symptom.is_none_or(|s| s.proves == Condition::Words) {
            // Codex prints the body of a 400 as it is, and of nothing else.
            wanted = Wanted { statuses: vec![400], words_required: true, ..Wanted::default() };
        }
        let is_status = symptom.is_some_and(|symptom| symptom.proves == Condition::StatusAlone);
        let by_lambda = by_lambda(&squeezed.text);
        let says = if is_status { Says::Nothing } else { Says::of(message, &folded) };
        wanted.want_words(says, &squeezed.text);
        wanted.is_broken = piece.words.contains('\n');
        if squeezed.text.contains(STREAM) && wanted.codes.is_empty() {
            wanted.ending = wanted.ending.or(Some(StreamEnding::Said));
        }
        // Where a body tells, it is what stands before the body that counts.
        let is_body_near = body.as_ref().is_some_and(|body| body.at <= BEFORE_BODY);
        let extent = match extent(is_piece, captures.as_ref(), &squeezed.text) {
            Extent::Told if is_body_near => Extent::Telling,
            extent => extent,
        };
        let shows_id = match symptom.map_or(ShowsId::No, |symptom| symptom.shows_id) {
            ShowsId::No => false,
            ShowsId::WithAddress => found.host.is_some() && squeezed.text.contains("url:"),
            ShowsId::WithStatus => {
                group(captures.as_ref(), "status").is_some() && !paste.by_old_client
            }
        };
        let end = end(&squeezed.text);
        let shows_id = (shows_id && end == End::Whole) || by_lambda;
        let shows_none = ids.iter().all(|id| found.of_lambda.contains(id));
        let id = match end {
            End::WithinId if shows_none => Id::CutOff,
            _ if shows_id && !wanted.statuses.is_empty() && shows_none => Id::Missing,
            _ => Id::Untold,
        };
        Recognised {
            folded,
            symptom,
            ours,
            author,
            wanted,
            ids,
            lambda_ids: found.of_lambda,
            session: paste.session.clone(),
            at: piece.at,
            host: found.host.or(by_lambda.then_some(Host::Lambda)),
            id,
            has_openai_body,
            other,
            extent,
            standing: standing(&piece.words, &squeezed.text, body.as_ref()),
            by_old_client: paste.by_old_client,
        }
    }
}

/// Tells whether headers of an answer stand in a text, and are those of Lambda's own: the proxy puts its
/// mark beside them.
pub(super) fn by_lambda(squeezed: &str) -> bool {
    let has_headers =
        squeezed.contains("x-amzn-requestid") || squeezed.contains("x-amzn-errortype");
    has_headers && !squeezed.contains("x-codex-proxy-") && !squeezed.contains("cpx_")
}

/// The piece that counts, and the paste that it stands in.
struct Named<'a> {
    piece: &'a Piece,
    squeezed: &'a str,
    paste: &'a Paste,
    whole: &'a Piece,
}

/// Names the other program that a text is about: by the piece itself, or by what stands around a piece
/// that many programs print, since what others say of one failure may stand on several lines.
fn program_around(symptom: Option<&Symptom>, text: &Named<'_>) -> Option<Other> {
    let is_common = symptom.is_none_or(|symptom| symptom.breadth == Breadth::Common);
    let is_split = (2..FEW_PIECES).contains(&text.paste.pieces.len());
    let by_itself = program_behind(symptom, &text.piece.words, text.squeezed);
    by_itself.or_else(|| {
        let whole = (is_common && is_split).then_some(&text.whole.words)?;
        program_behind(symptom, whole, &Squeezed::of(&fold(whole)).text)
    })
}

/// Keeps an error of ours that a body can have, and names the other server where it cannot.
fn in_our_shape(
    ours: Option<ErrorCode>,
    body: Option<&Body>,
) -> (Option<ErrorCode>, Option<Other>) {
    let is_ours = |body: &&Body| ours::message(&fold(&body.error.message)).is_some();
    let Some(body) = body.filter(|body| body.is_alien).filter(is_ours) else { return (ours, None) };
    let is_shapeless = body.error.kind.is_none();
    (None, is_shapeless.then_some(Other::Program(elsewhere::SHAPE)))
}

/// Names the other program that a text is about. A sentence that only Codex, OpenAI or a gateway says is
/// theirs, whatever stands around it.
fn program_behind(symptom: Option<&Symptom>, words: &str, squeezed: &str) -> Option<Other> {
    let is_told = symptom.is_some_and(|symptom| {
        symptom.breadth == Breadth::Own
            && !symptom.id.starts_with("sdk_")
            && matches!(symptom.author, Origin::Client | Origin::Openai | Origin::Network)
    });
    if is_told { None } else { elsewhere::program(words, squeezed) }
}

/// Tells how the proxy's messages stand in a text that has some.
fn standing(words: &str, squeezed: &str, body: Option<&Body>) -> Standing {
    let in_stream = squeezed.split_once(STREAM).and_then(|(_, said)| ours::message(said));
    match in_stream {
        Some(_) => Standing::InStream,
        None if ours::only_names(words, squeezed) => Standing::Named,
        None if body.is_some_and(Body::is_of_our_kind) => Standing::Kin,
        None => Standing::Own,
    }
}

fn group<'a>(captures: Option<&'a Captures<'_>>, name: &str) -> Option<&'a str> {
    captures.and_then(|captures| captures.name(name)).map(|found| found.as_str())
}
