//! Where to listen, and who may be listened to there.

use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpListener;

use crate::{
    config::{HostPort, Settings},
    error::{Context, Error, Result},
};

/// The addresses to serve on: any where credentials are configured, else loopback ones only.
///
/// # Errors
/// `InvalidArgument` for a name that means no address; `FailedPrecondition` for one that others reach unasked.
pub async fn resolve(settings: &Settings) -> Result<Vec<SocketAddr>> {
    let listen = &settings.listen;
    let addresses = look_up(listen).await?;
    let reachable = addresses.iter().map(SocketAddr::ip).find(|ip: &IpAddr| !ip.is_loopback());
    let Some(ip) = reachable else { return Ok(addresses) };
    if settings.credentials.is_empty() {
        return Err(Error::precondition(format!(
            "listen on {listen}: {ip} is reachable from other machines and no credentials are configured; \
             name [users] or [tokens] in the file of --config, or use 127.0.0.1 or [::1]"
        )));
    }
    if settings.tls_cert.is_none() {
        tracing::warn!(%ip, "without TLS, passwords and data travel readable; give tls_cert and tls_key");
    }
    Ok(addresses)
}

/// Listens on the first of `addresses` that can be had; `name` is what the operator wrote.
///
/// # Errors
/// `FailedPrecondition` when none can be had.
pub async fn bind(name: &HostPort, addresses: &[SocketAddr]) -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(addresses).await;
    let listener =
        listener.map_err(|err| Error::precondition(err.to_string())).context(|| format!("listen on {name}"))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// The addresses that `name` means.
///
/// # Errors
/// `InvalidArgument` for one that means none.
pub async fn look_up(name: &HostPort) -> Result<Vec<SocketAddr>> {
    let resolved = tokio::net::lookup_host((name.host.as_str(), name.port)).await;
    let resolved = resolved.map_err(|err| Error::invalid(err.to_string())).context(|| format!("listen on {name}"))?;
    Ok(resolved.collect())
}
