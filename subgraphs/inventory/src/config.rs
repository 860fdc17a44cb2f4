//! What an operator can set of inventory.

use crate::hold::HoldPolicy;

/// Settings of inventory.
#[derive(Debug, Clone, Default)]
pub struct InventoryConfig {
    /// The limits of holds.
    pub hold: HoldPolicy,
}
