//! Fares: what a seat of a class costs between two stops. By distance, or by the zones of a feed's own fares.
//! Prices come from here only; a price a client sends is never used.

use std::collections::BTreeSet;

use berth_contracts::{Currency, Money};
use serde::{Deserialize, Serialize};

/// Prices of one kind of train, immutable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tariff {
    /// Name, by which rules refer to it.
    pub name: String,
    /// ISO 4217 code.
    pub currency: Currency,
    /// Prices are rounded up to a multiple of this many minor units; at least 1.
    pub round_to_minor: i64,
    /// Fares per class. A class that is not listed has the last one's.
    pub classes: Vec<ClassFare>,
    /// The feed's own fares for this route; the cheapest that fits goes before the distance.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub zone_fares: Vec<ZoneFare>,
}

/// The fare of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassFare {
    /// The class.
    pub class: String,
    /// Name shown to people: `Executive`.
    pub name: String,
    /// Minor units to begin with.
    pub base_minor: i64,
    /// Minor units per thousand kilometres: three digits finer than a price per kilometre in minor units.
    pub per_1000_km_minor: i64,
    /// Per cent of the feed's own fare, where the feed has fares.
    #[serde(default = "hundred")]
    pub zone_percent: i64,
}

const fn hundred() -> i64 {
    100
}

/// A fare of the feed (`fare_attributes.txt`) with where it applies (`fare_rules.txt`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneFare {
    /// Minor units.
    pub price_minor: i64,
    /// Zone of the first stop; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Zone of the last stop; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Exactly the zones that are passed; empty: any.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub contains: BTreeSet<String>,
}

/// The part of a trip that is priced.
pub struct Journey<'t> {
    /// Metres.
    pub distance_m: u32,
    /// Zone of each stop, from the first to the last.
    pub zones: Vec<Option<&'t str>>,
}

impl Tariff {
    /// The fare's name for a class.
    pub fn fare_name<'t>(&'t self, class: &'t str) -> &'t str {
        self.classes.iter().find(|fare| fare.class.eq_ignore_ascii_case(class)).map_or(class, |fare| &fare.name)
    }

    /// The price of one seat.
    pub fn price(&self, class: &str, journey: &Journey<'_>) -> Money {
        let fare = self.classes.iter().find(|fare| fare.class.eq_ignore_ascii_case(class)).or(self.classes.last());
        let percent = fare.map_or(100, |fare| fare.zone_percent);
        let minor = match self.zone_price(journey) {
            Some(zone) => i128::from(zone) * i128::from(percent) / 100,
            None => fare.map_or(0, |fare| by_distance(fare, journey.distance_m)),
        };
        Money::new(round_up(minor, self.round_to_minor), self.currency)
    }

    fn zone_price(&self, journey: &Journey<'_>) -> Option<i64> {
        self.zone_fares.iter().filter(|fare| fare.fits(journey)).map(|fare| fare.price_minor).min()
    }
}

impl ZoneFare {
    fn fits(&self, journey: &Journey<'_>) -> bool {
        let at = |wanted: &Option<String>, zone: Option<&str>| wanted.is_none() || zone == wanted.as_deref();
        at(&self.origin, journey.zones.first().copied().flatten())
            && at(&self.destination, journey.zones.last().copied().flatten())
            && (self.contains.is_empty()
                || journey.zones.iter().flatten().copied().collect::<BTreeSet<_>>()
                    == self.contains.iter().map(String::as_str).collect())
    }
}

fn by_distance(fare: &ClassFare, distance_m: u32) -> i128 {
    i128::from(fare.base_minor) + i128::from(fare.per_1000_km_minor) * i128::from(distance_m) / 1_000_000
}

/// Up to the next multiple, and within 0 and the range of 64 bits.
fn round_up(minor: i128, step: i64) -> i64 {
    let step = i128::from(step.max(1));
    let rounded = (minor.max(0) + step - 1) / step * step;
    i64::try_from(rounded).unwrap_or(i64::MAX)
}

/// Great-circle distance in metres between two points in degrees.
pub fn great_circle_m(from: (f64, f64), to: (f64, f64)) -> f64 {
    const EARTH_RADIUS_M: f64 = 6_371_008.8;
    let (lat1, lat2) = (from.0.to_radians(), to.0.to_radians());
    let (half_lat, half_lon) = ((lat2 - lat1) / 2.0, (to.1 - from.1).to_radians() / 2.0);
    let chord = half_lat.sin().powi(2) + lat1.cos() * lat2.cos() * half_lon.sin().powi(2);
    2.0 * EARTH_RADIUS_M * chord.sqrt().min(1.0).asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tariff() -> Tariff {
        let class = |class: &str, base_minor, per_km_minor: i64, zone_percent| ClassFare {
            class: class.into(),
            name: class.to_uppercase(),
            base_minor,
            per_1000_km_minor: per_km_minor * 1000,
            zone_percent,
        };
        Tariff {
            name: "t".into(),
            currency: Currency::IDR,
            round_to_minor: 500_000,
            classes: vec![class("executive", 5_000_000, 60_000, 150), class("economy", 2_000_000, 25_000, 100)],
            zone_fares: vec![],
        }
    }

    fn km(distance_m: u32) -> Journey<'static> {
        Journey { distance_m, zones: vec![] }
    }

    #[test]
    fn distance_fares_are_rounded_up() {
        // Rp 50,000 and Rp 600 a km over 219 km: Rp 181,400, up to the next Rp 5,000.
        assert_eq!(tariff().price("Executive", &km(219_000)).amount_minor, 18_500_000);
        assert_eq!(tariff().price("economy", &km(0)).amount_minor, 2_000_000);
        // A class nobody priced costs what the last one does.
        assert_eq!(tariff().price("cattle", &km(0)).amount_minor, 2_000_000);
    }

    #[test]
    fn zone_fares_go_first_and_the_cheapest_wins() {
        let fare = |price_minor, origin: Option<&str>, contains: &[&str]| ZoneFare {
            price_minor,
            origin: origin.map(str::to_owned),
            destination: None,
            contains: contains.iter().map(|&zone| zone.to_owned()).collect(),
        };
        let tariff = Tariff {
            round_to_minor: 1,
            zone_fares: vec![fare(300, Some("A"), &[]), fare(200, None, &["A", "B"]), fare(100, None, &["A", "B", "C"])],
            ..tariff()
        };
        let journey = |zones: &[&'static str]| Journey { distance_m: 1, zones: zones.iter().map(|&zone| Some(zone)).collect() };
        assert_eq!(tariff.price("economy", &journey(&["A", "B"])).amount_minor, 200);
        assert_eq!(tariff.price("executive", &journey(&["A", "B"])).amount_minor, 300);
        assert_eq!(tariff.price("economy", &journey(&["A", "D"])).amount_minor, 300);
        assert_eq!(tariff.price("economy", &journey(&["A", "B", "C"])).amount_minor, 100);
        // No zone fare fits: by distance.
        assert_eq!(tariff.price("economy", &journey(&["D"])).amount_minor, 2_000_025);
    }

    #[test]
    fn no_price_overflows() {
        let mut dear = tariff();
        dear.classes[1].per_1000_km_minor = i64::MAX;
        assert_eq!(dear.price("economy", &km(u32::MAX)).amount_minor, i64::MAX);
    }

    #[test]
    fn jakarta_to_bandung_is_some_118_km() {
        let distance = great_circle_m((-6.1767, 106.8306), (-6.9125, 107.6022));
        assert!((115_000.0..121_000.0).contains(&distance), "{distance}");
        assert!(great_circle_m((0.0, 0.0), (0.0, 180.0)) > 20_000_000.0);
    }
}
