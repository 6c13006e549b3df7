//! Examples of required keys, for hints.

use crate::settings::Problem;

/// Examples by the name of the table and of the key.
const EXAMPLES: [(&str, &str, &str); 25] = [
    ("auth", "token", "`token = { env = \"CRM_TOKEN\" }`"),
    ("auth", "name", "`name = \"X-Api-Key\"`"),
    ("auth", "value", "`value = { env = \"CRM_KEY\" }`"),
    ("auth", "username", "`username = { env = \"CRM_USER\" }`"),
    ("auth", "param", "`param = \"api_token\"`"),
    ("auth", "grant", "`grant = \"client_credentials\"`, or `\"refresh_token\"`"),
    ("auth", "token_url", "`token_url = \"https://login.mycrm.example/oauth/token\"`"),
    ("auth", "client_id", "`client_id = { env = \"CRM_CLIENT_ID\" }`"),
    ("auth", "refresh_token", "`refresh_token = { env = \"CRM_REFRESH_TOKEN\" }`"),
    ("giveup", "cooloff", "`cooloff = \"1h\"`"),
    ("giveup", "status", "`status = 403`"),
    ("paging", "cursor", "`cursor = \"$.meta.next\"`"),
    ("paging", "param", "`param = \"page\"`: the parameter that says which page"),
    ("paging", "size", "`size = 100`: how many records a page is to hold"),
    ("quota", "floor", "`floor = 100`: how many requests are left to others"),
    ("quota", "remaining_header", "`remaining_header = \"X-RateLimit-Remaining\"`"),
    ("rate", "reset_header", "`reset_header = \"X-RateLimit-Reset\"`"),
    ("request", "path", "`path = \"/deals\"`"),
    ("success", "path", "`path = \"$.success\"`"),
    ("where", "path", "`path = \"$.archived\"`"),
    ("where", "op", "`op = \"eq\"`"),
    ("where", "value", "`value = \"open\"`"),
    ("lookup", "ids_param", "`ids_param = \"ids\"`: the parameter that carries the ids"),
    ("lookup", "key", "`key = \"$.id\"`"),
    ("lookup", "value", "`value = \"$.name\"`"),
];

/// Adds an example of a missing key, unless there is a hint.
pub(super) fn shown(problem: Problem) -> Problem {
    if problem.hint.is_some() || problem.message != "is missing" {
        return problem;
    }
    let key = problem.path.last().map(String::as_str);
    let stands_in = |table: &str| problem.path.iter().any(|part| part == table);
    match EXAMPLES.iter().find(|(table, name, _)| Some(*name) == key && stands_in(table)) {
        Some((.., example)) => problem.hint(format!("for instance {example}")),
        None => problem,
    }
}
