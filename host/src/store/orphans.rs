//! Contents without a row and temporary files of earlier runs, which a crash left: looked for in small steps, so that nobody notices.

use super::blobs::{Hash, blocking};
use super::{Read, Store};
use crate::error::Result;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch;

/// Names looked up at once.
const STEP: usize = 256;
/// Between two steps.
const PAUSE: Duration = Duration::from_millis(20);
/// Between two searches.
const REST: Duration = Duration::from_secs(24 * 3600);

impl Store {
    /// Searches at once and then daily, until the host stops.
    pub async fn remove_orphans(self, mut stopping: watch::Receiver<bool>) {
        loop {
            let search = async {
                match self.search_orphans().await {
                    Ok(0) => {}
                    Ok(found) => tracing::info!("removed {found} files that an earlier run left unfinished"),
                    Err(error) => tracing::warn!("files that nobody needs cannot be looked for: {error}"),
                }
                tokio::time::sleep(REST).await;
            };
            tokio::select! {
                () = search => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Answers how many there were.
    async fn search_orphans(&self) -> Result<usize> {
        let blobs = self.shared.blobs.clone();
        let mut removed = blocking(move || {
            if !blobs.folder().is_dir() {
                return Ok(0);
            }
            blobs.own()?;
            let left = names(&blobs.incoming())?.into_iter().filter(|name| !blobs.is_of_this_run(name));
            Ok(left.filter(|name| fs::remove_file(blobs.incoming().join(name)).is_ok()).count())
        })
        .await?;
        for first in 0..=u8::MAX {
            let folder = self.shared.blobs.folder().join(format!("{first:02x}"));
            let hashes = blocking(move || contents(folder)).await?;
            for step in hashes.chunks(STEP) {
                let step = step.to_vec();
                let orphans = self.read(move |read| read.without_row(step)).await?;
                removed += orphans.len();
                self.unlink_unreferenced(orphans).await;
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(removed)
    }
}

impl Read<'_> {
    fn without_row(&self, hashes: Vec<Hash>) -> Result<Vec<Hash>> {
        let mut orphans = Vec::new();
        for hash in hashes {
            if !self.has_content(&hash)? {
                orphans.push(hash);
            }
        }
        Ok(orphans)
    }
}

/// What else lies there is not ours and stays.
fn contents(folder: PathBuf) -> io::Result<Vec<Hash>> {
    Ok(names(&folder)?.iter().filter_map(|name| hash(name)).collect())
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names: Vec<_> = entries.map(|entry| Ok(entry?.file_name())).collect::<io::Result<_>>()?;
    Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
}

/// The reverse of [`super::blobs::hex`].
fn hash(name: &str) -> Option<Hash> {
    let small = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if name.len() != 64 || !name.bytes().all(small) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&name[at..at + 2], 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::blobs::hex;

    #[test]
    fn hash_is_read_from_its_name_alone() {
        let name = hex(&[0xab; 32]);
        assert_eq!(hash(&name), Some([0xab; 32]));
        for wrong in ["", "ab", &name.to_uppercase(), &format!("{name}0"), &format!("{}g", &name[1..])] {
            assert_eq!(hash(wrong), None, "{wrong}");
        }
    }
}
