//! What an id says of who answered, and what its absence says.
//!
//! An answer of OpenAI's carries OpenAI's id, any other that passed the proxy carries the proxy's, and one
//! without was made in front of it.

use schemas::catalogue::CATALOGUE;
use schemas::origin::Origin;

use crate::text::ids::{Host, is_ray};
use crate::text::recognise::{Id, Recognised};
use crate::verdict::Verdict;
use crate::verdict::evidence::Evidence;

/// Tells whether the text shows that the answer did not come by this proxy, which gives every answer
/// an id. Clients that showed Cloudflare's ids only showed none of the proxy's refusals of a token, and
/// the proxy's own words are its own with or without an id.
pub(crate) fn did_not_pass(recognised: &Recognised) -> bool {
    recognised.would_show_id()
        && recognised.ours.is_none()
        && decided_by_id(recognised) != Some(Origin::Proxy)
}

/// The text shows a status and no id, so the answer did not pass this proxy, which gives every
/// answer one. Who stands before the proxy is known only if it runs as a Lambda function.
pub(crate) fn passed_by(recognised: &Recognised, evidence: &Evidence) -> Verdict {
    const WHY: &str = "this answer did not pass the proxy, which gives every answer an id";
    let throttled = recognised.wanted.statuses == [429];
    let is_lambdas = decided_by_id(recognised) == Some(Origin::Aws);
    let mut verdict = match (evidence.on_lambda, throttled) {
        (Some(false), _) => Verdict::unknown(&format!("{WHY}.")),
        _ if !is_lambdas => Verdict::unknown(&format!("{WHY}; somebody in front of it did.")),
        (_, true) => Verdict::likely(
            Origin::Aws,
            "Lambda refused it, presumably with all slots busy; the proxy never saw it.",
        ),
        (_, false) => Verdict::likely(Origin::Aws, &format!("{WHY}; Lambda in front of it did.")),
    };
    if evidence.on_lambda == Some(false) {
        verdict.proof.push("the proxy that wrote these logs does not run on Lambda".to_owned());
        verdict
            .next_steps
            .push("`base_url` in config.toml, and HTTPS_PROXY: who else can answer?".to_owned());
    }
    let checks = recognised.symptom.map_or(&[][..], |symptom| symptom.checks);
    verdict.next_steps.extend(checks.iter().map(|&check| check.to_owned()));
    verdict
}

/// For a text in which the id decides: whose answer it was. An answer of OpenAI's carries OpenAI's
/// id, any other answer that passed the proxy carries ours, and one without came from before it.
pub(crate) fn decided_by_id(recognised: &Recognised) -> Option<Origin> {
    let wanted = &recognised.wanted;
    let status = wanted.statuses.first().copied();
    if recognised.has_foreign_id() {
        let only_rays = recognised.ids.iter().all(|id| is_ray(id) || id.starts_with("cpx_"));
        // Where every answer shows Cloudflare's id and no words, the status has to tell.
        let is_gateways = matches!(status, Some(502 | 504 | 520..=530)) && !wanted.words_required;
        let is_edge = only_rays && (wanted.without_words || is_gateways);
        return Some(if is_edge { Origin::OpenaiEdge } else { Origin::Openai });
    }
    if recognised.has_our_id() {
        // Words that are not the proxy's, or a status that it never answers with: passed on from
        // OpenAI, which gave it no id.
        let of_status = CATALOGUE.iter().find(|entry| {
            Some(entry.status) == status || (entry.status == 502 && status == Some(504))
        });
        let is_passed_on = wanted.words_required || of_status.is_none();
        return Some(if is_passed_on { Origin::Openai } else { of_status?.origin });
    }
    // The proxy never answers 429, so an id behind it is OpenAI's, whatever is left of it.
    if recognised.id == Id::CutOff && status == Some(429) {
        return Some(Origin::Openai);
    }
    if !recognised.would_show_id() {
        // Where only OpenAI's answers showed an id, one that is missing says that it was ours.
        let is_refusal = status == Some(401) && !recognised.by_old_client;
        let hides_words = !wanted.words_required && recognised.host.is_none();
        let is_whole = recognised.folded.contains("last status: 401");
        return (is_refusal && hides_words && is_whole).then_some(Origin::Proxy);
    }
    match (recognised.host, status) {
        // Lambda's answers at its own address, and a throttle, whose line shows no address.
        (Some(Host::Lambda), Some(400 | 403 | 404 | 413 | 429 | 502 | 503 | 504))
        | (None, Some(429)) => Some(Origin::Aws),
        (None, Some(401)) => Some(Origin::Proxy),
        _ => None,
    }
}
