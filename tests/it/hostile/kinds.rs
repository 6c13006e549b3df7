//! The kinds of source that must withstand a hostile CRM: one row each.

/// What a kind of source is asked and answered with.
pub(super) struct Kind {
    /// Its word in the configuration.
    pub(super) name: &'static str,
    /// Its section, without the endpoint; credentials come from `CRM_TOKEN`.
    pub(super) section: &'static str,
    /// The right answer to a request for anything but the list of deals.
    pub(super) aside: fn(path: &str) -> Option<&'static str>,
    /// What stands around the whole page in the answer to a request for this path.
    pub(super) around: fn(path: &str) -> (&'static str, &'static str),
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
pub(super) const KINDS: [Kind; 4] = [
    Kind {
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
        aside: |path| (!path.starts_with("/deals")).then_some("{}"),
        around: |_| ("", ""),
        open: r#"{"data": ["#,
        close: |next| match next {
            Next::None => r#"], "next": null}"#.to_owned(),
            Next::Cursor(cursor) => format!(r#"], "next": "?after={cursor}"}}"#),
            Next::Link(link) => format!(r#"], "next": "{link}"}}"#),
        },
        deal: |id, name, amount| {
            format!(r#"{{"id": {id}, "name": {name}, "stage": "new", "currency": "EUR", "amount": {amount}}}"#)
        },
    },
    Kind {
        name: "hubspot",
        section: r#"api_key = { env = "CRM_TOKEN" }"#,
        aside: |path| {
            Some(match path.trim_start_matches("/crm/").split(['/', '?']).next()? {
                "objects" if path.contains("/deals?") => return None,
                // The count: fewer than there are is no reason to hold a pull.
                "objects" => r#"{"total": 1, "results": []}"#,
                "pipelines" => {
                    r#"{"results": [{"id": "default", "label": "Sales", "displayOrder": 0, "stages": [
                        {"id": "new", "label": "New", "displayOrder": 0,
                        "metadata": {"isClosed": "false", "probability": "0.2"}}]}]}"#
                }
                "owners" => r#"{"results": []}"#,
                _ => r#"{"portalId": 1, "timeZone": "UTC", "companyCurrency": "EUR"}"#,
            })
        },
        around: |_| ("", ""),
        open: r#"{"results": ["#,
        close: |next| match next {
            Next::None => "]}".to_owned(),
            Next::Cursor(cursor) => format!(r#"], "paging": {{"next": {{"after": "{cursor}"}}}}}}"#),
            // Its links lead to HubSpot itself, and are for people.
            Next::Link(link) => format!(r#"], "paging": {{"next": {{"after": "2", "link": "{link}"}}}}}}"#),
        },
        deal: |id, name, amount| {
            let id = if id == "null" { id.to_owned() } else { format!("\"{id}\"") };
            format!(
                r#"{{"id": {id}, "properties": {{"pipeline": "default", "dealstage": "new", "amount": {amount},
                "dealname": {name}}}, "createdAt": "2026-03-02T09:14:05Z", "updatedAt": "2026-03-02T09:14:05Z",
                "archived": false}}"#
            )
        },
    },
    Kind {
        name: "salesforce",
        section: r#"api_key = { env = "CRM_TOKEN" }"#,
        aside: |path| {
            path.ends_with("/describe").then_some(
                r#"{"fields": [{"name": "Id", "type": "id"}, {"name": "Name", "type": "string"},
                {"name": "StageName", "type": "picklist"}, {"name": "Amount", "type": "currency"},
                {"name": "IsClosed", "type": "boolean"}, {"name": "IsWon", "type": "boolean"}]}"#,
            )
        },
        // The first page comes along with everything else.
        around: |path| {
            if !path.ends_with("/composite") {
                return ("", "");
            }
            let before = r#"{"compositeResponse": [
                {"referenceId": "stages", "httpStatusCode": 200, "body": {"done": true, "records": [{"ApiName": "new",
                    "MasterLabel": "New", "IsClosed": false, "IsWon": false, "DefaultProbability": 20.0}]}},
                {"referenceId": "organization", "httpStatusCode": 200, "body": {"done": true, "records": [
                    {"Id": "00D5g000008abcdEAA", "DefaultCurrencyIsoCode": "EUR"}]}},
                {"referenceId": "deals", "httpStatusCode": 200, "body": "#;
            (before, "}]}")
        },
        open: r#"{"records": ["#,
        close: |next| match next {
            Next::None => r#"], "done": true}"#.to_owned(),
            Next::Cursor(cursor) => {
                format!(r#"], "done": false, "nextRecordsUrl": "/services/data/v66.0/query/{cursor}"}}"#)
            }
            Next::Link(link) => format!(r#"], "done": false, "nextRecordsUrl": "{link}"}}"#),
        },
        deal: |id, name, amount| {
            let id = if id == "null" { id.to_owned() } else { format!("\"{id}\"") };
            format!(
                r#"{{"Id": {id}, "Name": {name}, "StageName": "new", "Amount": {amount}, "IsClosed": false,
                "IsWon": false}}"#
            )
        },
    },
    Kind {
        name: "pipedrive",
        section: r#"api_key = { env = "CRM_TOKEN" }"#,
        aside: |path| {
            Some(match path.trim_start_matches("/api/v2/").split('?').next()? {
                "deals" => return None,
                "pipelines" => r#"{"success": true, "data": [{"id": 1, "name": "Sales", "order_nr": 1}]}"#,
                "stages" => {
                    r#"{"success": true, "data": [{"id": 1, "name": "New", "order_nr": 1, "pipeline_id": 1,
                        "deal_probability": 20}]}"#
                }
                "/v1/users" => r#"{"success": true, "data": [{"id": 7, "name": "Aino Salo"}]}"#,
                "/v1/users/me" => r#"{"success": true, "data": {"id": 7, "company_id": 1, "default_currency": "EUR"}}"#,
                // The count: fewer than there are is no reason to hold a pull.
                "/v1/deals/summary" => r#"{"success": true, "data": {"total_count": 1}}"#,
                _ => r#"{"success": true, "data": []}"#,
            })
        },
        around: |_| ("", ""),
        open: r#"{"success": true, "data": ["#,
        close: |next| match next {
            Next::None => r#"], "additional_data": {"next_cursor": null}}"#.to_owned(),
            Next::Cursor(cursor) => format!(r#"], "additional_data": {{"next_cursor": "{cursor}"}}}}"#),
            // There are no links; whatever stands beside the cursor is not followed.
            Next::Link(link) => format!(r#"], "additional_data": {{"next_cursor": "2", "next": "{link}"}}}}"#),
        },
        deal: |id, name, amount| {
            format!(
                r#"{{"id": {id}, "title": {name}, "value": {amount}, "currency": "EUR", "status": "open",
                "pipeline_id": 1, "stage_id": 1, "owner_id": 7, "update_time": "2026-03-02T09:14:05Z"}}"#
            )
        },
    },
];
