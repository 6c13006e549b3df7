//! Turns the text of a schedule and a time zone into due times, exact over every change of the clocks.
//!
//! Apart from the planner because the dialect, the zones and their gaps and folds are hard enough alone. The text is
//! parsed and searched by `croner`, but only ever on local times without a zone: its own way over a change of the
//! clocks loses runs, and inside the second fold it answers with a time in the past.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, FixedOffset, NaiveDateTime, Offset, SubsecRound, TimeDelta, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};
use croner::parser::{CronParser, Seconds, Year};

/// A schedule in a time zone.
///
/// The dialect: five fields (minute, hour, day of the month, month, day of the week), or six with the second first, or
/// one of `@hourly @daily @midnight @weekly @monthly @yearly @annually`. Where both the day of the month and the day of
/// the week are given, either is enough (POSIX).
///
/// Over a change of the clocks the rules are Vixie's, with the second as a third field of the time of day:
///
/// - a `*` in the second, the minute or the hour (`*/20 * * * *`, `0 * * * *`) means a *rhythm*: it follows the
///   instants as they come, so what the clocks skip is skipped and what they repeat is run again;
/// - no `*` there (`30 2 * * *`, `0,30 1-3 * * *`) means *times of day*: one that the clocks skip runs once, at the
///   first instant after the gap (several skipped ones together once), and one that they repeat runs the first time only.
#[derive(Clone)]
pub struct Cron {
    text: String,
    zone: Tz,
    rhythm: bool,
    names_seconds: bool,
    /// Shared by the copies, because it is five kilobytes.
    pattern: Arc<croner::Cron>,
}

/// Why a schedule is refused. It never repeats the text, in whose place a secret may stand by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Neither five nor six fields.
    #[error(
        "a schedule has 5 fields (minute, hour, day of the month, month, day of the week) or 6 (the second first), \
         not {found}; for example `0 7 * * *` is each day at 07:00"
    )]
    FieldCount {
        /// How many fields there are.
        found: usize,
    },
    /// An unknown name.
    #[error(
        "the named schedules are @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually; \
         `0 7 * * *` is each day at 07:00"
    )]
    Nickname,
    /// One field is not understood.
    #[error(
        "field {number} ({name}) is not understood: allowed are {allowed}, `*`, lists (`,`), upward ranges (`-`) and \
         steps (`/`); for example {example}"
    )]
    Field {
        /// The place of the field as written, counted from 1.
        number: usize,
        /// What the field stands for.
        name: &'static str,
        /// The values it may have.
        allowed: &'static str,
        /// One that is good, with its meaning.
        example: &'static str,
    },
    /// Every field is good, but no such day exists.
    #[error(
        "no such day ever comes (like 31 February); for example `0 3 L * *` is the last day of each month at 03:00"
    )]
    NeverComes,
}

struct Field {
    name: &'static str,
    allowed: &'static str,
    example: &'static str,
    /// The words it may hold. `croner` would replace them in any field, and read `JAN` as hour 1.
    words: &'static [&'static str],
}

/// The fields in their order; five-field texts begin at the minute.
const FIELDS: [Field; 6] = [
    Field { name: "second", allowed: "0 to 59", example: "`*/15`, each 15 seconds", words: &[] },
    Field { name: "minute", allowed: "0 to 59", example: "`*/15`, each 15 minutes", words: &[] },
    Field { name: "hour", allowed: "0 to 23", example: "`9-17`, each hour from 09 to 17", words: &[] },
    Field {
        name: "day of the month",
        allowed: "1 to 31, L (the last), 15W (the working day nearest the 15th)",
        example: "`1,15`, the first and the fifteenth",
        words: &["L", "W"],
    },
    Field {
        name: "month",
        allowed: "1 to 12 or JAN to DEC",
        example: "`*/3`, the first month of each quarter",
        words: &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    },
    Field {
        name: "day of the week",
        allowed: "0 to 7 or SUN to SAT (0 and 7 are Sunday), FRI#2 (the second Friday), FRI#L (the last)",
        example: "`MON-FRI`, the working days",
        words: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT", "L"],
    },
];

impl Cron {
    /// Reads a schedule; its due times are in `zone`.
    ///
    /// # Errors
    /// What is wrong and what is allowed, in words; the text itself is never repeated.
    pub fn parse(text: &str, zone: Tz) -> Result<Self, CronError> {
        let fields = fields(text)?;
        let first = FIELDS.len() - fields.len();
        let speaks = fields.iter().enumerate().all(|(index, written)| has_own_words(written, first + index));
        let pattern = speaks.then(|| parser().parse(&with_second(&fields)).ok()).flatten();
        let pattern = pattern.ok_or_else(|| wrong_field(&fields))?;
        let cron = Self {
            text: text.split_whitespace().collect::<Vec<_>>().join(" "),
            zone,
            rhythm: fields[..3 - first].iter().any(|field| field.contains('*')),
            names_seconds: first == 0 && fields[0].parse() != Ok(0_u8),
            pattern: Arc::new(pattern),
        };
        let long_ago = DateTime::UNIX_EPOCH.naive_utc();
        cron.local_from(long_ago).map(|_| cron).ok_or(CronError::NeverComes)
    }

    /// The first due time strictly later than `now`; `None` only if none comes before the year 5000.
    pub fn next_after(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let now = now.trunc_subsecs(0);
        if self.rhythm { self.next_of_rhythm(now) } else { self.next_time_of_day(now) }
    }

    /// Whether it can be due at another second than 0, and so needs a tick each second.
    pub fn names_seconds(&self) -> bool {
        self.names_seconds
    }

    /// The text as it was written, with single blanks.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The zone the text is read in.
    pub fn zone(&self) -> Tz {
        self.zone
    }

    /// Between two changes of the offset local time and UTC run in step, so the pattern is searched in local time as
    /// far as the next change, and from there on again with the new offset.
    fn next_of_rhythm(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut from = now + SECOND;
        loop {
            let offset = self.offset(from);
            let candidate = (self.local_from(from.naive_utc() + offset)? - offset).and_utc();
            match self.change_between(from, candidate) {
                Some(change) => from = change,
                None => return Some(candidate),
            }
        }
    }

    /// Instants never decrease with the local times they belong to, so the first local time that leads past `now` is
    /// the answer. More than one is tried only in the second fold, where the ones to come were run in the first.
    fn next_time_of_day(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut local = now.naive_utc() + self.offset(now);
        loop {
            local = self.local_from(local + SECOND)?;
            let instant = self.instant(local)?;
            if instant > now {
                return Some(instant);
            }
        }
    }

    /// The first local time of the pattern that is not before `local`.
    fn local_from(&self, local: NaiveDateTime) -> Option<NaiveDateTime> {
        // To croner it is a time in UTC, where the clocks never change.
        self.pattern.find_next_occurrence(&local.and_utc(), true).ok().map(|found| found.naive_utc())
    }

    /// When the clocks show `local` for the first time; in a gap, the first instant after it.
    fn instant(&self, local: NaiveDateTime) -> Option<DateTime<Utc>> {
        let shown = self.zone.from_local_datetime(&local).earliest();
        let instant = shown.or_else(|| GapInfo::new(&local, &self.zone)?.end)?;
        Some(instant.with_timezone(&Utc))
    }

    fn offset(&self, instant: DateTime<Utc>) -> FixedOffset {
        self.zone.offset_from_utc_datetime(&instant.naive_utc()).fix()
    }

    /// The first instant in `(from, until]` at which the offset is no longer that of `from`.
    fn change_between(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let offset = self.offset(from);
        let mut same = from;
        while same < until {
            // No zone leaves an offset and comes back to it within a day.
            let probe = until.min(same + DAY);
            if self.offset(probe) != offset {
                return Some(self.change_in(same, probe));
            }
            same = probe;
        }
        None
    }

    /// Halves the way between an instant before a change and one after it, down to the second.
    fn change_in(&self, mut before: DateTime<Utc>, mut after: DateTime<Utc>) -> DateTime<Utc> {
        let offset = self.offset(before);
        while after - before > SECOND {
            let middle = before + TimeDelta::seconds((after - before).num_seconds() / 2);
            if self.offset(middle) == offset {
                before = middle;
            } else {
                after = middle;
            }
        }
        after
    }
}

const SECOND: TimeDelta = TimeDelta::seconds(1);
const DAY: TimeDelta = TimeDelta::days(1);

/// Five or six fields; a name is replaced by what it stands for.
fn fields(text: &str) -> Result<Vec<&str>, CronError> {
    let text = text.trim();
    let text = match text.to_ascii_lowercase().as_str() {
        "@hourly" => "0 * * * *",
        "@daily" | "@midnight" => "0 0 * * *",
        "@weekly" => "0 0 * * 0",
        "@monthly" => "0 0 1 * *",
        "@yearly" | "@annually" => "0 0 1 1 *",
        other if other.starts_with('@') => return Err(CronError::Nickname),
        _ => text,
    };
    let fields: Vec<&str> = text.split_whitespace().collect();
    match fields.len() {
        5 | 6 => Ok(fields),
        found => Err(CronError::FieldCount { found }),
    }
}

/// Names the first field that is not understood alone, with `*` everywhere else: croner's own messages repeat the text
/// and count no fields.
fn wrong_field(fields: &[&str]) -> CronError {
    let first = FIELDS.len() - fields.len();
    let is_wrong = |(index, written): (usize, &&str)| {
        let mut alone = ["*"; FIELDS.len()];
        alone[first + index] = written;
        !has_own_words(written, first + index) || parser().parse(&alone.join(" ")).is_err()
    };
    let index = fields.iter().enumerate().position(is_wrong).unwrap_or(0);
    let Field { name, allowed, example, .. } = FIELDS[first + index];
    CronError::Field { number: index + 1, name, allowed, example }
}

/// Whether the field has only its own words and no empty list item; croner accepts both in silence.
fn has_own_words(written: &str, position: usize) -> bool {
    let mut words = written.split(|letter: char| !letter.is_ascii_alphabetic()).filter(|word| !word.is_empty());
    written.is_ascii()
        && words.all(|word| FIELDS[position].words.contains(&word.to_ascii_uppercase().as_str()))
        && written.split(',').all(|part| !part.is_empty())
}

fn with_second(fields: &[&str]) -> String {
    let text = fields.join(" ");
    if fields.len() == FIELDS.len() { text } else { format!("0 {text}") }
}

fn parser() -> CronParser {
    CronParser::builder().seconds(Seconds::Required).year(Year::Disallowed).dom_and_dow(false).build()
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.zone) == (&other.text, other.zone)
    }
}

impl Eq for Cron {}

impl fmt::Display for Cron {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.text)
    }
}

impl fmt::Debug for Cron {
    /// Without the pattern, which is five kilobytes of bits.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Cron({} in {})", self.text, self.zone)
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Europe::Berlin;
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    /// The next `count` due times, as the clocks of the zone show them.
    fn next(text: &str, zone: Tz, now: &str, count: usize) -> Vec<String> {
        let cron = Cron::parse(text, zone).unwrap();
        let due = std::iter::successors(cron.next_after(at(now)), |last| cron.next_after(*last));
        due.take(count).map(|instant| instant.with_timezone(&zone).format("%a %d %b %H:%M:%S %z").to_string()).collect()
    }

    fn refusal(text: &str) -> CronError {
        Cron::parse(text, Tz::UTC).unwrap_err()
    }

    #[test]
    fn five_fields_are_read_in_the_zone() {
        assert_eq!(
            next("30 7 * * MON-FRI", Berlin, "2026-07-03T12:00:00Z", 2),
            ["Mon 06 Jul 07:30:00 +0200", "Tue 07 Jul 07:30:00 +0200"]
        );
    }

    #[test]
    fn six_fields_begin_with_the_second() {
        let cron = Cron::parse(" 15,45  * * * * * ", Tz::UTC).unwrap();
        assert!(cron.names_seconds());
        assert_eq!(cron.to_string(), "15,45 * * * * *");
        assert_eq!(cron.next_after(at("2026-01-01T00:00:15Z")), Some(at("2026-01-01T00:00:45Z")));
        assert!(!Cron::parse("0 */5 * * * *", Tz::UTC).unwrap().names_seconds());
        assert!(!Cron::parse("*/5 * * * *", Tz::UTC).unwrap().names_seconds());
    }

    #[test]
    fn names_stand_for_their_fields() {
        for (name, text) in [
            ("@hourly", "0 * * * *"),
            ("@Daily", "0 0 * * *"),
            ("@midnight", "0 0 * * *"),
            ("@weekly", "0 0 * * SUN"),
            ("@monthly", "0 0 1 * *"),
            ("@yearly", "0 0 1 1 *"),
            ("@annually", "0 0 1 1 *"),
        ] {
            let now = "2026-02-03T04:05:06Z";
            assert_eq!(next(name, Berlin, now, 3), next(text, Berlin, now, 3), "{name}");
            assert_eq!(Cron::parse(name, Berlin).unwrap().text(), name);
        }
    }

    #[test]
    fn a_day_of_the_month_or_a_day_of_the_week_is_enough() {
        assert_eq!(
            next("0 0 13 * FRI", Tz::UTC, "2026-10-31T00:00:00Z", 3),
            ["Fri 06 Nov 00:00:00 +0000", "Fri 13 Nov 00:00:00 +0000", "Fri 20 Nov 00:00:00 +0000"]
        );
    }

    #[test]
    fn the_answer_is_strictly_later_whatever_the_fraction_of_the_second() {
        let cron = Cron::parse("0 * * * *", Tz::UTC).unwrap();
        assert_eq!(cron.next_after(at("2026-01-01T09:59:59.999Z")), Some(at("2026-01-01T10:00:00Z")));
        assert_eq!(cron.next_after(at("2026-01-01T10:00:00Z")), Some(at("2026-01-01T11:00:00Z")));
        assert_eq!(cron.next_after(at("2026-01-01T10:00:00.001Z")), Some(at("2026-01-01T11:00:00Z")));
    }

    #[test]
    fn times_of_day_that_the_clocks_skip_run_once_after_the_gap() {
        assert_eq!(
            next("0,30 2 * * *", Berlin, "2027-03-27T12:00:00Z", 2),
            ["Sun 28 Mar 03:00:00 +0200", "Mon 29 Mar 02:00:00 +0200"]
        );
    }

    #[test]
    fn times_of_day_that_the_clocks_repeat_run_the_first_time_only() {
        assert_eq!(
            next("0,30 2 * * *", Berlin, "2026-10-24T12:00:00Z", 3),
            ["Sun 25 Oct 02:00:00 +0200", "Sun 25 Oct 02:30:00 +0200", "Mon 26 Oct 02:00:00 +0100"]
        );
    }

    #[test]
    fn a_rhythm_follows_the_instants_through_gap_and_fold() {
        assert_eq!(
            next("*/30 * * * *", Berlin, "2027-03-28T00:15:00Z", 2),
            ["Sun 28 Mar 01:30:00 +0100", "Sun 28 Mar 03:00:00 +0200"]
        );
        assert_eq!(
            next("*/30 2 * * *", Berlin, "2026-10-24T23:59:00Z", 4),
            [
                "Sun 25 Oct 02:00:00 +0200",
                "Sun 25 Oct 02:30:00 +0200",
                "Sun 25 Oct 02:00:00 +0100",
                "Sun 25 Oct 02:30:00 +0100"
            ]
        );
    }

    #[test]
    fn a_shift_of_half_an_hour_and_a_midnight_that_does_not_exist_are_exact() {
        assert_eq!(
            next("15 2 * * *", chrono_tz::Australia::Lord_Howe, "2026-10-03T12:00:00Z", 1),
            ["Sun 04 Oct 02:30:00 +1100"]
        );
        assert_eq!(
            next("@daily", chrono_tz::Africa::Cairo, "2026-04-23T12:00:00Z", 2),
            ["Fri 24 Apr 01:00:00 +0300", "Sat 25 Apr 00:00:00 +0300"]
        );
    }

    #[test]
    fn a_day_that_the_calendar_lost_runs_when_the_next_one_begins() {
        assert_eq!(
            next("0 12 * * *", chrono_tz::Pacific::Apia, "2011-12-30T00:00:00Z", 2),
            ["Sat 31 Dec 00:00:00 +1400", "Sat 31 Dec 12:00:00 +1400"]
        );
    }

    #[test]
    fn the_special_days_that_a_refusal_offers_are_understood() {
        for (text, day) in [
            ("0 0 L * *", "Sat 31 Oct 00:00:00 +0000"),
            ("0 0 15W * *", "Thu 15 Oct 00:00:00 +0000"),
            ("0 0 * * fri#2", "Fri 09 Oct 00:00:00 +0000"),
            ("0 0 * * FRI#L", "Fri 30 Oct 00:00:00 +0000"),
            ("0 0 13 * +FRI", "Fri 13 Nov 00:00:00 +0000"),
            ("0 0 * */3 7", "Sun 04 Oct 00:00:00 +0000"),
        ] {
            assert_eq!(next(text, Tz::UTC, "2026-10-01T00:00:00Z", 1), [day], "{text}");
        }
    }

    #[test]
    fn the_29th_of_february_comes() {
        assert_eq!(next("0 0 29 2 *", Tz::UTC, "2026-01-01T00:00:00Z", 1), ["Tue 29 Feb 00:00:00 +0000"]);
    }

    #[test]
    fn a_day_that_never_comes_is_refused() {
        assert_eq!(refusal("0 0 31 2 *"), CronError::NeverComes);
        assert_eq!(refusal("0 0 31 4,6,9,11 *"), CronError::NeverComes);
    }

    #[test]
    fn a_wrong_field_is_named_with_its_number_and_what_is_allowed() {
        assert_eq!(
            refusal("0 24 * * *").to_string(),
            "field 2 (hour) is not understood: allowed are 0 to 23, `*`, lists (`,`), upward ranges (`-`) and steps \
             (`/`); for example `9-17`, each hour from 09 to 17"
        );
        for (text, number, name) in [
            ("60 * * * * *", 1, "second"),
            ("0 60 * * * *", 2, "minute"),
            ("60 * * * *", 1, "minute"),
            ("1,,2 * * * *", 1, "minute"),
            ("*/0 * * * *", 1, "minute"),
            ("0 JAN * * *", 2, "hour"),
            ("0 0 32 * *", 3, "day of the month"),
            ("0 0 FEB * *", 3, "day of the month"),
            ("0 0 * MON *", 4, "month"),
            ("0 0 * * FRI-MON", 5, "day of the week"),
            ("0 0 * * SUNMON", 5, "day of the week"),
            ("0 0 * * \u{17f}un", 5, "day of the week"),
            ("? * * * *", 1, "minute"),
        ] {
            let CronError::Field { number: found_number, name: found_name, .. } = refusal(text) else {
                panic!("{text} was refused for something else");
            };
            assert_eq!((found_number, found_name), (number, name), "{text}");
        }
    }

    #[test]
    fn a_wrong_count_of_fields_says_how_many_there_are() {
        assert_eq!(refusal(""), CronError::FieldCount { found: 0 });
        assert_eq!(refusal("0 0 * *"), CronError::FieldCount { found: 4 });
        assert_eq!(refusal("0 0 0 1 1 * 2027"), CronError::FieldCount { found: 7 });
        assert_eq!(refusal("@reboot"), CronError::Nickname);
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_no_refusal_repeats_it(text in "[ -~]{0,40}|[*0-9,/A-Z# -]{5,20}|\\PC{0,30}") {
            if let Err(refused) = Cron::parse(&text, Tz::UTC) {
                let message = refused.to_string();
                for word in text.split_whitespace().filter(|word| word.len() > 8 && !word.starts_with('@')) {
                    prop_assert!(!message.contains(word));
                }
            }
        }
    }
}
