use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

/// A self-signed certificate for loopback, in files.
struct Identity {
    directory: tempfile::TempDir,
    der: CertificateDer<'static>,
}

impl Identity {
    fn new() -> Self {
        let identity = Self { directory: tempfile::tempdir().unwrap(), der: Vec::new().into() };
        identity.renewed()
    }

    /// Another certificate in the same files.
    fn renewed(self) -> Self {
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        let files = self.files();
        std::fs::write(&files.cert_file, made.cert.pem()).unwrap();
        std::fs::write(&files.key_file, made.signing_key.serialize_pem()).unwrap();
        Self { der: made.cert.der().clone(), ..self }
    }

    fn files(&self) -> Tls {
        let file = |name| self.directory.path().join(name);
        Tls { cert_file: file("cert.pem"), key_file: file("key.pem") }
    }

    async fn client(&self, proxy: &Proxy, alpn: &[u8]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let builder = builder.with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![alpn.to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(config)).connect(name, proxy.client().await).await
    }

    fn acceptor(&self) -> TlsAcceptor {
        tls::server(Certificates::load(&self.files()).unwrap()).unwrap().into()
    }
}

#[tokio::test]
async fn tls_on_both_sides_and_the_endpoint_hears_of_it() {
    let (own, theirs) = (Identity::new(), Identity::new());
    let endpoint = listener().await;
    let settings = upstream::Settings {
        ca_file: Some(theirs.files().cert_file),
        ..to_url(&format!("https://{}", endpoint.local_addr().unwrap()))
    };
    let proxy = Proxy::start(Settings { tls: Some(own.files()), ..loopback() }, settings);
    let mut client = own.client(&proxy, b"http/1.1").await.unwrap();
    client.write_all(POST).await.unwrap();
    let mut served = theirs.acceptor().accept(accept(&endpoint).await).await.unwrap();
    let seen = until(&mut served, "{}").await;
    assert!(seen.contains("x-forwarded-proto: https\r\n"), "{seen}");
    served.write_all(OK).await.unwrap();
    until(&mut client, "ok").await;
    let h2 = own.client(&proxy, b"h2").await.unwrap();
    assert_eq!(h2.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
}

#[tokio::test]
async fn what_was_negotiated_is_kept_to() {
    let own = Identity::new();
    let endpoint = listener().await;
    let proxy = Proxy::start(Settings { tls: Some(own.files()), ..loopback() }, to(&endpoint));
    let preface: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    for (agreed, said) in [(&b"h2"[..], GET), (b"http/1.1", preface)] {
        let mut client = own.client(&proxy, agreed).await.unwrap();
        client.write_all(said).await.unwrap();
        assert_eq!(to_end(&mut client).await, "");
    }
    nothing(endpoint.accept()).await;
}

#[tokio::test]
async fn a_websocket_offers_http1_alone_to_an_endpoint_that_prefers_http2() {
    let theirs = Identity::new();
    let endpoint = listener().await;
    let settings = upstream::Settings {
        h2: true,
        ca_file: Some(theirs.files().cert_file),
        ..to_url(&format!("https://{}", endpoint.local_addr().unwrap()))
    };
    let proxy = Proxy::start(loopback(), settings);
    for (fields, spoken) in
        [("", &b"h2"[..]), ("connection: upgrade\r\nupgrade: websocket\r\n", b"http/1.1")]
    {
        let mut client = proxy.client().await;
        let ask = format!("GET /v1/realtime HTTP/1.1\r\nhost: a\r\n{fields}\r\n");
        client.write_all(ask.as_bytes()).await.unwrap();
        let served = theirs.acceptor().accept(accept(&endpoint).await).await.unwrap();
        assert_eq!(served.get_ref().1.alpn_protocol(), Some(spoken));
    }
}

#[tokio::test]
async fn an_endpoint_with_a_foreign_certificate_gets_nothing() {
    let (trusted, theirs) = (Identity::new(), Identity::new());
    let endpoint = listener().await;
    let settings = upstream::Settings {
        ca_file: Some(trusted.files().cert_file),
        ..to_url(&format!("https://{}", endpoint.local_addr().unwrap()))
    };
    let proxy = Proxy::start(loopback(), settings);
    let mut client = proxy.client().await;
    client.write_all(POST).await.unwrap();
    let socket = accept(&endpoint).await;
    assert!(theirs.acceptor().accept(socket).await.is_err());
    assert!(head(&mut client).await.starts_with("HTTP/1.1 502"));
}

#[tokio::test]
async fn a_certificate_is_swapped_while_running() {
    let own = Identity::new();
    let endpoint = listener().await;
    let proxy = Proxy::start(Settings { tls: Some(own.files()), ..loopback() }, to(&endpoint));
    own.client(&proxy, b"http/1.1").await.unwrap();
    let own = own.renewed();
    own.client(&proxy, b"http/1.1").await.unwrap_err();
    let certificates = proxy.certificates.clone().unwrap();
    certificates.reload(&own.files()).unwrap();
    own.client(&proxy, b"http/1.1").await.unwrap();
    std::fs::write(own.files().key_file, "no key").unwrap();
    certificates.reload(&own.files()).unwrap_err();
    own.client(&proxy, b"http/1.1").await.expect("the last good one stays");
}

#[tokio::test]
async fn a_handshake_that_hangs_is_cut() {
    let own = Identity::new();
    let endpoint = listener().await;
    let mut settings = Settings { tls: Some(own.files()), ..loopback() };
    settings.deadlines.tls_handshake_ms = 50;
    let proxy = Proxy::start(settings, to(&endpoint));
    assert_eq!(proxy.ask(b"\x16\x03\x01").await, "");
}

#[tokio::test]
async fn an_endpoint_may_ask_for_a_certificate_of_ours() {
    let (ours, theirs) = (Identity::new(), Identity::new());
    let mut roots = RootCertStore::empty();
    roots.add(ours.der.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let asks = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
    let builder = ServerConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_client_cert_verifier(asks.build().unwrap());
    let certificates = Certificates::load(&theirs.files()).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_cert_resolver(certificates)));
    let endpoint = listener().await;
    let without = upstream::Settings {
        ca_file: Some(theirs.files().cert_file),
        ..to_url(&format!("https://{}", endpoint.local_addr().unwrap()))
    };
    let with = upstream::Settings { client_tls: Some(ours.files()), ..without.clone() };
    let group = serde_json::json!({ "name": "g", "endpoints": without.endpoints });
    let route = serde_json::json!({ "path_prefix": "/v1", "group": "g" });
    let elsewhere = upstream::Settings {
        groups: vec![serde_json::from_value(group).unwrap()],
        routes: vec![serde_json::from_value(route).unwrap()],
        ..with.clone()
    };
    // What is shown to some endpoints is not shown to those of a group.
    for (settings, welcome) in [(with, true), (without, false), (elsewhere, false)] {
        let proxy = Proxy::start(loopback(), settings);
        let mut client = proxy.client().await;
        client.write_all(POST).await.unwrap();
        let accepted = within(acceptor.accept(accept(&endpoint).await)).await;
        assert_eq!(accepted.is_ok(), welcome);
        if let Ok(mut served) = accepted {
            until(&mut served, "{}").await;
        }
    }
    let strangers = Tls { key_file: theirs.files().key_file, ..ours.files() };
    let settings = upstream::Settings { client_tls: Some(strangers), ..to_url("https://a") };
    let ca_file = Some(theirs.files().cert_file);
    let settings = upstream::Settings { ca_file, ..settings };
    assert!(Endpoints::new(settings, &Telemetry::default()).is_err());
}
