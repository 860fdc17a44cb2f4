//! Claims in the database. The primary key (occurrence, seat, leg) is what makes selling twice impossible.

use std::collections::HashMap;

use berth_contracts::id::TripKey;
use berth_kernel::{
    db::{Tx, sql, table},
    sabotage::is_chosen,
};
use sea_orm::{ConnectionTrait, DbErr, Value};
use uuid::Uuid;

use super::small;
use crate::claim::{Block, Claim, ClaimState, SeatState, Terms};

/// The live claims of a trip at one version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Occupied {
    /// The trip's version; 0 when nothing was ever claimed on it.
    pub version: i64,
    /// Claims that hold at the asked instant.
    pub claims: Vec<Claim>,
}

/// Claims every seat × leg of the blocks in one statement, each block for its hold: over claims whose deadline has passed, and
/// over the hold's own. `false`: some are somebody else's; the caller must undo the whole.
pub async fn claim(tx: &Tx, blocks: &[(Uuid, &Block)], terms: &Terms, now_ms: i64) -> Result<bool, DbErr> {
    let mut values: Vec<Value> =
        vec![terms.state.number().into(), terms.booking_id.into(), terms.expires_at_ms.into(), now_ms.into()];
    let last_leg = blocks.iter().map(|(_, block)| block.legs.end).max().unwrap_or(0);
    let seats = table(tx, "b", blocks.iter().flat_map(|(hold_id, block)| seats(*hold_id, block)), &mut values);
    // In steps of eight, so that few different texts are prepared.
    let legs = (0..last_leg.next_multiple_of(8)).map(|leg| format!("({leg})")).collect::<Vec<_>>().join(",");
    let text = format!(
        "INSERT INTO seat_claim (occurrence_id, spot_no, leg_no, state, hold_id, booking_id, expires_at_ms, version) \
         SELECT b.column1, b.column2, l.column1, $1, b.column3, $2, $3, b.column4 \
         FROM {seats} JOIN (VALUES {legs}) AS l ON l.column1 >= b.column5 AND l.column1 < b.column6 WHERE true \
         ON CONFLICT (occurrence_id, spot_no, leg_no) DO UPDATE SET state = excluded.state, hold_id = excluded.hold_id, \
         booking_id = excluded.booking_id, expires_at_ms = excluded.expires_at_ms, version = excluded.version{}",
        guard()
    );
    let affected = tx.execute_raw(sql(tx, &text, values)).await?.rows_affected();
    Ok(affected == blocks.iter().map(|(_, block)| block.claims()).sum::<u64>())
}

/// A row for each seat of a block.
fn seats(hold_id: Uuid, block: &Block) -> impl Iterator<Item = [Value; 6]> {
    let (occurrence_id, version) = (block.occurrence_id, block.version);
    let (from, to) = (i32::from(block.legs.start), i32::from(block.legs.end));
    block.spots.iter().map(move |&spot_no| {
        [occurrence_id.into(), i32::from(spot_no).into(), hold_id.into(), version.into(), from.into(), to.into()]
    })
}

const GUARD: &str = " WHERE (seat_claim.state = 0 AND seat_claim.expires_at_ms <= $4) OR seat_claim.hold_id = excluded.hold_id";

/// The guard, or what a sabotaged build has in its place, to see the checkers fail.
fn guard() -> &'static str {
    if is_chosen("claim_guard") {
        // `$4` must stay in use, or PostgreSQL refuses the statement.
        " WHERE $4 = $4"
    } else if is_chosen("ignore_expiry") {
        " WHERE seat_claim.expires_at_ms <= $4 AND seat_claim.hold_id = excluded.hold_id"
    } else {
        GUARD
    }
}

/// Seats of a block that somebody else has now, each with its state on the block's legs.
pub async fn taken_by_others(
    connection: &impl ConnectionTrait,
    block: &Block,
    hold_id: Uuid,
    now_ms: i64,
) -> Result<Vec<(u16, SeatState)>, DbErr> {
    let (within, mut values) = within(block, 3);
    values.splice(0..0, [hold_id.into(), now_ms.into()]);
    let text = format!(
        "SELECT DISTINCT spot_no, state FROM seat_claim WHERE hold_id <> $1 AND (state <> 0 OR expires_at_ms > $2) AND {within}"
    );
    let mut taken: HashMap<u16, SeatState> = HashMap::new();
    for row in connection.query_all_raw(sql(connection, &text, values)).await? {
        let state = match ClaimState::from_number(row.try_get("", "state")?) {
            ClaimState::Held => SeatState::Held,
            ClaimState::Sold => SeatState::Sold,
            ClaimState::Blocked => SeatState::Blocked,
        };
        let strongest = taken.entry(small(&row, "spot_no")?).or_insert(state);
        *strongest = state.max(*strongest);
    }
    let mut taken: Vec<_> = taken.into_iter().collect();
    taken.sort_unstable();
    Ok(taken)
}

/// Sells the claims of a block that the hold still has. Answers how many those were: the fence is their number.
pub async fn sell(tx: &Tx, block: &Block, hold_id: Uuid, booking_id: Uuid) -> Result<u64, DbErr> {
    let (within, mut values) = within(block, 4);
    values.splice(0..0, [hold_id.into(), booking_id.into(), block.version.into()]);
    let text =
        format!("UPDATE seat_claim SET state = 1, booking_id = $2, version = $3 WHERE hold_id = $1 AND state = 0 AND {within}");
    let sold = tx.execute_raw(sql(tx, &text, values)).await?.rows_affected();
    if is_chosen("skip_fence") {
        return Ok(block.claims());
    }
    Ok(sold)
}

/// Moves the deadline of the claims of a block. Answers how many there were.
pub async fn extend(tx: &Tx, block: &Block, hold_id: Uuid, expires_at_ms: i64) -> Result<u64, DbErr> {
    let (within, mut values) = within(block, 4);
    values.splice(0..0, [hold_id.into(), expires_at_ms.into(), block.version.into()]);
    let text = format!("UPDATE seat_claim SET expires_at_ms = $2, version = $3 WHERE hold_id = $1 AND state = 0 AND {within}");
    Ok(tx.execute_raw(sql(tx, &text, values)).await?.rows_affected())
}

/// Gives back the claims of a block that the hold still has and that are not sold. Answers seat and leg of each.
pub async fn free(tx: &Tx, block: &Block, hold_id: Uuid) -> Result<Vec<(u16, u16)>, DbErr> {
    let (within, mut values) = within(block, 2);
    values.splice(0..0, [hold_id.into()]);
    let text = format!("DELETE FROM seat_claim WHERE hold_id = $1 AND state = 0 AND {within} RETURNING spot_no, leg_no");
    freed(tx, &text, values).await
}

/// Frees the claims of a block that were sold to the booking. Answers seat and leg of each.
pub async fn unsell(tx: &Tx, block: &Block, hold_id: Uuid, booking_id: Uuid) -> Result<Vec<(u16, u16)>, DbErr> {
    let (within, mut values) = within(block, 3);
    values.splice(0..0, [hold_id.into(), booking_id.into()]);
    let text = format!(
        "DELETE FROM seat_claim WHERE hold_id = $1 AND booking_id = $2 AND state = 1 AND {within} RETURNING spot_no, leg_no"
    );
    freed(tx, &text, values).await
}

async fn freed(tx: &Tx, text: &str, values: Vec<Value>) -> Result<Vec<(u16, u16)>, DbErr> {
    let rows = tx.query_all_raw(sql(tx, text, values)).await?;
    let mut freed =
        rows.iter().map(|row| Ok((small(row, "spot_no")?, small(row, "leg_no")?))).collect::<Result<Vec<_>, DbErr>>()?;
    freed.sort_unstable();
    Ok(freed)
}

/// The condition that finds a block's rows by primary key, with its values, counting placeholders on from `first`.
fn within(block: &Block, first: usize) -> (String, Vec<Value>) {
    let mut values: Vec<Value> =
        vec![block.occurrence_id.into(), i32::from(block.legs.start).into(), i32::from(block.legs.end).into()];
    let spots: Vec<String> = (0..block.spots.len()).map(|index| format!("${}", first + 3 + index)).collect();
    values.extend(block.spots.iter().map(|&spot_no| Value::from(i32::from(spot_no))));
    let text = format!(
        "occurrence_id = ${first} AND spot_no IN ({}) AND leg_no >= ${} AND leg_no < ${}",
        spots.join(","),
        first + 1,
        first + 2
    );
    (text, values)
}

/// Version and live claims of a trip, read in one statement, so that they belong together.
pub async fn occupied(connection: &impl ConnectionTrait, trip: TripKey, now_ms: i64) -> Result<Occupied, DbErr> {
    let text = "SELECT o.version, c.spot_no, c.leg_no, c.state, c.expires_at_ms FROM occurrence o \
                LEFT JOIN seat_claim c ON c.occurrence_id = o.id AND (c.state <> 0 OR c.expires_at_ms > $3) \
                WHERE o.template = $1 AND o.day = $2";
    let values = [trip.template.into(), i32::from(trip.day).into(), now_ms.into()];
    let rows = connection.query_all_raw(sql(connection, text, values)).await?;
    let mut occupied = Occupied::default();
    occupied.claims.reserve(rows.len());
    for row in &rows {
        occupied.version = row.try_get("", "version")?;
        if let Some(state) = row.try_get::<Option<i32>>("", "state")? {
            occupied.claims.push(Claim {
                spot_no: small(row, "spot_no")?,
                leg_no: small(row, "leg_no")?,
                state: ClaimState::from_number(state),
                expires_at_ms: row.try_get("", "expires_at_ms")?,
            });
        }
    }
    Ok(occupied)
}
