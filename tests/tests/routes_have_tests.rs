//! Each route of the chat API and the test that tells its story. A route that the host has gained, one that it has lost, and a test that was
//! renamed all fail here, so that this table stays true.

use arcuate_tests::host::Host;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The operator's and the bridges' routes have journeys of their own.
const ELSEWHERE: [&str; 3] = ["/api/v1/admin/", "/api/v1/index.php", "/api/v1/conversations"];
/// What an owner may run without being the operator.
const RETENTION: &str = "/api/v1/admin/retention/run";

/// Method, path behind `/api/v1`, file, test.
const STORIES: &str = "
    get    /rooms                                       chat_rooms          rooms_come_newest_activity_first_then_by_name
    post   /rooms                                       chat_rooms          room_made_is_shown_and_its_key_only_once
    get    /rooms/{id}                                  chat_rooms          room_shows_its_newest_message
    put    /rooms/{id}                                  chat_room_changes   update_changes_what_is_given_and_keeps_the_rest
    delete /rooms/{id}                                  chat_room_deletion  deleted_room_is_unknown_at_once_and_its_name_is_free
    post   /rooms/{id}/archive                          chat_room_changes   archived_room_leaves_the_list_and_goes_on
    post   /rooms/{id}/unarchive                        chat_room_changes   archived_room_leaves_the_list_and_goes_on
    get    /rooms/{id}/participants                     chat_participants   participants_come_newest_first_with_their_profiles
    get    /rooms/{id}/export                           chat_export         json_has_all_messages_with_their_fields
    post   /rooms/{id}/messages                         chat_messages       message_is_read_back_as_it_was_posted
    get    /rooms/{id}/messages                         chat_messages       messages_are_found_by_every_cursor
    put    /rooms/{id}/messages/{mid}                   chat_edits          edited_message_shows_its_new_text_and_keeps_the_old_ones
    delete /rooms/{id}/messages/{mid}                   chat_edits          messages_are_deleted_by_their_sender_or_with_the_rooms_key
    get    /rooms/{id}/messages/{mid}/edits             chat_edits          unedited_message_has_an_empty_history
    get    /rooms/{id}/messages/{mid}/thread            chat_threads        thread_is_the_same_from_each_of_its_messages
    post   /rooms/{id}/messages/{mid}/pin               chat_pins           pinned_message_shows_when_and_by_whom
    delete /rooms/{id}/messages/{mid}/pin               chat_pins           pinned_message_shows_when_and_by_whom
    get    /rooms/{id}/pins                             chat_pins           newest_pin_comes_first_and_pages_lead_on
    post   /rooms/{id}/messages/{mid}/reactions         chat_reactions      reaction_is_toggled_and_streamed
    delete /rooms/{id}/messages/{mid}/reactions         chat_reactions      reaction_is_removed_by_name
    get    /rooms/{id}/messages/{mid}/reactions         chat_reactions      reactions_are_listed_by_first_use
    get    /rooms/{id}/reactions                        chat_reactions      reactions_are_listed_by_first_use
    post   /rooms/{id}/typing                           chat_broadcast      typing_is_told_once_and_stored_nowhere
    post   /broadcast                                   chat_broadcast      broadcast_is_a_message_in_each_room
    get    /rooms/{id}/stream                           chat_stream         stream_from_the_beginning_replays_all_and_goes_on_live
    get    /stream                                      chat_stream_all     stream_of_all_replays_every_room_in_order_and_goes_on_live
    get    /activity                                    chat_activity       activity_is_newest_first_and_filtered
    get    /search                                      chat_search         search_finds_stems_phrases_prefixes_and_names
    get    /mentions                                    chat_mentions       mentions_are_words_of_others_newest_first
    get    /mentions/unread                             chat_mentions       unread_mentions_are_counted_behind_the_read_position
    put    /rooms/{id}/read                             chat_read           position_moves_forward_only
    get    /rooms/{id}/read                             chat_read           position_moves_forward_only
    get    /unread                                      chat_unread         unread_lists_all_rooms_by_name
    get    /rooms/{id}/presence                         chat_presence       stream_with_a_sender_is_present_from_its_head_until_its_socket_closes
    get    /presence                                    chat_presence       presence_of_all_rooms_counts_people_once
    put    /profiles/{sender}                           chat_profiles       profile_is_merged_from_what_is_given
    get    /profiles/{sender}                           chat_profiles       any_name_has_a_profile
    get    /profiles                                    chat_profiles       profiles_are_listed_newest_change_first
    delete /profiles/{sender}                           chat_profiles       profile_is_deleted_once
    post   /dm                                          chat_dm             two_people_have_one_room
    get    /dm                                          chat_dm             conversations_come_newest_first
    get    /dm/{room_id}                                chat_dm             two_people_have_one_room
    put    /rooms/{id}/bookmark                         chat_bookmarks      bookmark_is_made_once_and_removed_once
    delete /rooms/{id}/bookmark                         chat_bookmarks      bookmark_is_made_once_and_removed_once
    get    /bookmarks                                   chat_bookmarks      bookmarks_are_listed_newest_first_and_paged
    post   /rooms/{id}/files                            chat_files          file_uploaded_as_json_is_described_and_given_out
    get    /rooms/{id}/files                            chat_files          files_of_a_room_are_listed_newest_first_in_pages
    delete /rooms/{id}/files/{file_id}                  chat_files          file_is_deleted_by_its_uploader_or_with_the_rooms_key
    get    /files/{id}                                  chat_files          parts_of_a_file_are_given_out_by_range
    get    /files/{id}/info                             chat_files          file_uploaded_as_json_is_described_and_given_out
    post   /rooms/{id}/webhooks                         webhooks            webhook_is_made_listed_changed_and_deleted
    get    /rooms/{id}/webhooks                         webhooks            webhook_is_made_listed_changed_and_deleted
    put    /rooms/{id}/webhooks/{wid}                   webhooks            webhook_is_made_listed_changed_and_deleted
    delete /rooms/{id}/webhooks/{wid}                   webhooks            webhook_is_made_listed_changed_and_deleted
    get    /rooms/{id}/webhooks/{wid}/deliveries        webhooks            deliveries_are_listed_newest_first_and_filtered
    post   /rooms/{id}/webhooks/{wid}/deliveries/{delivery_group}/redeliver webhooks ping_and_redelivery_reach_the_endpoint
    post   /rooms/{id}/webhooks/{wid}/test              webhooks            ping_and_redelivery_reach_the_endpoint
    post   /rooms/{id}/incoming-webhooks                incoming_webhooks   hook_is_made_listed_changed_and_deleted
    get    /rooms/{id}/incoming-webhooks                incoming_webhooks   hook_is_made_listed_changed_and_deleted
    put    /rooms/{id}/incoming-webhooks/{wid}          incoming_webhooks   hook_is_made_listed_changed_and_deleted
    delete /rooms/{id}/incoming-webhooks/{wid}          incoming_webhooks   hook_is_made_listed_changed_and_deleted
    post   /hook/{token}                                incoming_webhooks   message_through_a_hook_is_one_like_any_other
    get    /health                                      describe            health_names_the_service_whose_clients_work_here
    get    /ready                                       system              health_and_readiness_are_told_at_both_places
    get    /stats                                       chat_stats          sums_follow_messages_rooms_and_bookmarks
    get    /discover                                    describe            discover_tells_what_the_host_is_and_allows
    get    /openapi.json                                describe            openapi_is_the_same_at_both_addresses
    get    /llms.txt                                    describe            texts_for_agents_are_one_and_hold_the_hosts_address_and_limits
    get    /skills/SKILL.md                             describe            texts_for_agents_are_one_and_hold_the_hosts_address_and_limits
    post   /send                                        send                send_reaches_the_persons_latest_conversation_like_any_message
    post   /ws-ticket                                   access/tickets      ticket_opens_one_get_request
    post   /admin/retention/run                         chat_retention      run_deletes_the_oldest_beyond_the_limit_and_says_how_many
";

/// One line of the table.
struct Story {
    route: String,
    file: &'static str,
    test: &'static str,
}

fn stories() -> Vec<Story> {
    let lines = STORIES.lines().filter(|line| !line.trim().is_empty());
    let story = |line: &'static str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [method, path, file, test] = words[..] else { panic!("four words: {line}") };
        Story { route: format!("{method} /api/v1{path}"), file, test }
    };
    lines.map(story).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_of_the_chat_api_has_a_test() {
    let document = Host::start("").await.get("/openapi.json").await.ok();
    let mut served = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        let elsewhere = path != RETENTION && ELSEWHERE.iter().any(|start| path.starts_with(start));
        if path.starts_with("/api/v1/") && path != "/api/v1/" && !elsewhere {
            served.extend(item.as_object().expect("operations").keys().map(|method| format!("{method} {path}")));
        }
    }
    let told: BTreeSet<_> = stories().into_iter().map(|story| story.route).collect();
    assert_eq!(served.difference(&told).collect::<Vec<_>>(), [""; 0], "routes without a test");
    assert_eq!(told.difference(&served).collect::<Vec<_>>(), [""; 0], "routes that are no more");
}

#[test]
fn every_test_that_tells_of_a_route_is_there_and_names_it() {
    for Story { route, file, test } in stories() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(file).with_extension("rs");
        let source = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let head = format!("#[tokio::test(flavor = \"multi_thread\")]\nasync fn {test}()");
        assert!(source.contains(&head), "{file}.rs has no test {test}, which is to tell of {route}");
        let name = route.rsplit('/').find(|part| !part.starts_with('{')).expect("a part with a name");
        assert!(source.contains(name), "{file}.rs never names {name} of {route}");
        let method = route.split(' ').next().expect("a method");
        let asks = [format!("Method::{}", method.to_uppercase()), format!(".{method}(")];
        assert!(asks.iter().any(|asks| source.contains(asks)), "{file}.rs never asks as {route} is asked");
    }
}
