//! Tokens are kept by digest, one for each name, and are gone when they are revoked.

use super::*;

pub(super) async fn use_tokens(store: &Store) {
    let made = store.write(|tx| tx.create_token("ada", &[1; 32], "read,write", 2)).await;
    assert_eq!(made, Ok(()));
    let again = store.write(|tx| tx.create_token("ada", &[2; 32], "read", 2)).await;
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
    store.write(|tx| tx.create_token("bob", &[2; 32], "read", 2)).await.unwrap();
    let full = store.write(|tx| tx.create_token("cyd", &[3; 32], "read", 2)).await;
    assert!(matches!(full, Err(Error::Conflict(_))), "{full:?}");
    let names = |rows: Vec<TokenRow>| rows.into_iter().map(|row| row.name).collect::<Vec<_>>();
    assert_eq!(names(store.read(|read| read.tokens("", 1)).await.unwrap()), ["ada"]);
    assert_eq!(names(store.read(|read| read.tokens("ada", 5)).await.unwrap()), ["bob"]);
    assert_eq!(store.write(|tx| tx.revoke_token("ada")).await, Ok([1; 32]));
    let unknown = store.write(|tx| tx.revoke_token("ada")).await;
    assert!(matches!(unknown, Err(Error::NotFound(_))), "{unknown:?}");
    assert_eq!(names(store.read(|read| read.tokens("", 5)).await.unwrap()), ["bob"]);
}

#[tokio::test]
async fn tokens_are_made_listed_and_revoked_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("arcuate.db");
    let options = Options { path, full_durability: false, readers: 1, existing: false };
    let (store, _) = Store::open(&options, Arc::default()).unwrap();
    use_tokens(&store).await;
}
