-- One claim as inventory makes it, and nothing else: two seats on five legs, a hold, one transaction. No limit per person, no
-- idempotency, no items, no outbox, no version of the trip. Seats are random among so many that most are free.
\set trip random(1, 2000)
\set pair random(0, 499)
\set key random(1, 1000000000000000)
BEGIN;
INSERT INTO berth_raw.hold (id, user_id, status, total_minor, currency, expires_at_ms, created_at_ms, extended)
  VALUES (lpad(to_hex(:key::bigint), 32, '0')::uuid, lpad(to_hex(:key::bigint), 32, 'f')::uuid, 0, 10000, 'IDR', 1900000000000, 1800000000000, 0);
INSERT INTO berth_raw.seat_claim (occurrence_id, spot_no, leg_no, state, hold_id, expires_at_ms, version)
  SELECT :trip::bigint, :pair::int * 2 + seat, leg, 0, lpad(to_hex(:key::bigint), 32, '0')::uuid, 1900000000000, 1
  FROM generate_series(0, 1) AS seat, generate_series(0, 4) AS leg
  ON CONFLICT (occurrence_id, spot_no, leg_no) DO UPDATE SET state = excluded.state, hold_id = excluded.hold_id,
    booking_id = excluded.booking_id, expires_at_ms = excluded.expires_at_ms, version = excluded.version
  WHERE (seat_claim.state = 0 AND seat_claim.expires_at_ms <= 1800000000000) OR seat_claim.hold_id = excluded.hold_id;
COMMIT;
