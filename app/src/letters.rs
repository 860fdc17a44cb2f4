//! `berth letters`: what was not sent, and how to send it again.

use berth_contracts::Kind;
use berth_kernel::{
    db::Db,
    post::desk::{self, Resent, Unsent},
};
use clap::Subcommand;

use crate::{config::Config, databases};

/// What is done about letters.
#[derive(Subcommand)]
pub enum LettersWhat {
    /// Lists letters and text messages that wait or were given up: id, time, service, channel, kind, state, attempts, answer
    List {
        /// Only those that were given up
        #[arg(long)]
        failed: bool,
    },
    /// Sends one of them again now, or all that were given up
    #[command(arg_required_else_help = true)]
    Resend {
        /// Its id, from `berth letters list`
        id: Option<String>,
        /// All that were given up
        #[arg(long, conflicts_with = "id")]
        failed: bool,
    },
}

/// Runs the command over the services' databases, beside whatever serves them.
pub fn run(config: &Config, what: &LettersWhat) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let opened = databases::connect_to_all(config).await?;
        match what {
            LettersWhat::List { failed } => list(*failed, &opened).await,
            LettersWhat::Resend { id, .. } => resend(id.as_deref(), &opened).await,
        }
    })
}

#[expect(clippy::print_stdout, reason = "the output is the command's purpose")]
async fn list(failed: bool, databases: &[(&'static str, Db)]) -> anyhow::Result<()> {
    for (service, db) in databases {
        for letter in desk::list(db, failed).await? {
            println!("{}", line(service, &letter));
        }
    }
    Ok(())
}

fn line(service: &str, letter: &Unsent) -> String {
    let state = letter.next_at.map_or_else(|| "given up".to_owned(), |at| format!("due {}", at.to_rfc3339()));
    let or_none = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    let (channel, kind, answer) = (or_none(letter.channel), or_none(&letter.kind), or_none(&letter.answer));
    format!(
        "{}\t{}\t{service}\t{channel}\t{kind}\t{state}\t{}\t{answer}",
        letter.id,
        letter.queued_at.to_rfc3339(),
        letter.attempts
    )
}

#[expect(clippy::print_stdout, reason = "the output is the command's purpose")]
async fn resend(id: Option<&str>, databases: &[(&'static str, Db)]) -> anyhow::Result<()> {
    let key = id.map(|id| Kind::Letter.decode(id)).transpose()?;
    let (mut due, mut forgotten) = (0, 0);
    for (_, db) in databases {
        let resent: Resent = desk::resend(db, key).await?;
        due += resent.due;
        forgotten += resent.forgotten;
    }
    match (id, due, forgotten) {
        (Some(id), 0, 0) => anyhow::bail!("there is no letter {id} that was not sent"),
        (Some(id), 0, _) => anyhow::bail!("the text of {id} is forgotten: it held a code, or was given up long ago"),
        (_, due, 0) => println!("{due} sent again"),
        (_, due, forgotten) => println!("{due} sent again, {forgotten} not: their texts are forgotten"),
    }
    Ok(())
}
