//! A small mail server that does as it is told: takes letters, puts them off, refuses them, or is away.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::eventually;

const WITHIN: Duration = Duration::from_secs(90);

/// A letter that was taken.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The recipient.
    pub to: String,
    /// Headers and body, as they came.
    pub text: String,
}

#[derive(Default)]
struct State {
    /// The answer to each recipient; accepted without one.
    answer: Option<String>,
    recipients: usize,
    taken: Vec<Taken>,
}

/// The server.
pub struct MailServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    serving: Option<JoinHandle<()>>,
}

impl MailServer {
    /// One that is away: nobody listens at its address yet.
    pub async fn away() -> anyhow::Result<Self> {
        let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        Ok(Self { address, state: Arc::default(), serving: None })
    }

    /// Its URL, for `BERTH_SMTP_URL`. The password is `password`.
    pub fn url(&self, password: &str) -> String {
        format!("smtp://berth:{password}@{}", self.address)
    }

    /// It listens from now on.
    pub async fn come(&mut self) -> anyhow::Result<()> {
        let listener = TcpListener::bind(self.address).await?;
        let state = Arc::clone(&self.state);
        self.serving = Some(tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(talk(stream, Arc::clone(&state)));
            }
        }));
        Ok(())
    }

    /// Nobody listens any more.
    pub async fn go(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            let _aborted = serving.await;
        }
    }

    /// Answers each recipient with this line from now on; `None`: takes every letter.
    pub fn answers(&self, line: Option<&str>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).answer = line.map(str::to_owned);
    }

    /// How many recipients were named to it.
    pub fn recipients(&self) -> usize {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).recipients
    }

    /// The letters to an address, the oldest first.
    pub fn taken(&self, to: &str) -> Vec<Taken> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.taken.iter().filter(|letter| letter.to == to).cloned().collect()
    }

    /// Waits for a letter to this address in which this word stands.
    pub async fn letter(&self, to: &str, word: &str) -> anyhow::Result<Taken> {
        eventually(&format!("a letter with {word:?}"), WITHIN, || async {
            Ok(self.taken(to).into_iter().find(|letter| letter.text.contains(word)))
        })
        .await
    }

    /// Waits for the code in the newest letter to an address.
    pub async fn code(&self, to: &str) -> anyhow::Result<String> {
        eventually("a letter with a code", WITHIN, || async {
            let newest = self.taken(to).pop();
            Ok(newest.and_then(|letter| {
                let subject = letter.text.lines().find(|line| line.starts_with("Subject:"))?.to_owned();
                let words = subject.split(|sign: char| !sign.is_ascii_digit()).chain(letter.text.split_whitespace());
                words
                    .map(|word| word.trim_matches(|sign: char| !sign.is_ascii_digit()))
                    .find(|word| word.len() == 6)
                    .map(str::to_owned)
            }))
        })
        .await
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        if let Some(serving) = &self.serving {
            serving.abort();
        }
    }
}

async fn talk(stream: TcpStream, state: Arc<Mutex<State>>) -> anyhow::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    write.write_all(b"220 test ESMTP\r\n").await?;
    let mut to = String::new();
    while let Some(line) = lines.next_line().await? {
        let verb = line.split(' ').next().unwrap_or_default().to_uppercase();
        let answer = match verb.as_str() {
            "EHLO" => "250-test\r\n250-ENHANCEDSTATUSCODES\r\n250 AUTH PLAIN LOGIN".to_owned(),
            "AUTH" => "235 2.7.0 welcome".to_owned(),
            "RCPT" => {
                to = line.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
                state.recipients += 1;
                state.answer.as_ref().map_or_else(|| "250 2.1.5 ok".to_owned(), |answer| answer.replace("{to}", &to))
            }
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                let text = body(&mut lines).await?;
                state.lock().unwrap_or_else(PoisonError::into_inner).taken.push(Taken { to: to.clone(), text });
                "250 2.0.0 taken".to_owned()
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "250 2.0.0 ok".to_owned(),
        };
        write.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
    Ok(())
}

async fn body(lines: &mut tokio::io::Lines<BufReader<tokio::net::tcp::OwnedReadHalf>>) -> anyhow::Result<String> {
    let mut text = String::new();
    loop {
        let line = lines.next_line().await?.context("the letter has no end")?;
        if line == "." {
            // Quoted-printable breaks long lines.
            return Ok(text.replace("=\n", ""));
        }
        text += &line;
        text.push('\n');
    }
}
