//! Turns of several processes. Their deadlines are the database's own clock, so that processes need not agree on the time.

use berth_kernel::db::{now_ms, sql};
use sea_orm::{ConnectionTrait, DbErr};
use uuid::Uuid;

/// Takes the turn of a payment, unless somebody else has it. It ends by itself when its holder dies.
pub async fn take(connection: &impl ConnectionTrait, payment_id: Uuid, holder: Uuid, lease_ms: i64) -> Result<bool, DbErr> {
    let now = now_ms(connection);
    let text = format!(
        "INSERT INTO payment_turn (payment_id, holder, until_ms) VALUES ($1, $2, {now} + $3) ON CONFLICT (payment_id) DO UPDATE \
         SET holder = excluded.holder, until_ms = excluded.until_ms WHERE payment_turn.until_ms <= {now}"
    );
    let values = [payment_id.into(), holder.into(), lease_ms.into()];
    Ok(connection.execute_raw(sql(connection, &text, values)).await?.rows_affected() == 1)
}

/// Ends the holder's turn.
pub async fn end(connection: &impl ConnectionTrait, payment_id: Uuid, holder: Uuid) -> Result<(), DbErr> {
    let text = "DELETE FROM payment_turn WHERE payment_id = $1 AND holder = $2";
    connection.execute_raw(sql(connection, text, [payment_id.into(), holder.into()])).await.map(|_| ())
}

/// Forgets the turns of holders that died.
pub async fn delete_ended(connection: &impl ConnectionTrait) -> Result<(), DbErr> {
    let text = format!("DELETE FROM payment_turn WHERE until_ms <= {}", now_ms(connection));
    connection.execute_raw(sql(connection, &text, [])).await.map(|_| ())
}
