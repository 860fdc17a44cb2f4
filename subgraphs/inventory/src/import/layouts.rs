//! The layout and fare file (TOML, described in docs/LAYOUTS-AND-FARES.md), and the choice it makes for a trip.

use std::collections::{BTreeSet, HashMap};

use berth_contracts::Currency;
use serde::Deserialize;
use uuid::Uuid;

use super::{ImportError, gtfs};
use crate::{
    fare::{ClassFare, Tariff, ZoneFare},
    layout::{Layout, LayoutPlan},
    trip::TravelMode,
};

const DEFAULTS: &str = include_str!("defaults.toml");

/// The file as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "layout")]
    layouts: Vec<LayoutPlan>,
    #[serde(default, rename = "fare")]
    fares: Vec<FarePlan>,
    #[serde(default, rename = "rule")]
    rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FarePlan {
    name: String,
    currency: String,
    #[serde(default)]
    round_to: Option<String>,
    classes: Vec<ClassPlan>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassPlan {
    class: String,
    name: Option<String>,
    base: String,
    per_km: String,
    #[serde(default = "hundred")]
    zone_percent: u16,
}

const fn hundred() -> u16 {
    100
}

/// Which trips get which layout, which fare, or both. Every condition that is given must hold.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    operator: Option<String>,
    mode: Option<TravelMode>,
    route_type: Option<u16>,
    route: Option<String>,
    train: Option<String>,
    time_zone: Option<String>,
    layout: Option<String>,
    fare: Option<String>,
}

/// What rules look at.
#[derive(Debug, Clone)]
pub struct Subject<'f> {
    /// Id and name of the operator.
    pub operator: [&'f str; 2],
    /// Mode.
    pub mode: TravelMode,
    /// GTFS route type.
    pub route_type: u16,
    /// Id, short and long name of the route.
    pub route: [&'f str; 3],
    /// Id and short name of the trip.
    pub train: [&'f str; 2],
    /// Zone of the feed.
    pub time_zone: &'f str,
}

/// Layouts, fares and rules, checked: every name that a rule uses exists.
#[derive(Debug)]
pub struct LayoutBook {
    layouts: HashMap<String, LayoutPlan>,
    tariffs: HashMap<String, Tariff>,
    rules: Vec<Rule>,
}

impl LayoutBook {
    /// The defaults, with an operator's own file before them.
    pub fn read(own: Option<&str>) -> Result<Self, ImportError> {
        let mut book = Self { layouts: HashMap::new(), tariffs: HashMap::new(), rules: Vec::new() };
        for text in own.into_iter().chain([DEFAULTS]) {
            let file: File = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
            book.add(file)?;
        }
        for rule in &book.rules {
            let known = rule.layout.as_ref().is_none_or(|name| book.layouts.contains_key(name))
                && rule.fare.as_ref().is_none_or(|name| book.tariffs.contains_key(name));
            if !known {
                let names = rule.layout.iter().chain(&rule.fare).cloned().collect::<Vec<_>>().join(" or ");
                return Err(wrong(format!("a rule names {names}, which is not defined")));
            }
        }
        Ok(book)
    }

    /// What is there already stays: an operator's own layout may have the name of a default.
    fn add(&mut self, file: File) -> Result<(), ImportError> {
        for plan in file.layouts {
            Layout::build(Uuid::nil(), &plan)?;
            self.layouts.entry(plan.name.clone()).or_insert(plan);
        }
        for plan in file.fares {
            let tariff = tariff(&plan)?;
            self.tariffs.entry(plan.name).or_insert(tariff);
        }
        self.rules.extend(file.rules);
        Ok(())
    }

    /// The layout for a trip: that of the first rule that fits and names one.
    pub fn layout(&self, subject: &Subject<'_>) -> Result<&LayoutPlan, ImportError> {
        let name = self.rules.iter().filter(|rule| rule.fits(subject)).find_map(|rule| rule.layout.as_ref());
        name.and_then(|name| self.layouts.get(name)).ok_or_else(|| wrong("no rule gives a layout".to_owned()))
    }

    /// The fare for a trip, found the same way.
    pub fn tariff(&self, subject: &Subject<'_>) -> Result<&Tariff, ImportError> {
        let name = self.rules.iter().filter(|rule| rule.fits(subject)).find_map(|rule| rule.fare.as_ref());
        name.and_then(|name| self.tariffs.get(name)).ok_or_else(|| wrong("no rule gives a fare".to_owned()))
    }
}

fn wrong(reason: String) -> ImportError {
    ImportError::Layouts(reason)
}

impl Rule {
    fn fits(&self, subject: &Subject<'_>) -> bool {
        let any = |pattern: &Option<String>, texts: &[&str]| {
            pattern.as_ref().is_none_or(|pattern| texts.iter().any(|text| like(pattern, text)))
        };
        self.mode.is_none_or(|mode| mode == subject.mode)
            && self.route_type.is_none_or(|route_type| route_type == subject.route_type)
            && any(&self.operator, &subject.operator)
            && any(&self.route, &subject.route)
            && any(&self.time_zone, &[subject.time_zone])
            && (any(&self.train, &subject.train) || self.train.as_ref().is_some_and(|train| has_number(subject, train)))
    }
}

/// A rule for train 8 finds `Argo Lawu 8`.
fn has_number(subject: &Subject<'_>, train: &str) -> bool {
    train.bytes().all(|byte| byte.is_ascii_digit()) && subject.train[1].split_whitespace().any(|word| word == train)
}

/// Whether a text fits a pattern in which `*` stands for anything; case does not matter.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn tariff(plan: &FarePlan) -> Result<Tariff, ImportError> {
    let currency = Currency::parse(&plan.currency).map_err(|_| wrong(format!("{} is no currency", plan.currency)))?;
    let amount = |text: &str, finer: u32| {
        let amount = decimal(text, currency.exponent() + finer);
        amount.ok_or_else(|| wrong(format!("fare {}: {text} is no amount of {}", plan.name, plan.currency)))
    };
    let class = |class: &ClassPlan| {
        Ok(ClassFare {
            class: class.class.clone(),
            name: class.name.clone().unwrap_or_else(|| class.class.clone()),
            base_minor: amount(&class.base, 0)?,
            per_1000_km_minor: amount(&class.per_km, 3)?,
            zone_percent: i64::from(class.zone_percent),
        })
    };
    if plan.classes.is_empty() {
        return Err(wrong(format!("fare {} has no class", plan.name)));
    }
    let round_to_minor = plan.round_to.as_deref().map_or(Ok(1), |text| amount(text, 0))?.max(1);
    let classes = plan.classes.iter().map(class).collect::<Result<_, ImportError>>()?;
    Ok(Tariff { name: plan.name.clone(), currency, round_to_minor, classes, zone_fares: Vec::new() })
}

/// A decimal text as a whole number of 10^-digits; `None` when it has more digits, a sign, or is too large.
fn decimal(text: &str, digits: u32) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let only_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let spare = usize::try_from(digits).ok()?.checked_sub(fraction.trim_end_matches('0').len())?;
    if whole.is_empty() || !only_digits(whole) || !only_digits(fraction) {
        return None;
    }
    let text = format!("{whole}{}{}", fraction.trim_end_matches('0'), "0".repeat(spare));
    text.parse().ok()
}

/// A tariff with the feed's own fares for a route, if it has any. They decide the currency: amounts by distance stand
/// in another, so where no fare fits the dearest one is asked.
pub fn with_feed_fares(tariff: &Tariff, feed: &gtfs::Feed, route_id: &str) -> Result<Tariff, ImportError> {
    let agency = feed.routes.get(route_id).map(|route| route.agency);
    let for_route = |fare: &&gtfs::Fare| {
        let applies = |rule: &gtfs::FareRule| rule.route_id.as_deref().is_none_or(|id| id == route_id);
        (fare.agency.is_none() || fare.agency == agency) && (fare.rules.is_empty() || fare.rules.iter().any(applies))
    };
    let fares: Vec<&gtfs::Fare> = feed.fares.iter().filter(for_route).collect();
    let Some(first) = fares.first() else { return Ok(tariff.clone()) };
    let bad = |fare: &gtfs::Fare, what: &str| ImportError::Field {
        file: "fare_attributes.txt",
        line: fare.line,
        column: "price",
        value: what.to_owned(),
        expected: "an amount of a known currency",
    };
    let currency = Currency::parse(&first.currency).map_err(|_| bad(first, &first.currency))?;
    let mut zone_fares = Vec::new();
    for fare in fares.iter().filter(|fare| fare.currency == first.currency) {
        let price_minor = decimal(&fare.price, currency.exponent()).ok_or_else(|| bad(fare, &fare.price))?;
        zone_fares.extend(zones_of(fare, route_id, price_minor));
    }
    let mut tariff = Tariff { zone_fares, ..tariff.clone() };
    if tariff.currency != currency {
        let dearest = tariff.zone_fares.iter().map(|fare| fare.price_minor).max().unwrap_or(0);
        tariff.currency = currency;
        for class in &mut tariff.classes {
            class.base_minor = dearest.saturating_mul(class.zone_percent) / 100;
            class.per_1000_km_minor = 0;
        }
    }
    // Fares of a feed are exact.
    tariff.round_to_minor = 1;
    Ok(tariff)
}

/// The places where a fare applies. Rules that name passed zones belong together: all of them must be passed.
fn zones_of(fare: &gtfs::Fare, route_id: &str, price_minor: i64) -> Vec<ZoneFare> {
    let everywhere = ZoneFare { price_minor, origin: None, destination: None, contains: BTreeSet::new() };
    if fare.rules.is_empty() {
        return vec![everywhere];
    }
    let mut places: Vec<ZoneFare> = Vec::new();
    for rule in fare.rules.iter().filter(|rule| rule.route_id.as_deref().is_none_or(|id| id == route_id)) {
        let alike = |place: &&mut ZoneFare| {
            rule.contains.is_some()
                && !place.contains.is_empty()
                && (&place.origin, &place.destination) == (&rule.origin, &rule.destination)
        };
        match (places.iter_mut().find(alike), &rule.contains) {
            (Some(place), Some(zone)) => drop(place.contains.insert(zone.clone())),
            _ => places.push(ZoneFare {
                origin: rule.origin.clone(),
                destination: rule.destination.clone(),
                contains: rule.contains.iter().cloned().collect(),
                ..everywhere.clone()
            }),
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject<'f>() -> Subject<'f> {
        Subject {
            operator: ["KAI", "Kereta Api Indonesia"],
            mode: TravelMode::Rail,
            route_type: 2,
            route: ["r1", "AL", "Argo Lawu"],
            train: ["t8", "Argo Lawu 8"],
            time_zone: "Asia/Jakarta",
        }
    }

    fn layout_of(rule: &str) -> String {
        let own = format!(
            "[[layout]]\nname = 'own'\n[[layout.cars]]\nlabel = '1'\nclass = 'economy'\nrows = 1\ncolumns = 'A'\n[[rule]]\nlayout = 'own'\n{rule}"
        );
        LayoutBook::read(Some(&own)).unwrap().layout(&subject()).unwrap().name.clone()
    }

    #[test]
    fn rules_choose_by_every_condition() {
        for fits in [
            "",
            "operator = 'kai'",
            "operator = '*indonesia'",
            "route = 'argo*'",
            "train = '8'",
            "train = 't8'",
            "route_type = 2",
            "mode = 'rail'\ntime_zone = 'Asia/*'",
            "train = '*Lawu*'",
        ] {
            assert_eq!(layout_of(fits), "own", "{fits}");
        }
        for fails in ["operator = 'DAMRI'", "train = '9'", "mode = 'bus'", "route = 'argo'", "mode = 'rail'\nroute_type = 100"] {
            assert_eq!(layout_of(fails), "default-rail", "{fails}");
        }
    }

    #[test]
    fn the_default_fare_can_be_paid_anywhere() {
        let book = LayoutBook::read(None).unwrap();
        let currency = |time_zone| book.tariff(&Subject { time_zone, ..subject() }).unwrap().currency.code().to_owned();
        assert_eq!(currency("Asia/Jakarta"), "IDR");
        assert_eq!(currency("Europe/Bratislava"), "IDR");
        assert_eq!(currency("America/Toronto"), "IDR");
    }

    #[test]
    fn a_wrong_file_is_refused() {
        for (text, reason) in [
            ("[[rule]]\nlayout = 'gone'", "gone, which is not defined"),
            ("[[rule]]\ncolour = 'red'", "unknown field `colour`"),
            ("[[fare]]\nname = 'x'\ncurrency = 'rupiah'\nclasses = []", "rupiah is no currency"),
            ("[[fare]]\nname = 'x'\ncurrency = 'IDR'\nclasses = []", "has no class"),
            (
                "[[fare]]\nname = 'x'\ncurrency = 'EUR'\nclasses = [{ class = 'e', base = '1.005', per_km = '1' }]",
                "1.005 is no amount of EUR",
            ),
            ("[[layout]]\nname = 'x'\ncars = []", "has no seat"),
        ] {
            let error = LayoutBook::read(Some(text)).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn amounts_are_exact() {
        assert_eq!(decimal("12.50", 2), Some(1250));
        assert_eq!(decimal("12", 0), Some(12));
        assert_eq!(decimal("0.0855", 5), Some(8550));
        for nonsense in ["", ".5", "-1", "1e3", "1.005", "1,5", "99999999999999999999"] {
            assert_eq!(decimal(nonsense, 2), None, "{nonsense}");
        }
    }
}
