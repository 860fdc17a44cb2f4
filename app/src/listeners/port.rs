//! A service port: its connections are bounded in number, and each must bring its requests in time.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, HttpBody, to_bytes},
    extract::Request,
    http::{StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use berth_kernel::metrics;
use berth_router::end_dead_peers;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// Connections of a service port. Other processes of the fleet keep some dozens each.
const MOST: usize = 10_000;
/// Time until the first request of a connection is there, and until the body of any is.
const ARRIVAL: Duration = Duration::from_secs(10);
/// Time for a connection to rest and to bring the head of its next request. Callers close theirs after 30 s of rest, so that
/// they send nothing into a connection that ends here.
const REST: Duration = Duration::from_secs(45);
/// A peer that takes nothing for so long is gone.
const GONE_AFTER: Duration = Duration::from_secs(30);
/// Bytes of a body at most; routes have smaller bounds of their own.
const MOST_BYTES: usize = 2 * 1024 * 1024;
/// Pause after a connection could not be accepted: there are no files left, and some will be.
const NOT_NOW: Duration = Duration::from_millis(100);

/// Serves until told to stop, then answers what it has begun.
pub fn serve(role: &'static str, listener: TcpListener, routes: Router, stop: CancellationToken) -> JoinHandle<()> {
    Port { role, most: MOST, arrival: ARRIVAL, rest: REST }.serve(listener, routes, stop)
}

/// A connection: counted, and with a place, as long as this lives.
struct Open {
    role: &'static str,
    _place: OwnedSemaphorePermit,
}

impl Open {
    fn new(role: &'static str, place: OwnedSemaphorePermit) -> Self {
        metrics::connections(role, 1);
        Self { role, _place: place }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::connections(self.role, -1);
    }
}

/// What a port demands of its connections.
#[derive(Clone, Copy)]
struct Port {
    role: &'static str,
    most: usize,
    arrival: Duration,
    rest: Duration,
}

impl Port {
    fn serve(self, listener: TcpListener, routes: Router, stop: CancellationToken) -> JoinHandle<()> {
        let routes = routes.layer(middleware::from_fn(move |request, next| self.arrived(request, next)));
        tokio::spawn(async move {
            if let Err(error) = end_dead_peers(&listener, GONE_AFTER) {
                tracing::warn!(role = self.role, error = %error, "listener.dead_peers.stay");
            }
            self.accept(listener, routes, stop).await;
        })
    }

    async fn accept(self, listener: TcpListener, routes: Router, stop: CancellationToken) {
        let (places, running) = (Arc::new(Semaphore::new(self.most)), TaskTracker::new());
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = stop.cancelled() => break,
            };
            match (accepted, places.clone().try_acquire_owned()) {
                (Ok((stream, _)), Ok(place)) => {
                    let (routes, stop) = (routes.clone(), stop.clone());
                    running.spawn(async move {
                        let _open = Open::new(self.role, place);
                        self.connection(stream, routes, stop).await;
                    });
                }
                (Ok(_), Err(_)) => metrics::connection_ended(self.role, "full"),
                (Err(error), _) => {
                    tracing::warn!(role = self.role, error = %error, "listener.accept.failed");
                    tokio::time::sleep(NOT_NOW).await;
                }
            }
        }
        drop(listener);
        running.close();
        running.wait().await;
    }

    async fn connection(self, stream: TcpStream, routes: Router, stop: CancellationToken) {
        // Small answers must not wait for each other.
        let _slower_without = stream.set_nodelay(true);
        let asked = AtomicBool::new(false);
        let answer = service_fn(|request: hyper::Request<Incoming>| {
            asked.store(true, Relaxed);
            routes.clone().oneshot(request.map(Body::new))
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(self.rest);
        let connection = http.serve_connection(TokioIo::new(stream), answer).with_upgrades();
        let mut connection = pin!(connection);
        let silent = async {
            tokio::time::sleep(self.arrival).await;
            if asked.load(Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            // A peer that went away is nobody's fault.
            _ended = connection.as_mut() => return,
            () = silent => return metrics::connection_ended(self.role, "head"),
            () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
        }
        let _ended = connection.await;
    }

    /// Reads the body before anything is done with the request, so that none waits for one that never comes.
    async fn arrived(self, request: Request, next: Next) -> Response {
        let (parts, body) = request.into_parts();
        if body.is_end_stream() {
            return next.run(Request::from_parts(parts, body)).await;
        }
        match tokio::time::timeout(self.arrival, to_bytes(body, MOST_BYTES)).await {
            Ok(Ok(body)) => next.run(Request::from_parts(parts, Body::from(body))).await,
            Ok(Err(_)) => ended(StatusCode::PAYLOAD_TOO_LARGE),
            Err(_) => {
                metrics::connection_ended(self.role, "body");
                ended(StatusCode::REQUEST_TIMEOUT)
            }
        }
    }
}

/// The last answer of a connection, whose next bytes are not the begin of a request.
fn ended(status: StatusCode) -> Response {
    (status, [(header::CONNECTION, "close")]).into_response()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::post;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::timeout,
    };

    use super::*;

    const SOON: Duration = Duration::from_secs(3);

    /// A port on which nobody may take more than a second, and two at a time.
    async fn port() -> (SocketAddr, CancellationToken) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, stop) = (listener.local_addr().unwrap(), CancellationToken::new());
        let second = Duration::from_secs(1);
        let routes = Router::new().route("/", post(|body: String| async move { body.len().to_string() }));
        drop(Port { role: "test", most: 2, arrival: second, rest: second }.serve(listener, routes, stop.clone()));
        (address, stop)
    }

    /// What is heard after these bytes until the end of the connection.
    async fn heard(address: SocketAddr, sent: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        until_the_end(&mut stream, sent).await
    }

    async fn until_the_end(stream: &mut TcpStream, sent: &str) -> String {
        let mut heard = Vec::new();
        let ended = timeout(SOON, stream.read_to_end(&mut heard)).await;
        assert!(ended.is_ok(), "it is still open after {sent:?}");
        String::from_utf8(heard).unwrap()
    }

    #[tokio::test]
    async fn nobody_is_waited_for() {
        let (address, _stop) = port().await;
        for silent in ["", "POST / HTT"] {
            heard(address, silent).await;
        }
        let late = heard(address, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n12").await;
        assert!(late.starts_with("HTTP/1.1 408"), "{late}");
        let rested = heard(address, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n12345").await;
        assert!(rested.starts_with("HTTP/1.1 200") && rested.ends_with("\r\n\r\n5"), "{rested}");
    }

    #[tokio::test]
    async fn there_are_so_many_places() {
        let (address, _stop) = port().await;
        let mut open = Vec::new();
        for _ in 0..2 {
            open.push(TcpStream::connect(address).await.unwrap());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut third = TcpStream::connect(address).await.unwrap();
        let ended = timeout(Duration::from_millis(500), third.read(&mut [0; 1])).await;
        assert!(matches!(ended, Ok(Ok(0) | Err(_))), "there is no place for a third: {ended:?}");
        drop(open);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let answer = heard(address, "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 1\r\n\r\n1").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    #[tokio::test]
    async fn what_was_begun_is_answered() {
        let (address, stop) = port().await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n1").await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
        stop.cancel();
        tokio::time::sleep(Duration::from_millis(100)).await;
        stream.write_all(b"2").await.unwrap();
        let answer = until_the_end(&mut stream, "the stop").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}
