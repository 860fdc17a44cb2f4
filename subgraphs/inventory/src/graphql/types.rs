//! Types of the graph, one file per noun.

pub mod availability;
pub mod hold;
pub mod node;
pub mod refusal;
pub mod search;
pub mod seat;
pub mod station;
pub mod trip;
