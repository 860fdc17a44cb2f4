//! What an operator can set of inventory.

use crate::hold::HoldPolicy;

/// Settings of inventory.
#[derive(Debug, Clone)]
pub struct InventoryConfig {
    /// The limits of holds.
    pub hold: HoldPolicy,
    /// Whether expired holds are swept. A hold is dead at its deadline without it; live views then learn of it late.
    pub sweep: bool,
}

impl Default for InventoryConfig {
    fn default() -> Self {
        Self { hold: HoldPolicy::default(), sweep: true }
    }
}
