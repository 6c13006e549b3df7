//! Whether a deal is open, won, lost or deleted: by a field of the record, or by its stage.

use rust_decimal::Decimal;
use serde::Deserialize;

use crate::model::deal::{Deal, Status};
use crate::settings::{Problem, Section};
use crate::sources::rest::path::Path;
use crate::sources::rest::record::Record;
use crate::sources::values::scalar::{Constants, Scalar};

/// The rule of `[sources.x.status]`. A deal whose value is in none of the lists is open.
pub(super) struct StatusRule {
    /// `None`: the stage decides.
    path: Option<Path>,
    won: Vec<Scalar<'static>>,
    lost: Vec<Scalar<'static>>,
    deleted: Vec<Scalar<'static>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    path: Option<Path>,
    by: Option<By>,
    won: Option<Constants>,
    lost: Option<Constants>,
    deleted: Option<Constants>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum By {
    Stage,
}

impl StatusRule {
    pub(super) fn read(section: &Section) -> Result<Self, Vec<Problem>> {
        let Keys { path, by, won, lost, deleted } = section.read(&[])?;
        if path.is_some() && matches!(by, Some(By::Stage)) {
            return Err(vec![Problem::at("by", "cannot be combined with `path`").hint("use one of the two")]);
        }
        let list = |values: Option<Constants>| -> Vec<Scalar<'static>> {
            values.map(|values| values.all().iter().map(|value| value.0.clone()).collect()).unwrap_or_default()
        };
        let rule = Self { path, won: list(won), lost: list(lost), deleted: list(deleted) };
        let in_both = |one: &[Scalar<'_>], other: &[Scalar<'_>]| one.iter().any(|value| is_in(other, value));
        for (key, one, other) in [
            ("lost", &rule.lost, &rule.won),
            ("deleted", &rule.deleted, &rule.won),
            ("deleted", &rule.deleted, &rule.lost),
        ] {
            if in_both(one, other) {
                return Err(vec![
                    Problem::at(key, "holds a value that another list holds too").hint("each value in one list"),
                ]);
            }
        }
        Ok(rule)
    }

    /// Whether the stage decides. A rule without values reads no stage: all deals are open.
    pub(super) fn is_by_stage(&self) -> bool {
        self.path.is_none() && [&self.won, &self.lost, &self.deleted].iter().any(|values| !values.is_empty())
    }

    /// The path that decides, unless the stage does.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_ref()
    }

    /// Sets the deal's status and probability. Returns whether the deal still exists.
    pub(super) fn apply(&self, record: &Record<'_>, deal: &mut Deal) -> bool {
        let values = match &self.path {
            Some(path) => vec![record.value(path)],
            None => [&deal.stage, &deal.stage_id]
                .map(|stage| stage.as_deref().map(|stage| Scalar::Text(stage.into())))
                .to_vec(),
        };
        let is_any = |list: &[Scalar<'_>]| values.iter().flatten().any(|value| is_in(list, value));
        if is_any(&self.deleted) {
            return false;
        }
        let (status, probability) = if is_any(&self.won) {
            (Status::Won, Some(Decimal::ONE))
        } else if is_any(&self.lost) {
            (Status::Lost, Some(Decimal::ZERO))
        } else {
            (Status::Open, deal.probability)
        };
        drop(values);
        deal.status = Some(status);
        deal.probability = probability;
        true
    }
}

fn is_in(list: &[Scalar<'_>], value: &Scalar<'_>) -> bool {
    list.iter().any(|listed| listed.is(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::section;

    fn standing(toml: &str, record: &str) -> Option<(Option<Status>, Option<Decimal>)> {
        let rule = StatusRule::read(&section(toml)).unwrap();
        let mut deal = Deal {
            stage: Some("Closed Won".to_owned()),
            stage_id: Some("7".to_owned()),
            probability: Some(Decimal::new(5, 1)),
            ..Deal::default()
        };
        rule.apply(&Record::of(serde_json::from_str(record).unwrap()), &mut deal)
            .then_some((deal.status, deal.probability))
    }

    const WON: Option<(Option<Status>, Option<Decimal>)> = Some((Some(Status::Won), Some(Decimal::ONE)));
    const LOST: Option<(Option<Status>, Option<Decimal>)> = Some((Some(Status::Lost), Some(Decimal::ZERO)));

    #[test]
    fn a_field_or_the_stage_says_whether_a_deal_is_won() {
        let by_path = "path = '$.s'\nwon = [1, 'won']\nlost = 2\ndeleted = [true]";
        assert_eq!(standing(by_path, r#"{"s": 1}"#), WON);
        assert_eq!(standing(by_path, r#"{"s": "1"}"#), WON);
        assert_eq!(standing(by_path, r#"{"s": 2}"#), LOST);
        assert_eq!(standing(by_path, r#"{"s": true}"#), None);
        let open = Some((Some(Status::Open), Some(Decimal::new(5, 1))));
        for record in [r#"{"s": "other"}"#, r#"{"s": null}"#, "{}"] {
            assert_eq!(standing(by_path, record), open);
        }
        assert_eq!(standing("won = ['Closed Won']", "{}"), WON);
        assert_eq!(standing("by = 'stage'\nlost = [7]", "{}"), LOST);
        assert_eq!(standing("won = []", "{}"), open, "a CRM that lists open deals only");
    }

    #[test]
    fn only_a_rule_that_lists_something_goes_by_the_stage() {
        let by_stage = |toml: &str| StatusRule::read(&section(toml)).unwrap().is_by_stage();
        assert!(by_stage("won = ['x']") && by_stage("by = 'stage'\ndeleted = [1]"));
        assert!(!by_stage("") && !by_stage("won = []") && !by_stage("path = '$.s'\nwon = ['x']"));
    }

    #[test]
    fn a_value_that_means_two_things_is_a_problem() {
        for toml in
            ["won = ['x']\nlost = ['x']", "path = '$.s'\nby = 'stage'", "lost = [1]\ndeleted = ['1']", "path = '$['"]
        {
            assert!(StatusRule::read(&section(toml)).is_err(), "{toml}");
        }
    }
}
