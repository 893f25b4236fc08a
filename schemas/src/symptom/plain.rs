//! A status without a sentence, as any program names it.

use super::{Condition, Symptom};
use crate::origin::Origin::Client;

pub(super) const ROWS: &[Symptom] = &[
    Symptom::new(
        "http_status",
        Client,
        r"^(?:error:? ?)?(?:http(?:/[12](?:\.[01])?)? ?)?(?:error:? ?)?(?:status:? ?)?(?:code:? ?)?(?<status>[45][0-9]{2})[ :,-]{0,3}(?:bad request|unauthorized|payment required|forbidden|not found|method not allowed|not acceptable|request timeout|conflict|gone|length required|payload too large|request entity too large|content too large|unsupported media type|unprocessable (?:entity|content)|upgrade required|too many requests|request header fields too large|internal server error|not implemented|bad gateway|service (?:temporarily )?unavailable|gateway time-?out|error)?[.!]?$",
    )
    .texts(&["502 Bad Gateway", "HTTP 500", "status: 503", "Error 504: Gateway Timeout"])
    .proves(Condition::StatusAlone)
    .common()
    .explains("a bare HTTP status, as any client names it")
    .checks(&[
        "paste the whole line as it stands in the terminal: its words and its id say more",
        "`base_url` in the developer's config.toml: does it point at this proxy?",
    ]),
];
