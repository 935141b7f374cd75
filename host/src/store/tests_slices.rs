//! Where each slice uses all of its statements, so that their query plans are looked at: one line per slice.

use super::Store;

pub(super) async fn use_slices(store: &Store) {
    super::tests_counts::use_messages(store).await;
    super::tests_messages::use_messages(store).await;
    super::tests_finding::use_finding(store).await;
    super::tests_files::use_files(store).await;
    super::tests_tokens::use_tokens(store).await;
    super::tests_rooms::use_rooms(store).await;
    super::tests_streams::use_streams(store).await;
    super::tests_webhooks::use_webhooks(store).await;
    super::tests_audit::use_all(store).await;
    super::tests_queue::use_all(store).await;
    super::tests_turns::use_all(store).await;
    super::tests_people::use_all(store).await;
    super::tests_backlog::use_all(store).await;
    super::tests_sessions_end::use_all(store).await;
}
