use std::time::{Duration, Instant};

use super::{Credentials, Doorkeeper, PasswordHash, TokenHash, misses::Misses, new_token};
use crate::error::ErrorKind;

#[test]
fn a_password_is_known_by_its_hash_alone() {
    let hash = PasswordHash::of(b"hunter2").unwrap();
    assert!(hash.as_str().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.as_str());
    assert_eq!(PasswordHash::parse(hash.as_str()), Ok(hash.clone()));
    assert!(hash.is_of(b"hunter2") && !hash.is_of(b"hunter3") && !hash.is_of(b""));
    assert_ne!(hash, PasswordHash::of(b"hunter2").unwrap());
    assert_eq!(format!("{hash:?}"), "PasswordHash(..)");
    let decoy = hash.decoy().unwrap();
    assert_eq!(decoy.as_str().split('$').nth(3), hash.as_str().split('$').nth(3));
    assert!(!decoy.is_of(b"") && !decoy.is_of(b"hunter2"));
}

#[test]
fn other_texts_are_no_hashes() {
    let salt_and_hash = "c29tZXNhbHRzb21lc2FsdA$Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm8";
    let hash = |start: &str| format!("{start}{salt_and_hash}");
    assert!(PasswordHash::parse(&hash("$argon2id$v=19$m=19456,t=2,p=1$")).is_ok());
    for text in ["", "hunter2", "$argon2id$v=19$m=19456,t=2,p=1", "$2b$12$abcdefghijklmnopqrstuuhunter2", "sha256:00"] {
        assert!(PasswordHash::parse(text).unwrap_err().contains("merganser hash-password"), "{text}");
    }
    assert!(PasswordHash::parse(&hash("$argon2i$v=19$m=19456,t=2,p=1$")).is_err());
    assert!(PasswordHash::parse(&hash("$argon2id$v=19$m=1048577,t=2,p=1$")).unwrap_err().contains("1 GiB"));
}

#[test]
fn a_token_is_known_by_its_hash_alone() {
    let token = new_token();
    assert!(token.starts_with("mgn_") && token.len() == 47 && token != new_token());
    let hash = TokenHash::of(token.as_bytes());
    assert_eq!(TokenHash::parse(&hash.to_string()), Ok(hash.clone()));
    let mut credentials = Credentials::default();
    credentials.add_token("other", &TokenHash::of(b"other").to_string()).unwrap();
    credentials.add_token("robot", &hash.to_string()).unwrap();
    assert_eq!(credentials.holder(token.as_bytes()).unwrap().name(), "robot");
    assert_eq!(credentials.holder(b"mgn_"), None);
    assert_eq!(Credentials::NONE.holder(token.as_bytes()), None);
    // What `printf abc | sha256sum` says: tokens may come from elsewhere.
    let hash = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(TokenHash::parse(&hash.to_uppercase().replace("SHA", "sha")).unwrap(), TokenHash::of(b"abc"));
    for text in ["", "sha256:", &hash[1..], &hash[..70], "sha256:zz", &hash.replace("ba", "+a")] {
        assert!(TokenHash::parse(text).unwrap_err().contains("merganser new-token"), "{text}");
    }
}

#[test]
fn names_and_tokens_are_checked() {
    let mut credentials = Credentials::default();
    let hash = PasswordHash::of(b"x").unwrap();
    for name in ["", "a:b", "a\nb", &"x".repeat(129)] {
        assert!(credentials.add_user(name, hash.as_str()).unwrap_err().contains("expected a name"), "{name:?}");
    }
    credentials.add_user("Jörg Müller", hash.as_str()).unwrap();
    let token = TokenHash::of(b"token").to_string();
    credentials.add_token("one", &token).unwrap();
    assert!(credentials.add_token("two", &token).unwrap_err().contains("\"one\""));
    assert_eq!((credentials.users(), credentials.tokens()), (1, 1));
}

#[test]
fn ten_wrong_log_ins_a_minute_are_examined_after_five() {
    let misses = Misses::default();
    let start = Instant::now();
    let mut examined = 0;
    for tenth in 0..600 {
        let now = start + Duration::from_millis(100 * tenth);
        if misses.wait("alice", now).is_none() {
            examined += 1;
            misses.note("alice", now);
        }
    }
    // Five at once, and one each six seconds of that minute.
    assert_eq!(examined, 5 + 9);
    assert_eq!(misses.wait("bob", start), None);
    let later = start + Duration::from_mins(2);
    assert_eq!(misses.wait("alice", later), None);
}

#[test]
fn a_flood_of_names_does_not_wash_away_who_missed_often() {
    let misses = Misses::default();
    let now = Instant::now();
    for _ in 0..5 {
        misses.note("alice", now);
    }
    for name in 0..11_000 {
        misses.note(&name.to_string(), now);
    }
    assert_eq!(misses.wait("alice", now), Some(Duration::from_secs(6)));
}

#[tokio::test]
async fn unknown_users_and_wrong_passwords_get_one_answer() {
    let mut credentials = Credentials::default();
    credentials.add_user("alice", PasswordHash::of(b"secret").unwrap().as_str()).unwrap();
    let door = Doorkeeper::new(credentials).unwrap();
    assert_eq!(door.log_in("alice", b"secret").await.unwrap().name(), "alice");
    let wrong = door.log_in("alice", b"Secret").await.unwrap_err();
    let unknown = door.log_in("bob", b"secret").await.unwrap_err();
    assert_eq!((wrong.kind(), wrong.message()), (ErrorKind::Unauthenticated, unknown.message()));
    for _ in 0..4 {
        assert_eq!(door.log_in("bob", b"").await.unwrap_err().message(), wrong.message());
    }
    let refused = door.log_in("bob", b"").await.unwrap_err();
    assert!(refused.message().starts_with("too many wrong log-ins as this user; try again in "), "{refused}");
    assert!(door.log_in("alice", b"secret").await.is_ok());
}
