//! The way to S3 as engineers have it: over TLS, and through the proxy of their company.

use std::io::Write as _;
use std::process::Command;

use benches::tls::TlsFront;
use benches::tunnel::{ConnectProxy, Mood};
use tempfile::NamedTempFile;

use crate::common::{Bucket, run};
use crate::origin::{fails, server_errors, with_window};

/// A bucket behind TLS.
struct Site {
    bucket: Bucket,
    front: TlsFront,
    trusted: NamedTempFile,
}

impl Site {
    async fn start() -> Self {
        let bucket = Bucket::of(&server_errors(3)).await;
        let server = bucket.0.url().trim_start_matches("http://").parse().expect("an address");
        let front = TlsFront::start(server).await.expect("a free loopback port");
        let mut trusted = NamedTempFile::new().expect("a file");
        trusted.write_all(front.certificate().as_bytes()).expect("room for it");
        Self { bucket, front, trusted }
    }

    /// A question, as whoever trusts the server asks it.
    fn ask(&self) -> Command {
        let mut command = self.bucket.command(&with_window(&["temporary errors"]));
        command.env("AWS_ENDPOINT_URL", self.front.url());
        command.env("SSL_CERT_FILE", self.trusted.path());
        command
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s3_is_read_over_tls_from_whom_the_machine_trusts_and_nobody_else() {
    let site = Site::start().await;
    assert_eq!(run(site.ask(), "").ends(0).json()["counts"]["openai"], 3);

    let stranger = TlsFront::start(site.front.address()).await.expect("a free loopback port");
    let mut command = site.ask();
    command.env("AWS_ENDPOINT_URL", stranger.url());
    fails(run(command, ""), 3, "certificate");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proxy_that_the_environment_names_is_used_for_s3_and_for_the_rest_of_aws() {
    let site = Site::start().await;
    let proxy = ConnectProxy::start(Mood::Willing).await.expect("a free loopback port");
    let through = format!("http://me:word@{}", proxy.address());
    let tunnels_to = |to: &str| {
        let head = format!("CONNECT {to} HTTP/1.1\r\n");
        proxy.asked().iter().filter(|asked| asked.starts_with(&head)).count()
    };
    let place = site.front.address().to_string();

    let mut command = site.ask();
    command.env("HTTPS_PROXY", &through);
    assert_eq!(run(command, "").ends(0).json()["counts"]["openai"], 3);
    let dug = tunnels_to(&place);
    assert!(dug > 0);
    assert!(proxy.asked().iter().all(|head| head.contains("Basic bWU6d29yZA==")));

    let mut command = site.ask();
    command.env("HTTPS_PROXY", &through).env("NO_PROXY", "127.0.0.1");
    assert_eq!(run(command, "").ends(0).json()["counts"]["openai"], 3);
    assert_eq!(tunnels_to(&place), dug, "straight");

    // Nobody listens there, but that is for the proxy to find out.
    let mut command = site.bucket.analyzer(&["origin", "temporary errors", "--since", "1h"]);
    command.env("AWS_ENDPOINT_URL", "https://127.0.0.1:1");
    command.env("AWS_ENDPOINT_URL_S3", site.front.url());
    command.env("SSL_CERT_FILE", site.trusted.path()).env("HTTPS_PROXY", &through);
    run(command, "");
    assert!(tunnels_to("127.0.0.1:1") > 0, "{:?}", proxy.asked());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_digs_no_tunnel_is_named_as_the_reason() {
    let site = Site::start().await;
    let mood = Mood::Says("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    let proxy = ConnectProxy::start(mood).await.expect("a free loopback port");
    let mut command = site.ask();
    command.env("HTTPS_PROXY", format!("http://{}", proxy.address()));
    fails(run(command, ""), 3, "proxy authorization required");
}
