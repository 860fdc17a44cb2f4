//! Opaque, prefixed, URL-safe ids. The text after the prefix is lower-case Crockford base 32 of the
//! key's bytes, so ids sort as their UUID v7 do and contain no letter that is read as a digit.

use std::fmt;
use uuid::Uuid;

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Why a text is not an id of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The prefix is missing or names another kind.
    #[error("the id has another prefix")]
    Prefix,
    /// The part after the prefix has the wrong length or a letter outside the alphabet.
    #[error("the id is malformed")]
    Malformed,
}

/// The kinds of things that have an id, each with its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `user_`
    User,
    /// `passenger_`
    Passenger,
    /// `flow_`: a sign-up waiting for its one-time password
    Flow,
    /// `session_`: a signed-in device
    Session,
    /// `change_`: another address of an account, waiting for its one-time passwords
    ContactChange,
    /// `bankaccount_`
    BankAccount,
    /// `challenge_`: a sign-in waiting for its second factor
    Challenge,
    /// `passkey_`
    Passkey,
    /// `station_`
    Station,
    /// `operator_`
    Operator,
    /// `hold_`
    Hold,
    /// `helditem_`
    HeldItem,
    /// `booking_`
    Booking,
    /// `part_`
    Part,
    /// `ticket_`
    Ticket,
    /// `payment_`
    Payment,
    /// `refund_`
    Refund,
    /// `notification_`
    Notification,
    /// `letter_`: in logs and commands only
    Letter,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 19] = [
        Self::User,
        Self::Passenger,
        Self::Flow,
        Self::Session,
        Self::ContactChange,
        Self::BankAccount,
        Self::Challenge,
        Self::Passkey,
        Self::Station,
        Self::Operator,
        Self::Hold,
        Self::HeldItem,
        Self::Booking,
        Self::Part,
        Self::Ticket,
        Self::Payment,
        Self::Refund,
        Self::Notification,
        Self::Letter,
    ];

    /// The text before the underscore.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Passenger => "passenger",
            Self::Flow => "flow",
            Self::Session => "session",
            Self::ContactChange => "change",
            Self::BankAccount => "bankaccount",
            Self::Challenge => "challenge",
            Self::Passkey => "passkey",
            Self::Station => "station",
            Self::Operator => "operator",
            Self::Hold => "hold",
            Self::HeldItem => "helditem",
            Self::Booking => "booking",
            Self::Part => "part",
            Self::Ticket => "ticket",
            Self::Payment => "payment",
            Self::Refund => "refund",
            Self::Notification => "notification",
            Self::Letter => "letter",
        }
    }

    /// The public form of a key: `hold_06d...`.
    pub fn encode(self, key: Uuid) -> String {
        encode(self.prefix(), key.as_bytes())
    }

    /// Reads a public id of this kind.
    pub fn decode(self, text: &str) -> Result<Uuid, IdError> {
        decode::<16>(self.prefix(), text).map(Uuid::from_bytes)
    }
}

/// A trip of the graph: a template of the timetable on one service day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct TripKey {
    /// The template's key.
    pub template: Uuid,
    /// The service day, in days since 1970-01-01.
    pub day: u16,
}

impl TripKey {
    /// `trip_...`
    pub fn encode(self) -> String {
        encode("trip", &self.bytes())
    }

    /// Reads a `trip_...` id.
    pub fn decode(text: &str) -> Result<Self, IdError> {
        decode::<18>("trip", text).map(|bytes| Self::from_bytes(&bytes))
    }

    /// 16 bytes of the template's key, then the day, big endian.
    fn bytes(self) -> [u8; 18] {
        let mut bytes = [0; 18];
        bytes[..16].copy_from_slice(self.template.as_bytes());
        bytes[16..].copy_from_slice(&self.day.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Self {
        let mut template = [0; 16];
        template.copy_from_slice(&bytes[..16]);
        Self { template: Uuid::from_bytes(template), day: u16::from_be_bytes([bytes[16], bytes[17]]) }
    }

    /// `seat_...`, `stop_...`, `car_...`, `fare_...`: the `number`th part of this trip.
    pub fn encode_part(self, prefix: &str, number: u16) -> String {
        let mut bytes = [0; 20];
        bytes[..18].copy_from_slice(&self.bytes());
        bytes[18..].copy_from_slice(&number.to_be_bytes());
        encode(prefix, &bytes)
    }

    /// Reads the id of a part: the trip it belongs to, and its number there.
    pub fn decode_part(prefix: &str, text: &str) -> Result<(Self, u16), IdError> {
        let bytes = decode::<20>(prefix, text)?;
        Ok((Self::from_bytes(&bytes), u16::from_be_bytes([bytes[18], bytes[19]])))
    }

    /// `seat_...`: the seat with this dense number in the trip's layout.
    pub fn seat_id(self, spot_no: u16) -> String {
        self.encode_part("seat", spot_no)
    }

    /// Reads a `seat_...` id.
    pub fn decode_seat(text: &str) -> Result<(Self, u16), IdError> {
        Self::decode_part("seat", text)
    }

    /// `car_...`: the coach with this index in the trip's layout.
    pub fn car_id(self, car_no: u16) -> String {
        self.encode_part("car", car_no)
    }

    /// `fare_...`: the fare of a class of the trip's layout between two stops.
    pub fn fare_id(self, from: u16, to: u16, class_no: u16) -> String {
        let mut bytes = [0; 24];
        bytes[..18].copy_from_slice(&self.bytes());
        for (at, number) in [(18, from), (20, to), (22, class_no)] {
            bytes[at..at + 2].copy_from_slice(&number.to_be_bytes());
        }
        encode("fare", &bytes)
    }

    /// `stop_...`: the call with this index in the trip's stops.
    pub fn stop_id(self, stop_index: u16) -> String {
        self.encode_part("stop", stop_index)
    }

    /// Reads a `stop_...` id.
    pub fn decode_stop(text: &str) -> Result<(Self, u16), IdError> {
        Self::decode_part("stop", text)
    }
}

impl fmt::Display for TripKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.encode())
    }
}

/// `prefix_` and the bytes in base 32.
fn encode(prefix: &str, bytes: &[u8]) -> String {
    let mut text = String::with_capacity(prefix.len() + 1 + (bytes.len() * 8).div_ceil(5));
    text.push_str(prefix);
    text.push('_');
    let (mut buffer, mut bits) = (0u32, 0u32);
    for byte in bytes {
        buffer = (buffer << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            text.push(char::from(ALPHABET[((buffer >> bits) & 31) as usize]));
        }
    }
    if bits > 0 {
        text.push(char::from(ALPHABET[((buffer << (5 - bits)) & 31) as usize]));
    }
    text
}

/// The inverse of [`encode`]; the spare bits at the end must be zero, so that one key has one text.
fn decode<const N: usize>(prefix: &str, text: &str) -> Result<[u8; N], IdError> {
    let digits = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('_')).ok_or(IdError::Prefix)?;
    if digits.len() != (N * 8).div_ceil(5) {
        return Err(IdError::Malformed);
    }
    let mut bytes = [0; N];
    let (mut buffer, mut bits, mut at) = (0u32, 0u32, 0usize);
    for digit in digits.bytes() {
        buffer = (buffer << 5) | value(digit)?;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            *bytes.get_mut(at).ok_or(IdError::Malformed)? = ((buffer >> bits) & 255) as u8;
            at += 1;
        }
        buffer &= (1 << bits) - 1;
    }
    if buffer == 0 { Ok(bytes) } else { Err(IdError::Malformed) }
}

fn value(digit: u8) -> Result<u32, IdError> {
    let index = ALPHABET.iter().position(|letter| *letter == digit).ok_or(IdError::Malformed)?;
    u32::try_from(index).map_err(|_| IdError::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_round() {
        let key = Uuid::from_u128(0x019a_0000_0000_7000_8000_0000_0000_0001);
        let id = Kind::Hold.encode(key);
        assert_eq!(Kind::Hold.decode(&id), Ok(key));
        assert_eq!(Kind::Booking.decode(&id), Err(IdError::Prefix));
        assert_eq!(Kind::Hold.decode("hold_zz"), Err(IdError::Malformed));
        assert_eq!(Kind::Hold.decode(""), Err(IdError::Prefix));
    }

    #[test]
    fn trips_stops_and_seats_go_round() {
        let trip = TripKey { template: Uuid::from_u128(0x019a_0000_0000_7000_8000_0000_0000_0001), day: 20_777 };
        assert_eq!(TripKey::decode(&trip.encode()), Ok(trip));
        assert_eq!(TripKey::decode_seat(&trip.seat_id(511)), Ok((trip, 511)));
        assert_eq!(TripKey::decode_stop(&trip.stop_id(3)), Ok((trip, 3)));
        assert_eq!(TripKey::decode_stop(&trip.seat_id(3)), Err(IdError::Prefix));
    }

    #[test]
    fn one_key_has_one_text() {
        let id = Kind::User.encode(Uuid::nil());
        let mut spare = id[..id.len() - 1].to_owned();
        spare.push('1');
        assert_eq!(Kind::User.decode(&spare), Err(IdError::Malformed));
        assert_eq!(Kind::User.decode(&id.to_uppercase()), Err(IdError::Prefix));
    }
}
