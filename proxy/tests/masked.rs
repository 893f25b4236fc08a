//! Secrets that are not spelt the same everywhere, in the spool and in the record.

use std::process::Command;

use crate::common::child::Server;
use crate::common::site::{Site, spooled};
use crate::common::wire::RawUpstream;
use crate::common::{turn, within};

#[tokio::test]
async fn a_secret_that_has_to_be_escaped_is_masked_as_json_and_urls_spell_it_too() {
    let odd = r#"sk-canary/"zebra\parrot+monkey=="#;
    let in_json = serde_json::to_string(odd).expect("text is JSON");
    let spellings =
        [odd, &in_json[1..in_json.len() - 1], "sk-canary%2F%22zebra%5Cparrot%2Bmonkey%3D%3D"];
    let site = Site::new().await;
    let openai = RawUpstream::start().await;
    let root = site.root();
    let logs = root.to_str().expect("a path of text");
    let with_key = |command: &mut Command| {
        command.env("OPENAI_API_KEY", odd);
    };
    let server = Server::start(&openai.url(), &site.tokens, logs, with_key).await;
    let target = format!("/v1/responses?key={}", spellings[2]);
    let asked = server.ask("POST", &target, &site.token).json(&turn(true)).open();
    let asked = tokio::spawn(asked);
    let mut upstream = openai.accept().await;
    upstream.read_until("Hello").await;
    upstream
        .send("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        .await;
    let mut answer = within(asked).await.expect("an answer");
    let text = format!("data: {}, {}, {}\n\n", spellings[0], spellings[1], spellings[2]);
    for piece in text.as_bytes().chunks(11) {
        upstream.send(piece).await;
        let mut got = 0;
        while got < piece.len() {
            got += answer.piece().await.len();
        }
        let spooled = spooled(&site.spool());
        for part in ["sk-canar", "zebra", "parrot", "monkey"] {
            assert!(!spooled.contains(part), "{part} in {spooled}");
        }
    }
    server.kill();
    let (logs, _) = site.replay().await;
    let record = &logs.only().record;
    assert_eq!(record.response_body, "data: [redacted], [redacted], [redacted]\n\n");
    assert!(record.redacted);
    assert_eq!(record.received_path, "/v1/responses?key=[redacted]");
}
