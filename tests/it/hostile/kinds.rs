//! The kinds of source that must withstand a hostile CRM: one row each.

/// What a kind of source is asked and answered with.
pub(super) struct Kind {
    /// Its word in the configuration.
    pub(super) name: &'static str,
    /// Its section, without the endpoint; credentials come from `CRM_TOKEN`.
    pub(super) section: &'static str,
    /// The right answer to a request for anything but the list of deals.
    pub(super) aside: fn(path: &str) -> Option<String>,
    /// What stands before the deals of a page.
    pub(super) open: &'static str,
    /// What stands behind them.
    pub(super) close: fn(next: Next<'_>) -> String,
    /// A deal: its id, name and amount, JSON each.
    pub(super) deal: fn(id: &str, name: &str, amount: &str) -> String,
}

/// What a page says about the next one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Next<'a> {
    /// There is none.
    None,
    /// Where it is, by a cursor.
    Cursor(&'a str),
    /// Where it is, by an address.
    Link(&'a str),
}

/// Every kind.
pub(super) const KINDS: [Kind; 1] = [Kind {
    name: "rest",
    section: r#"
auth = { type = "bearer", token = { env = "CRM_TOKEN" } }
headers = { X-Tenant = { env = "CRM_TOKEN" } }
request = { path = "/deals" }
paging = { type = "next_url", next = "$.next" }
records = { path = "$.data" }
fields = { id = "$.id", name = "$.name", stage = "$.stage", value = "$.amount", currency = "$.currency" }
status = { path = "$.stage", won = ["won"], lost = ["lost"] }
"#,
    aside: |path| (!path.starts_with("/deals")).then(String::new),
    open: r#"{"data": ["#,
    close: |next| match next {
        Next::None => r#"], "next": null}"#.to_owned(),
        Next::Cursor(cursor) => format!(r#"], "next": "?after={cursor}"}}"#),
        Next::Link(link) => format!(r#"], "next": "{link}"}}"#),
    },
    deal: |id, name, amount| {
        format!(r#"{{"id": {id}, "name": {name}, "stage": "new", "currency": "EUR", "amount": {amount}}}"#)
    },
}];
