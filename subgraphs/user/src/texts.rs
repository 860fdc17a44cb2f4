//! The text messages this service sends, by language.

use berth_contracts::Locale;
use berth_kernel::sms::TextMessage;
use chrono::TimeDelta;

fn message(to: &str, text: impl Into<String>) -> TextMessage {
    TextMessage { to: to.to_owned(), text: text.into() }
}

/// The one-time password of a sign-up.
pub fn code(locale: Locale, to: &str, code: &str, ttl: TimeDelta) -> TextMessage {
    let minutes = ttl.num_minutes();
    message(
        to,
        match locale {
            Locale::En => format!("{code} is your Berth code for {minutes} minutes. Nobody at Berth will ever ask you for it."),
            Locale::Id => {
                format!("{code} adalah kode Berth Anda selama {minutes} menit. Tidak ada orang dari Berth yang akan memintanya.")
            }
        },
    )
}

/// Somebody signed up with a number that has an account.
pub fn known(locale: Locale, to: &str) -> TextMessage {
    message(
        to,
        match locale {
            Locale::En => {
                "This number already has a Berth account: sign in with it and your password. Was it not you? Then do nothing."
            }
            Locale::Id => {
                "Nomor ini sudah memiliki akun Berth: masuklah dengan nomor dan kata sandi Anda. Bukan Anda? Abaikan saja."
            }
        },
    )
}

/// The account was deleted.
pub fn account_deleted(locale: Locale, to: &str) -> TextMessage {
    message(
        to,
        match locale {
            Locale::En => "Your Berth account was deleted. This is our last message to this number.",
            Locale::Id => "Akun Berth Anda telah dihapus. Ini pesan terakhir kami ke nomor ini.",
        },
    )
}

/// The code that allows a change of the present address, and the link that stops it.
pub fn change_old(locale: Locale, to: &str, code: &str, link: &str) -> TextMessage {
    message(
        to,
        match locale {
            Locale::En => format!("{code} allows another address for your Berth account. Was it not you? Stop it: {link}"),
            Locale::Id => format!("{code} mengizinkan alamat lain untuk akun Berth Anda. Bukan Anda? Hentikan: {link}"),
        },
    )
}

/// The account has another address now.
pub fn changed(locale: Locale, to: &str) -> TextMessage {
    message(
        to,
        match locale {
            Locale::En => "The address of your Berth account was changed.",
            Locale::Id => "Alamat akun Berth Anda telah diganti.",
        },
    )
}
