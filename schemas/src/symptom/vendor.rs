//! Other vendors' and programs' words: no part of this system, however much they look like it.
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

/// A program whose errors people paste: they say what many programs say of a connection or of a server,
/// and it is about another one.
pub const PROGRAMS: &[Vendor] = &[
    Vendor {
        name: "a database or a queue",
        pattern: r"psycopg|psql: ?error|postgres|pg::|mysql|mariadb|error 2003 \(hy000\)|redis\.exceptions|ioredis|redis-cli|mongodb|mongosh|mongoserver|mongonetwork|kafka|rabbitmq|amqp|elasticsearch|opensearch|memcached|cassandra|clickhouse|sqlalchemy|sqlstate|(?::|port )(?:5432|3306|6379|27017|9092|5672|9200|11211|1433|1521|2379)(?:[^0-9]|$)",
    },
    Vendor {
        name: "npm, or another package manager",
        pattern: r"npm err|npm error|yarn error|err_pnpm|pip\._vendor|pip install|could not find a version that satisfies|failed to fetch .{0,80}inrelease|apt-get|dpkg:|brew install|could not transfer artifact|could not resolve dependencies|gradle|spurious network error|go: download",
    },
    Vendor {
        name: "git",
        // What marks a line as an error is off by then.
        pattern: r"unable to access '|could not read from remote|the remote end hung up|rpc failed|send-pack|index-pack|git@|remote: (?:error|http|invalid username)|failed to push some refs|not a git repository",
    },
    Vendor {
        name: "ssh",
        pattern: r"ssh: connect to host|kex_exchange|ssh_exchange|permission denied \(publickey|rsync: |scp: |port 22(?:[^0-9]|$)",
    },
    Vendor {
        name: "Docker",
        pattern: r"error response from daemon|toomanyrequests: |pull rate limit|containerd|buildkit|failed to solve: |manifest unknown|docker (?:pull|push|login|build)",
    },
    Vendor {
        name: "Kubernetes",
        pattern: r"kubectl|kubelet|kube-|the connection to the server .{1,80} was refused|imagepullbackoff|errimagepull|crashloopbackoff|(?:readiness|liveness|startup) probe failed|(?::|port )6443(?:[^0-9]|$)",
    },
    Vendor {
        name: "a tool of infrastructure",
        pattern: r"terraform|opentofu|pulumi|ansible|helm (?:upgrade|install)|vault|hashicorp|consul |nomad |jenkins|argocd|prometheus|grafana",
    },
    Vendor {
        name: "another server, in its own log",
        pattern: r"\[(?:error|crit|warn|alert|emerg)\] [0-9]+#[0-9]+: |systemd\[[0-9]+\]|org\.springframework|org\.apache|javax\.|werkzeug|gunicorn|uwsgi|php-fpm|phusion",
    },
    Vendor {
        name: "another vendor",
        pattern: r"stripe|slack\.com|atlassian|jira|datadog|sentry|twilio|sendgrid|salesforce|shopify|discord|telegram|supabase|firebase|heroku|netlify|vercel|pagerduty|snowflake|databricks",
    },
];
