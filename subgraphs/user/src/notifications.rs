//! Telling people what happened, and their lists of it.
//!
//! A notification is a row, written in the transaction of its cause, and with it, by the catalogue and its owner's settings, a letter
//! and a text message in the queue. Its cause is unique in its owner's list, so whatever is told twice arrives once.

use berth_contracts::{
    Kind as Id,
    event::{Envelope, Event},
};
use berth_kernel::{bus::Live, db::Tx, metrics, outbox::first_time, post::Life, sabotage, sms::TextMessage};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    account::Account,
    accounts::Accounts,
    error::{Error, Invalid, Refusal},
    identifier::Kind as Name,
    letters,
    notification::{ByLetter, Facts, Kind, Notice, Notification, Rule, TRAIL_STEP, Trail, say},
    setting::Settings,
    store,
};

/// How many notifications one request may name.
const MARKED_AT_ONCE: usize = 100;

/// Which notifications are marked as read.
#[derive(Debug, Clone)]
pub enum Marked {
    /// These.
    Some(Vec<String>),
    /// This one and all older ones.
    UpTo(String),
    /// All of them.
    All,
}

/// What marking did.
#[derive(Debug, Clone, Copy)]
pub struct Marking {
    /// How many were unread until now.
    pub marked: u64,
    /// How many are unread still.
    pub unread: i64,
}

impl Accounts {
    /// Tells somebody, in the transaction of what happened. `false`: they know already, it is true no more, or they are gone. Call
    /// [`Accounts::wake_told`] after the commit.
    pub(crate) async fn tell(&self, tx: &Tx, account_id: Uuid, notice: &Notice) -> Result<bool, Error> {
        let Some(account) = store::account::find(tx, &self.deps.sealer, account_id).await? else { return Ok(false) };
        if let Some(cause) = notice.overtaken_by()
            && store::notification::was_told(tx, account_id, &cause).await?
        {
            return Ok(false);
        }
        let (id, now) = (self.deps.clock.new_key(), self.deps.clock.now());
        if !store::notification::insert(tx, id, account_id, notice, now).await? {
            return Ok(false);
        }
        let settings = store::setting::find(tx, account_id).await?;
        self.send(tx, id, &account, &settings, notice).await?;
        self.deps.outbox.append(tx, &Event::NotificationSent { notification_id: id, user_id: account_id }).await?;
        metrics::reached("notification", notice.kind.rule().name);
        Ok(true)
    }

    /// Tells people of an event, once: its inbox row and what it tells are one transaction.
    pub(crate) async fn hear(&self, consumer: &'static str, event: &Envelope) -> Result<(), Error> {
        let Some((account_id, mut notice)) = Notice::of(&event.event) else { return Ok(()) };
        let (desk, mut event_id) = (self.clone(), event.id);
        if sabotage::is_chosen("skip_inbox") {
            event_id = self.deps.clock.new_key();
            notice.cause.push_str(&event_id.to_string());
        }
        let told = self.deps.db.write::<_, Error, _>(move |tx| {
            Box::pin(async move {
                Ok(first_time(tx, consumer, event_id, &desk.deps.clock).await? && desk.tell(tx, account_id, &notice).await?)
            })
        });
        if told.await? {
            self.wake_told();
        }
        Ok(())
    }

    /// Queues the letter and the text message of a notification, as far as there shall be any.
    async fn send(&self, tx: &Tx, id: Uuid, account: &Account, settings: &Settings, notice: &Notice) -> Result<(), Error> {
        let (rule, post) = (notice.kind.rule(), &self.deps.post);
        let Ways { letter, sms } = Ways::of(rule, settings);
        let said = say(notice.kind, settings.locale, &notice.facts, settings.time_zone);
        // Only a number that its owner has proved: nobody else's phone shall ring.
        let number = if sms && post.has_sms() { store::identifier::of_account(tx, account.id, Name::Phone).await? } else { None };
        if let Some(to) = number {
            let message = TextMessage { to, text: said.short() };
            post.queue_sms(tx, &format!("notification-sms:{id}"), Life::News, &message).await?;
        }
        if letter {
            let letter = letters::notification(settings.locale, &account.email, said)?;
            post.queue(tx, &format!("notification:{id}"), Life::News, &letter).await?;
        }
        Ok(())
    }

    /// Tells the owner of an account that somebody signed in, when no session that is remembered had this name of a device. In the
    /// transaction of the sign-in, before its session is there.
    pub(crate) async fn tell_new_device(&self, tx: &Tx, account_id: Uuid, device: Option<&str>) -> Result<(), Error> {
        if store::session::knows_device(tx, account_id, device).await? {
            return Ok(());
        }
        let facts = Facts { device: device.map(str::to_owned), at: Some(self.deps.clock.now()), ..Facts::default() };
        self.tell(tx, account_id, &Notice::about(Kind::SignedIn, self.deps.clock.new_key(), facts)).await.map(|_| ())
    }

    /// Wakes whoever carries on what was told.
    pub(crate) fn wake_told(&self) {
        self.deps.outbox.wake();
        self.deps.post.wake();
    }

    /// A page of the person's list, newest first: at most `count` before `before`.
    pub async fn notifications(
        &self,
        user_id: Uuid,
        before: Uuid,
        unread_only: bool,
        count: u64,
    ) -> Result<Vec<Notification>, Error> {
        Ok(store::notification::list(self.deps.db.read(), user_id, before, unread_only, count).await?)
    }

    /// How many notifications the person has: in all, or unread.
    pub async fn count_notifications(&self, user_id: Uuid, unread_only: bool) -> Result<i64, Error> {
        Ok(store::notification::count(self.deps.db.read(), user_id, unread_only).await?)
    }

    /// Marks notifications of the signed-in person as read. Marking twice is harmless; another person's do not exist.
    pub async fn mark_read(&self, user_id: Uuid, which: Marked) -> Result<Marking, Error> {
        let (which, now) = (Which::read(which)?, self.deps.clock.now());
        let marking = self.deps.db.write(move |tx| {
            Box::pin(async move {
                let marked = which.mark(tx, user_id, now).await?;
                Ok::<_, Error>(Marking { marked, unread: store::notification::count(tx, user_id, true).await? })
            })
        });
        marking.await
    }

    /// What happens from now on, to whomever.
    pub(crate) fn news(&self) -> Live {
        self.deps.bus.live()
    }

    /// The present instant, by the clock that tokens go by.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.deps.clock.now()
    }

    /// A watcher's view of the person's list: what came after a notification, or what comes from now on.
    pub async fn watch_notifications(&self, user_id: Uuid, since: Option<Uuid>) -> Result<Trail, Error> {
        if let Some(since) = since {
            return Ok(Trail::after(since));
        }
        let mut trail = Trail::from_now(self.now());
        while !self.fresh_notifications(user_id, &mut trail).await?.is_empty() {}
        Ok(trail)
    }

    /// What a watcher has not seen yet, oldest first.
    pub async fn fresh_notifications(&self, user_id: Uuid, trail: &mut Trail) -> Result<Vec<Notification>, Error> {
        let rows = store::notification::list_after(self.deps.db.read(), user_id, trail.floor(), TRAIL_STEP).await?;
        Ok(trail.fresh(rows, self.now()))
    }
}

/// The ways a notification goes, besides the list.
struct Ways {
    letter: bool,
    sms: bool,
}

impl Ways {
    fn of(rule: &Rule, settings: &Settings) -> Self {
        let wanted = settings.channels(rule.group);
        let letter = match rule.letter {
            None => false,
            Some(ByLetter::IfWanted) => wanted.email,
            Some(ByLetter::Always) => true,
        };
        Self { letter, sms: rule.sms && wanted.sms }
    }
}

/// [`Marked`] with its ids read.
enum Which {
    Some(Vec<Uuid>),
    UpTo(Uuid),
}

impl Which {
    fn read(which: Marked) -> Result<Self, Error> {
        let key = |id: &String, field| Id::Notification.decode(id).map_err(|_| Refusal::NotFound { field });
        match which {
            Marked::Some(ids) if !(1..=MARKED_AT_ONCE).contains(&ids.len()) => {
                Err(Invalid { field: "notificationIds", why: "1 to 100 notifications can be named" }.into())
            }
            Marked::Some(ids) => {
                let mut keys = ids.iter().map(|id| key(id, "notificationIds")).collect::<Result<Vec<_>, _>>()?;
                keys.sort_unstable();
                keys.dedup();
                Ok(Self::Some(keys))
            }
            Marked::UpTo(id) => Ok(Self::UpTo(key(&id, "upTo")?)),
            Marked::All => Ok(Self::UpTo(Uuid::max())),
        }
    }

    async fn mark(&self, tx: &Tx, user_id: Uuid, now: DateTime<Utc>) -> Result<u64, Error> {
        match self {
            Self::Some(keys) => {
                if store::notification::count_of(tx, user_id, keys).await? != keys.len() {
                    return Err(Refusal::NotFound { field: "notificationIds" }.into());
                }
                Ok(store::notification::mark_some(tx, user_id, keys, now).await?)
            }
            Self::UpTo(last) => {
                if !last.is_max() && store::notification::count_of(tx, user_id, &[*last]).await? == 0 {
                    return Err(Refusal::NotFound { field: "upTo" }.into());
                }
                Ok(store::notification::mark_up_to(tx, user_id, *last, now).await?)
            }
        }
    }
}
