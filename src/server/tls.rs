//! TLS: certificates from files, read again when the files change.
//!
//! Whoever renews certificates replaces files; nobody has to tell the server. Connections that stand keep what they
//! began with, new ones get the new certificate. Files that are broken, or half replaced, change nothing.

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

/// How often the files are looked at.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// What TLS is served with, now.
#[derive(Debug)]
pub struct Tls {
    files: Files,
    current: ArcSwap<ServerConfig>,
    /// The content that was looked at last, good or not.
    seen: ArcSwap<Content>,
}

/// The files that were named.
#[derive(Clone, Debug)]
struct Files {
    cert: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

/// What the files hold. No `Debug` of the bytes: one is a secret.
#[derive(Clone, PartialEq, Eq)]
struct Content {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

// === impl Tls ===

impl Tls {
    /// Reads the files that `settings` name; `None` when they name none.
    ///
    /// # Errors
    /// `FailedPrecondition` with the file and what is wrong with it.
    pub fn load(settings: &Settings) -> Result<Option<Arc<Self>>> {
        let (Some(cert), Some(key)) = (&settings.tls_cert, &settings.tls_key) else { return Ok(None) };
        let files = Files { cert: cert.clone(), key: key.clone(), client_ca: settings.tls_client_ca.clone() };
        let content = files.read()?;
        let current = ArcSwap::from_pointee(files.config(&content)?);
        Ok(Some(Arc::new(Self { files, current, seen: ArcSwap::from_pointee(content) })))
    }

    /// What shakes hands with the certificate of now.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(self.current.load_full())
    }

    /// Reads the files again when they change, for ever; runs until it is dropped.
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
                    self.take(content);
                }
                Err(err) if !is_missing => {
                    is_missing = true;
                    tracing::warn!(cause = %err, "the certificate stays as it was");
                }
                Err(_) => {}
            }
        }
    }

    /// Takes what the files hold now, if it is new and good.
    fn take(&self, content: Content) {
        if content == **self.seen.load() {
            return;
        }
        match self.files.config(&content) {
            Ok(config) => {
                self.current.store(Arc::new(config));
                tracing::info!(file = %self.files.cert.display(), "new certificate");
            }
            Err(err) => tracing::warn!(cause = %err, "the certificate stays as it was"),
        }
        self.seen.store(Arc::new(content));
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
        let key = key.map_err(|err| fault(&self.key, &format!("no private key as PEM ({err})")))?;
        let provider = Arc::new(ring::default_provider());
        let clients: Arc<dyn ClientCertVerifier> = match (&self.client_ca, &content.client_ca) {
            (Some(path), Some(bytes)) => client_verifier(path, bytes)?,
            _ => Arc::new(NoClientAuth),
        };
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|err| Error::internal("configure TLS").with_source(err))?;
        let config = builder.with_client_cert_verifier(clients).with_single_cert(certs, key);
        let mut config = config.map_err(|err| fault(&self.cert, &format!("not of the key in tls_key ({err})")))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let certs: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certs = certs.map_err(|err| fault(path, &format!("not PEM ({err})")))?;
    if certs.is_empty() { Err(fault(path, "no certificate as PEM")) } else { Ok(certs) }
}

fn client_verifier(path: &Path, pem: &[u8]) -> Result<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for cert in certificates(path, pem)? {
        roots.add(cert).map_err(|err| fault(path, &format!("not the certificate of an authority ({err})")))?;
    }
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map_err(|err| fault(path, &err.to_string()))
}

/// The error of a file that does not hold what it must.
fn fault(path: &Path, what: &str) -> Error {
    Error::precondition(format!("use \"{}\" for TLS: {what}", path.display()))
}

// === impl Content ===

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Content(..)")
    }
}
