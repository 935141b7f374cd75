//! Who may do what: the operator's token, keys compared in constant time, rooms' admin keys.

use crate::error::{Error, Result};
use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use subtle::ConstantTimeEq;

/// The bearer token of a request, if it has one.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Takes as long for a wrong key as for the right one; both are hashed, so that lengths do not show either.
pub fn same_key(given: &str, expected: &str) -> bool {
    digest(given).ct_eq(&digest(expected)).into()
}

pub fn digest(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

/// 401 without a token, 403 with a wrong one.
pub fn check_admin(headers: &HeaderMap, admin_token: &str) -> Result<()> {
    match bearer(headers) {
        None => Err(Error::Unauthorized("This needs the operator's token: Authorization: Bearer <admin token>".into())),
        Some(token) if same_key(token, admin_token) => Ok(()),
        Some(_) => Err(Error::Forbidden("This is not the operator's token".into())),
    }
}

/// Where the operator's token is kept when the config names none.
pub fn token_path(store: &Path) -> PathBuf {
    store.with_file_name("admin_token")
}

/// The token of the config, or the one beside the store, made at the first start and readable by its owner alone.
pub fn admin_token(configured: &str, store: &Path) -> Result<String> {
    if !configured.is_empty() {
        return Ok(configured.into());
    }
    let path = token_path(store);
    let failed = |error: std::io::Error| Error::Unavailable(format!("the admin token {}: {error}", path.display()));
    match fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().into()),
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let token = random_hex::<32>("arc_");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path).map_err(failed)?;
    // The mode above counts only for a new file.
    file.set_permissions(fs::Permissions::from_mode(0o600)).map_err(failed)?;
    file.write_all(format!("{token}\n").as_bytes()).map_err(failed)?;
    Ok(token)
}

/// `prefix` and N random bytes in hex.
pub fn random_hex<const N: usize>(prefix: &str) -> String {
    let bytes: [u8; N] = rand::random();
    bytes.iter().fold(prefix.to_owned(), |text, byte| text + &format!("{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn admin_token_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("arcuate.db");
        let token = admin_token("", &store).unwrap();
        assert_eq!(admin_token("", &store).unwrap(), token);
        assert_eq!(fs::metadata(token_path(&store)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(admin_token("mine", &store).unwrap(), "mine");
    }

    #[test]
    fn same_key_compares_whole_keys() {
        assert!(same_key("a", "a") && !same_key("a", "b") && !same_key("a", "aa") && !same_key("", "a"));
    }
}
