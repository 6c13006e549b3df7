//! What only version 1 has: users, currencies, and the control totals.
//!
//! Bodies have the shape of the contract's §3.6 to §3.9.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::account::{COMPANY_DOMAIN, Currency, User, old_time};
use super::answers::{Answer, Record, error, invalid, number, raw, record};
use super::model::Sum;
use super::wish::{Selection, Wish};
use super::{Habit, Hub};

impl Hub {
    fn show_user(&self, id: u64, user: &User) -> Value {
        let access = |app: &str| json!({"app": app, "admin": user.is_admin, "permission_set_id": "62cc4d7f-canary"});
        json!({"id": id, "name": user.name, "email": format!("user{id}@acme.example"),
            "default_currency": user.currency, "locale": "fi_FI", "lang": 1, "phone": null, "activated": true,
            "active_flag": user.is_active, "is_deleted": !user.is_active, "is_you": id == self.account.me, "role_id": 1,
            "icon_url": null, "timezone_name": "Europe/Helsinki", "timezone_offset": "+02:00",
            "last_login": old_time(self.account.now), "created": "2020-11-13 09:16:26", "modified": null,
            "has_created_company": false, "access": [access("sales"), access("global")]})
    }

    pub(super) fn users(&self) -> Answer {
        let hides = self.has(Habit::HidesInactiveUsers);
        let listed = self.account.users.iter().filter(|(_, user)| user.is_active || !hides);
        let users: Vec<Value> = listed.map(|(id, user)| self.show_user(*id, user)).collect();
        self.ok(&users)
    }

    pub(super) fn user(&self, path: &str) -> Result<Answer, Answer> {
        let id = path.rsplit('/').next().and_then(|id| id.parse().ok());
        let user = id.and_then(|id: u64| self.account.users.get_key_value(&id));
        let (id, user) = user.ok_or_else(|| error(404, "User not found"))?;
        Ok(self.ok(&self.show_user(*id, user)))
    }

    pub(super) fn me(&self) -> Answer {
        let mut shown = self.show_user(self.account.me, self.account.me());
        for (key, value) in [
            ("company_id", json!(4_242_424)),
            ("company_name", json!("Acme")),
            ("company_domain", json!(COMPANY_DOMAIN)),
            ("company_country", json!("FI")),
            ("company_industry", json!(null)),
            ("language", json!({"language_code": "fi", "country_code": "FI"})),
        ] {
            shown[key] = value;
        }
        self.ok(&shown)
    }

    pub(super) fn currencies(&self) -> Answer {
        let show = |(number, (code, currency)): (u64, (&String, &Currency))| {
            json!({"id": number, "code": code, "name": code, "decimal_points": currency.decimals, "symbol": code,
                "active_flag": currency.is_active, "is_custom_flag": currency.is_custom})
        };
        let all: Vec<Value> = (1..).zip(&self.account.currencies).map(show).collect();
        self.ok(&all)
    }

    pub(super) fn summary(&self, wish: &Wish) -> Result<Answer, Answer> {
        let mut selection = Selection::of(wish)?;
        selection.owner = wish.number("user_id")?;
        if selection.statuses.as_ref().is_some_and(|statuses| statuses.len() != 1 || statuses[0] == "deleted") {
            return Err(invalid("status must be one of [open, won, lost]"));
        }
        let live = self.account.visible().filter(|deal| deal.archived_at.is_none());
        let sums = self.account.summary(live.filter(|deal| selection.holds(deal)));
        let mut values = BTreeMap::new();
        let mut weighted = BTreeMap::new();
        let mut all = Sum::default();
        for (code, sum) in &sums {
            let rate = self.account.currencies.get(code).and_then(|currency| currency.rate).unwrap_or_default();
            let mut value = total(code, sum.count, sum.value);
            value.insert("value_converted".to_owned(), figure(sum.value * rate));
            values.insert(code, value);
            weighted.insert(code, total(code, sum.count, sum.weighted));
            all.count += sum.count;
            all.value += sum.value * rate;
            all.weighted += sum.weighted * rate;
        }
        let mut data = record(json!({"total_count": all.count}), false);
        data.extend([
            ("values_total".to_owned(), raw(&values)),
            ("weighted_values_total".to_owned(), raw(&weighted)),
            ("total_currency_converted_value".to_owned(), figure(all.value)),
            ("total_weighted_currency_converted_value".to_owned(), figure(all.weighted)),
        ]);
        Ok(self.ok(&data))
    }
}

/// What the deals of a currency come to.
fn total(code: &str, count: u64, value: Decimal) -> Record {
    let mut shown = record(json!({"count": count, "value_formatted": format!("{code} {value}")}), false);
    shown.insert("value".to_owned(), figure(value));
    shown
}

fn figure(value: Decimal) -> Box<RawValue> {
    number(&value.to_string())
}
