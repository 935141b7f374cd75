//! Somebody with netcat at the door of the example plugin `tcp_chat`.

use crate::host::Host;
use crate::wait::{PATIENCE, soon, until_async};
use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Let in and greeted.
#[derive(Debug)]
pub struct Guest {
    lines: Lines<BufReader<OwnedReadHalf>>,
    writer: OwnedWriteHalf,
}

/// Where an instance of the plugin says that it listens.
pub async fn door_of(host: &Host, instance: &str) -> SocketAddr {
    let look = || async {
        let status = host.operator().get(&format!("/api/v1/admin/plugins/{instance}")).await.ok();
        status["last_success"]["text"].as_str()?.strip_prefix("listening on ")?.parse().ok()
    };
    until_async("the instance says where it listens", PATIENCE, look).await
}

impl Guest {
    pub async fn enter(door: SocketAddr, name: &str) -> Self {
        let stream = TcpStream::connect(door).await.expect("an open door");
        let (reader, writer) = stream.into_split();
        let mut guest = Self { lines: BufReader::new(reader).lines(), writer };
        assert_eq!(guest.hears().await, "* who are you?");
        guest.say(name).await;
        assert_eq!(guest.hears().await, format!("* hello {name}"));
        guest
    }

    pub async fn say(&mut self, line: &str) {
        self.writer.write_all(format!("{line}\n").as_bytes()).await.expect("a line is taken");
    }

    pub async fn hears(&mut self) -> String {
        let line = soon("a line", self.lines.next_line()).await.expect("the line can be read");
        line.expect("the connection is still open")
    }

    /// Reads until the other side ends the connection, in whatever way.
    pub async fn is_left(mut self) {
        while let Ok(Some(_)) = soon("the end", self.lines.next_line()).await {}
    }
}
