//! The list of people somebody books for. Another person's passenger does not exist.

use berth_contracts::Kind;
use uuid::Uuid;

use crate::{
    accounts::Accounts,
    error::{Error, Refusal},
    passenger::{Passenger, PassengerChange, PassengerDraft},
    store,
};

const MISSING: Refusal = Refusal::NotFound { field: "passengerId" };

impl Accounts {
    /// Adds a passenger.
    pub async fn add_passenger(&self, user_id: Uuid, draft: PassengerDraft) -> Result<Passenger, Error> {
        let (sealer, now, limit) = (self.deps.sealer.clone(), self.deps.clock.now(), self.config.passenger_limit);
        let passenger = draft.checked(self.deps.clock.new_key(), now)?;
        self.deps
            .db
            .write(move |tx| {
                Box::pin(async move {
                    if !store::account::take(tx, user_id, now).await? {
                        return Err(Error::Stranger);
                    }
                    if !store::account::count_passenger(tx, user_id, limit).await? {
                        return Err(Refusal::PassengerLimit { limit }.into());
                    }
                    store::passenger::insert(tx, &sealer, user_id, &passenger, now).await?;
                    Ok(passenger)
                })
            })
            .await
    }

    /// Changes a passenger of the person's list.
    pub async fn update_passenger(&self, user_id: Uuid, id: &str, change: PassengerChange) -> Result<Passenger, Error> {
        let id = Kind::Passenger.decode(id).map_err(|_| MISSING)?;
        let (sealer, now) = (self.deps.sealer.clone(), self.deps.clock.now());
        self.deps
            .db
            .write(move |tx| {
                Box::pin(async move {
                    if !store::passenger::take(tx, user_id, id, now).await? {
                        return Err(MISSING.into());
                    }
                    let found = store::passenger::list_asked(tx, &sealer, user_id, &[id]).await?.pop().ok_or(MISSING)?;
                    let changed = found.changed(change, now)?;
                    let kept = store::passenger::update(tx, &sealer, user_id, &changed, now).await?;
                    if kept { Ok(changed) } else { Err(MISSING.into()) }
                })
            })
            .await
    }

    /// Removes a passenger. Bookings keep their own copy.
    pub async fn remove_passenger(&self, user_id: Uuid, id: &str) -> Result<Uuid, Error> {
        let id = Kind::Passenger.decode(id).map_err(|_| MISSING)?;
        self.deps
            .db
            .write(move |tx| {
                Box::pin(async move {
                    if !store::passenger::delete(tx, user_id, id).await? {
                        return Err(MISSING.into());
                    }
                    store::account::uncount_passenger(tx, user_id).await?;
                    Ok(id)
                })
            })
            .await
    }

    /// A page of the person's list, oldest first: at most `count` after `after`.
    pub async fn passengers(&self, user_id: Uuid, after: Uuid, count: u64) -> Result<Vec<Passenger>, Error> {
        store::passenger::list(self.deps.db.read(), &self.deps.sealer, user_id, after, count).await
    }

    /// Those of the asked passengers that are on the person's list.
    pub async fn passengers_asked(&self, user_id: Uuid, ids: &[Uuid]) -> Result<Vec<Passenger>, Error> {
        store::passenger::list_asked(self.deps.db.read(), &self.deps.sealer, user_id, ids).await
    }
}
