//! Holds in the graph.

use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, Object, OneofObject, Result, SimpleObject, Union};
use berth_contracts::{IdError, Kind, id::TripKey};
use berth_kernel::graphql::{DateTime, Money, in_utc, internal, signed_in};

use super::{
    seat::Seat,
    trip::{Trip, TripStop},
};
use crate::{
    claim::SeatState,
    hold::{HeldItem, Hold as HoldNoun, HoldStatus as Status, Refusal, SeatRequest, Selection, invalid, item_path},
    holds::{Holds, PlaceHold},
};

/// Seats to hold together: all of them or none.
#[derive(InputObject)]
pub struct PlaceHoldInput {
    /// What to hold; may be of several trips. 1 to 8 seats in all.
    pub items: Vec<HoldItemInput>,
    /// A text of your choice, 1 to 128 characters, new for each new request. Repeating a request with its key gives the first
    /// answer again and holds nothing twice. Remembered for 24 hours.
    pub idempotency_key: String,
}

/// One thing to hold.
#[derive(OneofObject)]
pub enum HoldItemInput {
    /// Seats of a trip.
    Seats(SeatHoldInput),
}

/// Seats of one trip on one segment.
#[derive(InputObject)]
pub struct SeatHoldInput {
    /// The trip_ id.
    pub trip_id: ID,
    /// The stop_ id to board at; a stop of this trip that lets passengers board.
    pub from_stop_id: ID,
    /// The stop_ id to leave at; a later stop of this trip that lets passengers leave.
    pub to_stop_id: ID,
    /// Which seats.
    pub select: SeatSelectionInput,
}

/// Which seats: named ones, or the best that are free.
#[derive(OneofObject)]
pub enum SeatSelectionInput {
    /// Exactly these seat_ ids, each once.
    SeatIds(Vec<ID>),
    /// Chosen by the server: side by side first, then in one coach, then anywhere.
    BestAvailable(BestAvailableInput),
}

/// What kind of seats the server should choose.
#[derive(InputObject)]
pub struct BestAvailableInput {
    /// How many seats, 1 to 8.
    pub count: i32,
    /// Only seats of this class, as in Fare.travelClass. Absent: any class.
    pub travel_class: Option<String>,
}

/// Names the hold to give back.
#[derive(InputObject)]
pub struct ReleaseHoldInput {
    /// The hold_ id.
    pub hold_id: ID,
}

impl PlaceHoldInput {
    /// The command, if every id can be read.
    pub fn command(self) -> Result<PlaceHold, Refusal> {
        let requests = (0..).zip(self.items).map(|(index, HoldItemInput::Seats(seats))| seats.request(index));
        Ok(PlaceHold { requests: requests.collect::<Result<_, Refusal>>()?, idempotency_key: self.idempotency_key })
    }
}

impl SeatHoldInput {
    fn request(self, index: usize) -> Result<SeatRequest, Refusal> {
        let unreadable = |field: &[&str], wanted: &'static str| {
            let path = item_path(index, field);
            move |error: IdError| invalid("INVALID_ID", format!("not a {wanted} id: {error}"), path)
        };
        let trip = TripKey::decode(&self.trip_id).map_err(unreadable(&["tripId"], "trip_"))?;
        let stop = |id: &ID, field: &'static str| {
            let (owner, stop) = TripKey::decode_stop(id).map_err(unreadable(&[field], "stop_"))?;
            let foreign = || invalid("INVALID_SEGMENT", "the stop is not one of this trip", item_path(index, &[field]));
            if owner == trip { Ok(stop) } else { Err(foreign()) }
        };
        let (from_stop, to_stop) = (stop(&self.from_stop_id, "fromStopId")?, stop(&self.to_stop_id, "toStopId")?);
        let select = match self.select {
            SeatSelectionInput::SeatIds(ids) => {
                let seat = |id: &ID| TripKey::decode_seat(id).map_err(unreadable(&["select", "seatIds"], "seat_"));
                Selection::Exact(ids.iter().map(seat).collect::<Result<_, Refusal>>()?)
            }
            SeatSelectionInput::BestAvailable(BestAvailableInput { count, travel_class }) => {
                Selection::Best { count, travel_class }
            }
        };
        Ok(SeatRequest { trip, from_stop, to_stop, select })
    }
}

/// State of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum HoldStatus {
    /// The seats are kept for you until expiresAt.
    Active,
    /// The seats were sold to your booking.
    Committed,
    /// The seats were given back before the deadline.
    Released,
    /// The deadline passed: the seats are free for everybody.
    Expired,
}

impl From<Status> for HoldStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Active => Self::Active,
            Status::Committed => Self::Committed,
            Status::Released => Self::Released,
            Status::Expired => Self::Expired,
        }
    }
}

/// Seats kept for one person until a deadline. Nobody else can hold or buy them on the same part of the way until then. Only its
/// owner sees it.
#[derive(Clone)]
pub struct Hold(pub HoldNoun);

impl Hold {
    /// The viewer's hold with this id; `None` for any other id, readable or not.
    pub async fn load(ctx: &Context<'_>, id: &ID) -> Result<Option<Self>> {
        let (Ok(key), Ok(viewer)) = (Kind::Hold.decode(id), signed_in(ctx)) else { return Ok(None) };
        let found = ctx.data::<Holds>()?.find(viewer.user_id, key).await.map_err(|error| internal(&error))?;
        Ok(found.map(Self))
    }
}

#[Object]
impl Hold {
    /// Opaque id, begins with hold_.
    pub async fn id(&self) -> ID {
        Kind::Hold.encode(self.0.id).into()
    }

    /// State at this moment. ACTIVE becomes EXPIRED at expiresAt by itself.
    async fn status(&self, ctx: &Context<'_>) -> Result<HoldStatus> {
        Ok(self.0.status(ctx.data::<Holds>()?.now()).into())
    }

    /// What is held, 1 to 8 seats.
    async fn items(&self, ctx: &Context<'_>) -> Result<Vec<HoldItem>> {
        let status = self.0.status(ctx.data::<Holds>()?.now());
        let item = |item: &HeldItem| {
            HoldItem::HeldSeat(HeldSeat {
                id: Kind::HeldItem.encode(item.id).into(),
                price: item.price.into(),
                item: item.clone(),
                status,
            })
        };
        Ok(self.0.items.iter().map(item).collect())
    }

    /// Sum of the prices.
    async fn total(&self) -> Money {
        self.0.total.into()
    }

    /// The deadline. Moves once, when a payment starts, to at most two hours after the hold was placed.
    async fn expires_at(&self) -> DateTime {
        in_utc(self.0.expires_at)
    }

    /// Milliseconds until the deadline by the server's clock, for a countdown that does not trust the client's. 0 when the hold is
    /// not ACTIVE.
    async fn remaining_ms(&self, ctx: &Context<'_>) -> Result<i32> {
        let remaining = self.0.remaining(ctx.data::<Holds>()?.now()).num_milliseconds();
        Ok(i32::try_from(remaining).unwrap_or(i32::MAX))
    }
}

/// One thing that is held.
#[derive(Union)]
pub enum HoldItem {
    /// A seat.
    HeldSeat(HeldSeat),
}

/// A seat of a hold, with its price.
#[derive(SimpleObject)]
#[graphql(complex)]
pub struct HeldSeat {
    /// Opaque id, begins with helditem_. createBooking wants it to say who sits here.
    pub id: ID,
    /// The price when the hold was placed: this is what a booking will cost.
    pub price: Money,
    #[graphql(skip)]
    item: HeldItem,
    #[graphql(skip)]
    status: Status,
}

#[ComplexObject]
impl HeldSeat {
    /// The seat, with its state on the held segment.
    async fn seat(&self, ctx: &Context<'_>) -> Result<Seat> {
        let holds = ctx.data::<Holds>()?;
        let trip = self.known_trip(holds)?;
        let segment = trip.segment(self.item.from_stop, self.item.to_stop).map_err(|error| internal(&error))?;
        let state = match self.status {
            Status::Active => SeatState::Held,
            Status::Committed => SeatState::Sold,
            Status::Released | Status::Expired => {
                let board = holds.board(&trip).await.map_err(|error| internal(&error))?;
                board.state(self.item.spot_no, &segment.legs(), holds.now().timestamp_millis())
            }
        };
        Ok(Seat { trip, spot_no: self.item.spot_no, segment, state })
    }

    /// The trip.
    async fn trip(&self, ctx: &Context<'_>) -> Result<Trip> {
        Ok(Trip(self.known_trip(ctx.data::<Holds>()?)?))
    }

    /// Where the held segment begins.
    async fn from(&self, ctx: &Context<'_>) -> Result<TripStop> {
        Ok(TripStop { trip: self.known_trip(ctx.data::<Holds>()?)?, index: self.item.from_stop })
    }

    /// Where the held segment ends.
    async fn to(&self, ctx: &Context<'_>) -> Result<TripStop> {
        Ok(TripStop { trip: self.known_trip(ctx.data::<Holds>()?)?, index: self.item.to_stop })
    }
}

impl HeldSeat {
    /// Imports keep the trips that have claims, so a held trip is there.
    fn known_trip(&self, holds: &Holds) -> Result<crate::trip::TripRef> {
        holds.trip(self.item.trip).ok_or_else(|| internal(&format!("held trip {} is not in the timetable", self.item.trip)))
    }
}
