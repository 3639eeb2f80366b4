//! The addresses to listen on.

use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpListener;

use crate::{
    config::{HostPort, Settings},
    error::{Context, Error, Result},
};

/// The addresses to serve on: any if credentials are configured, else only loopback addresses.
///
/// # Errors
/// `InvalidArgument` for a name that cannot be resolved; `FailedPrecondition` for an address that other machines can reach
/// without credentials.
pub async fn resolve(settings: &Settings) -> Result<Vec<SocketAddr>> {
    let listen = &settings.listen;
    let addresses = look_up(listen).await?;
    let reachable = addresses.iter().map(SocketAddr::ip).find(|ip: &IpAddr| !ip.is_loopback());
    let Some(ip) = reachable else { return Ok(addresses) };
    if settings.credentials.is_empty() {
        return Err(Error::precondition(format!(
            "listen on {listen}: {ip} is reachable from other machines and no credentials are configured; \
             add [users] or [tokens] to the file of --config, or use 127.0.0.1 or [::1]"
        )));
    }
    if settings.tls_cert.is_none() {
        tracing::warn!(%ip, "passwords and data are sent unencrypted without TLS: set tls_cert and tls_key");
    }
    Ok(addresses)
}

/// Listens on the first of `addresses` that is available; `name` is the configured address, for errors.
///
/// # Errors
/// `FailedPrecondition` if none is available.
pub async fn bind(name: &HostPort, addresses: &[SocketAddr]) -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(addresses).await;
    let listener =
        listener.map_err(|err| Error::precondition(err.to_string())).context(|| format!("listen on {name}"))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Resolves `name`.
///
/// # Errors
/// `InvalidArgument` if it cannot be resolved.
pub async fn look_up(name: &HostPort) -> Result<Vec<SocketAddr>> {
    let resolved = tokio::net::lookup_host((name.host.as_str(), name.port)).await;
    let resolved = resolved.map_err(|err| Error::invalid(err.to_string())).context(|| format!("listen on {name}"))?;
    Ok(resolved.collect())
}
