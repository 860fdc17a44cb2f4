//! Tables of the inventory service.

mod catalogue;
mod claims;

use sea_orm_migration::MigrationTrait;

/// Its migrations, oldest first.
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![Box::new(catalogue::Catalogue), Box::new(claims::Claims)]
}
