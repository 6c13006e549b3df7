//! How many of the day's requests are used, from every answer. All programs share the account's limit.

use crate::http::Reply;

/// In percent of the limit: what is above is left to others.
const OWN_SHARE: u64 = 90;

/// Requests of all programs in the last 24 hours, and how many there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) used: u64,
    pub(super) limit: u64,
}

impl Usage {
    /// What an answer says, whatever else its header holds.
    pub(super) fn of(reply: &Reply) -> Option<Self> {
        Self::read(reply.header("sforce-limit-info")?)
    }

    fn read(header: &str) -> Option<Self> {
        let told = header.split([';', ',']).find_map(|part| part.trim().strip_prefix("api-usage="))?;
        let (used, limit) = told.split_once('/')?;
        let limit = limit.bytes().take_while(u8::is_ascii_digit).count();
        let (used, limit) = (used.parse().ok()?, told[used.len() + 1..][..limit].parse().ok()?);
        Some(Self { used, limit }).filter(|usage| usage.limit > 0)
    }

    /// Whether the rest is left to others.
    pub(super) fn is_spent(self) -> bool {
        self.used.saturating_mul(100) >= self.limit.saturating_mul(OWN_SHARE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_is_read_whatever_else_the_header_holds() {
        let usage = |used, limit| Some(Usage { used, limit });
        for (header, expected) in [
            ("api-usage=10018/100000", usage(10_018, 100_000)),
            ("api-usage=10018/100000; api-bursts=1/750", usage(10_018, 100_000)),
            ("api-usage=25/5000; per-app-api-usage=17/250(appName=sample)", usage(25, 5_000)),
            ("per-app-api-usage=17/250(appName=sample),api-usage=25/5000", usage(25, 5_000)),
            ("api-usage=150010/150000", usage(150_010, 150_000)),
            ("per-app-api-usage=17/250", None),
            ("api-usage=1/0", None),
            ("api-usage=/", None),
            ("", None),
        ] {
            assert_eq!(Usage::read(header), expected, "{header}");
        }
    }

    #[test]
    fn a_tenth_is_left_to_others() {
        for (used, is_spent) in [(0, false), (89, false), (90, true), (100, true), (101, true)] {
            assert_eq!(Usage { used, limit: 100 }.is_spent(), is_spent, "{used}");
        }
    }
}
