//! The authenticator: checks the credentials of clients.
//!
//! 1. Accounts with too many failed logins are rejected without a check.
//! 2. A limited number of passwords is verified at a time, on blocking threads; a limited number of logins waits.
//! 3. For unknown users the password is compared with a decoy hash, so that neither the time nor the error reveals whether
//!    the user exists.
//!
//! Without configured credentials, any user name is accepted; the server then listens on loopback addresses only.

use std::{sync::Arc, thread, time::Instant};

use tokio::sync::Semaphore;

use super::{Credentials, PasswordHash, throttle::LoginThrottle};
use crate::{
    context::Principal,
    error::{Error, ErrorKind, Result},
};

/// The maximum number of concurrent verifications; each takes a core and 19 MiB for tens of milliseconds.
const MAX_CONCURRENT: usize = 4;
/// The maximum number of logins in progress, waiting ones included.
const MAX_PENDING: usize = 256;

/// Checks credentials.
#[derive(Debug)]
pub struct Authenticator {
    credentials: Credentials,
    decoy: PasswordHash,
    throttle: LoginThrottle,
    pending: Arc<Semaphore>,
    verifying: Arc<Semaphore>,
}

// === impl Authenticator ===

impl Authenticator {
    /// An authenticator for `credentials`.
    ///
    /// # Errors
    /// Internal if argon2 fails.
    pub fn new(credentials: Credentials) -> Result<Arc<Self>> {
        let decoy = match credentials.users.values().next() {
            Some(hash) => hash.decoy()?,
            None => PasswordHash::of(b"")?,
        };
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Ok(Arc::new(Self {
            credentials,
            decoy,
            throttle: LoginThrottle::default(),
            pending: Arc::new(Semaphore::new(MAX_PENDING)),
            verifying: Arc::new(Semaphore::new(cores.min(MAX_CONCURRENT))),
        }))
    }

    /// Whether all clients are accepted, because no credentials are configured.
    pub fn is_open(&self) -> bool {
        self.credentials.is_empty()
    }

    /// The principal of a static token.
    pub fn holder(&self, token: &[u8]) -> Option<Principal> {
        self.credentials.holder(token)
    }

    /// The principal of the user `name`, if `password` is correct.
    ///
    /// # Errors
    /// Unauthenticated for an unknown user or a wrong password, and after too many failed logins; Unavailable if too many
    /// logins are in progress.
    pub async fn log_in(self: &Arc<Self>, name: &str, password: &[u8]) -> Result<Principal> {
        if self.is_open() {
            return Ok(if name.is_empty() { Principal::anonymous() } else { Principal::named(name) });
        }
        self.check_throttle(name)?;
        let busy = || Error::new(ErrorKind::Unavailable, "too many logins in progress: try again later");
        let pending = Arc::clone(&self.pending).try_acquire_owned().map_err(|_| busy())?;
        let verifying = Arc::clone(&self.verifying).acquire_owned().await.map_err(|_| busy())?;
        // Logins that were ahead in the queue may have failed meanwhile.
        self.check_throttle(name)?;
        let (this, name, password) = (Arc::clone(self), name.to_owned(), password.to_vec());
        // The thread holds the permits: they are not released when the client disconnects, and the failure counts.
        let verified = tokio::task::spawn_blocking(move || {
            let _permits = (pending, verifying);
            this.verify(&name, &password)
        });
        verified.await.map_err(|err| Error::internal("verify a password").with_source(err))?
    }

    fn verify(&self, name: &str, password: &[u8]) -> Result<Principal> {
        let hash = self.credentials.users.get(name);
        let is_correct = hash.unwrap_or(&self.decoy).verify(password);
        if is_correct && hash.is_some() {
            return Ok(Principal::named(name));
        }
        self.throttle.record_failure(name, Instant::now());
        // Unknown names are not logged: users sometimes type the password in place of the name.
        if hash.is_some() {
            tracing::info!(user = name, "login failed: wrong password");
        }
        Err(Error::new(ErrorKind::Unauthenticated, "invalid user name or password"))
    }

    fn check_throttle(&self, name: &str) -> Result<()> {
        let Some(wait) = self.throttle.retry_after(name, Instant::now()) else { return Ok(()) };
        let seconds = wait.as_secs() + 1;
        let text = format!("too many failed logins of this user: try again in {seconds} s");
        Err(Error::new(ErrorKind::Unauthenticated, text))
    }
}
