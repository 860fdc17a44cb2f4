//! `berth events`: what consumers gave up, and how to give it to them again.

use berth_kernel::{db::Db, dead};
use clap::Subcommand;
use uuid::Uuid;

use crate::{config::Config, databases};

/// What is done about events.
#[derive(Subcommand)]
pub enum EventsWhat {
    /// Lists the events that a consumer gave up: id, time, service, consumer, kind, reason
    Dead,
    /// Delivers one of them again, or all; every consumer of such events gets it
    #[command(arg_required_else_help = true)]
    Replay {
        /// Its id, from `berth events dead`
        id: Option<Uuid>,
        /// All of them
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
}

/// Runs the command over the services' databases, beside whatever serves them.
pub fn run(config: &Config, what: &EventsWhat) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let opened = databases::connect_to_all(config).await?;
        match what {
            EventsWhat::Dead => list(&opened).await,
            EventsWhat::Replay { id, .. } => replay(*id, &opened).await,
        }
    })
}

#[expect(clippy::print_stdout, reason = "the output is the command's purpose")]
async fn list(databases: &[(&'static str, Db)]) -> anyhow::Result<()> {
    for (service, db) in databases {
        for letter in dead::list(db).await? {
            let at = letter.at.to_rfc3339();
            println!(
                "{}\t{at}\t{service}\t{}\t{}\t{}",
                letter.id,
                letter.consumer,
                letter.kind,
                letter.reason.replace('\n', " ")
            );
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the output is the command's purpose")]
async fn replay(id: Option<Uuid>, databases: &[(&'static str, Db)]) -> anyhow::Result<()> {
    let mut replayed = 0;
    for (_, db) in databases {
        replayed += dead::replay(db, id).await?;
    }
    if let (Some(id), 0) = (id, replayed) {
        anyhow::bail!("there is no dead letter {id} that can be read");
    }
    println!("{replayed} delivered again");
    Ok(())
}
