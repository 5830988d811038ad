//! Certificates: our own, swapped while connections run, and the roots we check endpoints against.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_platform_verifier::BuilderVerifierExt;

use super::settings::Tls;

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path} can't be read as PEM: {source}")]
    Pem { path: String, source: rustls::pki_types::pem::Error },
    #[error("{0} holds no certificate")]
    Empty(String),
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

/// The certificate that new handshakes use.
#[derive(Debug)]
pub struct Certificates {
    current: ArcSwap<CertifiedKey>,
}

impl Certificates {
    /// Reads both files. An error if they can't be read or don't belong together.
    pub fn load(files: &Tls) -> Result<Arc<Self>, TlsError> {
        let current = ArcSwap::from_pointee(read(files)?);
        Ok(Arc::new(Self { current }))
    }

    /// Reads the files again; on an error the certificate in use stays. Blocks on the disk.
    pub fn reload(&self, files: &Tls) -> Result<(), TlsError> {
        self.current.store(Arc::new(read(files)?));
        Ok(())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

/// TLS 1.2 and 1.3, h2 before http/1.1. No early data: it could be replayed.
pub(super) fn server(certificates: Arc<Certificates>) -> Result<Arc<ServerConfig>, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions()?.with_no_client_auth();
    let mut config = builder.with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.max_early_data_size = 0;
    Ok(Arc::new(config))
}

/// For endpoints: checked against `ca_file` where given, else against the system's roots. `own` is
/// the certificate shown to those that ask for one.
pub(super) fn client(
    ca_file: Option<&Path>,
    own: Option<&Tls>,
    h2: bool,
) -> Result<Arc<ClientConfig>, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions()?;
    let builder = match ca_file {
        Some(path) => builder.with_root_certificates(roots(path)?),
        None => builder.with_platform_verifier()?,
    };
    let mut config = match own {
        // Refuses a key that isn't the certificate's.
        Some(files) => {
            builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(read(files)?)))
        }
        None => builder.with_no_client_auth(),
    };
    if h2 {
        config.alpn_protocols.push(b"h2".to_vec());
    }
    config.alpn_protocols.push(b"http/1.1".to_vec());
    Ok(Arc::new(config))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn read(files: &Tls) -> Result<CertifiedKey, TlsError> {
    let chain = certificates(&files.cert_file)?;
    let key = PrivateKeyDer::from_pem_file(&files.key_file)
        .map_err(|source| TlsError::Pem { path: files.key_file.display().to_string(), source })?;
    Ok(CertifiedKey::from_der(chain, key, &provider())?)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = |source| TlsError::Pem { path: path.display().to_string(), source };
    let chain = CertificateDer::pem_file_iter(path).map_err(pem)?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(pem)?;
    if chain.is_empty() {
        return Err(TlsError::Empty(path.display().to_string()));
    }
    Ok(chain)
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for root in certificates(path)? {
        roots.add(root)?;
    }
    Ok(roots)
}
