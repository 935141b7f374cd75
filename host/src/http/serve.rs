//! The accept loop, over hyper itself: small buffers for idle connections, a bound on how long a request's head may take, and an end that
//! does not wait for streams.

use super::linger::Lingering;
use crate::error::{Error, Result};
use axum::Router;
use axum::extract::ConnectInfo;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tower::ServiceExt;

/// Connections at once; the next ones wait in the kernel's queue.
const CONNECTIONS: usize = 20_000;
/// How long a request's head may take to arrive, which also ends idle keep-alive connections.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// Bytes buffered per connection, and so the longest head.
const BUFFER: usize = 16 * 1024;

/// A bound port: taken before anything else starts, so that a port in use is told first.
pub struct Listening {
    listener: StdListener,
    pub address: SocketAddr,
}

impl Listening {
    pub fn bind(address: SocketAddr) -> Result<Self> {
        let failed = |error: std::io::Error| {
            let hint = match error.kind() {
                std::io::ErrorKind::AddrInUse => {
                    "; another program listens there: stop it, or set [server] bind to a free port"
                }
                std::io::ErrorKind::PermissionDenied => {
                    "; ports below 1024 need rights: set [server] bind to a higher one"
                }
                _ => "; set [server] bind to an address of this machine",
            };
            Error::Unavailable(format!("cannot listen on {address}: {error}{hint}"))
        };
        let listener = StdListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }
}

/// Serves until `stopping`, then lets open requests end within `grace`, which is asked then.
pub async fn serve(
    listening: Listening,
    router: Router,
    mut stopping: watch::Receiver<bool>,
    grace: impl FnOnce() -> Duration,
) -> Result<()> {
    let listener = TcpListener::from_std(listening.listener)
        .map_err(|error| Error::Unavailable(format!("cannot serve on {}: {error}", listening.address)))?;
    let (graceful, places) = (GracefulShutdown::new(), Arc::new(Semaphore::new(CONNECTIONS)));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stop| *stop) => break,
        };
        match accepted {
            Ok((socket, peer)) => {
                let connection = graceful.watch(connection(socket, peer, router.clone()));
                tokio::spawn(async move {
                    // Ends in an error when the other side leaves in the middle, which is theirs to do.
                    let _ = connection.await;
                    drop(place);
                });
            }
            Err(error) => {
                // Most often too many open files: they become free as connections end.
                tracing::warn!("a connection could not be accepted: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    let grace = grace();
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not end within {grace:?}; they are cut off");
    }
    Ok(())
}

fn connection(
    socket: TcpStream,
    peer: SocketAddr,
    router: Router,
) -> impl GracefulConnection<Error = hyper::Error> + Send {
    let _ = socket.set_nodelay(true);
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(axum::body::Body::new);
        request.extensions_mut().insert(ConnectInfo(peer));
        router.clone().oneshot(request)
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    // Not `pipeline_flush`: with it hyper takes a body's frames without bound, and a reader that does not read would cost all that it misses.
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(BUFFER);
    builder.serve_connection(TokioIo::new(Lingering::new(socket)), service)
}
