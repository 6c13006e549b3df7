//! The query of the deals: its columns, and the conditions that leave out what nobody wants.

use std::time::Duration;

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};

use crate::sources::salesforce::columns::Columns;
use crate::sources::salesforce::filter::{instant, quoted};
use crate::sources::salesforce::mapping::Mapping;

/// The longest query.
pub(super) const MAX_QUERY: usize = 100_000;

/// In which order the deals come.
#[derive(Debug, Clone, Copy)]
pub(super) enum Order<'a> {
    /// Unordered: an ordered export cannot be read in pieces.
    Any,
    /// By their ids.
    ById,
    /// By their ids, and only those behind this one, which has letters and digits alone.
    Behind(&'a str),
}

/// The query.
pub(super) fn soql(columns: &Columns, conditions: &[String], order: Order<'_>) -> String {
    let behind = if let Order::Behind(id) = order { Some(format!("Id > '{id}'")) } else { None };
    let conditions: Vec<String> = conditions.iter().chain(&behind).map(|condition| format!("({condition})")).collect();
    let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
    let order = if let Order::Any = order { "" } else { " ORDER BY Id" };
    format!("SELECT {} FROM Opportunity{filter}{order}", columns.list())
}

/// The condition that leaves closed deals out once they are older than wanted, and a day or two more: the pull itself
/// draws the line. None where the columns do not tell when a deal was closed as the pull will.
pub(super) fn recent(
    columns: &Columns,
    mapping: &Mapping,
    within: Option<Duration>,
    now: DateTime<Utc>,
) -> Option<String> {
    let has = |path: &str| columns.place(path).is_some();
    if mapping.named("closed_at").is_some() || !has("IsClosed") || !has("CloseDate") {
        return None;
    }
    let since = now.checked_sub_signed(TimeDelta::from_std(within?).ok()?)?.checked_sub_signed(TimeDelta::days(1))?;
    let midnight = since.date_naive().and_time(NaiveTime::MIN).and_utc();
    let day = midnight.date_naive().pred_opt()?;
    Some(if has("LastStageChangeDate") {
        let at = instant(midnight);
        format!(
            "IsClosed = FALSE OR LastStageChangeDate >= {at} OR (LastStageChangeDate = null AND CloseDate >= {day})"
        )
    } else {
        format!("IsClosed = FALSE OR CloseDate >= {day}")
    })
}

/// The condition for deals of certain record types.
pub(super) fn of_record_types(ids: &[String]) -> Option<String> {
    let quoted: Option<Vec<String>> = ids.iter().map(|id| quoted(id)).collect();
    quoted.filter(|ids| !ids.is_empty()).map(|ids| format!("RecordTypeId IN ({})", ids.join(", ")))
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;
    use crate::settings::section;
    use crate::sources::salesforce::describe::Described;

    const NEEDED: [(&str, &str); 3] = [("Id", "id"), ("Name", "string"), ("StageName", "picklist")];

    fn columns(more: &[(&str, &str)]) -> Columns {
        let mapping = Mapping::read(section(""), Tz::UTC).unwrap();
        Columns::choose(&mapping, &Described::of(&[&NEEDED, more].concat())).unwrap().0
    }

    #[test]
    fn conditions_stand_in_brackets_of_their_own() {
        let conditions = ["A = 1 OR B = 2".to_owned(), "C = 3".to_owned()];
        assert_eq!(
            soql(&columns(&[]), &conditions, Order::ById),
            "SELECT Id, Name, StageName FROM Opportunity WHERE (A = 1 OR B = 2) AND (C = 3) ORDER BY Id"
        );
        assert_eq!(
            soql(&columns(&[]), &conditions[1..], Order::Behind("006x")),
            "SELECT Id, Name, StageName FROM Opportunity WHERE (C = 3) AND (Id > '006x') ORDER BY Id"
        );
        assert_eq!(soql(&columns(&[]), &[], Order::Any), "SELECT Id, Name, StageName FROM Opportunity");
    }

    #[test]
    fn old_closed_deals_are_not_asked_for_where_the_columns_tell_when_they_were_closed() {
        let all = [("IsClosed", "boolean"), ("CloseDate", "date"), ("LastStageChangeDate", "datetime")];
        let now = "2026-11-22T08:00:00Z".parse().unwrap();
        let within = Some(Duration::from_secs(90 * 86_400));
        let asked = |columns: &Columns, toml: &str, within| {
            recent(columns, &Mapping::read(section(toml), Tz::UTC).unwrap(), within, now)
        };
        assert_eq!(
            asked(&columns(&all), "", within).as_deref(),
            Some(
                "IsClosed = FALSE OR LastStageChangeDate >= 2026-08-23T00:00:00Z OR (LastStageChangeDate = null AND \
                 CloseDate >= 2026-08-22)"
            )
        );
        assert_eq!(
            asked(&columns(&all[..2]), "", within).as_deref(),
            Some("IsClosed = FALSE OR CloseDate >= 2026-08-22")
        );
        assert_eq!(asked(&columns(&all), "", None), None);
        assert_eq!(asked(&columns(&all[..1]), "", within), None);
        assert_eq!(asked(&columns(&all), "closed_at = 'Signed__c'", within), None);
    }
}
