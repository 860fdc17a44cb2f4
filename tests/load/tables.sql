-- The tables that the raw claim touches: those of inventory without anything around them.
SET client_min_messages = error;
DROP SCHEMA IF EXISTS berth_raw CASCADE;
CREATE SCHEMA berth_raw;
CREATE TABLE berth_raw.seat_claim (
  occurrence_id bigint NOT NULL, spot_no integer NOT NULL, leg_no integer NOT NULL, state integer NOT NULL, hold_id uuid NOT NULL,
  booking_id uuid, expires_at_ms bigint NOT NULL, version bigint NOT NULL, PRIMARY KEY (occurrence_id, spot_no, leg_no));
CREATE TABLE berth_raw.hold (
  id uuid PRIMARY KEY, user_id uuid NOT NULL, status integer NOT NULL, booking_id uuid, total_minor bigint NOT NULL,
  currency varchar NOT NULL, expires_at_ms bigint NOT NULL, created_at_ms bigint NOT NULL, extended integer NOT NULL);
