//! Proposes the fields of a deal, with the reason for each.

use rust_decimal::Decimal;

use crate::model::number;
use crate::sources::probe::amounts::Amounts;
use crate::sources::probe::dates;
use crate::sources::probe::lookups::Table;
use crate::sources::probe::records::Column;
use crate::sources::probe::roles::{DATES, role};
use crate::sources::probe::section::{Line, inline, list, quoted};
use crate::sources::probe::words::{COMPANY_IDS, OWNER_NAMES, ROLES};

/// What `strip` removes from an amount with a currency or a word beside it.
const NO_FIGURES: &str = "[^0-9,.-]";

/// Fields that are copied unchanged.
const COPIED: [&str; 4] = ["stage_id", "owner_id", "pipeline", "pipeline_id"];

/// The proposed fields.
pub(super) struct Fields<'a> {
    columns: &'a [Column],
    tables: &'a [Table],
}

impl<'a> Fields<'a> {
    pub(super) fn of(columns: &'a [Column], tables: &'a [Table]) -> Self {
        Self { columns, tables }
    }

    fn role(&self, name: &str) -> Option<&'a Column> {
        role(self.columns, name)
    }

    fn named(&self, name: &str) -> Option<&'a Column> {
        self.columns.iter().find(|column| column.name == name && column.non_blank().next().is_some())
    }

    /// A line for each field that a column may be, in the order of the file.
    pub(super) fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        lines.extend(self.role("id").map(|column| {
            let reason = format!("{}, different in each", column.reason());
            Line::new("id", quoted(&column.path), reason)
        }));
        lines.extend(self.role("name").map(|column| plain("name", column)));
        lines.extend(self.company());
        lines.push(self.stage().unwrap_or_else(unknown_stage));
        lines.push(self.role("value").map(value).or_else(|| self.unread_amount()).unwrap_or_else(unknown_value));
        lines.push(self.role("currency").map_or_else(unknown_currency, |column| plain("currency", column)));
        lines.extend(self.role("probability").map(probability));
        lines.extend(self.owner());
        for name in DATES {
            lines.extend(self.role(name).and_then(|column| dates::line(name, column)));
        }
        for name in COPIED {
            let label = name.trim_end_matches("_id");
            // A key that already serves as the label needs no second line.
            let column = self.role(name).filter(|_| label == name || self.role(label).is_some());
            lines.extend(column.map(|column| plain(name, column)));
        }
        lines.extend(self.other_dates(&lines));
        lines
    }

    /// A column with the name of an amount whose values cannot be read unchanged.
    fn unread_amount(&self) -> Option<Line> {
        let is_figure = |letter: &char| letter.is_ascii_digit() || ",.-".contains(*letter);
        let words = ROLES.iter().find(|known| known.name == "value")?.words;
        let column = words.iter().find_map(|word| self.named(word))?;
        let bare = column.mapped(|text| text.chars().filter(is_figure).collect());
        let mut keys = vec![("path".to_owned(), column.path.clone())];
        if let Some(amounts) = Amounts::of(&bare) {
            keys.push(("strip".to_owned(), NO_FIGURES.to_owned()));
            keys.extend(amounts.keys());
        }
        let reason = format!("{}; cannot be read as an amount: how is it written?", column.reason());
        Some(Line::question("value", inline(&keys), reason))
    }

    fn company(&self) -> Option<Line> {
        if let Some(column) = self.role("company") {
            return Some(plain("company", column));
        }
        let column = COMPANY_IDS.iter().find_map(|name| self.named(name))?;
        Some(self.looked_up("company", "companies", column))
    }

    /// The stage's label; else its id, for a deal needs a stage; else the status, if it says more than open or closed.
    fn stage(&self) -> Option<Line> {
        if let Some(column) = self.role("stage") {
            return Some(plain("stage", column));
        }
        if let Some(column) = self.role("stage_id") {
            if self.table("stage").is_some() {
                return Some(self.looked_up("stage", "stages", column));
            }
            let reason = format!("{}; an id: `lookup` gives its name", column.reason());
            return Some(Line::new("stage", quoted(&column.path), reason));
        }
        let column = self.role("status").filter(|column| column.distinct().len() > 3)?;
        Some(plain("stage", column))
    }

    fn owner(&self) -> Option<Line> {
        if let Some(column) = self.role("owner") {
            return Some(plain("owner", column));
        }
        let names = OWNER_NAMES.iter().find_map(|(first, last)| Some((self.named(first)?, self.named(last)?)));
        if let Some((first, last)) = names {
            let join = format!("{{ join = {} }}", list(&[&first.path, &last.path]));
            return Some(Line::new("owner", join, first.reason()));
        }
        self.role("owner_id").map(|column| self.looked_up("owner", "users", column))
    }

    fn table(&self, field: &str) -> Option<&'a Table> {
        self.tables.iter().find(|table| table.field == field)
    }

    /// An id whose name is in another list: a question until that list is known.
    fn looked_up(&self, field: &'static str, likely: &str, column: &Column) -> Line {
        let table = self.table(field);
        let name = table.map_or(likely, |table| &table.name);
        let value = inline(&[("path".to_owned(), column.path.clone()), ("lookup".to_owned(), name.to_owned())]);
        match table {
            Some(table) => Line::new(field, value, format!("{}; an id: {}", column.reason(), table.reason())),
            None => Line::question(field, value, format!("{}; an id: its name needs [lookup.{name}]", column.reason())),
        }
    }

    /// Dates that no field uses, commented out.
    fn other_dates(&self, lines: &[Line]) -> Vec<Line> {
        let is_taken = |column: &Column| lines.iter().any(|line| line.names(&column.path));
        let others = self.columns.iter().filter(|column| dates::is_certain(column) && !is_taken(column));
        others.filter_map(|column| dates::line("custom.date", column).map(Line::commented_out)).collect()
    }
}

fn plain(field: &'static str, column: &Column) -> Line {
    Line::new(field, quoted(&column.path), column.reason())
}

fn value(column: &Column) -> Line {
    let mut keys = vec![("path".to_owned(), column.path.clone())];
    let mut add = |key: &str, text: &str| keys.push((key.to_owned(), text.to_owned()));
    let mut why = String::new();
    if column.name.ends_with("micros") {
        add("scale", "0.000001");
        why.push_str("; millionths by their name");
    } else if column.name.contains("cents") || column.name.ends_with("minor") {
        add("scale", "0.01");
        why.push_str("; hundredths by their name");
    }
    keys.extend(Amounts::of(column).into_iter().flat_map(Amounts::keys));
    let text = if keys.len() == 1 { quoted(&column.path) } else { inline(&keys) };
    Line::new("value", text, column.reason() + &why)
}

fn unknown_value() -> Line {
    Line::question("value", quoted("$."), "nothing looks like an amount: where is it?".to_owned())
}

fn unknown_stage() -> Line {
    Line::question("stage", quoted("$."), "nothing looks like a stage: where is it?".to_owned())
}

fn unknown_currency() -> Line {
    let reason = "nothing says it: in which currency are the amounts?".to_owned();
    Line::question("currency", "{ value = \"EUR\" }".to_owned(), reason)
}

/// The unit is certain only where a value is above 1 or between 0 and 1.
fn probability(column: &Column) -> Line {
    let chances: Vec<Decimal> = column.non_blank().filter_map(|leaf| number::exact(leaf.text())).collect();
    let with = |unit: &str| inline(&[("path".to_owned(), column.path.clone()), ("unit".to_owned(), unit.to_owned())]);
    let most = chances.iter().max().copied().unwrap_or_default();
    if most > Decimal::ONE {
        Line::new("probability", with("percent"), format!("{}, up to {most}", column.reason()))
    } else if chances.iter().any(|chance| !chance.is_integer()) {
        Line::new("probability", with("fraction"), format!("{}, none above 1", column.reason()))
    } else {
        let reason = format!("{}; is 1 \"percent\" or, as a \"fraction\", certain?", column.reason());
        Line::question("probability", with("percent"), reason)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::sources::probe::roles::find;

    fn proposed(records: &Value, field: &str) -> String {
        let found = find(records).unwrap();
        let lines = Fields::of(&found.columns, &[]).lines();
        lines.iter().filter(|line| line.key == field).map(|line| line.text(0)).collect()
    }

    #[test]
    fn amounts_are_read_as_they_are_written() {
        for (key, first, second, value) in [
            ("amount", json!(5), json!("12.50"), r#""$.amount""#),
            ("deal_value", json!("1,234.50"), json!("7"), r#"{ path = "$.deal_value", thousands = "," }"#),
            ("price", json!("1.234,50"), json!("7"), r#"{ path = "$.price", decimal = ",", thousands = "." }"#),
            ("amountMicros", json!(5), json!(6), r#"{ path = "$.amountMicros", scale = "0.000001" }"#),
            ("amount_cents", json!(5), json!(6), r#"{ path = "$.amount_cents", scale = "0.01" }"#),
        ] {
            let line = proposed(&json!([{"id": 1, key: first}, {"id": 2, key: second}]), "value");
            assert!(line.starts_with(&format!("value = {value}  # in 2 of 2")), "{line}");
        }
    }

    #[test]
    fn an_amount_that_cannot_be_read_is_a_question() {
        let line = |amount: &str| proposed(&json!([{"id": 1, "amount": amount}]), "value");
        for (amount, value) in [
            ("1.234,50 €", r#"{ path = "$.amount", strip = "[^0-9,.-]", decimal = ",", thousands = "." }"#),
            ("EUR 1,234.50", r#"{ path = "$.amount", strip = "[^0-9,.-]", thousands = "," }"#),
            ("-7 $", r#"{ path = "$.amount", strip = "[^0-9,.-]" }"#),
            ("much", r#"{ path = "$.amount" }"#),
        ] {
            let line = line(amount);
            assert!(
                line.starts_with(&format!(
                    "# value = {value}  # in 1 of 1, such as {amount}; cannot be read as an amount"
                )),
                "{line}"
            );
        }
        for record in [json!({"id": 1, "amount": null}), json!({"id": 1})] {
            let line = proposed(&json!([record]), "value");
            assert!(line.ends_with("# nothing looks like an amount: where is it?"), "{line}");
        }
    }

    #[test]
    fn a_probability_of_0_and_1_only_is_a_question() {
        let line = |values: [Value; 2]| {
            let [first, second] = values;
            proposed(&json!([{"id": 1, "chance": first}, {"id": 2, "chance": second}]), "probability")
        };
        assert!(line([json!(0.5), json!(1)]).starts_with("probability = { path = \"$.chance\", unit = \"fraction\" }"));
        assert!(line([json!(30), json!("1")]).starts_with("probability = { path = \"$.chance\", unit = \"percent\" }"));
        assert!(line([json!(0), json!(1)]).starts_with("# probability = "));
        assert_eq!(line([json!(0), json!(130)]), "");
    }

    #[test]
    fn an_id_of_somebody_is_a_question_and_a_name_is_an_answer() {
        let owner = |owner: Value| {
            let mut record = json!({"id": 1, "name": "A"});
            record.as_object_mut().unwrap().extend(owner.as_object().unwrap().clone());
            proposed(&json!([record]), "owner")
        };
        assert!(owner(json!({"owner_id": 7})).starts_with("# owner = { path = \"$.owner_id\", lookup = \"users\" }"));
        assert!(owner(json!({"owner": {"name": "Ann", "id": 7}})).starts_with("owner = \"$.owner.name\""));
        let joined = owner(json!({"user": {"firstName": "Ann", "lastName": "Lee"}}));
        assert!(joined.starts_with("owner = { join = [\"$.user.firstName\", \"$.user.lastName\"] }"), "{joined}");
    }

    #[test]
    fn an_id_is_in_every_record_and_different_in_each() {
        let found =
            find(&json!([{"id": 1, "uuid": "a", "dealRef_id": 3}, {"id": 1, "uuid": "b", "dealRef_id": 4}])).unwrap();
        assert_eq!(role(&found.columns, "id").map(|column| column.path.as_str()), Some("$.uuid"));
        let found = find(&json!([{"ref_id": 1}, {"ref_id": 2}])).unwrap();
        assert_eq!(role(&found.columns, "id").map(|column| column.path.as_str()), Some("$.ref_id"));
    }
}
