//! The connections of the public port, from the moment they are accepted: bounded in all and for one client, and ended by the
//! kernel when nobody answers at the other end.

use std::{
    io,
    os::fd::AsFd,
    sync::{Arc, LazyLock},
    time::Duration,
};

use ntex::{
    io::{Io, types::PeerAddr},
    rt,
};
use socket2::{SockRef, TcpKeepalive};

use crate::{
    client::Clients,
    config::{Connection, Observe},
    places::{Full, Places},
};

/// Silence after which the kernel asks a peer whether it is there, and how often.
const ASK_AFTER: Duration = Duration::from_mins(1);
const ASK_EVERY: Duration = Duration::from_secs(10);

/// What a connection gets for which there is no place.
static NO_PLACE: LazyLock<String> = LazyLock::new(|| {
    let body = r#"{"errors":[{"message":"Too many connections. Try again soon.","extensions":{"code":"TOO_MANY_CONNECTIONS","retryable":true}}]}"#;
    let head = "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-type: application/json; charset=utf-8\r\nretry-after: 5";
    format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
});

/// Has the kernel end the connections of a listener whose peers are gone: who acknowledges nothing for so long, or takes nothing
/// of what waits for it.
pub fn end_dead_peers(listener: &impl AsFd, gone_after: Duration) -> io::Result<()> {
    let socket = SockRef::from(listener);
    // What is set on a listener holds for the connections that it accepts.
    socket.set_tcp_user_timeout(Some(gone_after))?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(ASK_AFTER).with_interval(ASK_EVERY))
}

/// Who may connect.
#[derive(Clone)]
pub(crate) struct Connections {
    pub places: Arc<Places>,
    pub clients: Clients,
    pub observer: Arc<dyn Observe>,
}

impl Connections {
    /// Lets a new connection in, or tells it that there is no place and closes it.
    pub(crate) async fn admit(&self, io: Io) -> Result<Io, Full> {
        let peer = io.query::<PeerAddr>().get().and_then(|peer| self.clients.peer(peer.0.ip()));
        match self.places.take(peer) {
            Ok(place) => {
                self.observer.connection(Connection::Opened);
                let (gone, observer) = (io.on_disconnect(), self.observer.clone());
                rt::spawn(async move {
                    gone.await;
                    drop(place);
                    observer.connection(Connection::Closed);
                });
                Ok(io)
            }
            Err(full) => {
                self.observer.connection(Connection::Refused(full.reason()));
                let _gone = io.encode_slice(NO_PLACE.as_bytes());
                let _gone = io.shutdown().await;
                Err(full)
            }
        }
    }
}
