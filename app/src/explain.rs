//! `berth explain`: the story of a booking, from all four databases, and the ids of what belongs to it in both forms.

use std::fmt::Write as _;

use berth_booking::story::Root;
use berth_contracts::Kind;
use berth_kernel::{
    db::Db,
    story::{Line, Named, Question},
};
use chrono::SecondsFormat;
use uuid::Uuid;

use crate::{config::Config, databases, role::Service};

/// Prints the story of what `asked` names.
#[expect(clippy::print_stdout, reason = "the story is the command's purpose")]
pub fn run(config: &Config, asked: &str) -> anyhow::Result<()> {
    let Some(question) = Question::parse(asked) else {
        anyhow::bail!("{asked:?} is no booking's code, no id of the graph and no UUID");
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let text = runtime.block_on(async { Databases::open(config).await?.story(&question).await })?;
    print!("{text}");
    Ok(())
}

struct Databases {
    user: Db,
    inventory: Db,
    booking: Db,
    payment: Db,
}

impl Databases {
    async fn open(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            user: databases::connect_to(config, Service::User).await?,
            inventory: databases::connect_to(config, Service::Inventory).await?,
            booking: databases::connect_to(config, Service::Booking).await?,
            payment: databases::connect_to(config, Service::Payment).await?,
        })
    }

    async fn story(&self, question: &Question) -> anyhow::Result<String> {
        match self.root(question).await? {
            Some(root) => self.of_booking(&root).await,
            None => self.of_nothing(question).await,
        }
    }

    async fn root(&self, question: &Question) -> anyhow::Result<Option<Root>> {
        if let Some(root) = berth_booking::story::find(&self.booking, question).await? {
            return Ok(Some(root));
        }
        let Some(booking_id) = berth_payment::story::booking_of(&self.payment, question).await? else { return Ok(None) };
        Ok(berth_booking::story::find(&self.booking, &Question::Id(Kind::Booking, booking_id)).await?)
    }

    async fn of_booking(&self, root: &Root) -> anyhow::Result<String> {
        let (payments, of_payment) = berth_payment::story::lines(&self.payment, root.id).await?;
        let lines = [
            ("user", berth_user::story::lines(&self.user, root.user_id).await?),
            ("inventory", berth_inventory::story::lines(&self.inventory, root.hold_id).await?),
            ("booking", berth_booking::story::lines(&self.booking, root.id).await?),
            ("payment", of_payment),
        ];
        let named = [(Kind::Booking, root.id), (Kind::Hold, root.hold_id), (Kind::User, root.user_id)];
        let named: Vec<Named> = named.into_iter().chain(payments.into_iter().map(|id| (Kind::Payment, id))).collect();
        Ok(format!("{}{}\n{}", code(&root.code), ids(&named), told(lines)))
    }

    /// A hold that nobody booked has a story as well; of anything else only the other form of the id can be told.
    async fn of_nothing(&self, question: &Question) -> anyhow::Result<String> {
        if let Some(key) = question.key_of(&[Kind::Hold]) {
            let lines = berth_inventory::story::lines(&self.inventory, key).await?;
            if !lines.is_empty() {
                return Ok(format!("{}\n{}", ids(&[(Kind::Hold, key)]), told([("inventory", lines)])));
            }
        }
        match question {
            Question::Id(kind, key) => Ok(ids(&[(*kind, *key)])),
            Question::Code(code) => anyhow::bail!("there is no booking {code}"),
            Question::Key(key) => anyhow::bail!("there is no booking, hold, ticket, payment or refund {key}"),
        }
    }
}

fn code(code: &str) -> String {
    format!("{:<10} {code}\n", "code")
}

fn ids(named: &[(Kind, Uuid)]) -> String {
    named.iter().map(|(kind, key)| format!("{:<10} {}  {key}\n", kind.prefix(), kind.encode(*key))).collect()
}

/// What happened by time, then what is so now.
fn told<const N: usize>(parts: [(&'static str, Vec<Line>); N]) -> String {
    let mut lines: Vec<(&str, Line)> =
        parts.into_iter().flat_map(|(service, lines)| lines.into_iter().map(move |line| (service, line))).collect();
    lines.sort_by_key(|(_, line)| (line.at.is_none(), line.at));
    let mut text = String::new();
    for (service, Line { at, what }) in lines {
        let at = at.map_or_else(|| "now".to_owned(), |at| at.to_rfc3339_opts(SecondsFormat::Millis, true));
        // Writing to a String can't fail.
        let _written = writeln!(text, "{at:<24}  {service:<9}  {what}");
    }
    text
}
