//! The text messages this service sends.

use berth_kernel::sms::TextMessage;
use chrono::TimeDelta;

/// The one-time password of a sign-up.
pub fn code(to: &str, code: &str, ttl: TimeDelta) -> TextMessage {
    let text = format!("{code} is your Berth code for {} minutes. Nobody at Berth will ever ask you for it.", ttl.num_minutes());
    TextMessage { to: to.to_owned(), text }
}

/// Somebody signed up with a number that has an account.
pub fn known(to: &str) -> TextMessage {
    let text = "This number already has a Berth account: sign in with it and your password. Was it not you? Then do nothing.";
    TextMessage { to: to.to_owned(), text: text.to_owned() }
}

/// The account was deleted.
pub fn account_deleted(to: &str) -> TextMessage {
    TextMessage { to: to.to_owned(), text: "Your Berth account was deleted. This is our last message to this number.".to_owned() }
}

/// The code that allows a change of the present address, and the link that stops it.
pub fn change_old(to: &str, code: &str, link: &str) -> TextMessage {
    let text = format!("{code} allows another address for your Berth account. Was it not you? Stop it: {link}");
    TextMessage { to: to.to_owned(), text }
}

/// The account has another address now.
pub fn changed(to: &str) -> TextMessage {
    TextMessage { to: to.to_owned(), text: "The address of your Berth account was changed.".to_owned() }
}
