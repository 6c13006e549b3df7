//! The account behind the credentials: its company, what its user can see, and its currencies. Asked once a day.

use serde::Deserialize;

use crate::model::money::Currency;
use crate::sources::pipedrive::client::Client;
use crate::sources::pipedrive::settings::{CURRENCIES, ME};
use crate::sources::source::SourceError;
use crate::sources::wire::Id;

#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    /// The company's id.
    pub(super) id: Option<String>,
    /// The currency of the token's user, which new deals get: Pipedrive names none for the company.
    pub(super) currency: Option<Currency>,
    /// The company's own host, without `.pipedrive.com`.
    pub(super) domain: Option<String>,
    /// What these credentials cannot see, and which currencies have no price.
    pub(super) warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Me {
    company_id: Option<Id>,
    company_domain: Option<String>,
    default_currency: Option<String>,
    access: Option<Vec<Access>>,
}

#[derive(Deserialize)]
struct Access {
    app: Option<String>,
    admin: Option<bool>,
}

#[derive(Deserialize)]
struct KnownCurrency {
    code: String,
    decimal_points: Option<u32>,
    active_flag: Option<bool>,
}

impl Account {
    /// Asks for the token's user and the currencies.
    pub(super) async fn ask(client: &Client) -> Result<Self, SourceError> {
        let me: Me = client.one(ME, "").await?;
        match client.whole::<KnownCurrency>(CURRENCIES).await {
            Ok(currencies) => Ok(Self::of(me, &currencies)),
            // They are needed for warnings only.
            Err(error @ (SourceError::Forbidden { .. } | SourceError::Unexpected { .. })) => {
                let mut account = Self::of(me, &[]);
                account.warnings.push(format!("The currencies of the account's own are unknown: {error}"));
                Ok(account)
            }
            Err(error) => Err(error),
        }
    }

    fn of(me: Me, currencies: &[KnownCurrency]) -> Self {
        let part = (!me.sees_all()).then(|| {
            "The token's user is no administrator of deals: those outside the user's visibility groups are missing, and \
             nothing tells which"
                .to_owned()
        });
        let is_host = |domain: &String| {
            !domain.is_empty() && domain.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        Self {
            id: me.company_id.map(|id| id.0),
            currency: me.default_currency.and_then(|code| code.parse().ok()),
            domain: me.company_domain.filter(is_host),
            warnings: part.into_iter().chain(currencies.iter().filter_map(KnownCurrency::warning)).collect(),
        }
    }
}

impl Me {
    /// Whether the user sees every deal: an administrator of both the account and its deals.
    fn sees_all(&self) -> bool {
        let access = self.access.as_deref().unwrap_or_default();
        let is_admin =
            |app: &str| access.iter().any(|access| access.app.as_deref() == Some(app) && access.admin == Some(true));
        is_admin("global") && is_admin("sales")
    }
}

impl KnownCurrency {
    /// A warning if amounts in this currency are not exact or have no price: accounts can add currencies.
    fn warning(&self) -> Option<String> {
        let digits = self.decimal_points.unwrap_or_default();
        match self.code.parse::<Currency>() {
            Err(_) => Some(format!("The currency `{}` is no ISO 4217 code: deals in it are not priced", self.shown())),
            Ok(currency) if self.active_flag != Some(false) && digits > currency.minor_digits() => Some(format!(
                "Amounts in {currency} have {digits} decimals in Pipedrive: totals are rounded to {}",
                currency.minor_digits()
            )),
            Ok(_) => None,
        }
    }

    /// The letters and digits of the code, 20 at most.
    fn shown(&self) -> String {
        self.code.chars().filter(|letter| letter.is_alphanumeric()).take(20).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(me: &str, currencies: &str) -> Account {
        Account::of(serde_json::from_str(me).unwrap(), &serde_json::from_str::<Vec<_>>(currencies).unwrap())
    }

    #[test]
    fn a_user_who_is_no_administrator_of_both_sees_a_part_and_it_is_said() {
        let both = r#"{"app": "sales", "admin": true, "permission_set_id": "x"}, {"app": "global", "admin": true}"#;
        for (access, sees_all) in [
            (format!("[{both}]"), true),
            (format!("[{both}, {{\"app\": \"nova\"}}, {{}}]"), true),
            (format!("[{both}]").replace("true, \"per", "false, \"per"), false),
            (r#"[{"app": "sales", "admin": true}]"#.to_owned(), false),
            (r#"[{"app": "global", "admin": true}]"#.to_owned(), false),
            ("[]".to_owned(), false),
            ("null".to_owned(), false),
        ] {
            let account = account(&format!(r#"{{"id": 7, "access": {access}}}"#), "[]");
            assert_eq!(account.warnings.is_empty(), sees_all, "{access}");
        }
    }

    #[test]
    fn currencies_of_the_accounts_own_are_said() {
        let admin = r#"{"company_id": 4242424, "company_domain": "acme", "default_currency": "EUR",
            "access": [{"app": "sales", "admin": true}, {"app": "global", "admin": true}]}"#;
        let currencies = r#"[{"id": 1, "code": "EUR", "decimal_points": 2, "active_flag": true},
            {"code": "JPY", "decimal_points": 0}, {"code": "BHD", "decimal_points": 3},
            {"code": "XAA", "decimal_points": 5, "is_custom_flag": true}, {"code": "XOLD", "active_flag": false},
            {"code": "OLD", "decimal_points": 9, "active_flag": false}, {"code": "HRK", "decimal_points": null}]"#;
        let account = account(admin, currencies);
        assert_eq!(
            account.warnings,
            [
                "Amounts in XAA have 5 decimals in Pipedrive: totals are rounded to 2",
                "The currency `XOLD` is no ISO 4217 code: deals in it are not priced"
            ]
        );
        assert_eq!((account.id.as_deref(), account.domain.as_deref()), (Some("4242424"), Some("acme")));
        assert_eq!(account.currency, "EUR".parse().ok());
    }

    #[test]
    fn a_domain_that_is_no_host_makes_no_address() {
        for domain in ["acme.evil.example/", "acme@evil", ""] {
            let me = format!(r#"{{"company_domain": "{domain}"}}"#);
            assert_eq!(account(&me, "[]").domain, None, "{domain}");
        }
    }
}
