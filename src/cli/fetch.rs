//! One small HTTP/1.1 exchange, as a command-line tool and a webhook need it: no pool, no redirects.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// For the whole exchange, name look-up to the last byte of the answer.
const DEADLINE: Duration = Duration::from_secs(30);
/// No answer that is asked for here is longer.
const MOST_BYTES: usize = 4 << 20;

/// What is sent besides the target: a body to post (GET where there is none) and further fields.
#[derive(Debug, Default)]
pub(super) struct Message {
    pub(super) body: Option<String>,
    pub(super) fields: Vec<(&'static str, String)>,
}

/// Sends `message` to `uri`, reads a JSON answer.
pub(super) async fn fetch(uri: &Uri, message: Message) -> Result<(StatusCode, Bytes)> {
    let exchange = async {
        let host = uri.host().context("the link has no host")?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => bail!("a link begins with http:// or https://"),
        };
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        let bare = host.trim_matches(['[', ']']);
        let stream = TcpStream::connect((bare, port)).await;
        let stream = stream.with_context(|| format!("can't reach {host}:{port}"))?;
        if tls {
            let name = ServerName::try_from(bare.to_owned())?;
            let stream = connector()?.connect(name, stream).await;
            converse(stream.with_context(|| format!("no TLS with {host}"))?, uri, message).await
        } else {
            converse(stream, uri, message).await
        }
    };
    tokio::time::timeout(DEADLINE, exchange).await.context("no answer within 30 seconds")?
}

fn connector() -> Result<TlsConnector> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_platform_verifier()?
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn converse<S>(stream: S, uri: &Uri, message: Message) -> Result<(StatusCode, Bytes)>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Ends by itself: with `sender`, or with the connection.
    let connection = tokio::spawn(connection);
    let Message { body, fields } = message;
    let method = if body.is_some() { http::Method::POST } else { http::Method::GET };
    let authority = uri.authority().context("the link has no host")?;
    ensure!(!authority.as_str().contains('@'), "a link carries no credentials");
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header(header::HOST, authority.as_str())
        .header(header::ACCEPT, "application/json")
        .header(header::CONTENT_TYPE, "application/json");
    for (name, value) in fields {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::from(body.unwrap_or_default())))?;
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let read = Limited::new(answer.into_body(), MOST_BYTES).collect().await;
    connection.abort();
    let bytes = read.map_err(|why| anyhow::anyhow!("the answer broke off: {why}"))?;
    Ok((status, bytes.to_bytes()))
}
