//! Files from outside: uploaded as JSON and as forms, given out whole and in parts, listed, deleted, refused.

use arcuate_tests::client::{Answer, Asked};
use arcuate_tests::disk::Disk;
use arcuate_tests::events::Stream;
use arcuate_tests::host::Host;
use arcuate_tests::raw::Raw;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const MOST: usize = 5 * 1024 * 1024;

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap_or_else(|| panic!("no id: {value}"))
}

fn encoded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn upload(host: &Host, room: &str, name: &str, kind: &str, bytes: &[u8]) -> Asked {
    let body = json!({ "sender": "ada", "filename": name, "content_type": kind, "data": encoded(bytes) });
    host.post(&format!("/api/v1/rooms/{room}/files"), &body)
}

/// A part of a form: headers behind `form-data; `, and content.
type Part<'a> = (&'a str, &'a [u8]);

fn form(host: &Host, room: &str, parts: &[Part]) -> Asked {
    let mut body = Vec::new();
    for (headers, content) in parts {
        body.extend_from_slice(format!("--border\r\nContent-Disposition: form-data; {headers}\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--border--\r\n");
    let asked = host.client().ask(Method::POST, &format!("/api/v1/rooms/{room}/files"));
    asked.header("content-type", "multipart/form-data; boundary=border").body(body)
}

fn remove(host: &Host, room: &str, file: &str, query: &str) -> Asked {
    host.client().ask(Method::DELETE, &format!("/api/v1/rooms/{room}/files/{file}{query}"))
}

/// How many contents and temporary files lie beside the store.
fn on_disk(host: &Host) -> usize {
    fn count(folder: &Path) -> usize {
        let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").path());
        entries.map(|path| if path.is_dir() { count(&path) } else { usize::from(!path.ends_with("store")) }).sum()
    }
    count(&host.store().with_file_name("files"))
}

#[tokio::test(flavor = "multi_thread")]
async fn file_uploaded_as_json_is_described_and_given_out() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let body = json!({ "sender": " ada ", "filename": " ö\"1%.png ", "content_type": "image/png",
                       "data": encoded(&bytes), "unknown": 1 });
    let file = host.post(&format!("/api/v1/rooms/{room}/files"), &body).await.ok();
    let names: Vec<&str> = file.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(names, ["content_type", "created_at", "filename", "id", "room_id", "sender", "size", "url"]);
    assert_eq!((&file["sender"], &file["filename"]), (&json!("ada"), &json!("ö\"1%.png")));
    assert_eq!(
        (&file["room_id"], &file["content_type"], &file["size"]),
        (&json!(room), &json!("image/png"), &json!(100_000))
    );
    assert_eq!(file["url"], format!("/api/v1/files/{}", id(&file)));
    assert_eq!(host.get(&format!("/api/v1/files/{}/info", id(&file))).await.ok(), file);

    let given = reqwest::get(host.url(file["url"].as_str().expect("an address"))).await.expect("an answer");
    let header = |name: &str| given.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!(
        (given.status().as_u16(), header("content-type"), header("content-length")),
        (200, "image/png", "100000")
    );
    assert_eq!(header("content-disposition"), "inline; filename=\"__1_.png\"; filename*=UTF-8''%C3%B6%221%25.png");
    assert_eq!((header("x-content-type-options"), header("accept-ranges")), ("nosniff", "bytes"));
    assert!(header("content-security-policy").starts_with("sandbox; default-src 'none'"));
    assert!(header("etag").len() == 66 && header("etag").starts_with('"'), "{}", header("etag"));
    assert!(given.bytes().await.expect("its bytes") == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn file_uploaded_as_a_form_is_the_same_whatever_the_order_of_its_parts() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    let file: Part = ("name=\"file\"; filename=\"a b.txt\"\r\nContent-Type: text/plain", b"a\r\n--bord\0\xff");
    let sender: Part = ("name=\"sender\"", b" ada ");
    let other: Part = ("name=\"other\"", b"passed over");
    for parts in [[file, sender, other], [other, sender, file]] {
        let made = form(&host, &room, &parts).await.ok();
        assert_eq!((&made["sender"], &made["filename"]), (&json!("ada"), &json!("a b.txt")));
        assert_eq!((&made["content_type"], &made["size"]), (&json!("text/plain"), &json!(11)));
        let given = reqwest::get(host.url(made["url"].as_str().expect("an address"))).await.expect("an answer");
        assert_eq!(given.bytes().await.expect("its bytes").as_ref(), file.1);
    }
    let plain = form(&host, &room, &[("name=\"file\"; filename=\"x\"", b"x"), sender]).await.ok();
    assert_eq!(plain["content_type"], "application/octet-stream");
}

#[tokio::test(flavor = "multi_thread")]
async fn upload_with_wrong_fields_is_refused_and_leaves_nothing() {
    let host = Host::start("limits.files_per_minute = 1").await;
    let room = host.room("kitchen").await;
    let path = format!("/api/v1/rooms/{room}/files");
    let post = |change: Value| {
        let mut body = json!({ "sender": "ada", "filename": "a.txt", "data": "YQ==" });
        change.as_object().expect("an object").iter().for_each(|(name, value)| body[name] = value.clone());
        host.post(&path, &body)
    };
    let (sender, name) = ("Sender must be 1-100 characters", "Filename must be 1-255 characters");
    for wrong in ["", " \n", &"é".repeat(101), "a\0b"] {
        post(json!({ "sender": wrong })).await.refused(400, sender);
    }
    for wrong in ["", "  ", &"é".repeat(256), "a\0b"] {
        post(json!({ "filename": wrong })).await.refused(400, name);
    }
    for wrong in [&"x".repeat(256), "text/plain\r\na: b", "téxt/plain", "a\0b"] {
        post(json!({ "content_type": wrong })).await.refused(400, "content_type must be");
    }
    for wrong in ["YQ", "YQ=", "Y Q==", "YQ==\n", "-_==", "=", "é"] {
        post(json!({ "data": wrong })).await.refused(400, "Invalid base64 data");
    }
    post(json!({ "data": "" })).await.refused(400, "File data must not be empty");
    for (field, wrong) in
        [("sender", json!(1)), ("filename", json!(null)), ("data", json!([])), ("content_type", json!({}))]
    {
        post(json!({ field: wrong })).await.refused(422, field);
    }
    for field in ["sender", "filename", "data"] {
        let mut body = json!({ "sender": "ada", "filename": "a.txt", "data": "YQ==" });
        body.as_object_mut().expect("an object").remove(field);
        host.post(&path, &body).await.refused(422, field);
    }
    host.client().ask(Method::POST, &path).header("content-type", "application/json").body("{").await.is(400);
    host.client()
        .ask(Method::POST, &path)
        .header("content-type", "text/plain")
        .body("{}")
        .await
        .refused(415, "form-data");
    host.client().ask(Method::POST, &path).body("{}").await.refused(415, "form-data");
    assert_eq!(on_disk(&host), 0);
    let fits = post(json!({ "sender": "é".repeat(100), "filename": "é".repeat(255), "content_type": null })).await;
    assert_eq!(fits.ok()["content_type"], "application/octet-stream", "nothing before it was counted");
    post(json!({})).await.refused(429, "Rate limited: max 1 file uploads per minute");
}

#[tokio::test(flavor = "multi_thread")]
async fn form_with_wrong_parts_is_refused_and_leaves_nothing() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    let file: Part = ("name=\"file\"; filename=\"a\"", b"x");
    let sender: Part = ("name=\"sender\"", b"ada");
    form(&host, &room, &[file]).await.refused(422, "sender");
    form(&host, &room, &[sender]).await.refused(422, "file");
    form(&host, &room, &[file, file, sender]).await.refused(400, "more than one part");
    form(&host, &room, &[file, ("name=\"sender\"", b"")]).await.refused(400, "Sender must be");
    form(&host, &room, &[file, ("name=\"sender\"", &b"x".repeat(5000))]).await.refused(400, "Sender must be");
    form(&host, &room, &[file, ("name=\"sender\"", b"\xff")]).await.refused(400, "UTF-8");
    form(&host, &room, &[("name=\"file\"; filename=\"a\"", b""), sender]).await.refused(400, "must not be empty");
    form(&host, &room, &[("name=\"file\"", b"x"), sender]).await.refused(400, "Filename must be");
    let large = vec![b'x'; MOST + 1];
    let asked = form(&host, &room, &[("name=\"file\"; filename=\"a\"", &large), sender]);
    asked.await.refused(413, "max 5242880 bytes");
    let path = format!("/api/v1/rooms/{room}/files");
    for (kind, body) in [
        ("multipart/form-data", "x"),
        ("multipart/form-data; boundary=b", "x"),
        (
            "multipart/form-data; boundary=b",
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\nhalf",
        ),
        ("multipart/form-data; boundary=b", "--b\r\nnonsense\r\n\r\nx\r\n--b--"),
    ] {
        let asked = host.client().ask(Method::POST, &path).header("content-type", kind).body(body);
        asked.await.refused(400, "The form cannot be read");
    }
    assert_eq!(on_disk(&host), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_up_to_the_bound_are_taken_and_larger_ones_told_their_size() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    upload(&host, &room, "a", "a/b", &vec![7; MOST]).await.ok();
    let text = format!("File too large: {} bytes (max 5242880 bytes)", MOST + 1);
    upload(&host, &room, "a", "a/b", &vec![7; MOST + 1]).await.refused(400, &text);
    upload(&host, &room, "a", "a/b", &vec![7; 2 * MOST]).await.refused(413, "10 MiB");
    let small = Host::start("limits.file_bytes = 10").await;
    let room = small.room("kitchen").await;
    upload(&small, &room, "a", "a/b", &[7; 10]).await.ok();
    upload(&small, &room, "a", "a/b", &[7; 11]).await.refused(400, "File too large: 11 bytes (max 10 bytes)");
    let large = Host::start("limits.file_bytes = 8388608").await;
    let room = large.room("kitchen").await;
    upload(&large, &room, "a", "a/b", &vec![7; 8 * 1024 * 1024]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_file_are_given_out_by_range() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    let file = upload(&host, &room, "a", "text/plain", b"0123456789").await.ok();
    let url = file["url"].as_str().expect("an address").to_owned();
    let tag = host.get(&url).await.header("etag").to_owned();
    for (range, status, part, content) in [
        ("bytes=2-5", 206, "2345", "bytes 2-5/10"),
        ("bytes=2-", 206, "23456789", "bytes 2-9/10"),
        ("bytes=-3", 206, "789", "bytes 7-9/10"),
        ("bytes=0-999", 206, "0123456789", "bytes 0-9/10"),
        ("bytes=0-1,4-5", 200, "0123456789", ""),
        ("nonsense", 200, "0123456789", ""),
    ] {
        let given = host.get(&url).header("range", range).header("accept-encoding", "gzip").await;
        assert_eq!(
            (given.status, given.text.as_str(), given.header("content-range")),
            (status, part, content),
            "{range}"
        );
        assert_eq!(
            (given.header("content-length"), given.header("etag")),
            (part.len().to_string().as_str(), tag.as_str())
        );
        assert_eq!(given.header("content-encoding"), "");
    }
    let outside = host.get(&url).header("range", "bytes=10-").await;
    outside.refused(416, "10 bytes");
    assert_eq!(outside.header("content-range"), "bytes */10");
    let same = host.get(&url).header("range", "bytes=0-0").header("if-range", &tag).await;
    assert_eq!((same.status, same.text.as_str()), (206, "0"));
    let changed = host.get(&url).header("range", "bytes=0-0").header("if-range", "\"other\"").await;
    assert_eq!((changed.status, changed.text.as_str()), (200, "0123456789"));
}

#[tokio::test(flavor = "multi_thread")]
async fn file_that_the_client_has_is_not_sent_again() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    let file = upload(&host, &room, "a", "text/plain", b"0123456789").await.ok();
    let url = file["url"].as_str().expect("an address").to_owned();
    let tag = host.get(&url).await.header("etag").to_owned();
    for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".into()] {
        let given = host.get(&url).header("if-none-match", &known).header("range", "bytes=0-1").await;
        assert_eq!((given.status, given.text.as_str(), given.header("etag")), (304, "", tag.as_str()), "{known}");
    }
    assert_eq!(host.get(&url).header("if-none-match", "\"x\"").await.status, 200);
    let head = host.client().ask(Method::HEAD, &url).header("range", "bytes=0-1").await;
    assert_eq!((head.status, head.text.as_str(), head.header("content-length")), (200, "", "10"));
    assert_eq!((head.header("etag"), head.header("content-type")), (tag.as_str(), "text/plain"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_act_in_a_browser_comes_as_attachment() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    for (kind, expected) in [
        ("image/png", "inline"),
        ("video/mp4", "inline"),
        ("audio/ogg", "inline"),
        ("text/plain; charset=utf-8", "inline"),
        ("image/svg+xml", "attachment"),
        ("text/html", "attachment"),
        ("image/png, text/html", "attachment"),
        ("application/xhtml+xml", "attachment"),
        ("nonsense", "attachment"),
    ] {
        let file = upload(&host, &room, "a\r\nb", kind, b"<svg onload=alert(1)>").await.ok();
        let given = host.get(file["url"].as_str().expect("an address")).await;
        assert_eq!(given.header("content-type"), kind);
        assert!(given.header("content-disposition").starts_with(&format!("{expected}; filename=\"a__b\"")), "{kind}");
        assert!(given.header("content-security-policy").contains("sandbox"), "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn name_of_a_download_neither_leaves_its_folder_nor_hides_its_ending() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    for (name, ascii, whole) in [
        ("../../etc/passwd", ".._.._etc_passwd", ".._.._etc_passwd"),
        ("..\\evil.exe", ".._evil.exe", ".._evil.exe"),
        ("photo\u{202e}gnp.exe", "photo_gnp.exe", "photo_gnp.exe"),
        ("a\"; filename=\"b", "a_; filename=_b", "a%22%3B%20filename%3D%22b"),
        ("é\r\nset-cookie: a=b", "___set-cookie: a=b", "%C3%A9__set-cookie%3A%20a%3Db"),
    ] {
        let file = upload(&host, &room, name, "text/plain", b"x").await.ok();
        assert_eq!(file["filename"], name, "described as it was given");
        let given = host.get(file["url"].as_str().expect("an address")).await;
        let expected = format!("inline; filename=\"{ascii}\"; filename*=UTF-8''{whole}");
        assert_eq!(given.header("content-disposition"), expected);
        assert_eq!(given.header("set-cookie"), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_room_are_listed_newest_first_in_pages() {
    let host = Host::start("").await;
    let (room, other) = (host.room("kitchen").await, host.room("hall").await);
    let path = format!("/api/v1/rooms/{room}/files");
    assert_eq!(host.get(&path).await.ok(), json!([]));
    let mut made = Vec::new();
    for number in 0..5 {
        made.insert(0, upload(&host, &room, &format!("{number}"), "a/b", b"same").await.ok());
        upload(&host, &other, "x", "a/b", b"same").await.ok();
    }
    assert_eq!(host.get(&path).await.ok(), json!(made));
    let (mut next, mut found) = (Some(format!("{path}?limit=2")), Vec::new());
    while let Some(page) = next {
        let page: Answer = host.get(&page).await;
        found.extend(page.ok().as_array().expect("files").clone());
        next = page.header("link").split_once('>').map(|(address, _)| address.trim_start_matches('<').to_owned());
    }
    assert_eq!(found, made);
    assert_eq!(host.get(&format!("{path}?limit=0")).await.ok().as_array().map(Vec::len), Some(1));
    host.get(&format!("{path}?limit=x")).await.refused(400, "'limit'");
    host.get(&format!("{path}?cursor=x")).await.refused(400, "'cursor'");
    assert_eq!(on_disk(&host), 1, "equal contents are kept once");
}

#[tokio::test(flavor = "multi_thread")]
async fn file_is_deleted_by_its_uploader_or_with_the_rooms_key() {
    let host = Host::start("").await;
    let made = host.post("/api/v1/rooms", &json!({ "name": "kitchen" })).await.ok();
    let (room, key) = (id(&made).to_owned(), made["admin_key"].as_str().expect("a key").to_owned());
    let mut files = Vec::new();
    for number in 0..3 {
        files.push(upload(&host, &room, "a", "a/b", &[number]).await.ok());
    }
    let [first, second, third] = [0, 1, 2].map(|at| id(&files[at]).to_owned());
    remove(&host, &room, &first, "").await.refused(400, "Sender query parameter required (or use room admin key)");
    remove(&host, &room, &first, "?sender=").await.refused(400, "Sender query parameter required");
    remove(&host, &room, &first, "").token("wrong").await.refused(400, "Sender query parameter required");
    let foreign = "Only the original uploader can delete this file";
    remove(&host, &room, &first, "?sender=bob").await.refused(403, foreign);
    remove(&host, &room, &first, "?sender=bob").token("wrong").await.refused(403, foreign);
    assert_eq!(remove(&host, &room, &first, "?sender=ada").await.ok(), json!({ "deleted": true }));
    remove(&host, &room, &second, "?sender=ada").token("wrong").await.ok();
    remove(&host, &room, &third, "?sender=bob").header("x-admin-key", &key).await.ok();
    remove(&host, &room, &third, "").token(&key).await.refused(404, "File not found");
    for path in ["", "/info"] {
        host.get(&format!("/api/v1/files/{first}{path}")).await.refused(404, "File not found");
    }
    assert_eq!((host.get(&format!("/api/v1/rooms/{room}/files")).await.ok(), on_disk(&host)), (json!([]), 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_file_or_room_is_not_found_whatever_it_looks_like() {
    let host = Host::start("limits.files_per_minute = 100").await;
    let (room, other) = (host.room("kitchen").await, host.room("hall").await);
    let file = upload(&host, &room, "a", "a/b", b"x").await.ok();
    for wrong in ["01a1fe0d-be23-76e7-9b23-440ad354ad90", "x", "%00", "..%2f..%2farcuate.db", "%F0%9F%98%80"] {
        host.get(&format!("/api/v1/files/{wrong}")).await.refused(404, "File not found");
        host.get(&format!("/api/v1/files/{wrong}/info")).await.refused(404, "File not found");
        host.get(&format!("/api/v1/rooms/{wrong}/files")).await.refused(404, "Room not found");
        upload(&host, wrong, "a", "a/b", b"y").await.refused(404, "Room not found");
        remove(&host, wrong, id(&file), "?sender=ada").await.refused(404, "Room not found");
        remove(&host, &room, wrong, "?sender=ada").await.refused(404, "File not found");
    }
    remove(&host, &other, id(&file), "?sender=ada").await.refused(404, "File not found");
    assert_eq!(on_disk(&host), 1, "refused uploads leave nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_tells_of_files_that_come_and_go() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    let mut stream = Stream::open(host.client(), &room, "", &[]).await;
    let file = upload(&host, &room, "a", "a/b", b"x").await.ok();
    let event = stream.next_real().await.expect("an event");
    let mut expected = file.clone();
    expected["seq"] = json!(event.id);
    assert_eq!((event.name.as_str(), event.data), ("file_uploaded", expected));
    remove(&host, &room, id(&file), "?sender=ada").await.ok();
    let event = stream.next_real().await.expect("an event");
    assert_eq!(event.data, json!({ "id": id(&file), "room_id": room, "seq": event.id }));
    assert_eq!(event.name, "file_deleted");
}

#[tokio::test(flavor = "multi_thread")]
async fn download_that_runs_survives_the_deletion() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    let bytes = vec![b'x'; MOST];
    let file = upload(&host, &room, "a", "a/b", &bytes).await.ok();
    let mut running = host.client().open(file["url"].as_str().expect("an address"), &[]).await;
    let mut read = running.chunk().await.expect("a piece").expect("a first one").len();
    remove(&host, &room, id(&file), "?sender=ada").await.ok();
    assert_eq!(on_disk(&host), 0);
    while let Some(piece) = running.chunk().await.expect("the next piece") {
        read += piece.len();
    }
    assert_eq!(read, MOST);
}

#[tokio::test(flavor = "multi_thread")]
async fn upload_that_breaks_off_leaves_nothing() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    let mut raw = Raw::connect(host.port()).await;
    let head = format!(
        "POST /api/v1/rooms/{room}/files HTTP/1.1\r\nHost: x\r\nContent-Length: 3000000\r\n\
         Content-Type: multipart/form-data; boundary=b\r\n\r\n\
         --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n"
    );
    raw.send(head).await;
    raw.send(vec![b'x'; 1_000_000]).await;
    arcuate_tests::wait::until("the upload has begun", || (on_disk(&host) == 1).then_some(())).await;
    drop(raw);
    arcuate_tests::wait::until("nothing is left of it", || (on_disk(&host) == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_refuses_uploads_and_keeps_no_part_of_them() {
    let Some(disk) = Disk::mount("an upload on a full disk", 24) else { return };
    let store = disk.path().join("arcuate.db");
    // Without plugins, which would want space on that disk.
    let config = format!(
        "routes = []\n[store]\npath = \"{}\"\n[plugins.assistant]\nenabled = false\n[plugins.webhook]\nenabled = false\n",
        store.display()
    );
    let host = Host::start(&config).await;
    let room = host.room("kitchen").await;
    let kept = upload(&host, &room, "a", "a/b", &vec![1; 1_000_000]).await.ok();
    disk.fill();
    let content = vec![2; 1_000_000];
    upload(&host, &room, "b", "a/b", &content).await.refused(503, "the disk that holds the store is full");
    let parts: [Part; 2] = [("name=\"file\"; filename=\"a\"", &content), ("name=\"sender\"", b"ada")];
    form(&host, &room, &parts).await.refused(503, "the disk that holds the store is full");
    assert_eq!(on_disk(&host), 1, "what was begun is gone");
    assert_eq!(host.get(kept["url"].as_str().expect("an address")).await.status, 200);
    disk.empty();
    upload(&host, &room, "b", "a/b", &content).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_or_missing_bytes_are_refused_with_words() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    let file = upload(&host, &room, "a", "a/b", b"0123456789").await.ok();
    let url = file["url"].as_str().expect("an address").to_owned();
    let tag = host.get(&url).await.header("etag").trim_matches('"').to_owned();
    let path = host.store().with_file_name("files").join(&tag[..2]).join(&tag);
    fs::write(&path, "01234").expect("the content is cut");
    host.get(&url).await.refused(503, "restore");
    fs::remove_file(&path).expect("the content is removed");
    host.get(&url).await.refused(503, "restore");
    upload(&host, &room, "b", "a/b", b"0123456789").await.ok();
    assert_eq!(host.get(&url).await.text, "0123456789", "the same content, uploaded again, heals it");
}

#[tokio::test(flavor = "multi_thread")]
async fn contents_are_for_the_hosts_user_alone() {
    let host = Host::start("").await;
    let room = host.room("kitchen").await;
    upload(&host, &room, "a.txt", "text/plain", b"private").await.ok();
    let folder = host.store().with_file_name("files");
    let mode = fs::metadata(&folder).expect("the folder of contents").permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "{}", folder.display());
}
