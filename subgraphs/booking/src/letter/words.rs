//! The words of the letters, by language.

use berth_contracts::Locale;

use crate::repayment::Reason;

/// What stands beside the facts of a ticket.
pub struct Labels {
    pub ticket: &'static str,
    pub passenger: &'static str,
    pub train: &'static str,
    pub seat: &'static str,
    pub coach: &'static str,
    pub seat_no: &'static str,
    pub from: &'static str,
    pub to: &'static str,
    pub qr_code: &'static str,
    pub open: &'static str,
}

const ENGLISH: Labels = Labels {
    ticket: "Ticket",
    passenger: "Passenger",
    train: "Train",
    seat: "Seat",
    coach: "coach",
    seat_no: "seat",
    from: "From",
    to: "To",
    qr_code: "QR code",
    open: "open it",
};

const INDONESIAN: Labels = Labels {
    ticket: "Tiket",
    passenger: "Penumpang",
    train: "Kereta",
    seat: "Kursi",
    coach: "gerbong",
    seat_no: "kursi",
    from: "Dari",
    to: "Ke",
    qr_code: "Kode QR",
    open: "buka",
};

/// The sentences of the letter with the tickets.
pub struct Confirmed {
    pub subject: String,
    pub title: String,
    pub paid: String,
    pub late: &'static str,
    pub advice: &'static str,
    pub labels: &'static Labels,
}

pub fn confirmed(locale: Locale, code: &str, total: &str) -> Confirmed {
    match locale {
        Locale::En => Confirmed {
            subject: format!("Your tickets, booking {code}"),
            title: format!("Your booking {code} is confirmed"),
            paid: format!("You paid {total}."),
            late: "Your payment arrived after the time limit, but your seats were still free and are yours.",
            advice: "Show the QR code at the gate. Who has its address can open it: pass it on to the passenger only.",
            labels: &ENGLISH,
        },
        Locale::Id => Confirmed {
            subject: format!("Tiket Anda, pemesanan {code}"),
            title: format!("Pemesanan {code} Anda telah dikonfirmasi"),
            paid: format!("Anda membayar {total}."),
            late: "Pembayaran Anda tiba setelah batas waktu, tetapi kursi Anda masih kosong dan menjadi milik Anda.",
            advice: "Tunjukkan kode QR di pintu masuk. Siapa pun yang memiliki alamatnya dapat membukanya: berikan hanya kepada penumpang.",
            labels: &INDONESIAN,
        },
    }
}

/// The sentences of the letter about money that went back.
pub struct Refunded {
    pub subject: String,
    pub title: String,
    pub why: &'static str,
    pub when: &'static str,
}

pub fn refunded(locale: Locale, code: &str, amount: &str, reason: Reason) -> Refunded {
    match locale {
        Locale::En => Refunded {
            subject: format!("Your money went back, booking {code}"),
            title: format!("{amount} for your booking {code} went back to you"),
            why: why_in_english(reason),
            when: "How soon the money shows on your account depends on how you paid.",
        },
        Locale::Id => Refunded {
            subject: format!("Uang Anda dikembalikan, pemesanan {code}"),
            title: format!("{amount} untuk pemesanan {code} dikembalikan kepada Anda"),
            why: why_in_indonesian(reason),
            when: "Kapan uang terlihat di rekening Anda tergantung cara Anda membayar.",
        },
    }
}

const fn why_in_english(reason: Reason) -> &'static str {
    match reason {
        Reason::SeatsGone => {
            "Your payment arrived after the time limit, and by then the seats were sold to somebody else. There are no tickets for it."
        }
        Reason::Cancelled => "Your payment arrived after the booking was cancelled. There are no tickets for it.",
        Reason::NotNeeded => "This payment was not needed for the booking. Everything else about the booking stays as it is.",
    }
}

const fn why_in_indonesian(reason: Reason) -> &'static str {
    match reason {
        Reason::SeatsGone => {
            "Pembayaran Anda tiba setelah batas waktu, dan saat itu kursinya sudah terjual kepada orang lain. Tidak ada tiket untuknya."
        }
        Reason::Cancelled => "Pembayaran Anda tiba setelah pemesanan dibatalkan. Tidak ada tiket untuknya.",
        Reason::NotNeeded => "Pembayaran ini tidak diperlukan untuk pemesanan. Hal lain pada pemesanan tetap seperti semula.",
    }
}
