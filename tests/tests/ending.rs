//! The host's end in good order: what runs may end, what does not returns to the queue, streams hold up nobody; and what a service manager
//! is told of all this.

use arcuate_tests::agent::{Agent, Manner};
use arcuate_tests::events::Stream;
use arcuate_tests::host::{Host, Setup};
use arcuate_tests::visitor::Visitor;
use arcuate_tests::wait::until;
use rustix::process::Signal;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// So long that to wait for its end would fail.
const AMPLE: &str = "server.shutdown_seconds = 120\n";
/// For what should not be waited for at all.
const SOON: Duration = Duration::from_secs(10);

/// A host with an agent that holds its answers, and a visitor whose message it was asked about.
async fn asked(config: &str, settings: &str) -> (Agent, Host, Visitor) {
    let agent = Agent::start(Manner::default()).await;
    agent.hold();
    let host = Host::start(&format!("{config}{}", agent.plugin(settings))).await;
    let visitor = Visitor::new(host.client(), "session_1");
    visitor.say("Hello?").await;
    until("the agent is asked", || (!agent.calls().is_empty()).then_some(())).await;
    (agent, host, visitor)
}

async fn until_it_stops(host: &Host) {
    until("it has heard the signal", || host.log().contains("\"stopping\"").then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_with_a_running_turn_lets_it_end_and_begins_no_other() {
    let (agent, mut host, visitor) = asked(AMPLE, "concurrency = 1").await;
    let second = Visitor::new(host.client(), "session_2");
    second.say("Me too?").await;
    host.signal(Signal::TERM);
    until_it_stops(&host).await;
    agent.release();
    let (status, time) = host.ended().await;
    assert!(status.success() && time < SOON, "{status} after {time:?}");
    assert!(host.stdout().ends_with("stopped\n"), "{}", host.stdout());
    assert_eq!(agent.calls().len(), 1, "the next turn was not begun");
    let wal = host.store().with_file_name("arcuate.db-wal");
    assert!(fs::metadata(&wal).map_or(0, |file| file.len()) == 0, "all is in one file");

    host.start_again().await;
    assert_eq!(visitor.hears(1).await[0].text, "re: Hello?");
    assert_eq!(second.hears(1).await[0].text, "re: Me too?");
    assert_eq!(agent.calls().len(), 2, "what had ended was not asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_with_a_turn_that_hangs_returns_it_to_the_queue_at_the_deadline() {
    for signal in [Signal::TERM, Signal::INT] {
        let (agent, mut host, visitor) = asked("server.shutdown_seconds = 0.3\n", "").await;
        let (status, time) = host.end(signal).await;
        assert!(status.success() && time < SOON, "{status} after {time:?}");
        assert!(host.log().contains("jobs did not end within"), "{}", host.log());
        agent.release();
        host.start_again().await;
        assert_eq!(visitor.hears(1).await[0].text, "re: Hello?");
        agent.assert_one_key_per_message();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_with_an_open_stream_does_not_wait_for_it() {
    let mut host = Host::start(AMPLE).await;
    let room = host.room("room").await;
    let mut stream = Stream::open(host.client(), &room, "?after=0", &[]).await;
    host.say(&room, "Hello?").await;
    stream.until(|event| event.content() == "Hello?").await;
    let (status, time) = host.terminate().await;
    assert!(status.success() && time < SOON, "{status} after {time:?}");
    assert_eq!(stream.next_real().await, None, "the stream has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn second_signal_ends_at_once() {
    let (agent, mut host, visitor) = asked(AMPLE, "").await;
    host.signal(Signal::TERM);
    until_it_stops(&host).await;
    let (status, time) = host.end(Signal::INT).await;
    assert!(status.code() == Some(130) && time < SOON, "{status} after {time:?}");
    agent.release();
    host.start_again().await;
    assert_eq!(visitor.hears(1).await[0].text, "re: Hello?");
}

#[tokio::test(flavor = "multi_thread")]
async fn service_manager_is_told_of_start_life_and_end() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket for the service manager");
    socket.set_read_timeout(Some(SOON)).expect("a time-out");
    let heard = || {
        let mut bytes = [0; 1024];
        let count = socket.recv(&mut bytes).expect("the host says something");
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    let path = path.to_str().expect("a path that is text");
    let setup = Setup::new("").env("NOTIFY_SOCKET", path).env("WATCHDOG_USEC", "90000");
    let mut host = setup.start().await;
    let ready = heard();
    let address = format!("STATUS=listening on http://127.0.0.1:{}, 2 of 2 plugins running", host.port());
    assert!(ready.contains("READY=1\n") && ready.contains(&address), "{ready}");
    for _ in 0..3 {
        assert_eq!(heard().trim(), "WATCHDOG=1");
    }
    host.signal(Signal::TERM);
    let last = std::iter::repeat_with(heard).find(|text| text.trim() != "WATCHDOG=1").expect("the end is told");
    assert!(last.contains("STOPPING=1\n"), "{last}");
    assert!(host.ended().await.0.success());
}
