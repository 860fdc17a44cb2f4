//! The letters this service writes; the texts are in `templates/`.

use askama::Template;
use berth_kernel::mail::Letter;
use chrono::TimeDelta;

use crate::error::Error;

#[derive(Template)]
#[template(path = "code.txt")]
struct CodeText<'a> {
    code: &'a str,
    minutes: i64,
}

#[derive(Template)]
#[template(path = "code.html")]
struct CodeHtml<'a> {
    code: &'a str,
    minutes: i64,
}

#[derive(Template)]
#[template(path = "known.txt")]
struct KnownText;

#[derive(Template)]
#[template(path = "known.html")]
struct KnownHtml;

#[derive(Template)]
#[template(path = "session.txt")]
struct SessionText;

#[derive(Template)]
#[template(path = "session.html")]
struct SessionHtml;

#[derive(Template)]
#[template(path = "reset.txt")]
struct ResetText<'a> {
    link: &'a str,
    minutes: i64,
}

#[derive(Template)]
#[template(path = "reset.html")]
struct ResetHtml<'a> {
    link: &'a str,
    minutes: i64,
}

#[derive(Template)]
#[template(path = "invited.txt")]
struct InvitedText<'a> {
    link: &'a str,
    minutes: i64,
}

#[derive(Template)]
#[template(path = "invited.html")]
struct InvitedHtml<'a> {
    link: &'a str,
    minutes: i64,
}

#[derive(Template)]
#[template(path = "password.txt")]
struct PasswordText;

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordHtml;

#[derive(Template)]
#[template(path = "deleted.txt")]
struct DeletedText;

#[derive(Template)]
#[template(path = "deleted.html")]
struct DeletedHtml;

#[derive(Template)]
#[template(path = "exported.txt")]
struct ExportedText;

#[derive(Template)]
#[template(path = "exported.html")]
struct ExportedHtml;

#[derive(Template)]
#[template(path = "change_new.txt")]
struct ChangeNewText<'a> {
    code: &'a str,
    minutes: i64,
}

#[derive(Template)]
#[template(path = "change_new.html")]
struct ChangeNewHtml<'a> {
    code: &'a str,
    minutes: i64,
}

#[derive(Template)]
#[template(path = "change_old.txt")]
struct ChangeOldText<'a> {
    code: &'a str,
    link: &'a str,
    minutes: i64,
}

#[derive(Template)]
#[template(path = "change_old.html")]
struct ChangeOldHtml<'a> {
    code: &'a str,
    link: &'a str,
    minutes: i64,
}

#[derive(Template)]
#[template(path = "change_taken.txt")]
struct ChangeTakenText;

#[derive(Template)]
#[template(path = "change_taken.html")]
struct ChangeTakenHtml;

#[derive(Template)]
#[template(path = "changed.txt")]
struct ChangedText;

#[derive(Template)]
#[template(path = "changed.html")]
struct ChangedHtml;

#[derive(Template)]
#[template(path = "bank.txt")]
struct BankText<'a> {
    number: &'a str,
}

#[derive(Template)]
#[template(path = "bank.html")]
struct BankHtml<'a> {
    number: &'a str,
}

/// The one-time password of a sign-up.
pub fn code(to: &str, code: &str, ttl: TimeDelta) -> Result<Letter, Error> {
    let minutes = ttl.num_minutes();
    letter(to, format!("{code} is your Berth code"), &CodeText { code, minutes }, &CodeHtml { code, minutes })
}

/// Somebody signed up with an address that has an account.
pub fn known(to: &str) -> Result<Letter, Error> {
    letter(to, "You already have a Berth account".to_owned(), &KnownText, &KnownHtml)
}

/// A session was ended because a refresh token was used twice.
pub fn session_ended(to: &str) -> Result<Letter, Error> {
    letter(to, "We ended one of your Berth sessions".to_owned(), &SessionText, &SessionHtml)
}

/// The link that sets a new password.
pub fn reset(to: &str, link: &str, ttl: TimeDelta) -> Result<Letter, Error> {
    let minutes = ttl.num_minutes();
    letter(to, "Set a new Berth password".to_owned(), &ResetText { link, minutes }, &ResetHtml { link, minutes })
}

/// The link that sets the first password of an account which an admin made.
pub fn invited(to: &str, link: &str, ttl: TimeDelta) -> Result<Letter, Error> {
    let minutes = ttl.num_minutes();
    letter(to, "Your Berth account".to_owned(), &InvitedText { link, minutes }, &InvitedHtml { link, minutes })
}

/// The password was changed.
pub fn password_changed(to: &str) -> Result<Letter, Error> {
    letter(to, "Your Berth password was changed".to_owned(), &PasswordText, &PasswordHtml)
}

/// The account was deleted.
pub fn account_deleted(to: &str) -> Result<Letter, Error> {
    letter(to, "Your Berth account was deleted".to_owned(), &DeletedText, &DeletedHtml)
}

/// Somebody took a copy of the account's data.
pub fn data_exported(to: &str) -> Result<Letter, Error> {
    letter(to, "Your Berth data was exported".to_owned(), &ExportedText, &ExportedHtml)
}

/// The code that proves a wanted address.
pub fn change_new(to: &str, code: &str, ttl: TimeDelta) -> Result<Letter, Error> {
    let minutes = ttl.num_minutes();
    letter(to, format!("{code} is your Berth code"), &ChangeNewText { code, minutes }, &ChangeNewHtml { code, minutes })
}

/// The code that allows a change of the present address, and the link that stops it.
pub fn change_old(to: &str, code: &str, link: &str, ttl: TimeDelta) -> Result<Letter, Error> {
    let minutes = ttl.num_minutes();
    let subject = format!("{code} is your Berth code to change your address");
    letter(to, subject, &ChangeOldText { code, link, minutes }, &ChangeOldHtml { code, link, minutes })
}

/// Somebody wants an address that has an account.
pub fn change_taken(to: &str) -> Result<Letter, Error> {
    letter(to, "You already have a Berth account".to_owned(), &ChangeTakenText, &ChangeTakenHtml)
}

/// The account has another address now.
pub fn changed(to: &str) -> Result<Letter, Error> {
    letter(to, "The address of your Berth account was changed".to_owned(), &ChangedText, &ChangedHtml)
}

/// A bank account was added.
pub fn bank_account_added(to: &str, number: &str) -> Result<Letter, Error> {
    letter(to, "A bank account was added to Berth".to_owned(), &BankText { number }, &BankHtml { number })
}

fn letter(to: &str, subject: String, text: &impl Template, html: &impl Template) -> Result<Letter, Error> {
    let unwritable = |why| Error::library("writing a letter", &why);
    Ok(Letter { to: to.to_owned(), subject, text: text.render().map_err(unwritable)?, html: html.render().map_err(unwritable)? })
}

#[derive(Template)]
#[template(path = "security.txt")]
struct SecurityText<'a> {
    news: &'a str,
}

#[derive(Template)]
#[template(path = "security.html")]
struct SecurityHtml<'a> {
    news: &'a str,
}

/// A change in how an account is protected.
#[derive(Debug, Clone, Copy)]
pub enum SecurityNews {
    /// The second factor was switched on.
    TotpOn,
    /// The second factor was switched off.
    TotpOff,
    /// Recovery codes were made anew.
    RecoveryCodesRenewed,
    /// A recovery code opened a session.
    RecoveryCodeUsed,
    /// A passkey was added.
    PasskeyAdded,
    /// A passkey was removed.
    PasskeyRemoved,
}

impl SecurityNews {
    const fn text(self) -> &'static str {
        match self {
            Self::TotpOn => "From now on, signing in to your Berth account asks for a code of your authenticator app.",
            Self::TotpOff => "Signing in to your Berth account no longer asks for a code of your authenticator app.",
            Self::RecoveryCodesRenewed => "New recovery codes were made for your Berth account. The ones before work no more.",
            Self::RecoveryCodeUsed => "Somebody signed in to your Berth account with one of its recovery codes.",
            Self::PasskeyAdded => "A passkey was added to your Berth account: it signs in without the password.",
            Self::PasskeyRemoved => "A passkey was removed from your Berth account: it signs in no more.",
        }
    }
}

/// How an account is protected was changed.
pub fn security(to: &str, news: SecurityNews) -> Result<Letter, Error> {
    let news = news.text();
    letter(to, "A change in the security of your Berth account".to_owned(), &SecurityText { news }, &SecurityHtml { news })
}
