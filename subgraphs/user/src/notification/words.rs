//! What a notification says, by language.

use berth_contracts::Locale;
use chrono_tz::Tz;

use super::{Facts, Kind};

/// A notification in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// One line.
    pub title: String,
    /// One or two sentences.
    pub body: String,
    /// A question and its answer that only a letter adds.
    pub advice: Option<(String, String)>,
}

impl Said {
    /// The text message of it.
    pub fn short(&self) -> String {
        format!("Berth: {}. {}", self.title, self.body)
    }
}

/// The notification in words of a language; times on the clocks of a zone.
pub fn say(kind: Kind, locale: Locale, facts: &Facts, zone: Tz) -> Said {
    match locale {
        Locale::En => english(kind, facts, zone),
        Locale::Id => indonesian(kind, facts, zone),
    }
}

fn said(title: String, body: String) -> Said {
    Said { title, body, advice: None }
}

fn with_advice(title: &str, body: String, question: &str, answer: &str) -> Said {
    Said { title: title.to_owned(), body, advice: Some((question.to_owned(), answer.to_owned())) }
}

/// What was changed about how an account is protected: title and body.
fn protection(kind: Kind, locale: Locale, facts: &Facts) -> Said {
    let (title, body) = match locale {
        Locale::En => protection_in_english(kind),
        Locale::Id => protection_in_indonesian(kind),
    };
    let (question, answer) = match locale {
        Locale::En => {
            ("Was it not you?", "Then set a new password at once: somebody knows the present one, or has one of your devices.")
        }
        Locale::Id => (
            "Bukan Anda?",
            "Segera atur kata sandi baru: seseorang mengetahui yang sekarang, atau memegang salah satu perangkat Anda.",
        ),
    };
    let number = facts.account_number.as_ref().filter(|_| kind == Kind::BankAccountAdded);
    let body = number.map_or_else(|| body.to_owned(), |number| format!("{body} ({number})"));
    with_advice(title, body, question, answer)
}

fn protection_in_english(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::SecondFactorOn => (
            "The second factor of your Berth account is on",
            "From now on, signing in asks for a code of your authenticator app.",
        ),
        Kind::SecondFactorOff => {
            ("The second factor of your Berth account is off", "Signing in no longer asks for a code of your authenticator app.")
        }
        Kind::RecoveryCodesRenewed => {
            ("Your Berth account has new recovery codes", "New recovery codes were made. The ones before work no more.")
        }
        Kind::RecoveryCodeUsed => {
            ("A recovery code opened your Berth account", "Somebody signed in with one of the recovery codes. It works no more.")
        }
        Kind::PasskeyAdded => ("Your Berth account has a new passkey", "A passkey was added: it signs in without the password."),
        Kind::PasskeyRemoved => ("A passkey of your Berth account was removed", "A passkey was removed: it signs in no more."),
        Kind::BankAccountAdded => {
            ("A bank account was added to Berth", "A bank account was added to your Berth account. You can be paid out there.")
        }
        Kind::DataExported => (
            "Your Berth data was exported",
            "Somebody who knows the password of your Berth account took a copy of all the data we keep about you.",
        ),
        _ => ("A change of your Berth account", "How your Berth account is protected was changed."),
    }
}

fn protection_in_indonesian(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::SecondFactorOn => {
            ("Faktor kedua akun Berth Anda aktif", "Mulai sekarang, saat masuk diminta kode dari aplikasi autentikator Anda.")
        }
        Kind::SecondFactorOff => {
            ("Faktor kedua akun Berth Anda dimatikan", "Saat masuk tidak lagi diminta kode dari aplikasi autentikator Anda.")
        }
        Kind::RecoveryCodesRenewed => (
            "Akun Berth Anda memiliki kode pemulihan baru",
            "Kode pemulihan baru telah dibuat. Kode yang lama tidak berlaku lagi.",
        ),
        Kind::RecoveryCodeUsed => (
            "Kode pemulihan membuka akun Berth Anda",
            "Seseorang masuk dengan salah satu kode pemulihan. Kode itu tidak berlaku lagi.",
        ),
        Kind::PasskeyAdded => {
            ("Akun Berth Anda memiliki passkey baru", "Sebuah passkey ditambahkan: dengannya orang masuk tanpa kata sandi.")
        }
        Kind::PasskeyRemoved => {
            ("Sebuah passkey akun Berth Anda dihapus", "Sebuah passkey dihapus: passkey itu tidak bisa dipakai lagi untuk masuk.")
        }
        Kind::BankAccountAdded => (
            "Sebuah rekening bank ditambahkan ke Berth",
            "Sebuah rekening bank ditambahkan ke akun Berth Anda. Uang dapat dibayarkan ke sana.",
        ),
        Kind::DataExported => (
            "Data Berth Anda telah diekspor",
            "Seseorang yang mengetahui kata sandi akun Berth Anda mengambil salinan semua data yang kami simpan tentang Anda.",
        ),
        _ => ("Perubahan akun Berth Anda", "Perlindungan akun Berth Anda telah diubah."),
    }
}

/// The facts as words, each with what stands for it when it is not known.
struct Named {
    booking: String,
    amount: String,
    device: String,
    at: String,
}

impl Named {
    fn of(facts: &Facts, zone: Tz, booking: (&str, &str), amount: &str, device: &str) -> Self {
        let (named, unnamed) = booking;
        Self {
            booking: facts.booking_code.as_ref().map_or_else(|| unnamed.to_owned(), |code| format!("{named} {code}")),
            amount: facts.amount.map_or_else(|| amount.to_owned(), |amount| amount.to_string()),
            device: facts.device.clone().unwrap_or_else(|| device.to_owned()),
            at: facts.at.map(|at| at.with_timezone(&zone).format("%Y-%m-%d %H:%M %Z").to_string()).unwrap_or_default(),
        }
    }
}

fn english(kind: Kind, facts: &Facts, zone: Tz) -> Said {
    let Named { booking, amount, device, at } =
        Named::of(facts, zone, ("Booking", "Your booking"), "Your money", "an unnamed device");
    match kind {
        Kind::BookingConfirmed => said(
            format!("{booking} is confirmed"),
            "Your tickets are ready, and on their way to the address of the booking.".to_owned(),
        ),
        Kind::BookingExpired => said(
            format!("{booking} has expired"),
            "It was not paid in time, so the seats were given up. If your payment is still on its way, you get the same seats \
             if they are free, or your money back."
                .to_owned(),
        ),
        Kind::BookingCancelled => {
            said(format!("{booking} was cancelled"), "Its seats were given up. Nothing more is to be paid.".to_owned())
        }
        Kind::BookingDelayed => said(
            format!("{booking} takes longer than usual"),
            "We are working on it, and people are looking at it. You need not do anything.".to_owned(),
        ),
        Kind::PaymentFailed => said(
            format!("The payment for {} failed", lower(&booking)),
            "No money was taken. You can pay again until the booking expires.".to_owned(),
        ),
        Kind::PaymentExpired => said(
            format!("The payment for {} has expired", lower(&booking)),
            "Nobody paid in time. You can start another payment until the booking expires.".to_owned(),
        ),
        Kind::PaymentRefunded => said(
            format!("Money went back for {}", lower(&booking)),
            format!("{amount} went back to you. How soon it shows on your account depends on how you paid."),
        ),
        Kind::PaymentPartlyRefunded => said(
            format!("Some money went back for {}", lower(&booking)),
            format!("A part of your payment of {amount} went back to you. The booking shows how much."),
        ),
        Kind::SignedIn => with_advice(
            "New sign-in to your Berth account",
            format!("Somebody signed in on {device}, {at}."),
            "Was it not you?",
            "Then end that session in your list of devices and change your password at once.",
        ),
        Kind::PasswordChanged => with_advice(
            "Your Berth password was changed",
            "The password of your Berth account was changed, and your other devices were signed out.".to_owned(),
            "Was it not you?",
            "Then ask for a new password at once: somebody knows the present one.",
        ),
        Kind::SessionEnded => with_advice(
            "We ended one of your Berth sessions",
            "A sign-in token of one of your sessions was used a second time. That happens when somebody copied it, so we ended the \
             session on every device that shared it. Your bookings and tickets are safe. Sign in again to go on."
                .to_owned(),
            "Did you not expect this?",
            "Then look after the device you used last: somebody may have read its storage.",
        ),
        Kind::SecondFactorOn | Kind::SecondFactorOff | Kind::RecoveryCodesRenewed | Kind::RecoveryCodeUsed | Kind::PasskeyAdded | Kind::PasskeyRemoved | Kind::BankAccountAdded | Kind::DataExported => protection(kind, Locale::En, facts),
    }
}

fn indonesian(kind: Kind, facts: &Facts, zone: Tz) -> Said {
    let Named { booking, amount, device, at } =
        Named::of(facts, zone, ("Pemesanan", "Pemesanan Anda"), "Uang Anda", "perangkat tanpa nama");
    match kind {
        Kind::BookingConfirmed => said(
            format!("{booking} telah dikonfirmasi"),
            "Tiket Anda sudah siap dan sedang dikirim ke alamat pemesanan.".to_owned(),
        ),
        Kind::BookingExpired => said(
            format!("{booking} telah kedaluwarsa"),
            "Pemesanan tidak dibayar tepat waktu, jadi kursinya dilepas. Jika pembayaran Anda masih dalam perjalanan, Anda mendapat \
             kursi yang sama bila masih kosong, atau uang Anda kembali."
                .to_owned(),
        ),
        Kind::BookingCancelled => {
            said(format!("{booking} telah dibatalkan"), "Kursinya dilepas. Tidak ada lagi yang perlu dibayar.".to_owned())
        }
        Kind::BookingDelayed => said(
            format!("{booking} memerlukan waktu lebih lama dari biasanya"),
            "Kami sedang mengerjakannya, dan petugas memeriksanya. Anda tidak perlu melakukan apa pun.".to_owned(),
        ),
        Kind::PaymentFailed => said(
            format!("Pembayaran untuk {} gagal", lower(&booking)),
            "Tidak ada uang yang ditarik. Anda dapat membayar lagi sebelum pemesanan kedaluwarsa.".to_owned(),
        ),
        Kind::PaymentExpired => said(
            format!("Pembayaran untuk {} telah kedaluwarsa", lower(&booking)),
            "Pembayaran tidak dilakukan tepat waktu. Anda dapat memulai pembayaran lain sebelum pemesanan kedaluwarsa.".to_owned(),
        ),
        Kind::PaymentRefunded => said(
            format!("Uang untuk {} dikembalikan", lower(&booking)),
            format!("{amount} dikembalikan kepada Anda. Kapan uang terlihat di rekening Anda tergantung cara Anda membayar."),
        ),
        Kind::PaymentPartlyRefunded => said(
            format!("Sebagian uang untuk {} dikembalikan", lower(&booking)),
            format!("Sebagian dari pembayaran Anda sebesar {amount} dikembalikan. Jumlahnya terlihat pada pemesanan."),
        ),
        Kind::SignedIn => with_advice(
            "Ada yang masuk ke akun Berth Anda",
            format!("Seseorang masuk dengan {device}, {at}."),
            "Bukan Anda?",
            "Akhiri sesi itu di daftar perangkat Anda dan segera ganti kata sandi Anda.",
        ),
        Kind::PasswordChanged => with_advice(
            "Kata sandi Berth Anda telah diganti",
            "Kata sandi akun Berth Anda telah diganti, dan perangkat Anda yang lain telah dikeluarkan.".to_owned(),
            "Bukan Anda?",
            "Segera minta kata sandi baru: seseorang mengetahui kata sandi yang sekarang.",
        ),
        Kind::SessionEnded => with_advice(
            "Kami mengakhiri salah satu sesi Berth Anda",
            "Token masuk dari salah satu sesi Anda dipakai untuk kedua kalinya. Itu terjadi bila seseorang menyalinnya, jadi kami \
             mengakhiri sesi itu di semua perangkat yang memakainya. Pemesanan dan tiket Anda aman. Silakan masuk lagi."
                .to_owned(),
            "Anda tidak menduganya?",
            "Periksa perangkat yang terakhir Anda pakai: seseorang mungkin telah membaca isinya.",
        ),
        Kind::SecondFactorOn | Kind::SecondFactorOff | Kind::RecoveryCodesRenewed | Kind::RecoveryCodeUsed | Kind::PasskeyAdded | Kind::PasskeyRemoved | Kind::BankAccountAdded | Kind::DataExported => protection(kind, Locale::Id, facts),
    }
}

/// Within a sentence: the first letter small.
fn lower(text: &str) -> String {
    let mut signs = text.chars();
    signs.next().map(|first| first.to_lowercase().collect::<String>() + signs.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::notification::RULES;

    #[test]
    fn each_kind_has_words_of_its_own_in_each_language() {
        let facts = Facts::example(DateTime::UNIX_EPOCH);
        let mut titles = std::collections::HashSet::new();
        for rule in RULES {
            for locale in Locale::ALL {
                let said = say(rule.kind, locale, &facts, Tz::Asia__Jakarta);
                assert!(!said.body.is_empty() && said.short().starts_with("Berth: "), "{said:?}");
                assert!(titles.insert(said.title.clone()), "{said:?}");
            }
        }
    }

    #[test]
    fn facts_stand_in_the_words() {
        let facts = Facts::example(DateTime::UNIX_EPOCH);
        let failed = say(Kind::PaymentFailed, Locale::En, &facts, Tz::UTC);
        assert_eq!(failed.title, "The payment for booking BK7QK9 failed");
        let unknown = say(Kind::PaymentFailed, Locale::Id, &Facts::default(), Tz::UTC);
        assert_eq!(unknown.title, "Pembayaran untuk pemesanan Anda gagal");
        let signed_in = say(Kind::SignedIn, Locale::En, &facts, Tz::Asia__Jakarta);
        assert_eq!(signed_in.body, "Somebody signed in on Siti's phone, 1970-01-01 07:00 WIB.");
        let refunded = say(Kind::PaymentRefunded, Locale::En, &facts, Tz::UTC);
        assert!(refunded.body.starts_with("IDR 185000.00 went back"), "{}", refunded.body);
    }
}
