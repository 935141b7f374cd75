//! Where each slice uses all of its statements, so that their query plans are looked at: one line per slice.

use super::Store;

pub(super) async fn use_slices(store: &Store) {
    super::tests_counts::use_messages(store).await;
    super::tests_webhooks::use_webhooks(store).await;
}
