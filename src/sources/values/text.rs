//! Texts, currencies, and the exact JSON of custom fields.

use chrono::{DateTime, NaiveDate, Utc};
use serde_json::value::RawValue;

use crate::model::money::Currency;
use crate::model::number;
use crate::sources::values::cast::{Cast, Casting, Fault, Target, whole};
use crate::sources::values::scalar::{Scalar, compact, depth};

/// The deepest nesting of a custom field's JSON: readers of our files limit theirs.
const DEEPEST: usize = 64;

impl Target for String {
    const CASTS: &'static [Cast] = &[Cast::String, Cast::Int];
    const DEFAULT: Option<Cast> = Some(Cast::String);
    const IS_TEXT: bool = true;

    fn of(value: &Scalar<'_>, casting: &Casting) -> Result<Option<Self>, Fault> {
        if value.is_blank() {
            return Ok(None);
        }
        let text = match casting.cast {
            Some(Cast::Int) => Some(whole(casting.number(value)?)?.to_string()),
            _ => value.text().map(ToOwned::to_owned),
        };
        text.map(Some).ok_or(Fault::Unreadable)
    }
}

impl Target for Currency {
    const CASTS: &'static [Cast] = &[Cast::String];
    const DEFAULT: Option<Cast> = Some(Cast::String);

    fn of(value: &Scalar<'_>, _casting: &Casting) -> Result<Option<Self>, Fault> {
        if value.is_blank() {
            return Ok(None);
        }
        value.text().and_then(|text| text.parse().ok()).map(Some).ok_or(Fault::NotACurrency)
    }
}

/// Exact JSON, for custom fields.
impl Target for Box<RawValue> {
    const CASTS: &'static [Cast] = &[
        Cast::String,
        Cast::Int,
        Cast::Decimal,
        Cast::Money,
        Cast::Bool,
        Cast::Datetime,
        Cast::Date,
        Cast::EpochS,
        Cast::EpochMs,
        Cast::EpochAuto,
    ];
    const DEFAULT: Option<Cast> = None;
    const IS_TEXT: bool = true;

    fn of(value: &Scalar<'_>, casting: &Casting) -> Result<Option<Self>, Fault> {
        let json = match (casting.cast, value) {
            (None, Scalar::Other(json)) if depth(json) > DEEPEST => return Err(Fault::Unreadable),
            (None, Scalar::Other(json)) => compact(json),
            (None, Scalar::Number(number)) => number.clone().into_owned(),
            (None, Scalar::Bool(value)) => value.to_string(),
            (None | Some(Cast::String), _) => quoted(value.text().ok_or(Fault::Unreadable)?),
            _ if value.is_blank() => return Ok(None),
            (Some(Cast::Int), _) => whole(casting.number(value)?)?.to_string(),
            (Some(Cast::Decimal | Cast::Money), _) => number::text(casting.number(value)?),
            (Some(Cast::Bool), _) => truth(value)?.to_string(),
            (Some(Cast::Date), _) => {
                let Some(day) = NaiveDate::of(value, casting)? else { return Ok(None) };
                quoted(&day.to_string())
            }
            (Some(Cast::Datetime | Cast::EpochS | Cast::EpochMs | Cast::EpochAuto), _) => {
                let Some(instant) = DateTime::<Utc>::of(value, casting)? else { return Ok(None) };
                quoted(&instant.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
            }
        };
        RawValue::from_string(json).map(Some).map_err(|_| Fault::Unreadable)
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn truth(value: &Scalar<'_>) -> Result<bool, Fault> {
    match value.text() {
        Some("true" | "1") => Ok(true),
        Some("false" | "0") => Ok(false),
        _ => Err(Fault::Unreadable),
    }
}

#[cfg(test)]
mod tests {
    use chrono_tz::Tz;

    use super::*;

    fn text(text: &str) -> Scalar<'_> {
        Scalar::Text(text.into())
    }

    fn number(text: &str) -> Scalar<'_> {
        Scalar::Number(text.into())
    }

    #[test]
    fn a_custom_field_keeps_the_exact_json() {
        let custom = |value: &Scalar<'_>, cast| {
            let casting = Casting::of(cast, Tz::UTC);
            Box::<RawValue>::of(value, &casting).map(|json| json.map(|json| json.get().to_owned()))
        };
        assert_eq!(custom(&number("1.50"), None), Ok(Some("1.50".to_owned())));
        assert_eq!(custom(&Scalar::Other("[ 1,\n 2 ]"), None), Ok(Some("[1,2]".to_owned())));
        assert_eq!(custom(&text("a \"b\""), None), Ok(Some(r#""a \"b\"""#.to_owned())));
        assert_eq!(custom(&text("7.0"), Some(Cast::Int)), Ok(Some("7".to_owned())));
        assert_eq!(custom(&text("7.5"), Some(Cast::Int)), Err(Fault::Unreadable));
        assert_eq!(custom(&number("1"), Some(Cast::Bool)), Ok(Some("true".to_owned())));
        assert_eq!(custom(&number("0"), Some(Cast::EpochS)), Ok(Some("\"1970-01-01T00:00:00Z\"".to_owned())));
        assert_eq!(custom(&text(""), Some(Cast::Money)), Ok(None));
        let nested = |depth: usize| format!("{}\"]\\\"[[\"{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(custom(&Scalar::Other(&nested(DEEPEST)), None), Ok(Some(nested(DEEPEST))));
        assert_eq!(custom(&Scalar::Other(&nested(DEEPEST + 1)), None), Err(Fault::Unreadable));
    }
}
