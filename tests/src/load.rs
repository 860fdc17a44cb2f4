//! The load generator behind `berth-load`. It shares the machine with what it measures, so it is frugal: keep-alive
//! connections of its own, requests prepared before the clock starts, answers looked at no more than needed.
//!
//! * [`wire`]: one HTTP connection that sends prepared bytes; [`measure`]: many of them, and the times
//! * [`cast`]: people, seats and bookings to measure with; [`scenes`]: what is measured
//! * [`live`]: from the commit to a thousand subscribers; [`probe`]: what the disk alone allows
//! * [`siege`]: the worst documents, half-open connections, and honest clients among them

pub mod cast;
pub mod live;
pub mod measure;
pub mod probe;
pub mod scenes;
pub mod siege;
pub mod wire;
