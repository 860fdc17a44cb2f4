//! The table of peer methods. A new method of a trait is one line here.

use std::sync::Arc;

use async_trait::async_trait;
use axum::{Router, routing::post};
use berth_contracts::peer::{
    BookingPeer, CommitOutcome, EndedSession, HoldCopy, InventoryPeer, PassengerCopy, Payable, PaymentCopy, PaymentPeer,
    PeerResult, RecordsPeer, RefundState, UserPeer,
};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{client::Remote, server::Desk};

macro_rules! calls {
    ($($trait:ident as $routes:ident { $($method:ident($($name:ident: $type:ty),*) -> $answer:ty;)* })*) => { $(
        #[async_trait]
        impl $trait for Remote {
            $(async fn $method(&self, $($name: $type),*) -> PeerResult<$answer> {
                #[derive(Serialize)]
                struct Arguments { $($name: $type),* }
                self.call(stringify!($method), &Arguments { $($name),* }).await
            })*
        }

        #[doc = concat!("The routes of an [`", stringify!($trait), "`].")]
        pub fn $routes(peer: Arc<dyn $trait>, desk: Desk) -> Router {
            let routes = Router::new();
            $(let routes = {
                #[derive(Deserialize)]
                struct Arguments { $($name: $type),* }
                let (peer, desk) = (peer.clone(), desk.clone());
                let answer = move |headers, body| async move {
                    let asked = move |asked: Arguments| async move { peer.$method($(asked.$name),*).await };
                    desk.answer(stringify!($method), headers, body, asked).await
                };
                routes.route(concat!("/peer/", stringify!($method)), post(answer))
            };)*
            routes
        }
    )* };
}

calls! {
    InventoryPeer as inventory {
        hold(user_id: Uuid, hold_id: Uuid) -> HoldCopy;
        attach_hold(hold_id: Uuid, booking_id: Uuid) -> HoldCopy;
        extend_hold(hold_id: Uuid, until: DateTime<Utc>) -> DateTime<Utc>;
        commit_hold(hold_id: Uuid, booking_id: Uuid) -> CommitOutcome;
        release_hold(hold_id: Uuid) -> ();
        give_back(hold_id: Uuid, booking_id: Uuid) -> ();
    }
    UserPeer as user {
        passengers(user_id: Uuid, passenger_ids: Vec<Uuid>) -> Vec<PassengerCopy>;
        sessions_ended(since: DateTime<Utc>) -> Vec<EndedSession>;
    }
    BookingPeer as booking {
        payable(user_id: Uuid, booking_id: Uuid) -> Payable;
        payment_started(booking_id: Uuid) -> Payable;
        payment_changed(booking_id: Uuid) -> ();
    }
    PaymentPeer as payment {
        payments(booking_id: Uuid) -> Vec<PaymentCopy>;
        refund(payment_id: Uuid, reason: String) -> RefundState;
        close(booking_id: Uuid) -> ();
    }
    RecordsPeer as records {
        records(user_id: Uuid) -> serde_json::Value;
        open_affairs(person_id: Uuid) -> u32;
    }
}
