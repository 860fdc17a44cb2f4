//! What is done about letters now and then: too old ones are given up, their texts forgotten later, and those that wait are counted.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

use super::{
    BATCH, Due, Post,
    life::{CODE_KIND, GIVEN_UP_KEPT, PAPER},
    public, update,
};
use crate::{
    db::{Db, sql},
    metrics,
};

impl Post {
    /// Gives up what is worth nothing any more, forgets what was given up long ago, counts what waits.
    pub async fn make_rounds(&self, db: &Db, service: &str) -> Result<(), DbErr> {
        self.adopt(db).await?;
        self.give_up_old(db).await?;
        self.forget_old(db).await?;
        self.measure(db, service).await
    }

    /// Letters that an older program queued have no end.
    async fn adopt(&self, db: &Db) -> Result<(), DbErr> {
        if count(db, "sent = 0 AND gives_up_at_ms IS NULL").await? == 0 {
            return Ok(());
        }
        let text = "UPDATE letter SET gives_up_at_ms = $1 WHERE sent = 0 AND gives_up_at_ms IS NULL";
        update(db, text, [(self.clock.now() + PAPER).timestamp_millis().into()]).await
    }

    async fn give_up_old(&self, db: &Db) -> Result<(), DbErr> {
        let text = "SELECT id, kind, body, attempts, answer FROM letter WHERE sent = 0 AND gives_up_at_ms <= $1 LIMIT $2";
        let values = [self.clock.now().timestamp_millis().into(), (BATCH as u64).into()];
        for row in db.read().query_all_raw(sql(db.read(), text, values)).await? {
            let (letter, answer) = (Due::of(&row)?, row.try_get::<Option<String>>("", "answer")?);
            let line = if letter.body.starts_with("{\"sms\":") { self.sms.line() } else { self.mail.line() };
            self.give_up(db, &letter, "too old", &answer.unwrap_or_else(|| line.answer())).await?;
        }
        Ok(())
    }

    /// The text stays for who sends it again; that of a code is worth nothing.
    pub(super) async fn give_up(&self, db: &Db, letter: &Due, why: &'static str, answer: &str) -> Result<(), DbErr> {
        let (id, said, now_ms) = (letter.id, answer.to_owned(), self.clock.now().timestamp_millis());
        let done = db.write(move |tx| {
            Box::pin(async move {
                let text = "UPDATE letter SET sent = 2, given_up_at_ms = $2, answer = $3, leased_until_ms = NULL, \
                            body = CASE WHEN kind = $4 THEN '' ELSE body END WHERE id = $1 AND sent = 0";
                tx.execute_raw(sql(tx, text, [id.into(), now_ms.into(), said.into(), CODE_KIND.into()])).await
            })
        });
        let done: Result<_, DbErr> = done.await;
        if done?.rows_affected() == 0 {
            return Ok(());
        }
        let (id, kind, attempts) = (public(id), &letter.kind, letter.attempts);
        // Anybody may sign up with an address that no server takes.
        if kind == CODE_KIND || why == "refused" {
            tracing::warn!(letter.id = id, letter.kind = kind, attempts, why, answer, "post.given_up");
        } else {
            tracing::error!(letter.id = id, letter.kind = kind, attempts, why, answer, "post.given_up");
        }
        Ok(())
    }

    async fn forget_old(&self, db: &Db) -> Result<(), DbErr> {
        let before_ms = (self.clock.now() - GIVEN_UP_KEPT).timestamp_millis();
        let old = "sent = 2 AND body <> '' AND given_up_at_ms <= $1";
        let counted =
            db.read().query_one_raw(sql(db.read(), &format!("SELECT id FROM letter WHERE {old} LIMIT 1"), [before_ms.into()]));
        if counted.await?.is_none() {
            return Ok(());
        }
        update(db, "UPDATE letter SET body = '' WHERE sent = 2 AND body <> '' AND given_up_at_ms <= $1", [before_ms.into()]).await
    }

    async fn measure(&self, db: &Db, service: &str) -> Result<(), DbErr> {
        let (waiting, given_up) = (count(db, "sent = 0").await?, count(db, "sent = 2").await?);
        let oldest =
            db.read().query_one_raw(sql(db.read(), "SELECT id FROM letter WHERE sent = 0 ORDER BY id LIMIT 1", [])).await?;
        let oldest: Option<Uuid> = oldest.map(|row| row.try_get("", "id")).transpose()?;
        let queued = oldest.and_then(|id| id.get_timestamp()).map(|at| at.to_unix());
        let now = Duration::from_millis(u64::try_from(self.clock.now().timestamp_millis()).unwrap_or(0));
        let age = queued.map_or(Duration::ZERO, |(secs, nanos)| now.saturating_sub(Duration::new(secs, nanos)));
        metrics::letters(service, waiting, given_up, age);
        Ok(())
    }
}

async fn count(db: &Db, which: &str) -> Result<i64, DbErr> {
    let row =
        db.read().query_one_raw(sql(db.read(), &format!("SELECT COUNT(*) AS letters FROM letter WHERE {which}"), [])).await?;
    row.map_or(Ok(0), |row| row.try_get("", "letters"))
}
