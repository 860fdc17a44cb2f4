//! Service days: days since 1970-01-01 in 16 bits, the set of days a service runs, and where such a day begins.

use std::fmt::Write;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

const EPOCH_CE: i32 = 719_163;

/// The number of a date, if it lies between 1970 and 2149.
pub fn day_of(date: NaiveDate) -> Option<u16> {
    u16::try_from(date.num_days_from_ce() - EPOCH_CE).ok()
}

/// The number of a date; dates outside 1970 to 2149 become the nearest day inside.
pub fn clamped_day_of(date: NaiveDate) -> u16 {
    let number = (date.num_days_from_ce() - EPOCH_CE).clamp(0, i32::from(u16::MAX));
    u16::try_from(number).unwrap_or(u16::MAX)
}

/// The date with this number.
pub fn date_of(day: u16) -> NaiveDate {
    NaiveDate::from_num_days_from_ce_opt(EPOCH_CE + i32::from(day)).unwrap_or(NaiveDate::MIN)
}

/// The date on a zone's clocks at an instant.
pub fn day_at(instant: DateTime<Utc>, zone: Tz) -> u16 {
    clamped_day_of(instant.with_timezone(&zone).date_naive())
}

/// Where a service day begins: noon on the zone's clock minus 12 hours. That is midnight, except on the two
/// days of the year when the clocks change; so the hours of a timetable are never ambiguous.
pub fn day_start(day: u16, zone: Tz) -> DateTime<Utc> {
    let noon = NaiveDateTime::new(date_of(day), NaiveTime::from_hms_opt(12, 0, 0).unwrap_or(NaiveTime::MIN));
    let instant = zone.from_local_datetime(&noon).earliest().map_or_else(|| noon.and_utc(), |noon| noon.to_utc());
    instant - TimeDelta::hours(12)
}

/// How many days to move a feed whose first service date is `first`, so that it falls in the week (Monday to Sunday)
/// of `start`. Always a multiple of seven: weekday patterns stay true.
pub fn whole_week_shift(first: u16, start: u16) -> i32 {
    monday(start) - monday(first)
}

/// The Monday of a day's week. Day 0, 1970-01-01, was a Thursday.
fn monday(day: u16) -> i32 {
    let day = i32::from(day);
    day - (day + 3).rem_euclid(7)
}

/// The set of days on which a service runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ServiceDays {
    first: u16,
    bits: Vec<u8>,
}

impl ServiceDays {
    /// The set of these days, in any order.
    pub fn from_days(mut days: Vec<u16>) -> Self {
        days.sort_unstable();
        let (Some(&first), Some(&last)) = (days.first(), days.last()) else { return Self::default() };
        let mut bits = vec![0_u8; usize::from(last - first) / 8 + 1];
        for day in days {
            let offset = usize::from(day - first);
            bits[offset / 8] |= 1 << (offset % 8);
        }
        Self { first, bits }
    }

    /// Reads what [`Self::bits`] gave.
    pub fn from_bits(first: u16, bits: Vec<u8>) -> Self {
        Self { first, bits }
    }

    /// First day of the set, and one bit per day from it on.
    pub fn bits(&self) -> (u16, &[u8]) {
        (self.first, &self.bits)
    }

    /// Whether the service runs on a day.
    pub fn contains(&self, day: u16) -> bool {
        let Some(offset) = day.checked_sub(self.first).map(usize::from) else { return false };
        self.bits.get(offset / 8).is_some_and(|byte| byte & (1 << (offset % 8)) != 0)
    }

    /// The days, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u16> + '_ {
        (0..self.bits.len() * 8)
            .filter(|offset| self.bits[offset / 8] & (1 << (offset % 8)) != 0)
            .filter_map(|offset| u16::try_from(offset).ok().and_then(|offset| self.first.checked_add(offset)))
    }

    /// First and last day; `None` when it never runs.
    pub fn span(&self) -> Option<(u16, u16)> {
        Some((self.iter().next()?, self.iter().next_back()?))
    }

    /// The same pattern some days later or earlier; days that leave the calendar are dropped.
    #[must_use]
    pub fn shifted(&self, by: i32) -> Self {
        Self::from_days(self.iter().filter_map(|day| u16::try_from(i32::from(day) + by).ok()).collect())
    }

    /// The bits of [`Self::bits`] in hexadecimal.
    pub fn hex(&self) -> String {
        let mut text = String::with_capacity(self.bits.len() * 2);
        for byte in &self.bits {
            // Writing to a String can't fail.
            let _written = write!(text, "{byte:02x}");
        }
        text
    }
}

/// Every day from `first` to `last` whose weekday (Monday is bit 0) is in `weekdays`, within 1970 to 2149.
pub fn weekly(first: NaiveDate, last: NaiveDate, weekdays: u8) -> Vec<u16> {
    // Day 0, 1970-01-01, was a Thursday.
    let wanted = |day: &u16| weekdays & (1 << ((u32::from(*day) + 3) % 7)) != 0;
    (clamped_day_of(first)..=clamped_day_of(last)).filter(wanted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono_tz::{America::New_York, Asia::Jakarta, Europe::Bratislava};
    use proptest::prelude::*;

    fn day(text: &str) -> u16 {
        day_of(text.parse().unwrap()).unwrap()
    }

    #[test]
    fn days_are_numbered_from_1970() {
        assert_eq!(day("1970-01-01"), 0);
        assert_eq!(date_of(day("2026-11-21")).to_string(), "2026-11-21");
        assert_eq!(day_of("1969-12-31".parse().unwrap()), None);
        assert_eq!(day_of("2149-06-06".parse().unwrap()), Some(u16::MAX));
        assert_eq!(day_of("2149-06-07".parse().unwrap()), None);
    }

    #[test]
    fn a_day_begins_twelve_hours_before_noon() {
        assert_eq!(day_start(day("2026-11-21"), Jakarta).to_rfc3339(), "2026-11-20T17:00:00+00:00");
        // Clocks go forward at 02:00 on 2026-03-29: the service day begins at 23:00 of the evening before.
        assert_eq!(day_start(day("2026-03-29"), Bratislava).to_rfc3339(), "2026-03-28T22:00:00+00:00");
        // Clocks go back on 2026-11-01: it begins at 01:00 summer time.
        assert_eq!(day_start(day("2026-11-01"), New_York).to_rfc3339(), "2026-11-01T05:00:00+00:00");
    }

    #[test]
    fn a_shift_is_whole_weeks() {
        // Monday 2025-02-03 to Monday 2026-11-23.
        assert_eq!(whole_week_shift(day("2025-02-03"), day("2026-11-23")), i32::from(day("2026-11-23") - day("2025-02-03")));
        // A feed that begins on a Wednesday begins on the Wednesday of whatever week is asked for.
        let wednesday = day("2025-02-05");
        assert_eq!(i32::from(wednesday) + whole_week_shift(wednesday, day("2026-11-23")), i32::from(day("2026-11-25")));
        assert_eq!(i32::from(wednesday) + whole_week_shift(wednesday, day("2026-11-29")), i32::from(day("2026-11-25")));
    }

    #[test]
    fn weekly_keeps_the_weekdays() {
        let days = weekly("2026-11-16".parse().unwrap(), "2026-11-29".parse().unwrap(), 0b110_0000);
        assert_eq!(days, [day("2026-11-21"), day("2026-11-22"), day("2026-11-28"), day("2026-11-29")]);
    }

    proptest! {
        #[test]
        fn a_set_holds_exactly_its_days(days in proptest::collection::btree_set(0_u16..60_000, 0..40), probe in 0_u16..60_000) {
            let set = ServiceDays::from_days(days.iter().copied().collect());
            prop_assert_eq!(set.iter().collect::<Vec<_>>(), days.iter().copied().collect::<Vec<_>>());
            prop_assert_eq!(set.contains(probe), days.contains(&probe));
            let (first, bits) = set.bits();
            prop_assert_eq!(&ServiceDays::from_bits(first, bits.to_vec()), &set);
        }

        #[test]
        fn a_shift_keeps_weekdays(first in 400_u16..60_000, start in 400_u16..60_000) {
            let shift = whole_week_shift(first, start);
            prop_assert_eq!(shift % 7, 0);
            let moved = i32::from(first) + shift;
            prop_assert_eq!(monday(start), moved - (moved + 3).rem_euclid(7));
        }
    }
}
