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

pub fn invited(locale: Locale, link: &str, minutes: i64) -> Words {
    let block = |label: &str| Block::Link { label: label.to_owned(), url: link.to_owned() };
    match locale {
        Locale::En => Words {
            subject: "Your Berth account".to_owned(),
            blocks: vec![
                Block::Text(format!(
                    "A Berth account was made for this address. The link below sets its password. It works once, for {minutes} minutes."
                )),
                block("Set the password"),
                asked("Was that too short?", "Ask for another link where you sign in."),
                asked("You expect no account?", "Then do nothing."),
            ],
        },
        Locale::Id => Words {
            subject: "Akun Berth Anda".to_owned(),
            blocks: vec![
                Block::Text(format!(
                    "Sebuah akun Berth dibuat untuk alamat ini. Tautan di bawah ini mengatur kata sandinya. Tautan berlaku satu kali, \
                     selama {minutes} menit."
                )),
                block("Atur kata sandi"),
                asked("Waktunya kurang?", "Mintalah tautan lain di tempat Anda masuk."),
                asked("Anda tidak menunggu akun?", "Abaikan saja."),
            ],
        },
    }
}

pub fn account_deleted(locale: Locale) -> Words {
    match locale {
        Locale::En => Words {
            subject: "Your Berth account was deleted".to_owned(),
            blocks: vec![
                text("Your Berth account was deleted, as it was asked for with its password, or by our staff."),
                text(
                    "What the law makes us keep of your bookings and payments names you no more. This is our last letter to this \
                     address. It may be used for a new account.",
                ),
            ],
        },
        Locale::Id => Words {
            subject: "Akun Berth Anda telah dihapus".to_owned(),
            blocks: vec![
                text("Akun Berth Anda telah dihapus, seperti yang diminta dengan kata sandinya, atau oleh petugas kami."),
                text(
                    "Apa yang menurut hukum harus kami simpan tentang pemesanan dan pembayaran tidak lagi memuat nama Anda. Ini surat \
                     terakhir kami ke alamat ini. Alamat ini boleh dipakai untuk akun baru.",
                ),
            ],
        },
    }
}

pub fn change_new(locale: Locale, code: &str, minutes: i64) -> Words {
    let block = |lead: &str| Block::Code { lead: lead.to_owned(), code: code.to_owned() };
    match locale {
        Locale::En => Words {
            subject: format!("{code} is your Berth code"),
            blocks: vec![
                block("Your code is"),
                Block::Text(format!(
                    "It makes this the address of a Berth account. It works for {minutes} minutes, together with a code that went to \
                     the present address."
                )),
                asked(
                    "You did not ask for it?",
                    "Then somebody mistyped an address: ignore this letter, nothing happens without the code.",
                ),
            ],
        },
        Locale::Id => Words {
            subject: format!("{code} adalah kode Berth Anda"),
            blocks: vec![
                block("Kode Anda:"),
                Block::Text(format!(
                    "Kode ini menjadikan alamat ini alamat sebuah akun Berth. Kode berlaku selama {minutes} menit, bersama kode yang \
                     dikirim ke alamat yang sekarang."
                )),
                asked(
                    "Anda tidak memintanya?",
                    "Berarti seseorang salah mengetik alamat: abaikan surat ini, tanpa kode tidak terjadi apa pun.",
                ),
            ],
        },
    }
}

pub fn change_old(locale: Locale, code: &str, link: &str, minutes: i64) -> Words {
    let code_block = |lead: &str| Block::Code { lead: lead.to_owned(), code: code.to_owned() };
    let link_block = |label: &str| Block::Link { label: label.to_owned(), url: link.to_owned() };
    match locale {
        Locale::En => Words {
            subject: format!("{code} is your Berth code to change your address"),
            blocks: vec![
                code_block("Your code is"),
                Block::Text(format!(
                    "Somebody who is signed in to your Berth account, and knows its password, asked for another address. The code \
                     allows it, together with one that went to the new address. It works for {minutes} minutes."
                )),
                asked("Was it not you?", "Give the code to nobody. The link below stops the change, and signs every device out."),
                link_block("Stop the change"),
            ],
        },
        Locale::Id => Words {
            subject: format!("{code} adalah kode Berth Anda untuk mengganti alamat"),
            blocks: vec![
                code_block("Kode Anda:"),
                Block::Text(format!(
                    "Seseorang yang sedang masuk ke akun Berth Anda, dan mengetahui kata sandinya, meminta alamat lain. Kode ini \
                     mengizinkannya, bersama kode yang dikirim ke alamat baru. Kode berlaku selama {minutes} menit."
                )),
                asked(
                    "Bukan Anda?",
                    "Jangan berikan kode ini kepada siapa pun. Tautan di bawah ini menghentikan penggantian, dan mengeluarkan semua \
                     perangkat.",
                ),
                link_block("Hentikan penggantian"),
            ],
        },
    }
}

pub fn change_taken(locale: Locale) -> Words {
    match locale {
        Locale::En => Words {
            subject: "You already have a Berth account".to_owned(),
            blocks: vec![
                text(
                    "Somebody, perhaps you, wants this to be the address of another Berth account. It already has one, so nothing was \
                     changed.",
                ),
                asked("Was it you?", "Sign in with this address instead, or delete its account first."),
            ],
        },
        Locale::Id => Words {
            subject: "Anda sudah memiliki akun Berth".to_owned(),
            blocks: vec![
                text(
                    "Seseorang, mungkin Anda sendiri, ingin menjadikan alamat ini alamat akun Berth yang lain. Alamat ini sudah memiliki \
                     akun, jadi tidak ada yang diubah.",
                ),
                asked("Apakah itu Anda?", "Silakan masuk dengan alamat ini, atau hapus dahulu akunnya."),
            ],
        },
    }
}

pub fn changed(locale: Locale) -> Words {
    match locale {
        Locale::En => Words {
            subject: "The address of your Berth account was changed".to_owned(),
            blocks: vec![
                text(
                    "Your Berth account has another address from now on, as was allowed with a code from here. This one is free for \
                     another account.",
                ),
                asked("Was it not you?", "Then tell our staff at once."),
            ],
        },
        Locale::Id => Words {
            subject: "Alamat akun Berth Anda telah diganti".to_owned(),
            blocks: vec![
                text(
                    "Mulai sekarang akun Berth Anda memakai alamat lain, seperti yang diizinkan dengan kode dari sini. Alamat ini bebas \
                     untuk akun lain.",
                ),
                asked("Bukan Anda?", "Segera beri tahu petugas kami."),
            ],
        },
    }
}
