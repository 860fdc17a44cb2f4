//! QRIS: the EMVCo merchant-presented QR code as Indonesia uses it. Pure: texts in, texts out.
//!
//! A payload is a row of fields, each a two-digit id, a two-digit length in characters and the value; some values are such rows
//! again. The last field, 63, is CRC-16/CCITT-FALSE over the UTF-8 bytes of everything before its value.

/// Why a payload can't be written or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QrisError {
    /// A value has more than 99 characters.
    #[error("a value is longer than 99 characters")]
    TooLong,
    /// Ids and lengths don't cover the text.
    #[error("the payload is cut or malformed")]
    Malformed,
    /// The checksum is absent or another.
    #[error("the checksum does not match")]
    Checksum,
}

/// The globally unique identifier of a merchant account that no acquirer stands behind.
pub const SIMULATION: &str = "ID.CO.EXAMPLE.WWW";
/// The identifier of the national registry of merchants.
const REGISTRY: &str = "ID.CO.QRIS.WWW";
/// 360 is the rupiah's number in ISO 4217.
const RUPIAH: &str = "360";

/// Who is paid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merchant {
    /// Identifier of the acquirer's domain: [`SIMULATION`] here.
    pub guid: String,
    /// The merchant's number at the acquirer, 18 digits.
    pub pan: String,
    /// The acquirer's own id of the merchant, 15 digits.
    pub merchant_id: String,
    /// Size of the merchant: UMI, UKE, UME, UBE.
    pub criteria: String,
    /// National merchant id.
    pub national_id: String,
    /// Merchant category code of ISO 18245: 4112 is passenger railways.
    pub category: String,
    /// Name, as the payer's app shows it.
    pub name: String,
    /// City.
    pub city: String,
    /// Postal code.
    pub postal_code: String,
}

/// A dynamic code: one merchant, one amount, one bill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qris {
    /// Who is paid.
    pub merchant: Merchant,
    /// Whole rupiah.
    pub amount: u64,
    /// What is paid: the bill's number.
    pub bill: String,
    /// Which till.
    pub terminal: String,
}

impl Qris {
    /// The text to show as a QR code.
    pub fn payload(&self) -> Result<String, QrisError> {
        let who = &self.merchant;
        let account = row(&[("00", &who.guid), ("01", &who.pan), ("02", &who.merchant_id), ("03", &who.criteria)])?;
        let registered = row(&[("00", REGISTRY), ("02", &who.national_id), ("03", &who.criteria)])?;
        let bill = row(&[("01", &self.bill), ("07", &self.terminal)])?;
        let amount = self.amount.to_string();
        let body = row(&[
            ("00", "01"),
            ("01", "12"),
            ("26", &account),
            ("51", &registered),
            ("52", &who.category),
            ("53", RUPIAH),
            ("54", &amount),
            ("58", "ID"),
            ("59", &who.name),
            ("60", &who.city),
            ("61", &who.postal_code),
            ("62", &bill),
        ])?;
        Ok(sealed(&body))
    }

    /// Reads a payload that [`Qris::payload`] wrote, or another dynamic one with the same fields.
    pub fn parse(payload: &str) -> Result<Self, QrisError> {
        let fields = checked(payload)?;
        let (account, registered, bill) =
            (fields_of(&take(&fields, "26")?)?, fields_of(&take(&fields, "51")?)?, fields_of(&take(&fields, "62")?)?);
        Ok(Self {
            merchant: Merchant {
                guid: take(&account, "00")?,
                pan: take(&account, "01")?,
                merchant_id: take(&account, "02")?,
                criteria: take(&account, "03")?,
                national_id: take(&registered, "02")?,
                category: take(&fields, "52")?,
                name: take(&fields, "59")?,
                city: take(&fields, "60")?,
                postal_code: take(&fields, "61")?,
            },
            amount: take(&fields, "54")?.parse().map_err(|_| QrisError::Malformed)?,
            bill: take(&bill, "01")?,
            terminal: take(&bill, "07")?,
        })
    }
}

/// A field: its id and its value.
pub type Field = (String, String);

/// The fields of a whole payload, its checksum verified.
pub fn checked(payload: &str) -> Result<Vec<Field>, QrisError> {
    let cut = payload.len().checked_sub(4).filter(|cut| payload.is_char_boundary(*cut)).ok_or(QrisError::Checksum)?;
    let (body, sum) = payload.split_at(cut);
    if !body.ends_with("6304") || sum != format!("{:04X}", crc16(body.as_bytes())) {
        return Err(QrisError::Checksum);
    }
    fields_of(payload)
}

/// Splits a row of fields. Lengths count characters, not bytes.
pub fn fields_of(text: &str) -> Result<Vec<Field>, QrisError> {
    let mut letters = text.chars().peekable();
    let mut fields = Vec::new();
    while letters.peek().is_some() {
        let id: String = letters.by_ref().take(2).collect();
        let length: String = letters.by_ref().take(2).collect();
        if !two_digits(&id) || !two_digits(&length) {
            return Err(QrisError::Malformed);
        }
        let length: usize = length.parse().map_err(|_| QrisError::Malformed)?;
        let value: String = letters.by_ref().take(length).collect();
        if value.chars().count() != length {
            return Err(QrisError::Malformed);
        }
        fields.push((id, value));
    }
    Ok(fields)
}

fn two_digits(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn take(fields: &[Field], id: &str) -> Result<String, QrisError> {
    fields.iter().find(|(known, _)| known == id).map(|(_, value)| value.clone()).ok_or(QrisError::Malformed)
}

fn row(fields: &[(&str, &str)]) -> Result<String, QrisError> {
    let mut text = String::new();
    for (id, value) in fields {
        let length = value.chars().count();
        if length > 99 {
            return Err(QrisError::TooLong);
        }
        text.extend([*id, &format!("{length:02}"), *value]);
    }
    Ok(text)
}

fn sealed(body: &str) -> String {
    let open = format!("{body}6304");
    let sum = crc16(open.as_bytes());
    format!("{open}{sum:04X}")
}

/// CRC-16/CCITT-FALSE: polynomial 0x1021, start 0xFFFF, no reflection.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VECTOR: &str = "00020101021226690017ID.CO.EXAMPLE.WWW011893600999000000001702150000000000000010303UMI51440014ID.CO.QRIS.WWW\
                          0215ID10200000000010303UMI52044112530336054061850005802ID5913CHOOCHOO DEMO6007JAKARTA61051011062200109BK-2H7QK9\
                          0703A0163046560";

    fn demo() -> Qris {
        let merchant = Merchant {
            guid: SIMULATION.to_owned(),
            pan: "936009990000000017".to_owned(),
            merchant_id: "000000000000001".to_owned(),
            criteria: "UMI".to_owned(),
            national_id: "ID1020000000001".to_owned(),
            category: "4112".to_owned(),
            name: "CHOOCHOO DEMO".to_owned(),
            city: "JAKARTA".to_owned(),
            postal_code: "10110".to_owned(),
        };
        Qris { merchant, amount: 185_000, bill: "BK-2H7QK9".to_owned(), terminal: "A01".to_owned() }
    }

    #[test]
    fn the_checksum_has_its_check_value() {
        assert_eq!(crc16(b"123456789"), 0x29B1);
    }

    #[test]
    fn the_vector_is_reproduced() {
        assert_eq!(demo().payload().as_deref(), Ok(VECTOR));
        assert_eq!(Qris::parse(VECTOR), Ok(demo()));
    }

    #[test]
    fn a_changed_payload_is_refused() {
        let changed = VECTOR.replace("185000", "185001");
        assert_eq!(Qris::parse(&changed), Err(QrisError::Checksum));
        assert_eq!(Qris::parse(""), Err(QrisError::Checksum));
        assert_eq!(fields_of("0005ab"), Err(QrisError::Malformed));
        assert_eq!(fields_of("0x01a"), Err(QrisError::Malformed));
        assert_eq!(fields_of("00+1a"), Err(QrisError::Malformed));
    }

    #[test]
    fn lengths_count_characters() {
        let mut wide = demo();
        wide.merchant.name = "WARUNG É☕".to_owned();
        let payload = wide.payload().expect("short enough");
        assert!(payload.contains("5909WARUNG É☕"));
        assert_eq!(Qris::parse(&payload), Ok(wide));
        let mut long = demo();
        long.bill = "x".repeat(100);
        assert_eq!(long.payload(), Err(QrisError::TooLong));
    }

    proptest! {
        #[test]
        fn payloads_go_round(amount: u64, bill in "\\PC{0,25}", terminal in "[A-Z0-9]{1,8}", name in "\\PC{1,25}") {
            let mut qris = demo();
            (qris.amount, qris.bill, qris.terminal, qris.merchant.name) = (amount, bill, terminal, name);
            let payload = qris.payload().expect("short enough");
            prop_assert_eq!(Qris::parse(&payload), Ok(qris));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,200}") {
            let _ = Qris::parse(&text);
        }
    }
}
