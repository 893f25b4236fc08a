//! Other vendors' words: no part of this system, however much they look like OpenAI's.
//!
//! A session of Codex prints what its tools print, and people paste what other assistants say. Such a
//! text is about neither this proxy nor OpenAI, and the logs are not searched for it.

/// A vendor whose errors people paste.
#[derive(Clone, Copy, Debug)]
pub struct Vendor {
    /// Its name.
    pub name: &'static str,
    /// Regular expression over folded text; a space is white space or none.
    pub pattern: &'static str,
}

/// The vendors.
pub const VENDORS: &[Vendor] = &[
    Vendor {
        name: "Anthropic",
        pattern: r#"anthropic|x-api-key|overloaded_error|claude (?:code|api)|"type": ?"error", ?"error": ?\{(?:[^{}]*, ?)?"type": ?"(?:authentication|api|permission|not_found|rate_limit|billing|request_too_large|timeout)_?(?:error)?""#,
    },
    Vendor {
        name: "Azure OpenAI",
        pattern: r"azure openai|openai\.azure\.com|cognitiveservices|aka\.ms/oai|deploymentnotfound|azure\.core\.",
    },
    Vendor {
        name: "AWS Bedrock, or another service of AWS's",
        pattern: r"bedrock|invokemodel|when calling the [a-z]+ operation|operation error [a-z0-9 ]+: [a-z0-9]+,",
    },
    Vendor {
        name: "Google",
        pattern: r"generativelanguage|googleapis\.com|resource_exhausted|vertex ?ai|gemini-[0-9]|google\.api_core|google\.genai",
    },
    Vendor {
        name: "another provider of models",
        // OpenAI's codes are words.
        pattern: r#"openrouter|api\.mistral|mistralai|api\.groq|groq\.com|deepseek|api\.together|api\.x\.ai|cohere\.com|perplexity\.ai|githubcopilot|github copilot|huggingface|provider returned error|client request id|["']object["']: ?["']error["']|["']code["']: ?["']?[45][0-9][0-9]["']?[,}]|please check your internet connection or vpn"#,
    },
    Vendor {
        name: "GitHub",
        pattern: r"api\.github\.com|api rate limit exceeded for|github (?:rest |graphql )?api",
    },
];
