//! Use cases of tickets: list, and the picture of the QR code for who has its address.

use berth_contracts::Kind;
use fast_qr::{
    ECL, QRBuilder,
    convert::{Builder, Shape, svg::SvgBuilder},
};
use uuid::Uuid;

use crate::{
    Bookings,
    error::Error,
    store::{self, Position},
    ticket::{Ticket, When},
};

/// What the keyed hash in a QR code's address is for.
const PURPOSE: &str = "ticket-qr";

impl Bookings {
    /// A page of a person's tickets, and how many there are over all pages.
    pub(crate) async fn list_tickets(
        &self,
        user_id: Uuid,
        when: When,
        after: Option<Position>,
        limit: u64,
    ) -> Result<(Vec<Ticket>, i64), Error> {
        let (read, now) = (self.deps.db.read(), self.deps.clock.now());
        let page = store::ticket::list(read, user_id, when, now, after, limit).await?;
        Ok((page, store::ticket::count(read, user_id, when, now).await?))
    }

    /// Address of the picture of a ticket's QR code. Nobody guesses it: it carries a keyed hash of the ticket's key.
    pub(crate) fn qr_url(&self, ticket_id: Uuid) -> String {
        let token = url_safe(&self.deps.sealer.hash(PURPOSE, &ticket_id.to_string()));
        format!("{}/tickets/{}/qr.svg?t={token}", self.config.public_base_url, Kind::Ticket.encode(ticket_id))
    }

    /// The picture as SVG; `None` when the ticket or the token in its address is wrong.
    pub(crate) async fn qr_svg(&self, ticket_id: &str, token: &str) -> Result<Option<String>, Error> {
        let Ok(id) = Kind::Ticket.decode(ticket_id) else { return Ok(None) };
        if !self.deps.sealer.matches(PURPOSE, &id.to_string(), &plain(token)) {
            return Ok(None);
        }
        let Some(ticket) = store::ticket::find(self.deps.db.read(), id).await? else { return Ok(None) };
        if ticket.document.is_empty() {
            return Ok(None);
        }
        let code = QRBuilder::new(ticket.document).ecl(ECL::M).build().map_err(|_| Error::Corrupt("ticket"))?;
        Ok(Some(SvgBuilder::default().shape(Shape::Square).margin(4).to_str(&code)))
    }
}

/// Base64 in the alphabet of addresses.
fn url_safe(base64: &str) -> String {
    base64.replace('+', "-").replace('/', "_")
}

fn plain(url_safe: &str) -> String {
    url_safe.replace('-', "+").replace('_', "/")
}
