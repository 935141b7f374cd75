//! Lets people in, as many as the settings allow, until the host is stopping; then waits for the last visit to end.

use crate::visit::Visit;
use plugin_api::Result;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// After an error of `accept`. It is about the machine (no more file descriptors), and passes.
const REST: Duration = Duration::from_millis(200);

pub(crate) async fn keep(listener: TcpListener, visit: Visit) -> Result<()> {
    let most = visit.settings.max_connections as usize;
    let mut visits = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = visit.host.stopping() => break,
            accepted = listener.accept() => accepted,
        };
        while visits.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) if visits.len() < most => drop(visits.spawn(visit.clone().run(stream))),
            // A fresh connection takes a line at once; if it does not, its owner learns nothing, and nobody waits for them.
            Ok((stream, _)) => drop(stream.try_write(b"* full; please come again later\n")),
            Err(error) => {
                tracing::warn!(%error, "nobody can be let in");
                visit.host.sleep(REST).await;
            }
        }
    }
    drop(visit);
    while visits.join_next().await.is_some() {}
    Ok(())
}
