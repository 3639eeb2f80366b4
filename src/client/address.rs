//! The address of a server, and the authorities to trust.

use std::{
    error::Error as _,
    fs,
    path::{Path, PathBuf},
};

use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use crate::error::{Context, Error, ErrorKind, Result};

/// A server's address: `grpc://HOST:PORT`, or `grpc+tls://HOST:PORT`.
#[derive(Clone, Debug)]
pub struct Address {
    /// The URL.
    pub url: String,
    /// The options for `grpc+tls`.
    pub tls: Tls,
}

/// Files for TLS, as PEM.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// The trusted authorities; `None` for those of this machine.
    pub ca: Option<PathBuf>,
    /// The client certificate and its key, for servers that request one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

// === impl Address ===

impl Address {
    /// Connects.
    ///
    /// # Errors
    /// `InvalidArgument` for a URL of another form and for files that cannot be used; Unavailable if there is no
    /// response.
    pub(super) async fn connect(&self) -> Result<Channel> {
        let endpoint = self.endpoint()?.tcp_nodelay(true).connect_timeout(std::time::Duration::from_secs(20));
        endpoint.connect().await.map_err(|err| {
            let mut cause: &dyn std::error::Error = &err;
            while let Some(source) = cause.source() {
                cause = source;
            }
            let url = &self.url;
            let cause = cause.to_string();
            let text = if cause.contains("certificate") {
                format!("connect to {url}: {cause}; specify the authority of the server certificate with --ca")
            } else {
                format!(
                    "no server answers at {url} ({cause}); start one with \"merganser serve\", or specify it with --url"
                )
            };
            Error::new(ErrorKind::Unavailable, text).with_source(err)
        })
    }

    /// Adds a hint to the error of the first call: a server with TLS closes the connection of a client without it.
    /// Depending on when it closes, hyper reports the call as cancelled.
    pub(super) fn explain(&self, err: Error) -> Error {
        match err.kind() {
            ErrorKind::Unavailable | ErrorKind::Internal | ErrorKind::Cancelled if !self.is_encrypted() => {
                let text = format!("{}: {}; a server with TLS is at grpc+tls://HOST:PORT", self.url, err.message());
                Error::new(ErrorKind::Unavailable, text).with_source(err)
            }
            _ => err,
        }
    }

    fn is_encrypted(&self) -> bool {
        self.url.starts_with("grpc+tls://")
    }

    fn endpoint(&self) -> Result<Endpoint> {
        let url = &self.url;
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let scheme = match scheme {
            "grpc" | "grpc+tcp" => "http",
            "grpc+tls" => "https",
            _ => {
                let text = format!("\"{url}\" is not a server URL: write grpc://HOST:PORT or grpc+tls://HOST:PORT");
                return Err(Error::invalid(text));
            }
        };
        let wrong = |err: tonic::transport::Error| {
            let cause = err.source().map_or_else(|| err.to_string(), ToString::to_string);
            Error::invalid(format!("\"{url}\" is not a server URL: {cause}"))
        };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{rest}")).map_err(wrong)?;
        if self.is_encrypted() { endpoint.tls_config(self.tls.config()?).map_err(wrong) } else { Ok(endpoint) }
    }
}

// === impl Tls ===

impl Tls {
    fn config(&self) -> Result<ClientTlsConfig> {
        let config = ClientTlsConfig::new();
        let config = match &self.ca {
            Some(ca) => config.ca_certificate(Certificate::from_pem(read(ca)?)),
            None => config.with_native_roots(),
        };
        Ok(match &self.identity {
            Some((cert, key)) => config.identity(Identity::from_pem(read(cert)?, read(key)?)),
            None => config,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|err| Error::invalid(err.to_string())).context(|| format!("read \"{}\"", path.display()))
}
