//! Texts about the way between two machines: connections that failed, certificates, middleboxes.
//!
//! Operating systems, HTTP clients and companies' gateways write them; other programs print them
//! too, so in a long paste a text of Codex's goes before them.

use super::{Condition, Symptom};
use crate::origin::Acts::Developer;
use crate::origin::Origin::{Client, Network};

const CERTIFICATE: &[&str] = &[
    "does the company inspect TLS? Codex needs its root certificate: SSL_CERT_FILE or CODEX_CA_CERTIFICATE",
    "the clock of the developer's machine, and `base_url` in config.toml",
];

const NAME: &[&str] = &[
    "the host in `base_url`: is it spelt as the proxy's address is?",
    "DNS and VPN of the developer's machine: nslookup the host",
];

const REACH: &[&str] = &[
    "`base_url` in the developer's config.toml: host and port",
    "VPN, firewall and HTTPS_PROXY of the developer's machine; is the proxy running?",
];

const GATEWAY: &[&str] = &[
    "HTTPS_PROXY and NO_PROXY of the developer's terminal",
    "the company's gateway has to let the proxy's host through",
];

const CUT: &[&str] = &[
    "the session id that Codex prints: with --session it leads to the exchange",
    "CloudWatch: did the function time out or crash at that time?",
    "a middlebox between the developer and the proxy",
];

pub(super) const ROWS: &[Symptom] = &[
    Symptom::new(
        "network_page",
        Network,
        r"zscaler|err_access_denied|err_cannot_forward|err_connect_fail|err_dns_fail|err_read_error|the requested url could not be retrieved|squid/[0-9]|generated .{0,60}\(squid|\(squid\)|blue ?coat|proxysg|policy_denied|symantec web security|netskope|forcepoint|websense|palo alto networks|web page blocked|application blocked|fortiguard|fortigate|fortinet|mcafee web gateway|skyhigh|cisco umbrella|sophos|usercheck|check point software|barracuda|menlo security|trend micro|ironport|websafety|cloudflare gateway|blocked by your (?:organization|administrator|company|network)|blocked (?:by|due to) (?:corporate|company|content|web|security|url|it) (?:policy|filter|filtering)|access to this (?:site|website|web site|page) (?:is|has been) (?:blocked|denied|restricted)|your (?:organization|company)'s (?:policy|security)|internet (?:usage|security) policy|captive portal|http-equiv=[\x22']?refresh.{0,200}(?:hotspot|portal|wifi|wlan)|network authentication required|sign in to your network|guest wi-?fi|<title>[^<]{0,40}(?:wi-?fi|hotspot|guest network)|your support id is|the requested url was rejected|no route matched with those values",
    )
    .texts(&[
        "unexpected status 403 Forbidden: <html><head><title>Zscaler</title></head>{page}",
        "<title>ERROR: The requested URL could not be retrieved</title>{page} ERR_ACCESS_DENIED",
        "Access Denied (policy_denied) {page} Blue Coat ProxySG",
        "<title>Netskope</title> Access to this website is blocked by your organization",
    ])
    .proves(Condition::NoAnswer)
    .likely(Network)
    .acts(Developer)
    .explains("a gateway of the developer's company answered in place of the proxy")
    .checks(GATEWAY),
    Symptom::new(
        "network_proxy_login",
        Network,
        r"407 proxy|proxy auth(?:entication|orization) required|http ?407|status:? ?407|err_cache_access_denied|proxyauthenticationrequired|unexpected status 407",
    )
    .texts(&[
        "407 Proxy Authentication Required",
        "unexpected status 407 Proxy Authentication Required: {page}",
        "error sending request for url ({url}): tunnel error: proxy authorization required",
    ])
    .proves(Condition::NoAnswer)
    .likely(Network)
    .acts(Developer)
    .explains("a gateway of the developer's company wants a login before it lets anything through")
    .checks(GATEWAY),
    Symptom::new(
        "network_tunnel",
        Client,
        r"unsuccessful tunnel|tunnel (?:error|connection failed)|unsuccessful proxy|proxyerror|proxy connect aborted|connect tunnel failed|received http code [0-9]{3} from proxy|cannot connect to proxy|unable to connect to proxy|err_tunnel_connection_failed|proxy connection (?:failed|refused)",
    )
    .texts(&[
        "error sending request for url ({url}): client error (Connect): tunnel error: unsuccessful",
        "ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 403 Forbidden'))",
        "curl: (56) Received HTTP code 403 from proxy after CONNECT",
    ])
    .proves(Condition::NoAnswer)
    .likely(Network)
    .acts(Developer)
    .explains("the developer's HTTPS_PROXY did not let the connection through")
    .checks(GATEWAY),
    Symptom::new(
        "network_certificate",
        Client,
        r"invalid peer certificate|unknownissuer|self[- ]signed certificate|unable to get (?:local )?issuer|certificate[ _]verify[ _]failed|unable_to_(?:verify_leaf|get_issuer)|unable to verify the first certificate|depth_zero_self_signed|self_signed_cert|certificate has expired|cert_has_expired|certificate (?:is )?not (?:yet )?valid|notvalidforname|notvalidyet|badsignature|certificate chain was issued by an authority that is not trusted|sec_e_untrusted_root|cert_e_untrustedroot|0x80090325|0x800b0109|certificate is not trusted|err_cert_|hostname/ip does not match|err_tls_cert_altname_invalid|certificate name mismatch|tls handshake|handshake (?:failure|eof)|ssl ?error|ssl_connect|ssl_error|sslerror|sslcertverificationerror|ssl certificate problem|ssl routines|wrong version number|received corrupt message|received fatal alert|close_notify|the ssl connection could not be established|sec_error_|schannel|could not create ssl/tls secure channel|caused? by:? ?tls",
    )
    .texts(&[
        "error sending request for url ({url}): invalid peer certificate: UnknownIssuer",
        "self-signed certificate in certificate chain",
        "unable to get local issuer certificate",
        "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local issuer certificate",
        "The certificate chain was issued by an authority that is not trusted. (os error -2146893019)",
        "tls handshake eof",
    ])
    .proves(Condition::NoAnswer)
    .likely(Network)
    .acts(Developer)
    .common()
    .explains("the client does not trust the certificate that it was shown, mostly a company gateway's")
    .checks(CERTIFICATE),
    Symptom::new(
        "network_name",
        Client,
        r"failed to lookup address|dns error|nodename nor servname|name or service not known|temporary failure in name resolution|name resolution|getaddrinfo|(?:[^l]|^)enotfound|eai_again|eai_noname|no such host|could not resolve (?:host|proxy)|no address associated with hostname|os error 11001|os error 11004|nameresolutionerror|err_name_not_resolved|nxdomain|the remote name could not be resolved|server can't find|unable to resolve host",
    )
    .texts(&[
        "error sending request for url ({url}): dns error: failed to lookup address information: Name or service not known",
        "nodename nor servname provided, or not known",
        "Temporary failure in name resolution",
        "No such host is known. (os error 11001)",
        "getaddrinfo ENOTFOUND {host}",
        "curl: (6) Could not resolve host: {host}",
    ])
    .proves(Condition::NoAnswer)
    .likely(Network)
    .acts(Developer)
    .common()
    .explains("the host's name is not known where the client runs: nothing was sent")
    .checks(NAME),
    Symptom::new(
        "network_refused",
        Client,
        r"connection refused|econnrefused|os error (?:111|61|10061)\)|errno (?:111|61|10061)\b|actively refused|winerror 10061|failed to connect to .{1,80} port|couldn't connect to server|unable to connect to the remote server|err_connection_refused",
    )
    .texts(&[
        "error sending request for url ({url}): tcp connect error: Connection refused (os error 111)",
        "Connection refused (os error 61)",
        "No connection could be made because the target machine actively refused it. (os error 10061)",
        "connect ECONNREFUSED 127.0.0.1:8787",
        "curl: (7) Failed to connect to {host} port 443: Connection refused",
    ])
    .proves(Condition::NoAnswer)
    .likely(Network)
    .acts(Developer)
    .common()
    .explains("nobody listens at the address that the client asked, or a firewall says so")
    .checks(REACH),
    Symptom::new(
        "network_body_cut",
        Client,
        r"peer closed connection without sending complete|incomplete chunked read|incompleteread|premature close|err_stream_premature_close|typeerror: terminated|chunkedencodingerror|response ended prematurely|unexpected eof during chunk|transfer closed with outstanding|err_incomplete_chunked_encoding|unexpected end of file",
    )
    .texts(&[
        "httpx.RemoteProtocolError: peer closed connection without sending complete message body (incomplete chunked read)",
        "TypeError: terminated",
        "curl: (18) transfer closed with outstanding read data remaining",
        "Error: Premature close",
    ])
    .proves(Condition::BodyCut)
    .common()
    .explains("the connection broke in the middle of an answer")
    .checks(CUT),
    Symptom::new(
        "network_reset",
        Client,
        r"connection (?:was )?reset|econnreset|os error (?:104|54|10054)\)|errno (?:104|54|10054)\b|forcibly closed by the remote host|winerror 10054|broken pipe|\bepipe\b|connection closed before message completed|server disconnected|remoteprotocolerror|socket hang up|connection aborted|os error (?:103|53|10053)\)|empty reply from server|remote end closed connection|err_connection_(?:reset|closed|aborted)|(?:[^i]|^)connection error: |\(sendrequest\)|unexpected eof|http2 error: |stream error received",
    )
    .texts(&[
        "error sending request for url ({url}): connection error: Connection reset by peer (os error 104)",
        "An existing connection was forcibly closed by the remote host. (os error 10054)",
        "connection closed before message completed",
        "read ECONNRESET",
        "Error: socket hang up",
        "Server disconnected without sending a response.",
    ])
    .proves(Condition::NoAnswer)
    .likely(Network)
    .acts(Developer)
    .common()
    .explains("the connection was cut before an answer came")
    .checks(REACH),
    Symptom::new(
        "network_timeout",
        Client,
        r"(?:[^d]|^)operation timed out|connection timed out|connect time-?out|connection time-?out(?:[^e]|$)|os error (?:110|60|10060)\)|errno (?:110|60|10060)\b|etimedout|esockettimedout|failed to respond|winerror 10060|und_err_connect_timeout|connecttimeout|err_connection_timed_out|err_timed_out|timed out while connecting|deadline has elapsed",
    )
    .texts(&[
        "error sending request for url ({url}): operation timed out",
        "Connection timed out (os error 110)",
        "A connection attempt failed because the connected party did not properly respond after a period of time (os error 10060)",
        "connect ETIMEDOUT 203.0.113.7:443",
    ])
    .proves(Condition::NoAnswer)
    .likely(Network)
    .acts(Developer)
    .common()
    .explains("packets to the host get no answer: a firewall, a VPN, or a wrong address")
    .checks(REACH),
    Symptom::new(
        "network_unreachable",
        Client,
        r"network is (?:unreachable|down)|no route to host|host is (?:down|unreachable)|os error (?:101|113|51|65|10051|10065)\)|ehostunreach|enetunreach|enetdown|unreachable (?:network|host)|err_internet_disconnected|err_network_changed|internet connection appears to be offline",
    )
    .texts(&[
        "Network is unreachable (os error 101)",
        "No route to host (os error 113)",
        "A socket operation was attempted to an unreachable network. (os error 10051)",
    ])
    .proves(Condition::NoAnswer)
    .likely(Network)
    .acts(Developer)
    .common()
    .explains("there is no way to the host from the developer's machine")
    .checks(REACH),
    Symptom::new(
        "network_server_page",
        Network,
        r"<center>(?:nginx|openresty|tengine|awselb)|<center>microsoft-azure|no server is available to handle this request|apache(?:/[0-9.]+)? ?(?:\([a-z]+\) )?server at|<h2>our services aren't available|microsoft-iis|http error 50[0-9]\.[0-9]|guru meditation|varnish cache server|backend fetch failed|no healthy upstream|upstream request timeout|<address>|traefik|haproxy|kong error|awselb|litespeed|no available server|an invalid response was received from the upstream server|bad gateway: no response",
    )
    .texts(&[
        "unexpected status 502 Bad Gateway: <html>{page}<center>nginx/1.22.1</center>{page}",
        "503 Service Unavailable No server is available to handle this request.",
        "no healthy upstream",
        "upstream request timeout",
    ])
    .proves(Condition::NoAnswer)
    .likely(Network)
    .common()
    .explains("a web server between the developer and the proxy wrote this: neither the proxy nor Lambda uses one")
    .checks(GATEWAY),
];
