//! Messages of `graphql-transport-ws`.

use hive_router::sonic_rs::{self, JsonContainerTrait, JsonValueTrait, OwnedLazyValue};
use ntex::{
    util::ByteString,
    ws::{CloseCode, CloseReason, Message},
};
use serde::Deserialize;

use crate::refusal::Refusal;

/// Name of the protocol.
pub(crate) const NAME: &str = "graphql-transport-ws";

/// A message from a client.
#[derive(Deserialize)]
pub(crate) struct Incoming {
    /// `connection_init`, `subscribe`, `complete`, `ping` or `pong`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The operation's id.
    #[serde(default)]
    pub id: Option<String>,
    /// Depends on the kind.
    #[serde(default)]
    pub payload: Option<OwnedLazyValue>,
}

impl Incoming {
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        crate::document::check_json_nesting(text).ok()?;
        sonic_rs::from_slice(text).ok()
    }

    /// The payload as JSON text.
    pub(crate) fn payload_json(&self) -> Option<String> {
        self.payload.as_ref().and_then(|payload| sonic_rs::to_string(payload).ok())
    }

    /// The Authorization that a client put into the payload of `connection_init`: at the top, in any
    /// case, or inside `headers`.
    pub(crate) fn authorization(&self) -> Option<String> {
        let payload: sonic_rs::Value = sonic_rs::from_str(&self.payload_json()?).ok()?;
        authorization_in(&payload).or_else(|| authorization_in(payload.get("headers")?))
    }
}

fn authorization_in(value: &sonic_rs::Value) -> Option<String> {
    let object = value.as_object()?;
    let (_, value) = object.iter().find(|(name, _)| name.eq_ignore_ascii_case("authorization"))?;
    value.as_str().filter(|value| !value.is_empty()).map(str::to_owned)
}

pub(crate) fn ack() -> Message {
    Message::Text(ByteString::from_static(r#"{"type":"connection_ack"}"#))
}

pub(crate) fn pong() -> Message {
    Message::Text(ByteString::from_static(r#"{"type":"pong"}"#))
}

/// A result; `payload` is JSON.
pub(crate) fn next(id: &str, payload: &str) -> Message {
    with_payload(id, "next", payload)
}

/// The operation did not start, or ended with errors; `payload` is a JSON list.
pub(crate) fn error(id: &str, payload: &str) -> Message {
    with_payload(id, "error", payload)
}

pub(crate) fn complete(id: &str) -> Message {
    Message::Text(format!(r#"{{"id":{},"type":"complete"}}"#, quoted(id)).into())
}

fn with_payload(id: &str, kind: &str, payload: &str) -> Message {
    let id = quoted(id);
    let mut text = String::with_capacity(id.len() + kind.len() + payload.len() + 32);
    for part in [r#"{"id":"#, &id, r#","type":""#, kind, r#"","payload":"#, payload, "}"] {
        text.push_str(part);
    }
    Message::Text(text.into())
}

fn quoted(id: &str) -> String {
    serde_json::Value::from(id).to_string()
}

/// Closes the socket with one of the protocol's codes.
pub(crate) fn close(code: u16, reason: impl Into<String>) -> Message {
    Message::Close(Some(CloseReason { code: CloseCode::from(code), description: Some(reason.into()) }))
}

/// Closes the socket over a refused token: 4403 when a refreshed one will do (clients retry), 4401
/// when it never will (clients stop).
pub(crate) fn close_for(refusal: &Refusal) -> Message {
    let code = if refusal.code == "TOKEN_EXPIRED" { 4403 } else { 4401 };
    close(code, refusal.code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authorization(payload: &str) -> Option<String> {
        let text = format!(r#"{{"type":"connection_init","payload":{payload}}}"#);
        Incoming::read(text.as_bytes()).and_then(|message| message.authorization())
    }

    #[test]
    fn finds_the_token_wherever_clients_put_it() {
        assert_eq!(authorization(r#"{"Authorization":"Bearer a"}"#).as_deref(), Some("Bearer a"));
        assert_eq!(authorization(r#"{"authorization":"Bearer b"}"#).as_deref(), Some("Bearer b"));
        assert_eq!(authorization(r#"{"headers":{"Authorization":"Bearer c"}}"#).as_deref(), Some("Bearer c"));
        assert_eq!(authorization("{}"), None);
        assert_eq!(authorization("null"), None);
    }

    #[test]
    fn ids_are_quoted() {
        assert_eq!(next("a\"b", "{}"), Message::Text(r#"{"id":"a\"b","type":"next","payload":{}}"#.into()));
    }
}
