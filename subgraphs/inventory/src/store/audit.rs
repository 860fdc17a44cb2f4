//! What an audit reads of inventory. Only reads.

use std::collections::HashSet;

use berth_contracts::id::TripKey;
use berth_kernel::{db::sql, idempotency};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};
use uuid::Uuid;

use super::small;

/// A seat on one leg that is sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoldLeg {
    /// The trip.
    pub trip: TripKey,
    /// The seat.
    pub spot_no: u16,
    /// The leg.
    pub leg_no: u16,
    /// To which booking.
    pub booking_id: Option<Uuid>,
}

/// What inventory knows, and what contradicts itself there.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Every seat × leg that is sold.
    pub sold: Vec<SoldLeg>,
    /// How many holds there are.
    pub holds: usize,
    /// Holds whose sold claims are another hold's or booking's, or that are not COMMITTED.
    pub foreign_sales: Vec<Uuid>,
    /// COMMITTED holds that lack a sold claim for a seat on a leg.
    pub missing_sales: Vec<Uuid>,
    /// Holds that were given back and still have claims.
    pub leftovers: Vec<Uuid>,
    /// Remembered answers of `placeHold` that name no hold.
    pub lost_answers: Vec<String>,
}

/// Sold claims that don't agree with their hold.
const FOREIGN: &str = "SELECT DISTINCT c.hold_id AS id FROM seat_claim c LEFT JOIN hold h ON h.id = c.hold_id WHERE c.state = 1 \
     AND (h.id IS NULL OR h.status <> 1 OR h.booking_id IS NULL OR c.booking_id IS NULL OR c.booking_id <> h.booking_id)";
/// Sold holds, each seat with as many sold claims as it has legs.
const MISSING: &str = "SELECT h.id AS id FROM hold h JOIN hold_item i ON i.hold_id = h.id LEFT JOIN seat_claim c \
     ON c.occurrence_id = i.occurrence_id AND c.spot_no = i.spot_no AND c.leg_no >= i.from_stop AND c.leg_no < i.to_stop \
     AND c.hold_id = h.id AND c.state = 1 WHERE h.status = 1 GROUP BY h.id, i.id, i.from_stop, i.to_stop \
     HAVING COUNT(c.leg_no) <> i.to_stop - i.from_stop";
const LEFTOVERS: &str =
    "SELECT DISTINCT c.hold_id AS id FROM seat_claim c JOIN hold h ON h.id = c.hold_id WHERE c.state <> 2 AND h.status = 2";

/// Reads all of it.
pub async fn facts(connection: &impl ConnectionTrait) -> Result<Facts, DbErr> {
    let text = "SELECT o.template, o.day, c.spot_no, c.leg_no, c.booking_id FROM seat_claim c JOIN occurrence o ON o.id = c.occurrence_id \
                WHERE c.state = 1";
    let rows = connection.query_all_raw(sql(connection, text, [])).await?;
    let sold = rows.iter().map(sold_leg).collect::<Result<_, _>>()?;
    let holds = ids(connection, "SELECT id FROM hold").await?;
    let known: HashSet<Uuid> = holds.iter().copied().collect();
    Ok(Facts {
        sold,
        holds: holds.len(),
        foreign_sales: ids(connection, FOREIGN).await?,
        missing_sales: ids(connection, MISSING).await?,
        leftovers: ids(connection, LEFTOVERS).await?,
        lost_answers: idempotency::lost_answers(connection, "placeHold", |id| known.contains(id)).await?,
    })
}

fn sold_leg(row: &QueryResult) -> Result<SoldLeg, DbErr> {
    Ok(SoldLeg {
        trip: TripKey { template: row.try_get("", "template")?, day: small(row, "day")? },
        spot_no: small(row, "spot_no")?,
        leg_no: small(row, "leg_no")?,
        booking_id: row.try_get("", "booking_id")?,
    })
}

async fn ids(connection: &impl ConnectionTrait, text: &str) -> Result<Vec<Uuid>, DbErr> {
    let rows = connection.query_all_raw(sql(connection, text, [])).await?;
    let mut ids = rows.iter().map(|row| row.try_get("", "id")).collect::<Result<Vec<Uuid>, DbErr>>()?;
    ids.dedup();
    Ok(ids)
}
