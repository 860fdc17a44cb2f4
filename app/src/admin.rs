//! `berth admin`: who administers the accounts of this installation, and the log of what they did. Works beside a serving Berth.

use std::io::{self, BufWriter, Write};

use berth_kernel::{clock::Clock, db::Db};
use berth_user::{
    account_card::AccountCard,
    error::{Error, Refusal},
    operator::{self, Verdict},
    role::Role,
};
use clap::Subcommand;

use crate::{config::Config, databases, role::Service};

/// What is done about admins.
#[derive(Subcommand)]
pub enum AdminWhat {
    /// Gives the account of an address a role: so the first admin is made. The person must have signed up before
    Grant {
        /// Address of the account
        email: String,
        /// USER, ORGANIZER or ADMIN
        #[arg(value_parser = parse_role)]
        role: Role,
    },
    /// Takes the role of an account away: it is USER again. The last admin stays
    Revoke {
        /// Address of the account
        email: String,
    },
    /// Lists the admins that are not suspended: address, id, since when they have an account
    List,
    /// The log of what admins and the operator did to accounts
    Audit {
        #[command(subcommand)]
        what: AuditWhat,
    },
}

/// What is done about the audit log.
#[derive(Subcommand)]
pub enum AuditWhat {
    /// Prints every entry, oldest first, one JSON object per line
    Export,
    /// Proves that no entry was changed or removed; names the first that was. Prints how many there are and the newest hash
    Verify {
        /// The newest hash of an earlier look, kept elsewhere: proves that nothing was cut off since
        #[arg(long, value_name = "HASH")]
        known: Option<String>,
    },
}

fn parse_role(word: &str) -> Result<Role, String> {
    Role::from_word(&word.to_ascii_uppercase()).ok_or_else(|| "a role is USER, ORGANIZER or ADMIN".to_owned())
}

/// Runs the command over the database of user.
pub fn run(config: &Config, what: &AdminWhat) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let db = databases::connect_to(config, Service::User).await?;
        match what {
            AdminWhat::Grant { email, role } => grant(&db, email, *role).await,
            AdminWhat::Revoke { email } => grant(&db, email, Role::User).await,
            AdminWhat::List => list(&db).await,
            AdminWhat::Audit { what: AuditWhat::Export } => export(&db).await,
            AdminWhat::Audit { what: AuditWhat::Verify { known } } => verify(&db, known.as_deref()).await,
        }
    })
}

#[expect(clippy::print_stdout, reason = "the line is the command's answer")]
async fn grant(db: &Db, email: &str, role: Role) -> anyhow::Result<()> {
    let account = operator::grant(db, &Clock::system(), email, role).await.map_err(explained)?;
    let AccountCard { email, standing, .. } = account;
    println!("{email} is {}", standing.role.word());
    Ok(())
}

/// A refusal in the words of the command line.
fn explained(error: Error) -> anyhow::Error {
    match error {
        Error::Refused(Refusal::NotFound { .. }) => anyhow::anyhow!("no account has this address: sign up with it first"),
        Error::Refused(Refusal::LastAdmin) => anyhow::anyhow!("this is the last admin: `berth admin grant` another one first"),
        Error::Refused(Refusal::Invalid(invalid)) => anyhow::anyhow!("{}: {}", invalid.field, invalid.why),
        other => other.into(),
    }
}

#[expect(clippy::print_stdout, reason = "the lines are the command's answer")]
async fn list(db: &Db) -> anyhow::Result<()> {
    for admin in operator::admins(db).await? {
        println!("{}\t{}\t{}", admin.email, admin.public_id(), admin.created_at.to_rfc3339());
    }
    Ok(())
}

async fn export(db: &Db) -> anyhow::Result<()> {
    let (mut out, mut written) = (BufWriter::new(io::stdout()), Ok(()));
    operator::walk(db, |entry| {
        written = writeln!(out, "{}", entry.line());
        written.is_ok()
    })
    .await?;
    written?;
    Ok(out.flush()?)
}

#[expect(clippy::print_stdout, reason = "the verdict is the command's answer")]
async fn verify(db: &Db, known: Option<&str>) -> anyhow::Result<()> {
    match operator::verify(db, known).await? {
        Verdict::Whole { entries, head } => println!("ok: {entries} entries, the newest hash is {head}"),
        Verdict::Broken { seq, why } => anyhow::bail!("entry {seq}: {why}"),
    }
    Ok(())
}
