//! How many records the CRM says there are, in its answers.

use std::fmt;

use reqwest::header::{HeaderMap, HeaderName};
use rust_decimal::Decimal;

use crate::settings::Problem;
use crate::sources::rest::headers::NO_HEADER_NAME;
use crate::sources::rest::json::{Json, Node};
use crate::sources::rest::path::Path;

/// Where an answer holds the total.
#[derive(Debug, Clone)]
pub(super) enum Spot {
    Path(Path),
    Header(String),
}

impl fmt::Display for Spot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.fmt(formatter),
            Self::Header(name) => formatter.write_str(name),
        }
    }
}

impl Spot {
    /// `None` if neither key is set.
    pub(super) fn new(path: Option<Path>, header: Option<String>) -> Result<Option<Self>, Problem> {
        match (path, header) {
            (None, None) => Ok(None),
            (Some(path), None) => Ok(Some(Self::Path(path))),
            (None, Some(name)) if name.parse::<HeaderName>().is_ok() => Ok(Some(Self::Header(name))),
            (None, Some(_)) => Err(Problem::at("total_header", NO_HEADER_NAME)),
            (Some(_), Some(_)) => {
                Err(Problem::at("total_header", "cannot be combined with `total`").hint("use one of the two"))
            }
        }
    }

    /// The number there, as number or text; of `records 0-99/700` the last.
    pub(super) fn read(&self, document: &Node<'_>, headers: &HeaderMap) -> Option<u64> {
        match self {
            Self::Path(path) => count_at(path, document),
            Self::Header(name) => {
                let text = headers.get(name.as_str())?.to_str().ok()?;
                text.rsplit('/').next()?.trim().parse().ok()
            }
        }
    }
}

/// A whole number at a path, as number or text.
pub(super) fn count_at(path: &Path, document: &Node<'_>) -> Option<u64> {
    let number: Decimal = path.find(document).and_then(Json::scalar)?.number()?;
    u64::try_from(number.normalize()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(spot: &Spot, document: &str, header: &'static str) -> Option<u64> {
        let headers = HeaderMap::from_iter([("x-total".parse().unwrap(), header.parse().unwrap())]);
        spot.read(&Node::document(document).unwrap(), &headers)
    }

    #[test]
    fn a_total_is_a_number_or_a_text_in_the_body_or_a_header() {
        let path = Spot::Path("$.n".parse().unwrap());
        assert_eq!(read(&path, r#"{"n": 7.0}"#, ""), Some(7));
        assert_eq!(read(&path, r#"{"n": "7"}"#, ""), Some(7));
        assert_eq!(read(&path, r#"{"n": -1}"#, ""), None);
        let header = Spot::Header("X-Total".to_owned());
        assert_eq!(read(&header, "{}", "700"), Some(700));
        assert_eq!(read(&header, "{}", "records 0-99/700"), Some(700));
        assert_eq!(read(&header, "{}", "records 0-99/*"), None);
        assert!(Spot::new(None, Some("X Total".to_owned())).is_err());
    }
}
