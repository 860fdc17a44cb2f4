//! Tables of the payment service.

use sea_orm_migration::MigrationTrait;

/// Its migrations, oldest first.
pub fn migrations() -> Vec<Box<dyn MigrationTrait>> {
    vec![]
}
