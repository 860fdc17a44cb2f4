//! The four services over their databases in one data directory.

use std::{path::Path, sync::Arc};

use anyhow::Context;
use berth_booking::{BookingConfig, Bookings};
use berth_inventory::{Inventory, InventoryConfig};
use berth_kernel::{
    Deps,
    auth::{SignKey, TokenSigner},
    bus::Bus,
    clock::Clock,
    db::Db,
    mail::Mail,
    seal::Sealer,
};
use berth_migrations::{BookingMigrator, InventoryMigrator, PaymentMigrator, UserMigrator};
use berth_payment::{PaymentConfig, Payments};
use berth_user::{User, UserConfig};
use chrono::TimeDelta;
use sea_orm::DbErr;
use sea_orm_migration::MigratorTrait;
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Refusal};

/// The keys of this installation.
pub struct Keys {
    /// Signs access tokens.
    pub access: SignKey,
    /// Signs tickets.
    pub ticket: SignKey,
    /// Seals personal data.
    pub sealer: Sealer,
}

impl Keys {
    /// Reads the keys from `keys/`, making those that are missing.
    pub fn load(config: &Config) -> anyhow::Result<Self> {
        Ok(Self {
            access: SignKey::load_or_create(&config.file("keys/access.pem")).context("keys/access.pem")?,
            ticket: SignKey::load_or_create(&config.file("keys/ticket.pem")).context("keys/ticket.pem")?,
            sealer: Sealer::load_or_create(&config.file("keys/data.key")).context("keys/data.key")?,
        })
    }

    /// The public halves, as a JWKS.
    pub fn jwks(&self) -> String {
        serde_json::json!({ "keys": [self.access.jwk(), self.ticket.jwk()] }).to_string()
    }
}

/// What the services have in common.
pub struct Common {
    /// The clock.
    pub clock: Clock,
    /// The bus.
    pub bus: Bus,
    /// Where letters go.
    pub mail: Arc<Mail>,
    /// Encryption at rest.
    pub sealer: Sealer,
    /// Ends background work.
    pub cancel: CancellationToken,
}

impl Common {
    /// For a configuration.
    pub fn new(config: &Config, sealer: Sealer) -> Result<Self, Refusal> {
        let mail = match &config.smtp_url {
            Some(url) => Mail::smtp(url, &config.mail_from)
                .map_err(|error| Refusal::new("smtp_url", error, "smtps://user:password@mail.example"))?,
            None => Mail::catcher(&config.file("mail.jsonl")),
        };
        let (clock, bus, cancel) = (Clock::system(), Bus::local(), CancellationToken::new());
        Ok(Self { clock, bus, mail: Arc::new(mail), sealer, cancel })
    }

    fn deps(&self, db: Db) -> Deps {
        Deps::new(db, self.clock.clone(), self.bus.clone(), self.mail.clone(), self.sealer.clone(), self.cancel.clone())
    }
}

/// Opens a service's database and brings its tables up to date.
pub async fn open<M: MigratorTrait>(path: &Path) -> anyhow::Result<Db> {
    let open = async {
        let db = Db::open_sqlite(path).await?;
        db.migrate::<M>().await?;
        Ok::<_, DbErr>(db)
    };
    open.await.with_context(|| format!("the database {}", path.display()))
}

/// What inventory stands on; also for imports, which need no other service.
pub async fn inventory_deps(config: &Config, common: &Common) -> anyhow::Result<Deps> {
    Ok(common.deps(open::<InventoryMigrator>(&config.file("inventory.sqlite")).await?))
}

/// The addresses that are known once the ports are bound.
pub struct Addresses {
    /// How the public reaches the front door.
    pub public_url: String,
    /// The payment provider's API.
    pub provider_url: String,
    /// Our key there.
    pub provider_key: String,
}

/// The four services.
pub struct Services {
    /// Accounts.
    pub user: User,
    /// Trips, seats, holds.
    pub inventory: Inventory,
    /// Bookings and tickets.
    pub booking: Bookings,
    /// Payments.
    pub payment: Payments,
    /// The database of each, by name.
    pub databases: Vec<(&'static str, Db)>,
    /// What each stands on: its relay and its post are started here.
    deps: Vec<Deps>,
}

impl Services {
    /// Opens the databases and wires the services to each other. Starts nothing.
    pub async fn open(config: &Config, common: &Common, keys: &Keys, addresses: &Addresses) -> anyhow::Result<Self> {
        let user_deps = common.deps(open::<UserMigrator>(&config.file("user.sqlite")).await?);
        let inventory_deps = inventory_deps(config, common).await?;
        let booking_deps = common.deps(open::<BookingMigrator>(&config.file("booking.sqlite")).await?);
        let payment_deps = common.deps(open::<PaymentMigrator>(&config.file("payment.sqlite")).await?);
        let named =
            [("user", &user_deps), ("inventory", &inventory_deps), ("booking", &booking_deps), ("payment", &payment_deps)];
        let databases = named.map(|(name, deps)| (name, deps.db.clone())).to_vec();
        let deps = named.map(|(_, deps)| deps.clone()).to_vec();
        let signer = TokenSigner::new(keys.access.clone(), common.clock.clone());
        let user = User::new(user_deps, UserConfig::default(), signer);
        let inventory = Inventory::new(inventory_deps, inventory_config(config)).await?;
        let booking_config = BookingConfig::new(&addresses.public_url, keys.ticket.clone());
        let booking = Bookings::new(booking_deps, booking_config, inventory.peer(), user.peer());
        let payment = Payments::new(payment_deps, payment_config(config, addresses)?, booking.peer())?;
        booking.set_payment(payment.peer());
        Ok(Self { user, inventory, booking, payment, databases, deps })
    }

    /// Starts relays, letters, workers and consumers. Consumers come first, so that no relay delivers to nobody.
    pub fn start(&self) {
        self.booking.start();
        self.payment.start();
        self.inventory.start();
        self.user.start();
        self.deps.iter().for_each(Deps::start);
    }
}

fn inventory_config(config: &Config) -> InventoryConfig {
    let mut settings = InventoryConfig::default();
    settings.hold.ttl = TimeDelta::seconds(i64::from(config.hold_ttl_secs));
    settings.sweep = config.hold_sweeper;
    settings
}

fn payment_config(config: &Config, addresses: &Addresses) -> Result<PaymentConfig, Refusal> {
    let mut settings = PaymentConfig::new(&addresses.provider_url, &addresses.provider_key, &addresses.public_url);
    settings.polling.after_creation =
        config.poll_after_secs()?.into_iter().map(|secs| TimeDelta::seconds(i64::from(secs))).collect();
    Ok(settings)
}
