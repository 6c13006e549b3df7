//! Finds the number that counts all deals: it stays the same while the records of the answer change.
//!
//! Many servers count the records of the page under the same names, and a walk that ends there would lose the rest.

use crate::sources::probe::question::Answer;
use crate::sources::probe::records::Found;
use crate::sources::probe::section::{Line, quoted};
use crate::sources::probe::signs::signs;

const TOTALS: [&str; 9] = [
    "total",
    "total_count",
    "total_results",
    "total_records",
    "total_items",
    "total_elements",
    "count",
    "odata_count",
    "filtered_table_rows_count",
];
const TOTAL_HEADERS: [&str; 5] = ["x-total-count", "x-total", "x-total-results", "total-count", "x-pw-total"];

/// Every number that may be the total.
#[derive(Debug, Clone)]
pub(super) struct Totals(Vec<Total>);

#[derive(Debug, Clone)]
struct Total {
    place: Place,
    number: u64,
    /// Whether an answer held another number of records beside it.
    is_proven: bool,
}

#[derive(Debug, Clone)]
enum Place {
    Path(String),
    Header(&'static str),
}

impl Totals {
    /// The numbers of the first answer that are at least the number of its records.
    pub(super) fn of(first: &Answer, found: &Found) -> Self {
        let count = found.count as u64;
        let paths = signs(first, found).into_iter().filter(|sign| TOTALS.contains(&sign.name().as_str()));
        let paths = paths.map(|sign| Place::Path(sign.path()));
        let places = paths.chain(TOTAL_HEADERS.map(Place::Header));
        let numbered = places.filter_map(|place| Some((place.number(first, found)?, place)));
        let likely = numbered.filter(|(number, _)| *number >= count);
        Self(likely.map(|(number, place)| Total { place, number, is_proven: number > count }).collect())
    }

    /// Learns from another answer of the same list.
    pub(super) fn learn(&mut self, answer: &Answer, found: &Found) {
        let count = found.records(&answer.body).len() as u64;
        self.0.retain_mut(|total| {
            total.is_proven |= total.number != count;
            total.place.number(answer, found) == Some(total.number)
        });
    }

    /// The first candidate for the number of all deals.
    pub(super) fn told(&self) -> Option<u64> {
        self.0.first().map(|total| total.number)
    }

    /// The line for the first that is proven and agrees with what else was seen.
    pub(super) fn line(&self, agrees: impl Fn(u64) -> bool) -> Option<Line> {
        let total = self.0.iter().find(|total| total.is_proven && agrees(total.number))?;
        let reason = format!("{}: proves that all came", total.number);
        Some(match &total.place {
            Place::Path(path) => Line::new("total", quoted(path), reason),
            Place::Header(name) => Line::new("total_header", quoted(name), reason),
        })
    }
}

impl Place {
    fn number(&self, answer: &Answer, found: &Found) -> Option<u64> {
        match self {
            Self::Path(path) => signs(answer, found).iter().find(|sign| sign.path() == *path)?.count(),
            Self::Header(name) => answer.headers.get(*name)?.to_str().ok()?.parse().ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderMap, HeaderValue};
    use serde_json::{Value, json};

    use super::*;
    use crate::sources::probe::question::{Answer, Question};
    use crate::sources::probe::roles::find;

    fn answer(ids: std::ops::Range<u32>, count: u64, header: &'static str) -> Answer {
        let records: Vec<Value> = ids.map(|id| json!({"id": id})).collect();
        let asked = Question { url: "https://crm.example/deals".parse().unwrap(), body: None };
        let headers = HeaderMap::from_iter([("x-total".parse().unwrap(), HeaderValue::from_static(header))]);
        Answer { asked, headers, body: json!({"data": records, "meta": {"count": count}}) }
    }

    fn line(first: &Answer, others: &[Answer]) -> Option<String> {
        let found = find(&first.body).unwrap();
        let mut totals = Totals::of(first, &found);
        for other in others {
            totals.learn(other, &found);
        }
        totals.line(|_| true).map(|line| line.text(0))
    }

    #[test]
    fn a_number_that_follows_the_records_of_each_answer_is_not_a_total() {
        assert_eq!(line(&answer(0..10, 10, ""), &[]), None, "nothing tells which it is");
        assert_eq!(line(&answer(0..10, 10, ""), &[answer(1..11, 10, "")]), None);
        assert_eq!(line(&answer(0..10, 10, ""), &[answer(1..10, 9, "")]), None);
        assert_eq!(line(&answer(0..10, 9, ""), &[]), None);
        let told = Some("total = \"$.meta.count\"  # 10: proves that all came".to_owned());
        assert_eq!(line(&answer(0..10, 10, ""), &[answer(1..10, 10, "")]), told, "one record less, the same number");
        let told = Some("total = \"$.meta.count\"  # 25: proves that all came".to_owned());
        assert_eq!(line(&answer(0..10, 25, ""), &[]), told);
        let told = Some("total_header = \"x-total\"  # 25: proves that all came".to_owned());
        assert_eq!(line(&answer(0..10, 10, "25"), &[answer(10..20, 10, "25")]), told);
    }
}
