//! What CRMs call the fields of a deal, most likely names first.
//!
//! Names are compared in small letters, words joined by `_`, without `deal_` or `opportunity_` in front; a dot goes down.

/// A role and its usual names.
pub(super) struct Role {
    pub(super) name: &'static str,
    pub(super) words: &'static [&'static str],
}

pub(super) const ROLES: [Role; 20] = [
    Role {
        name: "id",
        words: &[
            "id",
            "uuid",
            "guid",
            "record_id",
            "object_id",
            "id.record_id",
            "dealid",
            "opportunityid",
            "key",
            "number",
        ],
    },
    Role {
        name: "name",
        words: &["name", "title", "name[0].value", "subject", "dealname", "topic", "label", "summary"],
    },
    Role {
        name: "company",
        words: &[
            "company.name",
            "account.name",
            "organization.name",
            "organisation.name",
            "org.name",
            "customer.name",
            "client.name",
            "party.name",
            "account_name.name",
            "company_name",
            "account_name",
            "organization_name",
            "organisation_name",
            "customer_name",
            "client_name",
            "org_name",
            "lead_name",
            "partner_id[1]",
            "company",
            "account",
            "organization",
            "organisation",
            "customer",
            "client",
        ],
    },
    Role {
        name: "stage",
        words: &[
            "stage.name",
            "stage.label",
            "stage.title",
            "stage_name",
            "stage_label",
            "pipeline_stage.name",
            "milestone.name",
            "status_label",
            "stage[0].status.title",
            "stage_id[1]",
            "stage",
            "stagename",
            "dealstage",
            "sales_stage",
            "pipeline_stage",
            "milestone",
            "phase.name",
            "phase",
            "stepname",
            "step",
        ],
    },
    Role { name: "stage_id", words: &["stage_id", "stage.id", "pipeline_stage_id", "milestone_id", "stage_id[0]"] },
    Role {
        name: "value",
        words: &[
            "amount",
            "value",
            "amount.amount",
            "value.amount",
            "amount.value",
            "value.value",
            "value[0].currency_value",
            "amount.amount_micros",
            "amount_micros",
            "amount_cents",
            "value_cents",
            "amount_in_cents",
            "amount_minor",
            "monetary_value",
            "expected_revenue",
            "estimated_value",
            "estimatedvalue",
            "expected_value",
            "expected_amount",
            "revenue",
            "price",
            "total_value",
            "total_amount",
            "total_price",
            "contract_value",
            "annual_value",
            "worth",
            "budget",
            "arr",
            "acv",
            "tcv",
            "mrr",
            "total",
            "sum",
        ],
    },
    Role {
        name: "currency",
        words: &[
            "currency",
            "currency_code",
            "value_currency",
            "amount_currency",
            "value[0].currency_code",
            "amount.currency",
            "amount.currency_code",
            "value.currency",
            "value.currency_code",
            "currency.code",
            "currency.iso_code",
            "currency_iso_code",
            "iso_currency",
            "monetary_unit",
            "company_currency[1]",
            "transactioncurrencyid.isocurrencycode",
        ],
    },
    Role {
        name: "probability",
        words: &[
            "probability",
            "win_probability",
            "win_pct",
            "win_percent",
            "win_likelihood",
            "win_rate",
            "confidence",
            "chance",
            "likelihood",
            "closeprobability",
            "close_probability",
            "customized_win_likelihood",
            "pct",
            "percent",
            "percentage",
            "success_probability",
            "forecast_probability",
        ],
    },
    Role {
        name: "owner",
        words: &[
            "owner.name",
            "owner.full_name",
            "owner.display_name",
            "owner_name",
            "user.name",
            "user_name",
            "assignee.name",
            "assignee_name",
            "assigned_to.name",
            "salesperson.name",
            "sales_rep.name",
            "responsible.name",
            "user_id[1]",
            "owner",
            "assignee",
            "assigned_to",
            "salesperson",
            "sales_rep",
            "responsible",
            "account_manager",
            "rep",
            "user",
        ],
    },
    Role {
        name: "owner_id",
        words: &["owner_id", "owner.id", "user_id", "user.id", "assignee_id", "assigned_to_id", "user_id[0]"],
    },
    Role { name: "pipeline", words: &["pipeline.name", "pipeline.label", "pipeline_name", "pipeline", "funnel"] },
    Role { name: "pipeline_id", words: &["pipeline_id", "pipeline.id", "funnel_id"] },
    Role {
        name: "created_at",
        words: &[
            "created_at",
            "created",
            "created_on",
            "createdon",
            "created_date",
            "created_time",
            "create_date",
            "create_time",
            "createdate",
            "createddate",
            "date_created",
            "creation_date",
            "add_time",
            "added_at",
            "inserted_at",
            "opened_at",
            "entry_date",
        ],
    },
    Role {
        name: "updated_at",
        words: &[
            "updated_at",
            "updated",
            "updated_on",
            "updated_date",
            "modified_at",
            "modified",
            "modified_on",
            "modifiedon",
            "modified_time",
            "modified_date",
            "last_modified",
            "last_modified_at",
            "last_modified_date",
            "lastmodifieddate",
            "update_time",
            "write_date",
            "date_updated",
            "date_modified",
            "changed_at",
            "last_updated",
            "hs_lastmodifieddate",
        ],
    },
    Role {
        name: "close_date",
        words: &[
            "close_date",
            "closedate",
            "closes",
            "closes_on",
            "closes_at",
            "close_on",
            "closing_date",
            "expected_close_date",
            "expected_close",
            "expected_close_on",
            "expected_closing",
            "expected_close_at",
            "estimated_close_date",
            "estimatedclosedate",
            "date_deadline",
            "due_date",
            "target_date",
        ],
    },
    Role {
        name: "closed_at",
        words: &[
            "closed_at",
            "closed_on",
            "closed_date",
            "closed_time",
            "close_time",
            "date_closed",
            "won_at",
            "won_time",
            "date_won",
            "actual_close_date",
            "actualclosedate",
        ],
    },
    Role {
        name: "stage_entered_at",
        words: &[
            "stage_entered_at",
            "stage_change_time",
            "stage_changed_at",
            "stage_updated_at",
            "last_stage_change",
            "last_stage_change_at",
            "last_stage_change_date",
        ],
    },
    Role {
        name: "last_activity_at",
        words: &["last_activity_at", "last_activity_date", "last_activity_time", "last_activity", "last_contacted_at"],
    },
    Role {
        name: "next_activity_at",
        words: &["next_activity_at", "next_activity_date", "next_activity_time", "next_activity"],
    },
    Role {
        name: "status",
        words: &[
            "status",
            "status_type",
            "stage_type",
            "state",
            "status.type",
            "status.name",
            "statecode",
            "outcome",
            "is_won",
            "won",
        ],
    },
];

/// Names of ids of companies, which need a look-up to become names.
pub(super) const COMPANY_IDS: [&str; 8] = [
    "company_id",
    "account_id",
    "organization_id",
    "organisation_id",
    "org_id",
    "customer_id",
    "client_id",
    "partner_id",
];

/// First and last name of the owner.
pub(super) const OWNER_NAMES: [(&str, &str); 4] = [
    ("owner.first_name", "owner.last_name"),
    ("owner.name.first_name", "owner.name.last_name"),
    ("user.first_name", "user.last_name"),
    ("assignee.first_name", "assignee.last_name"),
];

/// Keys that only wrap: JSON:API's and their like.
pub(super) const ENVELOPES: [&str; 6] = ["attributes", "properties", "fields", "values", "data", "node"];

/// Prefixes that say nothing in a list of deals.
const EMPTY_WORDS: [&str; 3] = ["deal_", "opportunity_", "opp_"];

/// A key in small letters, its words joined by `_`.
pub(super) fn normal(key: &str) -> String {
    let mut name = String::new();
    let mut was_small = false;
    for character in key.chars() {
        if character.is_uppercase() && was_small {
            name.push('_');
        }
        was_small = character.is_lowercase() || character.is_ascii_digit();
        match character {
            '-' | ' ' | '_' | '@' | '$' | '.' => name.push('_'),
            _ => name.extend(character.to_lowercase()),
        }
    }
    let name = name.trim_matches('_');
    let bare = EMPTY_WORDS.iter().find_map(|word| name.strip_prefix(word));
    bare.unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_known_however_it_is_spelt() {
        for (key, name) in [
            ("winPct", "win_pct"),
            ("Deal_Name", "name"),
            ("opportunityStage", "stage"),
            ("created-at", "created_at"),
            ("CloseDate", "close_date"),
            ("@odata.nextLink", "odata_next_link"),
            ("_id", "id"),
            ("ID", "id"),
            ("deal", "deal"),
        ] {
            assert_eq!(normal(key), name);
        }
    }
}
