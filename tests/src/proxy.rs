//! A TCP proxy that can misbehave: in front of PostgreSQL, of Redis, or of Berth itself.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// What it does with connections and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Hands everything on.
    Pass,
    /// Nobody listens; connections that exist are reset.
    Refuse,
    /// Connections are taken, bytes are kept: a server that was stopped.
    Stall,
    /// Every piece is late by this much.
    Delay(Duration),
    /// Questions go through; a connection is reset when the first byte of an answer comes.
    CutReply,
}

/// A proxy before one server. Ends when dropped.
pub struct Proxy {
    address: SocketAddr,
    wires: Arc<Wires>,
    task: JoinHandle<()>,
}

struct Wires {
    target: watch::Sender<SocketAddr>,
    mode: watch::Sender<Mode>,
    cuts: watch::Sender<u64>,
}

impl Proxy {
    /// Starts it on a free port; everything passes at first.
    pub async fn start(target: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let wires = Arc::new(Wires {
            target: watch::Sender::new(target),
            mode: watch::Sender::new(Mode::Pass),
            cuts: watch::Sender::new(0),
        });
        let task = tokio::spawn(serve(listener, address, wires.clone()));
        Ok(Self { address, wires, task })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what it does, for connections that exist and for new ones.
    pub fn set(&self, mode: Mode) {
        self.wires.mode.send_replace(mode);
        if mode == Mode::Refuse {
            self.cut();
        }
    }

    /// Leads to another server from now on; who is connected to the old one is cut off.
    pub fn lead_to(&self, target: SocketAddr) {
        self.wires.target.send_replace(target);
        self.cut();
    }

    /// Resets every connection that exists now.
    pub fn cut(&self) {
        self.wires.cuts.send_modify(|cuts| *cuts += 1);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
        self.cut();
    }
}

async fn serve(listener: TcpListener, address: SocketAddr, wires: Arc<Wires>) {
    let mut mode = wires.mode.subscribe();
    let mut listening = Some(listener);
    loop {
        let Some(listener) = &listening else {
            let _ = mode.wait_for(|mode| *mode != Mode::Refuse).await;
            listening = TcpListener::bind(address).await.ok();
            if listening.is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            continue;
        };
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    tokio::spawn(carry(client, wires.clone()));
                }
            }
            _ = mode.wait_for(|mode| *mode == Mode::Refuse) => listening = None,
        }
    }
}

/// Carries one connection to its end; a bad end is a reset on both sides.
async fn carry(mut client: TcpStream, wires: Arc<Wires>) {
    let mut cuts = wires.cuts.subscribe();
    cuts.mark_unchanged();
    let target = *wires.target.borrow();
    let Ok(mut server) = TcpStream::connect(target).await else { return reset(&client) };
    let _ = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let both = async {
        tokio::try_join!(
            pump(from_client, to_server, wires.mode.subscribe(), false),
            pump(from_server, to_client, wires.mode.subscribe(), true)
        )
    };
    let ended = tokio::select! {
        ended = both => ended.map(|_| ()),
        _ = cuts.changed() => Err(io::ErrorKind::ConnectionReset.into()),
    };
    if ended.is_err() {
        reset(&client);
        reset(&server);
    }
}

/// Makes the coming close a reset.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}

async fn pump(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut mode: watch::Receiver<Mode>, reply: bool) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return to.shutdown().await;
        }
        let now = *mode.borrow_and_update();
        match now {
            Mode::CutReply if reply => return Err(io::ErrorKind::ConnectionReset.into()),
            Mode::Stall => drop(mode.wait_for(|mode| *mode != Mode::Stall).await),
            Mode::Delay(time) => tokio::time::sleep(time).await,
            _ => {}
        }
        to.write_all(&buffer[..count]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        address
    }

    async fn ask(stream: &mut TcpStream) -> io::Result<()> {
        stream.write_all(b"ping").await?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await.map(|_| ())
    }

    async fn within(time_ms: u64, stream: &mut TcpStream) -> Option<io::Result<()>> {
        tokio::time::timeout(Duration::from_millis(time_ms), ask(stream)).await.ok()
    }

    #[tokio::test]
    async fn each_mode_does_what_it_says() {
        let proxy = Proxy::start(echo().await).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut stream).await.unwrap();
        proxy.set(Mode::Stall);
        assert!(within(100, &mut stream).await.is_none(), "bytes got through");
        proxy.set(Mode::Pass);
        let mut kept = [0; 4];
        stream.read_exact(&mut kept).await.unwrap();
        proxy.set(Mode::CutReply);
        assert!(ask(&mut stream).await.is_err(), "the answer got through");
        proxy.set(Mode::Pass);
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut stream).await.unwrap();
        proxy.set(Mode::Refuse);
        assert!(ask(&mut stream).await.is_err(), "the connection lives on");
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(TcpStream::connect(proxy.address()).await.is_err(), "somebody listens");
        proxy.set(Mode::Pass);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        ask(&mut stream).await.unwrap();
        proxy.cut();
        assert!(ask(&mut stream).await.is_err(), "the connection lives on");
    }
}
