//! Texts that AWS wrote: answers of Lambda and its front doors, and lines of Lambda's own logs.
//!
//! The proxy never saw these requests, or did not live to log them.

use super::{AwsAct, Condition, Symptom};
use crate::origin::Acts::Developer;
use crate::origin::Origin::Aws;

const SLOTS: &[&str] = &[
    "`analyzer capacity`: was the proxy's function throttled at that time? (a throttle leaves no log)",
    "reserved concurrency of the function against the slots in use",
];

const FUNCTION: &[&str] = &[
    "CloudWatch Logs and metrics of the proxy's function at that time",
    "the Function URL in the developer's `base_url`",
];

const PERMISSION: &[&str] = &[
    "the function's policy allows lambda:InvokeFunctionUrl and lambda:InvokeFunction",
    "the Function URL in the developer's `base_url`",
];

pub(super) const ROWS: &[Symptom] = &[
    Symptom::new(
        "aws_throttle",
        Aws,
        r#"invocationlimitexceeded|invocationratelimitexceeded|callerratelimitexceeded|createlimitexceeded|toomanyrequestsexception|throttlingexception|429[^a-z]{0,20}(?:too many requests)?[^a-z]{0,10}rate exceeded|message["']: ?["']rate exceeded|^rate exceeded\.?$"#,
    )
    .texts(&[
        r#"{"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}"#,
        r#"{"Message":"Rate Exceeded.","Type":"User","Reason":"ConcurrentInvocationLimitExceeded"}"#,
        r#"{"Reason":"FunctionInvocationRateLimitExceeded","Type":"User","message":"Rate Exceeded."}"#,
        r#"{"Reason":"ReservedFunctionInvocationRateLimitExceeded","message":"Rate Exceeded."}"#,
        r#"{"Reason":"CallerRateLimitExceeded","Type":"User","message":"Rate Exceeded."}"#,
        "429 Rate Exceeded.",
        r#"ThrottlingException: {"message":"Rate Exceeded."}"#,
    ])
    .unlogged(AwsAct::Throttle)
    .proves(Condition::NoAnswer)
    .likely(Aws)
    .explains("Lambda refused the request because its slots or its rate were used up; the proxy never saw it")
    .checks(SLOTS),
    Symptom::new(
        "aws_forbidden",
        Aws,
        r#"\{["']message["']: ?(?:["']forbidden|null|none)|accessdeniedexception|urls-auth\.html|["']message["']: ?["'](?:missing authentication token|user: .{0,200}is not authorized to perform: lambda)"#,
    )
    .texts(&[
        r#"unexpected status 403 Forbidden: {"Message":"Forbidden"}"#,
        r#"unexpected status 403 Forbidden: {"Message":null}"#,
        r#"{"Message":"Forbidden. For troubleshooting Function URL authorization issues, see: https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"}"#,
        r#"{"message":"Missing Authentication Token"}"#,
    ])
    .unlogged(AwsAct::Forbid)
    .proves(Condition::NoAnswer)
    .likely(Aws)
    .explains("the Function URL refused the request: a missing permission or a wrong URL; the proxy never saw it")
    .checks(PERMISSION),
    Symptom::new(
        "aws_too_large",
        Aws,
        r#"request must be smaller than|requestentitytoolargeexception|"requestentitytoolarge"|^requestentitytoolarge[.]?$|exceeded maximum allowed payload size|["']message["']: ?["'](?:request entity too large|request too long)|6291[45]56|requesttoolargeexception"#,
    )
    .texts(&[
        r#"unexpected status 413 Payload Too Large: {"Message":"Request must be smaller than 6291456 bytes for the InvokeFunction operation"}"#,
        r#"{"message":"Request Entity Too Large"}"#,
        "Exceeded maximum allowed payload size (6291556 bytes).",
    ])
    .unlogged(AwsAct::TooLarge)
    .proves(Condition::NoAnswer)
    .likely(Aws)
    .acts(Developer)
    .explains("Lambda takes 6 MB at most; the proxy never saw the request")
    .checks(&["start a new thread or drop images; `codex-proxy serve` outside Lambda takes 64 MiB"]),
    Symptom::new(
        "aws_crash",
        Aws,
        r#"internalservererror: internal server error$|502[^{<]{0,40}?[:-]? ?(?:["']|\{["']message["']: ?["'])?internal server error|\{["']message["']: ?["']internal server error["']|runtime\.(?:exiterror|outofmemory|invalidentrypoint)|runtime exited (?:with error|without providing)|lambda-runtime-function-error|extension\.crash"#,
    )
    .texts(&[
        "unexpected status 502 Bad Gateway: Internal Server Error",
        r#"unexpected status 502 Bad Gateway: {"Message":"Internal Server Error"}"#,
        "RequestId: {id} Error: Runtime exited with error: signal: killed",
        "REPORT RequestId: {id} Status: error Error Type: Runtime.OutOfMemory",
    ])
    .unlogged(AwsAct::Die)
    .proves(Condition::NoAnswer)
    .likely(Aws)
    .explains("Lambda's own words: the function crashed or timed out before it answered")
    .checks(FUNCTION),
    Symptom::new(
        "aws_time_out",
        Aws,
        r"task timed out after|endpoint request timed out|report requestid:.{0,300}status: timeout",
    )
    .texts(&[
        r#"unexpected status 504 Gateway Timeout: {"message":"Endpoint request timed out"}"#,
        "{time} {id} Task timed out after 900.00 seconds",
        "REPORT RequestId: {id} Duration: 900000.00 ms Status: timeout",
    ])
    .unlogged(AwsAct::Die)
    .proves(Condition::NoAnswer)
    .likely(Aws)
    .explains("AWS ended the request at its time limit")
    .checks(FUNCTION),
    Symptom::new(
        "aws_unavailable",
        Aws,
        r#"\{["']message["']: ?["']service unavailable|serviceexception|the role defined for the function cannot be assumed|function is currently in the following state|resourcenotfoundexception|ec2throttledexception|enilimitreached|kmsaccessdenied|codeartifact"#,
    )
    .texts(&[
        r#"unexpected status 503 Service Unavailable: {"message":"Service Unavailable"}"#,
        r#"{"Message":"The operation cannot be performed at this time. The function is currently in the following state: Pending"}"#,
        r#"{"Type":"Service","Message":"ServiceException"}"#,
    ])
    .unlogged(AwsAct::Die)
    .proves(Condition::NoAnswer)
    .likely(Aws)
    .explains("Lambda could not run the function at all")
    .checks(FUNCTION),
    Symptom::new("aws_cloudfront", Aws, "generated by cloudfront|the request could not be satisfied")
        .texts(&["504 ERROR The request could not be satisfied. Generated by cloudfront (CloudFront)"])
        .proves(Condition::NoAnswer)
        .likely(Aws)
        .explains("a page of CloudFront's, which no deployment of this proxy has by itself")
        .checks(&["does a CloudFront distribution stand before the Function URL? What does its origin answer?"]),
];
