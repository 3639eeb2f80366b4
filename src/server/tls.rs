//! TLS: certificates from files, reloaded when the files change.
//!
//! Tools that renew certificates replace the files and need not notify the server. Open connections keep their certificate,
//! new ones use the new one. Files that are invalid, or only partly replaced, are ignored.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{NoClientAuth, WebPkiClientVerifier, danger::ClientCertVerifier},
};
use tokio_rustls::TlsAcceptor;

use crate::{
    config::Settings,
    error::{Context, Error, Result},
};

/// The interval at which the files are read.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The current TLS configuration.
#[derive(Debug)]
pub struct Tls {
    files: Files,
    current: ArcSwap<ServerConfig>,
    /// The content that was read last, valid or not.
    last_read: ArcSwap<Content>,
}

/// The configured files.
#[derive(Clone, Debug)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

/// The content of the files. `Debug` does not print it, because the key is secret.
#[derive(Clone, PartialEq, Eq)]
struct Content {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

// === impl Tls ===

impl Tls {
    /// Reads the files that are configured in `settings`; `None` without TLS.
    ///
    /// # Errors
    /// `FailedPrecondition` that names the invalid file.
    pub fn load(settings: &Settings) -> Result<Option<Arc<Self>>> {
        let (Some(cert), Some(key)) = (&settings.tls_cert, &settings.tls_key) else { return Ok(None) };
        let files = Files { cert: cert.clone(), key: key.clone(), client_ca: settings.tls_client_ca.clone() };
        let content = files.read()?;
        let current = ArcSwap::from_pointee(files.config(&content)?);
        Ok(Some(Arc::new(Self { files, current, last_read: ArcSwap::from_pointee(content) })))
    }

    /// An acceptor with the current certificate.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// Reloads the files when they change, until the future is dropped.
    pub async fn follow_files(self: Arc<Self>) {
        let mut interval = tokio::time::interval(POLL_INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut is_missing = false;
        loop {
            interval.tick().await;
            let files = self.files.clone();
            let Ok(content) = tokio::task::spawn_blocking(move || files.read()).await else { return };
            match content {
                Ok(content) => {
                    is_missing = false;
                    self.reload(content);
                }
                Err(err) if !is_missing => {
                    is_missing = true;
                    tracing::warn!(cause = %err, "cannot reload the certificate; keeping the current one");
                }
                Err(_) => {}
            }
        }
    }

    /// Uses `content` if it is new and valid.
    fn reload(&self, content: Content) {
        if content == **self.last_read.load() {
            return;
        }
        match self.files.config(&content) {
            Ok(config) => {
                self.current.store(Arc::new(config));
                tracing::info!(file = %self.files.cert.display(), "reloaded the certificate");
            }
            Err(err) => tracing::warn!(cause = %err, "cannot reload the certificate; keeping the current one"),
        }
        self.last_read.store(Arc::new(content));
    }
}

// === impl Files ===

impl Files {
    fn read(&self) -> Result<Content> {
        let read = |path: &Path| {
            fs::read(path)
                .map_err(|err| Error::precondition(err.to_string()))
                .context(|| format!("read \"{}\"", path.display()))
        };
        let client_ca = self.client_ca.as_deref().map(read).transpose()?;
        Ok(Content { cert: read(&self.cert)?, key: read(&self.key)?, client_ca })
    }

    fn config(&self, content: &Content) -> Result<ServerConfig> {
        let certs = certificates(&self.cert, &content.cert)?;
        let key = PrivateKeyDer::from_pem_slice(&content.key);
        let key = key.map_err(|err| fault(&self.key, &format!("no private key in PEM format ({err})")))?;
        let provider = Arc::new(ring::default_provider());
        let clients: Arc<dyn ClientCertVerifier> = match (&self.client_ca, &content.client_ca) {
            (Some(path), Some(bytes)) => client_verifier(path, bytes)?,
            _ => Arc::new(NoClientAuth),
        };
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|err| Error::internal("configure TLS").with_source(err))?;
        let config = builder.with_client_cert_verifier(clients).with_single_cert(certs, key);
        let mut config =
            config.map_err(|err| fault(&self.cert, &format!("does not match the key in tls_key ({err})")))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let certs: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certs = certs.map_err(|err| fault(path, &format!("not PEM ({err})")))?;
    if certs.is_empty() { Err(fault(path, "no certificate in PEM format")) } else { Ok(certs) }
}

fn client_verifier(path: &Path, pem: &[u8]) -> Result<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for cert in certificates(path, pem)? {
        roots.add(cert).map_err(|err| fault(path, &format!("not a CA certificate ({err})")))?;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map_err(|err| fault(path, &err.to_string()))
}

/// The error of an invalid file.
fn fault(path: &Path, what: &str) -> Error {
    Error::precondition(format!("use \"{}\" for TLS: {what}", path.display()))
}

// === impl Content ===

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Content(..)")
    }
}
