//! The database of inventory. The only files that speak SQL.

pub mod catalogue;
pub mod import;
pub mod occupancy;
pub mod claim;
pub mod hold;
pub mod occurrence;
