//! The tables of Berth, one `Migrator` per service. A service's migrations stand in its own module, oldest first;
//! a migration that was released is never changed.

pub mod booking;
pub mod inventory;
mod key_canary;
pub mod payment;
pub mod sandbox;
mod shared;
mod shared_fleet;
pub mod user;

pub use key_canary::KeyCanary;
pub use shared::Shared;
pub use shared_fleet::SharedFleet;

use sea_orm_migration::{MigrationTrait, MigratorTrait};

/// Tables of user.
pub struct UserMigrator;
/// Tables of inventory.
pub struct InventoryMigrator;
/// Tables of booking.
pub struct BookingMigrator;
/// Tables of payment.
pub struct PaymentMigrator;
/// Tables of the sandbox payment provider, which has a database of its own.
pub struct SandboxMigrator;

fn with_shared(own: Vec<Box<dyn MigrationTrait>>) -> Vec<Box<dyn MigrationTrait>> {
    let first: [Box<dyn MigrationTrait>; 2] = [Box::new(Shared), Box::new(SharedFleet)];
    let last: [Box<dyn MigrationTrait>; 1] = [Box::new(KeyCanary)];
    first.into_iter().chain(own).chain(last).collect()
}

impl MigratorTrait for UserMigrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        with_shared(user::migrations())
    }
}

impl MigratorTrait for InventoryMigrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        with_shared(inventory::migrations())
    }
}

impl MigratorTrait for BookingMigrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        with_shared(booking::migrations())
    }
}

impl MigratorTrait for PaymentMigrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        with_shared(payment::migrations())
    }
}

impl MigratorTrait for SandboxMigrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        sandbox::migrations()
    }
}
