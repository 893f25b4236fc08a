//! Texts of Codex CLI about the developer's own machine: nothing was sent, or not to this proxy.

use super::{Condition, Symptom};
use crate::origin::Acts::Nobody;
use crate::origin::Origin::{Client, Openai};

const CONFIG: &[&str] = &["config.toml and the environment of the developer's terminal"];

const LOGIN: &[&str] = &[
    "`model_provider` and `env_key` in config.toml: with a proxy token nobody signs in",
    "`codex login status`; then open a new terminal",
];

const PAST_US: &[&str] = &[
    "`model_provider` and `base_url` in config.toml: OPENAI_BASE_URL is ignored by today's Codex",
    "a thread that was begun before: it keeps the provider it was begun with",
];

const HERE: &[&str] = &["what the developer ran, and where: no server had a part in it"];

pub(super) const ROWS: &[Symptom] = &[
    Symptom::new("codex_models_refresh", Client, "failed to refresh available models|failed to fetch available models")
        .texts(&["failed to refresh available models: stream disconnected before completion: error sending request for url (https://api.openai.com/v1/models?client_version=0.98.0)"])
        .proves(Condition::NothingSent)
        .likely(Client)
        .common()
        .acts(Nobody)
        .explains("Codex CLI asks OpenAI itself for its list of models in the background; turns do not depend on it")
        .checks(&["the error of the turn stands below this line"])
        .seen("0.98 to 0.110"),
    Symptom::new(
        "openai_bypassed",
        Openai,
        r"(?:https?|wss?)://(?:[a-z0-9-]+\.)*api\.openai\.com/(?:v1/)?(?:responses|chat/completions|realtime)|url: (?:https?|wss?)://api\.openai\.com|chatgpt\.com/backend-api/codex|(?:connect to|resolve host:?|enotfound) (?:api\.openai\.com|chatgpt\.com)|(?:api\.openai\.com|chatgpt\.com)(?: port |:443)",
    )
    .texts(&[
        "unexpected status 401 Unauthorized: {message}, url: https://api.openai.com/v1/responses",
        "stream disconnected before completion: error sending request for url (https://chatgpt.com/backend-api/codex/responses)",
        "Falling back from WebSockets to HTTPS transport. {reason}, url: wss://api.openai.com/v1/responses",
    ])
    .proves(Condition::NothingSent)
    .likely(Client)
    .explains("the developer's Codex talks to OpenAI directly, past this proxy")
    .checks(PAST_US),
    Symptom::new(
        "openai_got_our_token",
        Openai,
        r"incorrect api key provided: ?(?:[a-rt-z0-9_]|s[^k])|missing bearer or basic authentication|you didn't provide an api key",
    )
    .texts(&[
        "Incorrect API key provided: cpt_****************************abcd.",
        "unexpected status 401 Unauthorized: Missing bearer or basic authentication in header",
        "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth",
    ])
    .proves(Condition::NothingSent)
    .likely(Client)
    .explains("OpenAI got a token of ours, or none at all: the proxy sends its own key, so this request went past it")
    .checks(PAST_US),
    Symptom::new(
        "chatgpt_login_refused",
        Openai,
        r#"\{["']detail["']: ?["']unauthorized|authentication token (?:has been invalidated|is expired)|could not parse your authentication token|provided authentication token|token_(?:expired|invalidated|revoked)|not supported when using codex with a chatgpt account|chatgpt account id"#,
    )
    .texts(&[
        r#"unexpected status 401 Unauthorized: {"detail":"Unauthorized"}"#,
        "Your authentication token has been invalidated. Please try signing in again.",
        "Provided authentication token is expired. Please try signing in again.",
        r#"{"detail":"The 'gpt-5.5' model is not supported when using Codex with a ChatGPT account."}"#,
    ])
    .proves(Condition::NothingSent)
    .likely(Client)
    .explains("these are words to a ChatGPT login, which goes past this proxy")
    .checks(LOGIN),
    Symptom::new(
        "codex_sign_in",
        Client,
        r"access token could not be refreshed|refresh token (?:has expired|was already used|was revoked)|please (?:run )?codex login|run codex login|sign in with chatgpt to use codex|token data is not available|api key auth is missing a key|failed to read auth\.json",
    )
    .texts(&[
        "Your access token could not be refreshed because your refresh token was already used. Please log out and sign in again.",
        "Your access token could not be refreshed because your refresh token was revoked. Please log out and sign in again.",
        "Token data is not available.",
        "Please run codex login",
    ])
    .local()
    .explains("Codex CLI is about its own sign-in, which a proxy token does not need")
    .checks(LOGIN)
    .seen("0.20 to 0.169"),
    Symptom::new(
        "sign_in",
        Client,
        r"(?:^|: )not (?:logged|signed) in(?:[^a-z]|$)|failed to refresh token|please log out and sign in again|please (?:log|sign) in again|login server error|token exchange failed|no api key found(?:[^a-z]|$)(?:[^i]|$)|login was not completed",
    )
    .texts(&["Not logged in", "Failed to refresh token: 401 Unauthorized"])
    .proves(Condition::NothingSent)
    .likely(Client)
    .common()
    .explains("a program is about its own sign-in, which a proxy token does not need")
    .checks(LOGIN),
    Symptom::new(
        "codex_missing_variable",
        Client,
        r#"missing environment variable: ["']?[a-z0-9_]*(?:codex|openai|llm|gpt)[a-z0-9_]*["']?(?:\.|$)"#,
    )
    .texts(&["Missing environment variable: `OPENAI_API_KEY`."])
    .local()
    .explains("Codex CLI found no token in its environment; nothing was sent")
    .checks(&[
        "set the variable for good, and open a new terminal: a setting of another window does not count",
        "graphical programs do not see shell variables: put it into $CODEX_HOME/.env",
    ])
    .seen("0.20 to 0.169"),
    Symptom::new("missing_variable", Client, r"missing environment variable: ")
        .texts(&["Missing environment variable: `COMPANY_TOKEN`."])
        .proves(Condition::NothingSent)
        .likely(Client)
        .common()
        .explains("a program found a variable unset; if it was Codex CLI, nothing was sent")
        .checks(&[
            "is it the `env_key` of the provider in config.toml? Then set it for good, and open a new terminal",
            "graphical programs do not see shell variables: put it into $CODEX_HOME/.env",
        ]),
    Symptom::new("codex_wire_api", Client, r"wire_api.{0,12}chat.{0,6}is no longer supported|unknown variant .{0,20}expected .{0,12}responses")
        .texts(&["`wire_api = \"chat\"` is no longer supported."])
        .local()
        .explains("Codex CLI refuses its config.toml: only wire_api = \"responses\" is left; nothing was sent")
        .checks(CONFIG)
        .seen("0.94 to 0.169"),
    Symptom::new(
        "codex_config",
        Client,
        r"error loading (?:config|configuration|default config)|failed to (?:load|parse|read) codex config|config\.toml:? ?[0-9:]*:? ?(?:unknown|invalid|missing|duplicate|expected)|config\.toml:[0-9]+:[0-9]+|builder error for url|relative url without a base|failed to parse header value|error parsing .{0,80}config\.toml|unknown configuration field|model provider .{1,60} not found|config profile .{1,60} not found|model_providers\.[a-z0-9_-]+(?:\.[a-z0-9_-]+)?[:']|cannot be combined with env_key",
    )
    .texts(&[
        "Error loading config.toml: unknown field `base_urll`, expected one of `name`, `base_url`",
        "Error loading configuration: TOML parse error at line 3, column 8",
        "Error: Model provider `codexproxy` not found",
        "failed to load configuration: /home/dev/.codex/config.toml:6:16: unknown variant default, expected fast or flex",
        "Error loading config.toml: model_providers.company: provider name must not be empty",
    ])
    .local()
    .explains("Codex CLI refuses its own settings; nothing was sent")
    .checks(CONFIG)
    .seen("0.20 to 0.169"),
    Symptom::new(
        "config",
        Client,
        r"toml parse error|failed to (?:load|parse|read) config|unknown field |unknown variant |provider name must not be empty|error parsing -c|invalid override",
    )
    .texts(&["TOML parse error at line 3, column 8", "unknown field `base_urll`, expected `base_url`"])
    .proves(Condition::NothingSent)
    .likely(Client)
    .common()
    .explains("a program refuses its settings; with Codex CLI that is config.toml")
    .checks(CONFIG),
    Symptom::new(
        "codex_stopped",
        Client,
        r"turn (?:aborted|interrupted)|conversation interrupted|interrupted \(ctrl-?c\)|interrupted by (?:the )?user|tell the model what to do differently|(?:error|exception|^):? ?request was aborted\.?$|apiuseraborterror",
    )
    .texts(&[
        "Turn interrupted",
        "Conversation interrupted - tell the model what to do differently. Something went wrong? Hit `/feedback` to report the issue.",
        "turn aborted. Something went wrong? Hit `/feedback` to report the issue.",
        "interrupted (Ctrl-C). Something went wrong? Hit `/feedback` to report the issue.",
        "APIUserAbortError: Request was aborted.",
    ])
    .local()
    .acts(Nobody)
    .explains("somebody stopped Codex CLI at the developer's machine")
    .checks(&["if nobody did: was the machine asleep, or the terminal closed?"])
    .seen("0.20 to 0.169"),
    Symptom::new(
        "codex_sandbox",
        Client,
        r"sandbox denied|sandbox error|failed in sandbox|inside sandbox with exit code|codex-linux-sandbox|landlock was not able|seccomp (?:setup|backend) error|sandbox-exec|bwrap: ",
    )
    .texts(&[
        "sandbox error: sandbox denied exec error, exit code: 1, stdout: , stderr: touch: cannot touch 'x': Read-only file system",
        "command failed inside sandbox with exit code 126",
        "codex-linux-sandbox was required but not provided",
        "Landlock was not able to fully enforce all sandbox rules",
    ])
    .local()
    .common()
    .explains("a command of the model's was stopped on the developer's machine; no server had a part in it")
    .checks(HERE)
    .seen("0.20 to 0.169"),
    Symptom::new(
        "codex_local_failure",
        Client,
        r"apply_patch verification failed|failed to find expected lines|agent loop died|timeout waiting for child process|child stdout/stderr not captured|agent thread limit reached|no rollout found|session configured event was not|not inside a trusted directory|command not found: codex|codex: command not found|codex.{0,8} is not recognized as (?:an internal|the name of)|@openai/codex|usage: codex \[|mcp (?:client for|startup)",
    )
    .texts(&[
        "apply_patch verification failed: Failed to find expected lines in src/lib.rs",
        "internal error; agent loop died unexpectedly",
        "timeout waiting for child process to exit",
        "Not inside a trusted directory and --skip-git-repo-check was not specified.",
        "zsh: command not found: codex",
        "bash: codex: command not found",
        "'codex' is not recognized as an internal or external command",
        "Error: Missing optional dependency @openai/codex-linux-x64. Reinstall Codex: npm install -g @openai/codex@latest",
        "MCP client for `github` failed to start: request timed out",
    ])
    .local()
    .explains("Codex CLI failed on the developer's machine; no server had a part in it")
    .checks(HERE)
    .seen("0.20 to 0.169"),
    Symptom::new(
        "local_failure",
        Client,
        r"invalid patch|patch (?:failed|rejected)|failed to apply patch|failed to find context|command timed out after [0-9]+|no thread with id|stdin is not a terminal|no prompt provided|unrecognized subcommand|unexpected argument '|unsupported operation: |failed to resume|panicked at (?:[a-z0-9_./-]*codex|tui|core|exec|cli|app-server)[a-z0-9_./-]*src/|no space left on device|too many open files|os error (?:1|2|13|24|28|30)\)|command was killed by a signal|could not find bubblewrap|failed to spawn",
    )
    .texts(&[
        "Error: stdin is not a terminal",
        "error: unrecognized subcommand 'exce'",
        "error: unexpected argument '--modell' found",
        "No space left on device (os error 28)",
        "Permission denied (os error 13)",
        "command timed out after 10000 ms",
    ])
    .proves(Condition::NothingSent)
    .likely(Client)
    .common()
    .explains("something failed on the developer's machine; no server had a part in it")
    .checks(HERE),
    Symptom::new("codex_model_metadata", Client, "model metadata for .{1,60} not found|defaulting to fallback metadata")
        .texts(&["Model metadata for `gpt-5.5` not found. Defaulting to fallback metadata; this can degrade performance and cause issues."])
        .local()
        .common()
        .acts(Nobody)
        .explains("a warning of Codex CLI about a model name it does not know; harmless")
        .checks(&["an older Codex CLI than the model: update it"])
        .seen("0.110 to 0.169"),
];
