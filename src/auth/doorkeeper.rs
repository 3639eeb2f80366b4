//! The door: examines what a client shows.
//!
//! 1. An account that missed too often is refused unseen.
//! 2. Few passwords are examined at once, on threads of their own; a bounded number waits in line.
//! 3. A name that nobody has is compared with a decoy, so that it takes as long as a wrong password, and gets the same
//!    answer.
//!
//! Where no credentials are configured every name is taken; the server listens on loopback only then.

use std::{sync::Arc, thread, time::Instant};

use tokio::sync::Semaphore;

use super::{Credentials, PasswordHash, misses::Misses};
use crate::{
    context::Principal,
    error::{Error, ErrorKind, Result},
};

/// The most passwords that are examined at once; each takes a core and 19 MiB for tens of milliseconds.
const MAX_AT_ONCE: usize = 4;
/// The most log-ins that wait for that.
const MAX_WAITING: usize = 256;

/// Who guards the door.
#[derive(Debug)]
pub struct Doorkeeper {
    credentials: Credentials,
    decoy: PasswordHash,
    misses: Misses,
    places: Arc<Semaphore>,
    turns: Arc<Semaphore>,
}

// === impl Doorkeeper ===

impl Doorkeeper {
    /// A door for `credentials`.
    ///
    /// # Errors
    /// Internal when argon2 fails.
    pub fn new(credentials: Credentials) -> Result<Arc<Self>> {
        let decoy = match credentials.users.values().next() {
            Some(hash) => hash.decoy()?,
            None => PasswordHash::of(b"")?,
        };
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Ok(Arc::new(Self {
            credentials,
            decoy,
            misses: Misses::default(),
            places: Arc::new(Semaphore::new(MAX_WAITING)),
            turns: Arc::new(Semaphore::new(cores.min(MAX_AT_ONCE))),
        }))
    }

    /// Whether everybody is taken, because no credentials are configured.
    pub fn is_open(&self) -> bool {
        self.credentials.is_empty()
    }

    /// Whose static token this is.
    pub fn holder(&self, token: &[u8]) -> Option<Principal> {
        self.credentials.holder(token)
    }

    /// Who `name` is, if `password` is theirs.
    ///
    /// # Errors
    /// Unauthenticated for a name or password that is wrong, and after too many of them; Unavailable when too many
    /// wait.
    pub async fn log_in(self: &Arc<Self>, name: &str, password: &[u8]) -> Result<Principal> {
        if self.is_open() {
            return Ok(if name.is_empty() { Principal::anonymous() } else { Principal::named(name) });
        }
        self.check_misses(name)?;
        let busy = || Error::new(ErrorKind::Unavailable, "too many log-ins at once; try again in a moment");
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| busy())?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| busy())?;
        // Those in front in the line may have missed meanwhile.
        self.check_misses(name)?;
        let (door, login) = (Arc::clone(self), (name.to_owned(), password.to_vec()));
        // The thread holds place and turn: a client that goes away frees neither, and its miss counts.
        let examined = tokio::task::spawn_blocking(move || {
            let _held = (place, turn);
            door.examine(&login.0, &login.1)
        });
        examined.await.map_err(|err| Error::internal("examine a password").with_source(err))?
    }

    fn examine(&self, name: &str, password: &[u8]) -> Result<Principal> {
        let hash = self.credentials.users.get(name);
        let is_right = hash.unwrap_or(&self.decoy).is_of(password);
        if is_right && hash.is_some() {
            return Ok(Principal::named(name));
        }
        self.misses.note(name, Instant::now());
        // Other names stay untold: people type passwords where the name belongs.
        if hash.is_some() {
            tracing::info!(user = name, "a wrong password");
        }
        Err(Error::new(ErrorKind::Unauthenticated, "the user or the password is wrong"))
    }

    fn check_misses(&self, name: &str) -> Result<()> {
        let Some(wait) = self.misses.wait(name, Instant::now()) else { return Ok(()) };
        let seconds = wait.as_secs() + 1;
        let text = format!("too many wrong log-ins as this user; try again in {seconds} s");
        Err(Error::new(ErrorKind::Unauthenticated, text))
    }
}
