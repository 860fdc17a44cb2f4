//! The words of letters that are about no notification.

use berth_contracts::Locale;

use super::{Block, Words};

fn text(text: &str) -> Block {
    Block::Text(text.to_owned())
}

fn asked(question: &str, answer: &str) -> Block {
    Block::Asked { question: question.to_owned(), answer: answer.to_owned() }
}

pub fn code(locale: Locale, code: &str, minutes: i64) -> Words {
    let block = |lead: &str| Block::Code { lead: lead.to_owned(), code: code.to_owned() };
    match locale {
        Locale::En => Words {
            subject: format!("{code} is your Berth code"),
            blocks: vec![
                block("Your code is"),
                Block::Text(format!(
                    "Enter it where you signed up. It works for {minutes} minutes, and only there. \
                     Nobody at Berth will ever ask you for it."
                )),
                asked(
                    "You did not sign up?",
                    "Then somebody mistyped an address: ignore this letter, nothing happens without the code.",
                ),
            ],
        },
        Locale::Id => Words {
            subject: format!("{code} adalah kode Berth Anda"),
            blocks: vec![
                block("Kode Anda:"),
                Block::Text(format!(
                    "Masukkan kode ini di tempat Anda mendaftar. Kode berlaku selama {minutes} menit, dan hanya di sana. \
                     Tidak ada orang dari Berth yang akan memintanya dari Anda."
                )),
                asked(
                    "Anda tidak mendaftar?",
                    "Berarti seseorang salah mengetik alamat: abaikan surat ini, tanpa kode tidak terjadi apa pun.",
                ),
            ],
        },
    }
}

pub fn known(locale: Locale) -> Words {
    match locale {
        Locale::En => Words {
            subject: "You already have a Berth account".to_owned(),
            blocks: vec![
                text(
                    "Somebody, perhaps you, tried to sign up with this address. \
                     It already has a Berth account, so nothing was changed.",
                ),
                asked("Was it you?", "Sign in with this address and your password instead."),
                asked("Was it somebody else?", "You need not do anything: without your password nobody gets in."),
            ],
        },
        Locale::Id => Words {
            subject: "Anda sudah memiliki akun Berth".to_owned(),
            blocks: vec![
                text(
                    "Seseorang, mungkin Anda sendiri, mencoba mendaftar dengan alamat ini. \
                     Alamat ini sudah memiliki akun Berth, jadi tidak ada yang diubah.",
                ),
                asked("Apakah itu Anda?", "Silakan masuk dengan alamat ini dan kata sandi Anda."),
                asked(
                    "Apakah itu orang lain?",
                    "Anda tidak perlu melakukan apa pun: tanpa kata sandi Anda tidak ada yang bisa masuk.",
                ),
            ],
        },
    }
}

pub fn reset(locale: Locale, link: &str, minutes: i64) -> Words {
    let block = |label: &str| Block::Link { label: label.to_owned(), url: link.to_owned() };
    match locale {
        Locale::En => Words {
            subject: "Set a new Berth password".to_owned(),
            blocks: vec![
                Block::Text(format!(
                    "Somebody asked for a new password of your Berth account. The link below sets one. \
                     It works once, for {minutes} minutes."
                )),
                block("Set a new password"),
                text("Every device that is signed in is signed out then."),
                asked("Was it not you?", "Then do nothing: your password stays as it is."),
            ],
        },
        Locale::Id => Words {
            subject: "Atur kata sandi baru Berth".to_owned(),
            blocks: vec![
                Block::Text(format!(
                    "Seseorang meminta kata sandi baru untuk akun Berth Anda. Tautan di bawah ini mengaturnya. \
                     Tautan berlaku satu kali, selama {minutes} menit."
                )),
                block("Atur kata sandi baru"),
                text("Setelah itu semua perangkat yang sedang masuk akan dikeluarkan."),
                asked("Bukan Anda?", "Abaikan saja: kata sandi Anda tetap seperti semula."),
            ],
        },
    }
}
