//! Types of the graph, one file per noun.

pub mod node;
pub mod search;
pub mod seat;
pub mod station;
pub mod trip;
