//! The services of this process, over their databases, wired to each other and to those of other processes.

use std::sync::Arc;

use berth_booking::{BookingConfig, Bookings};
use berth_contracts::peer::{BookingPeer, InventoryPeer, PaymentPeer, RecordsPeer, UserPeer};
use berth_inventory::{Inventory, InventoryConfig};
use berth_kernel::{
    Deps,
    auth::TokenSigner,
    bus::{Bus, RedisSettings},
    clock::Clock,
    db::Db,
    jobs::Background,
    mail::Mail,
    peer::{Line, Standing, client::Remote},
    seal::Sealer,
    secret::Secret,
    service::{ServiceKey, ServiceSigner},
    sms::Sms,
};
use berth_payment::{PaymentConfig, Payments};
use berth_user::{Neighbours, User, UserConfig};
use chrono::TimeDelta;

use crate::{
    config::{Config, Profile, Refusal},
    databases,
    keys::Keys,
    role::{Role, Roles, Service},
};

/// What the services have in common.
pub struct Common {
    /// The clock.
    pub clock: Clock,
    /// The bus.
    pub bus: Bus,
    /// Where letters go.
    pub mail: Arc<Mail>,
    /// Where text messages go.
    pub sms: Arc<Sms>,
    /// Encryption at rest.
    pub sealer: Sealer,
    /// What goes on beside the requests.
    pub background: Background,
    /// How the other processes receive this one.
    pub standing: Standing,
}

impl Common {
    /// For a configuration. Inside a Tokio runtime.
    pub fn new(config: &Config, clock: Clock, sealer: Sealer) -> Result<Self, Refusal> {
        let mail = match &config.smtp_url {
            Some(url) => Mail::smtp(url.reveal(), &config.mail_from).map_err(|_| {
                Refusal::new("smtp_url", "can't be used", "BERTH_SMTP_URL=smtps://user:password@mail.your-domain")
            })?,
            None => Mail::catcher(&config.mail_file.clone().unwrap_or_else(|| config.file("mail.jsonl"))),
        };
        let background = Background::default();
        let bus = match &config.redis_url {
            Some(url) => Bus::redis(url.reveal(), RedisSettings::default(), background.clone())
                .map_err(|error| Refusal::new("redis_url", error, "BERTH_REDIS_URL=redis://127.0.0.1:6379"))?,
            None => Bus::local(),
        };
        let sms = Arc::new(text_messages(config)?);
        Ok(Self { clock, bus, mail: Arc::new(mail), sms, sealer, background, standing: Standing::default() })
    }

    async fn deps(&self, config: &Config, service: Service) -> anyhow::Result<Deps> {
        let db = databases::open(config, service, &self.sealer).await?;
        let (mail, sms) = (self.mail.clone(), self.sms.clone());
        Ok(Deps::new(db, self.clock.clone(), self.bus.clone(), mail, sms, self.sealer.clone(), self.background.clone()))
    }
}

/// A gateway if there is one; else messages are caught, and in production there are none.
fn text_messages(config: &Config) -> Result<Sms, Refusal> {
    match (&config.sms_url, config.profile) {
        (Some(url), _) => Sms::gateway(url.reveal(), config.sms_token.as_ref().map_or("", Secret::reveal))
            .map_err(|error| Refusal::new("sms_url", error, "BERTH_SMS_URL=https://sms.example/messages")),
        (None, Profile::Development) => Ok(Sms::catcher(&config.sms_file())),
        (None, Profile::Production) => Ok(Sms::Off),
    }
}

/// What inventory stands on; also for imports, which need no other service.
pub async fn inventory_deps(config: &Config, common: &Common) -> anyhow::Result<Deps> {
    common.deps(config, Service::Inventory).await
}

/// The addresses that are known once the ports are bound.
pub struct Addresses {
    /// How the public reaches the front door.
    pub public_url: String,
    /// The payment provider's API.
    pub provider_url: String,
    /// Our key there.
    pub provider_key: Secret,
}

/// The services of other processes, and as whom this one asks them.
pub struct Peers<'a> {
    /// Where they are.
    pub config: &'a Config,
    /// As whom this process asks.
    pub caller: Role,
    /// By which its credentials go: what no test moves.
    pub machine: Clock,
    /// How they receive it.
    pub standing: Standing,
}

impl Peers<'_> {
    /// The key of a caller is made where somebody is called.
    fn signer(&self) -> anyhow::Result<ServiceSigner> {
        let key = ServiceKey::load_or_create(&self.config.key_file(""), self.caller.name())?;
        Ok(ServiceSigner::new(key, self.machine.clone()).with_standing(self.standing.clone()))
    }

    fn remote(&self, service: Service) -> anyhow::Result<Arc<Remote>> {
        Ok(Arc::new(Remote::new(self.signer()?, service.name(), &self.config.subgraph(service))?))
    }

    /// A line to each service that is not among these.
    pub fn lines_past(&self, here: &[Service]) -> anyhow::Result<Vec<Line>> {
        let elsewhere = Service::ALL.into_iter().filter(|service| !here.contains(service));
        elsewhere.map(|service| Ok(Line::new(self.signer()?, service.name(), &self.config.subgraph(service))?)).collect()
    }

    /// The user service: here, or elsewhere.
    pub fn user(&self, here: Option<&User>) -> anyhow::Result<Arc<dyn UserPeer>> {
        here.map_or_else(|| Ok(self.remote(Service::User)? as _), |user| Ok(user.peer()))
    }

    fn inventory(&self, here: Option<&Inventory>) -> anyhow::Result<Arc<dyn InventoryPeer>> {
        here.map_or_else(|| Ok(self.remote(Service::Inventory)? as _), |inventory| Ok(inventory.peer()))
    }

    fn booking(&self, here: Option<&Bookings>) -> anyhow::Result<Arc<dyn BookingPeer>> {
        here.map_or_else(|| Ok(self.remote(Service::Booking)? as _), |booking| Ok(booking.peer()))
    }

    fn payment(&self, here: Option<&Payments>) -> anyhow::Result<Arc<dyn PaymentPeer>> {
        here.map_or_else(|| Ok(self.remote(Service::Payment)? as _), |payment| Ok(payment.peer()))
    }

    fn records(&self, service: Service, here: Option<Arc<dyn RecordsPeer>>) -> anyhow::Result<Arc<dyn RecordsPeer>> {
        here.map_or_else(|| Ok(self.remote(service)? as _), Ok)
    }
}

/// The services that this process opens. What is here is called directly, the rest as a peer.
pub struct Services {
    /// Accounts.
    pub user: Option<User>,
    /// Trips, seats, holds.
    pub inventory: Option<Inventory>,
    /// Bookings and tickets.
    pub booking: Option<Bookings>,
    /// Payments.
    pub payment: Option<Payments>,
    /// What each stands on.
    deps: Vec<(Service, Deps)>,
    background: Vec<Service>,
}

impl Services {
    /// Opens the databases and wires the services to each other and to their peers. Starts nothing.
    pub async fn open(
        config: &Config,
        roles: &Roles,
        common: &Common,
        keys: &Keys,
        addresses: &Addresses,
        peers: &Peers<'_>,
    ) -> anyhow::Result<Self> {
        let mut deps = Vec::new();
        for service in roles.opened() {
            deps.push((service, common.deps(config, service).await?));
        }
        let of = |wanted: Service| deps.iter().find(|(service, _)| *service == wanted).map(|(_, deps)| deps.clone());
        let signer = TokenSigner::new(keys.access.clone(), common.clock.clone());
        let user = of(Service::User).map(|deps| User::new(deps, user_config(config, addresses), signer));
        let inventory = match of(Service::Inventory) {
            Some(deps) => Some(Inventory::new(deps, inventory_config(config)).await?),
            None => None,
        };
        let booking = match of(Service::Booking) {
            Some(deps) => {
                let settings = BookingConfig::new(&addresses.public_url, keys.ticket.clone());
                Some(Bookings::new(deps, settings, peers.inventory(inventory.as_ref())?, peers.user(user.as_ref())?))
            }
            None => None,
        };
        let payment = match of(Service::Payment) {
            Some(deps) => Some(Payments::new(deps, payment_config(config, addresses)?, peers.booking(booking.as_ref())?)?),
            None => None,
        };
        if let Some(booking) = &booking {
            booking.set_payment(peers.payment(payment.as_ref())?);
        }
        if let Some(user) = &user {
            user.set_neighbours(Neighbours {
                booking: peers.records(Service::Booking, booking.as_ref().map(Bookings::records))?,
                inventory: peers.records(Service::Inventory, inventory.as_ref().map(Inventory::records))?,
                payment: peers.records(Service::Payment, payment.as_ref().map(Payments::records))?,
            });
        }
        Ok(Self { user, inventory, booking, payment, deps, background: roles.background() })
    }

    /// The database of each service, by name.
    pub fn databases(&self) -> Vec<(&'static str, Db)> {
        self.deps.iter().map(|(service, deps)| (service.name(), deps.db.clone())).collect()
    }

    /// Starts relays, and the background work of a worker: consumers first, so that no relay delivers to nobody.
    pub fn start(&self) {
        if let Some(inventory) = &self.inventory {
            inventory.follow_timetable();
        }
        for service in &self.background {
            match service {
                Service::User => self.user.iter().for_each(User::start),
                Service::Inventory => self.inventory.iter().for_each(Inventory::start),
                Service::Booking => self.booking.iter().for_each(Bookings::start),
                Service::Payment => self.payment.iter().for_each(Payments::start),
            }
        }
        for (service, deps) in &self.deps {
            deps.start_relay();
            if self.background.contains(service) {
                deps.start_post();
            }
        }
    }
}

fn user_config(config: &Config, addresses: &Addresses) -> UserConfig {
    let public_url = addresses.public_url.clone();
    UserConfig { public_url, sign_up_work_bits: config.sign_up_work, ..UserConfig::default() }
}

fn inventory_config(config: &Config) -> InventoryConfig {
    let mut settings = InventoryConfig::default();
    settings.hold.ttl = TimeDelta::seconds(i64::from(config.hold_ttl_secs));
    settings.sweep = config.hold_sweeper;
    settings
}

fn payment_config(config: &Config, addresses: &Addresses) -> Result<PaymentConfig, Refusal> {
    let mut settings = PaymentConfig::new(&addresses.provider_url, addresses.provider_key.reveal(), &addresses.public_url);
    settings.polling.after_creation =
        config.poll_after_secs()?.into_iter().map(|secs| TimeDelta::seconds(i64::from(secs))).collect();
    Ok(settings)
}
