//! The configuration: layers, forms of a secret, and all problems at once, each on its line.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use sales_pipeline::clock::{Clock, SystemClock};
use sales_pipeline::config::report::Report;
use sales_pipeline::config::{self, Config, Inputs};
use sales_pipeline::http::Clients;
use sales_pipeline::model::name::SourceName;
use tempfile::TempDir;

/// A working directory with files and an environment.
struct Folder {
    directory: TempDir,
    environment: BTreeMap<String, String>,
    demo: bool,
}

impl Folder {
    fn empty() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), environment: BTreeMap::new(), demo: false }
    }

    fn with(toml: &str) -> Self {
        Self::empty().file("config/sales-pipeline.toml", toml)
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.directory.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.to_owned(), value.to_owned());
        self
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn load_with(&self, change: impl FnOnce(&mut Inputs)) -> (Option<Config>, Report) {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mut inputs = Inputs {
            file: None,
            output: None,
            demo: self.demo,
            environment: self.environment.clone(),
            working_directory: self.path().to_owned(),
            user: rustix::process::geteuid().as_raw(),
            strict: true,
            trial: false,
            clients: Clients::new(),
            clock,
        };
        change(&mut inputs);
        config::load(&inputs)
    }

    fn load(&self) -> (Option<Config>, Report) {
        self.load_with(|_| ())
    }

    /// The problems as `check` prints them.
    fn problems(&self) -> String {
        let (config, report) = self.load();
        assert_eq!(config.is_none(), !report.problems.is_empty());
        lines(&report.problems)
    }

    fn warnings(&self) -> String {
        let (config, report) = self.load();
        assert!(config.is_some(), "{:?}", report.problems);
        lines(&report.warnings)
    }
}

fn lines(placed: &[impl ToString]) -> String {
    placed.iter().map(|problem| problem.to_string() + "\n").collect()
}

const DEMO: &str = "[sources.demo]\nkind = \"demo\"\n";

#[test]
fn the_defaults_are_those_of_the_reference() {
    let (config, report) = Folder::with(DEMO).load();
    let config = config.unwrap();
    assert_eq!(report.files, [Path::new("config/sales-pipeline.toml")]);
    assert_eq!((config.retention.days, config.retention.keep_at_least), (30, 10));
    assert_eq!(config.limits.pull_deadline.to_string(), "30m");
    assert!(config.layout.output.ends_with("output") && config.layout.cache.ends_with("output/sales_cache"));
    let schedules: Vec<String> = config.sources.values().map(|source| source.schedule.to_string()).collect();
    assert_eq!(schedules, ["0 * * * *"]);
}

#[test]
fn a_later_layer_wins_and_a_later_secret_replaces_the_earlier_whole() {
    let rest = "[sources.crm]\nkind = \"rest\"\nendpoint = \"https://crm.example\"\nauth = { type = \"bearer\", token = { env = \"NOBODY_SETS_THIS\" } }\n\
                fields = { id = \"$.id\" }\n[retention]\ndays = 60\n";
    let folder = Folder::with(rest)
        .file(".env.local", "SALES_PIPELINE_RETENTION__DAYS=70\nSALES_PIPELINE_LIMITS__PARALLEL=2\n")
        .file("key", "secret\n")
        .variable("SALES_PIPELINE_RETENTION__DAYS", "80");
    let key = folder.path().join("key");
    let folder = folder.variable("SALES_PIPELINE_SOURCES__CRM__AUTH__TOKEN__FILE", key.to_str().unwrap());
    let (config, report) = folder.load();
    let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    let config = config.unwrap_or_else(|| panic!("{problems:?}"));
    assert_eq!((config.retention.days, config.limits.parallel), (80, 2));
}

#[test]
fn all_problems_come_at_once_each_on_its_line() {
    let folder = Folder::with(
        "outptu = \"x\"\ntimezone = \"Europe/Berln\"\ncurrency = \"euro\"\nschedule = \"61 * * * *\"\n\n\
         [retention]\ndays = \"many\"\nkeep = 3\n\n[limits]\npull_deadline = \"soon\"\nparallel = 0\n\n\
         [fx]\nrates = { USD = -1.0 }\n\n[sources.Big]\nkind = \"demo\"\n\n[sources.demo]\nkind = \"demo\"\nseed = 3\nschedule = \"@often\"\n\n\
         [sources.other]\nkind = \"hubspt\"\n\n[sources.none]\n",
    )
    .variable("SALES_PIPELINE_LIMITS__GRACE", "a while")
    .variable("SALES_PIPELINE_RETENTION__DAYZ", "3");
    insta::assert_snapshot!(folder.problems());
}

#[test]
fn a_demo_does_not_stand_beside_a_live_source() {
    let live = "[sources.crm]\nkind = \"hubspot\"\napi_key = { env = \"PATH\" }\n";
    let folder = Folder::with(&format!("{DEMO}{live}"));
    let (config, report) = folder.load();
    assert!(config.is_none());
    let problems: Vec<String> = report.problems.iter().map(ToString::to_string).collect();
    let told = "config/sales-pipeline.toml:2: sources.demo.kind: invented deals do not stand beside live ones";
    assert!(problems.iter().any(|problem| problem.starts_with(told)), "{problems:#?}");
}

#[test]
fn no_problem_shows_a_secret_whatever_key_it_stands_in() {
    let keys = [
        "output = [\"canary\"]",
        "timezone = \"canary\"",
        "currency = \"canary\"",
        "schedule = \"canary\"",
        "source = \"canary\"",
        "canary = 1",
        "[retention]\ndays = \"canary\"",
        "[limits]\ngrace = \"canary\"",
        "[fx]\nrates = { USD = \"canary\" }",
        "[sources.x]\nkind = \"canary\"",
        "[sources.x]\nkind = \"demo\"\nschedule = \"canary\"",
        "api_key = canary",
        "source = \"demo\"\napi_key = [\"canary\"]",
    ];
    for toml in keys {
        let problems = Folder::with(toml).problems();
        // The name of a key is not a value.
        assert!(toml.starts_with("canary") || !problems.contains("canary"), "{toml}\n{problems}");
    }
    let folder = Folder::empty()
        .variable("SALES_PIPELINE_LIMITS__PARALLEL", "canary")
        .variable("SALES_PIPELINE_SOURCE", "canary");
    assert!(!folder.problems().contains("canary"), "{}", folder.problems());
}

#[test]
fn a_syntax_error_is_named_with_its_line() {
    insta::assert_snapshot!(Folder::with("output = \"x\"\n[retention\ndays = 3\n").problems());
    insta::assert_snapshot!(Folder::with("a = 1\na = 2\n").problems());
    insta::assert_snapshot!(Folder::empty().file(".env.local", "SALES_PIPELINE_SOURCE=demo\nnonsense\n").problems());
}

#[test]
fn the_four_variables_of_env_local_make_a_source() {
    let dotenv = "SALES_PIPELINE_SOURCE=demo\nSALES_PIPELINE_CACHE=cache\n";
    let (config, report) = Folder::empty().file(".env.local", dotenv).load();
    let config = config.unwrap();
    assert_eq!(report.files, [Path::new(".env.local")]);
    assert!(config.layout.cache.ends_with("cache"));
    assert_eq!(config.sources.keys().map(SourceName::as_str).collect::<Vec<_>>(), ["demo"]);
}

#[test]
fn the_short_form_of_hubspot_is_a_source_with_its_key_and_address() {
    let dotenv = "SALES_PIPELINE_SOURCE=hubspot\nSALES_PIPELINE_API_KEY=canary\n\
                  SALES_PIPELINE_ENDPOINT=https://api.hubspot.com/crm/v3/objects/deals\n";
    let folder = Folder::empty().file(".env.local", dotenv);
    assert_eq!(folder.warnings(), "", "a secret of .env.local is in its place");
    let config = folder.load().0.unwrap();
    assert_eq!(config.sources.keys().map(SourceName::as_str).collect::<Vec<_>>(), ["hubspot"]);
    let without = Folder::empty().variable("SALES_PIPELINE_SOURCE", "hubspot").problems();
    assert!(without.contains("api_key: is missing"), "{without}");
    let wrong = folder.variable("SALES_PIPELINE_ENDPOINT", "http://crm.example").problems();
    assert!(wrong.contains("endpoint: is plain http"), "{wrong}");
}

#[test]
fn the_short_form_of_another_crm_is_answered_with_a_section_to_begin_with() {
    let dotenv =
        "SALES_PIPELINE_SOURCE=mycrm\nSALES_PIPELINE_API_KEY=k\nSALES_PIPELINE_ENDPOINT=https://crm.example/v1\n";
    insta::assert_snapshot!(Folder::empty().file(".env.local", dotenv).problems());
}

#[test]
fn the_address_of_a_list_becomes_endpoint_and_path_of_that_section_and_no_key_in_it_is_repeated() {
    for (address, endpoint, path) in [
        ("https://foo.example/v1/deals", "https://foo.example/v1", "/deals"),
        ("https://foo.example/api/Opportunities/?api_key=canary", "https://foo.example/api", "/Opportunities/"),
        ("https://foo.example/v1", "https://foo.example/v1", "/deals"),
        ("https://foo.example/v1?key=canary", "https://api.mycrm.example/v2", "/deals"),
        ("deals", "deals", "/deals"),
    ] {
        let dotenv = format!("SALES_PIPELINE_SOURCE=foo\nSALES_PIPELINE_ENDPOINT={address}\n");
        let told = Folder::empty().file(".env.local", &dotenv).problems();
        let lines = [format!("endpoint = \"{endpoint}\"\n"), format!("request  = {{ path = \"{path}\" }}\n")];
        assert!(lines.iter().all(|line| told.contains(line)) && !told.contains("canary"), "{told}");
    }
}

#[test]
fn the_short_form_does_not_mix_with_sections() {
    insta::assert_snapshot!(Folder::with(&format!("source = \"demo\"\n{DEMO}")).problems());
}

#[test]
fn without_any_source_there_is_no_run() {
    let (config, report) = Folder::empty().load();
    assert!(config.is_none() && report.no_source);
    let (config, report) = Folder { demo: true, ..Folder::empty() }.load();
    assert!(config.is_some() && !report.no_source);
}

#[test]
fn a_file_of_the_working_directory_is_used_only_if_nobody_else_can_have_written_it() {
    let folder = Folder::with(DEMO);
    let path = folder.path().join("config/sales-pipeline.toml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    insta::assert_snapshot!(folder.problems());
    let (config, _) = folder.load_with(|inputs| inputs.file = Some(path.clone()));
    assert!(config.is_some(), "named by its user it is used all the same");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    // Another user than the file's owner, and the owner is not root.
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(1234), None).unwrap();
    }
    let (config, report) = folder.load_with(|inputs| inputs.user = 4321);
    assert!(config.is_none());
    insta::assert_snapshot!(report.problems[0]);
}

#[test]
fn a_file_that_is_named_and_not_there_is_an_error_and_not_an_empty_one() {
    let (config, report) = Folder::empty().load_with(|inputs| inputs.file = Some("nowhere.toml".into()));
    assert!(config.is_none());
    insta::assert_snapshot!(report.problems[0]);
}

#[test]
fn a_secret_that_is_not_there_is_told_beside_what_is_wrong_with_its_section() {
    let rest = "[sources.crm]\nkind = \"rest\"\nendpoint = \"no address\"\nfields = { id = \"$.id\" }\n\
                auth = { type = \"bearer\", token = { env = \"UNSET_TOKEN\" } }\n";
    let hubspot = "[sources.hub]\nkind = \"hubspot\"\nendpoint = \"no address\"\nfields = { env = \"arr\" }\n\
                   api_key = { env = \"UNSET_KEY\" }\n";
    let problems = Folder::with(&format!("{rest}{hubspot}")).problems();
    for part in [
        "3: sources.crm.endpoint: ",
        "5: sources.crm.auth.token: variable `UNSET_TOKEN` is not set",
        "8: sources.hub.endpoint: ",
        "10: sources.hub.api_key: variable `UNSET_KEY` is not set",
    ] {
        assert!(problems.contains(part), "no `{part}` in\n{problems}");
    }
    assert_eq!(problems.lines().count(), 4, "{problems}");
}

#[test]
fn that_no_source_is_configured_is_not_said_where_one_is_and_is_wrong() {
    for toml in ["sources = 5\n", "[sources]\nBig = { kind = \"demo\" }\n", "source = \"demo\"\noutptu = \"x\"\n"] {
        let problems = Folder::with(toml).problems();
        assert!(problems.lines().count() == 1 && !problems.contains("no source"), "{toml}{problems}");
    }
    assert!(Folder::with("outptu = \"x\"\n").problems().contains("no source is configured"), "there is none");
}

#[test]
fn a_variable_of_env_local_that_is_read_before_it_is_warned_of() {
    let folder =
        Folder::with(DEMO).file(".env.local", "X=1\nSALES_PIPELINE_CONFIG=other.toml\nSALES_PIPELINE_LOG=debug\n");
    let warnings = folder.warnings();
    for part in [
        ".env.local:2: `SALES_PIPELINE_CONFIG` says nothing here",
        ".env.local:3: `SALES_PIPELINE_LOG` says nothing here",
    ] {
        assert!(warnings.contains(part), "no `{part}` in\n{warnings}");
    }
    let folder = folder.variable("SALES_PIPELINE_LOG", "info");
    assert!(!folder.warnings().contains("_LOG"), "the environment says it");
}

#[test]
fn missing_secrets_are_found_before_the_first_pull_and_secrets_in_the_file_are_warned_of() {
    let section = |token: &str| {
        format!(
            "[sources.crm]\nkind = \"rest\"\nendpoint = \"https://crm.example\"\nfields = {{ id = \"$.id\" }}\nauth = {{ type = \"bearer\", token = {token} }}\n"
        )
    };
    for (form, word) in [
        ("{ env = \"NOBODY_SETS_THIS\" }", "NOBODY_SETS_THIS"),
        ("{ file = \"/nowhere/key\" }", "/nowhere/key"),
        ("{ credential = \"crm\" }", "CREDENTIALS_DIRECTORY"),
    ] {
        let problems = Folder::with(&section(form)).problems();
        assert!(
            problems.starts_with("config/sales-pipeline.toml:5: sources.crm.auth.token: ") && problems.contains(word),
            "{problems}"
        );
    }
    let warnings = Folder::with(&section("\"canary\"")).warnings();
    assert!(warnings.contains("the secret stands in the file") && !warnings.contains("canary"), "{warnings}");
    let from_env = Folder::with(&section("{ env = \"X\" }")).variable("X", "set");
    assert!(!from_env.warnings().contains("secret"));
}

#[test]
fn two_sources_that_ask_one_account_for_the_same_deals_are_warned_of_with_both_names() {
    let source = |name: &str, key: &str, more: &str| {
        format!("[sources.{name}]\nkind = \"hubspot\"\napi_key = {{ env = \"{key}\" }}\n{more}\n")
    };
    let warnings = |sources: &[String]| {
        let keys = [("ONE", "canary-1"), ("SAME", "canary-1"), ("OTHER", "canary-2")];
        let folder = Folder::with(&sources.concat());
        keys.into_iter().fold(folder, |folder, (key, value)| folder.variable(key, value)).warnings()
    };
    let told = warnings(&[source("eu", "ONE", "schedule = \"@hourly\""), source("us", "SAME", "")]);
    let expected = "sales-pipeline.toml:5: sources.us: asks the same account for the same deals as `eu`: they count twice; keep \
                    one of the two, or tell them apart by `pipelines` or `request`";
    assert!(told.contains(expected), "{told}");
    assert!(!told.contains("canary"), "{told}");
    let overlapping =
        |mine: &str| warnings(&[source("eu", "ONE", "pipelines = [\"a\", \"b\"]"), source("us", "ONE", mine)]);
    assert!(overlapping("").contains("count twice") && overlapping("pipelines = [\"b\"]").contains("count twice"));
    assert!(!overlapping("pipelines = [\"c\"]").contains("count twice"));
    assert!(
        !warnings(&[source("eu", "ONE", ""), source("us", "OTHER", "")]).contains("count twice"),
        "another account"
    );
}

#[test]
fn a_users_name_beside_a_password_is_no_secret_and_one_without_it_may_be_a_key() {
    let section = |auth: &str| {
        format!(
            "[sources.crm]\nkind = \"rest\"\nendpoint = \"https://api.mycrm.example\"\nfields = {{ id = \"$.id\" }}\n\
             auth = {{ type = \"basic\", {auth} }}\n"
        )
    };
    let warnings = |auth: &str| Folder::with(&section(auth)).warnings();
    let both = warnings("username = \"joe\", password = \"canary\"");
    assert!(both.contains("auth.password: the secret stands in the file") && !both.contains("auth.username"), "{both}");
    assert!(warnings("username = \"canary\"").contains("auth.username: the secret stands in the file"));
}

#[test]
fn a_key_has_no_place_in_the_path_of_a_request() {
    let problems = Folder::with(
        "[sources.crm]\nkind = \"rest\"\nendpoint = \"https://api.mycrm.example\"\nfields = { id = \"$.id\" }\n\
         request = { path = \"/deals?view=all&api_key=canary\" }\n",
    )
    .problems();
    assert!(
        problems.contains(":5: sources.crm.request.path: holds what may be a key in `api_key`; put it under `query`"),
        "{problems}"
    );
    assert!(!problems.contains("canary"), "{problems}");
}

#[test]
fn the_base_currency_is_worth_one_of_itself() {
    let fx =
        |rate: &str| Folder::with(&format!("currency = \"EUR\"\n[fx]\nrates = {{ EUR = {rate}, USD = 0.9 }}\n{DEMO}"));
    let told = fx("2").problems();
    assert!(told.contains("sales-pipeline.toml:3: fx.rates.EUR: is the base currency"), "{told}");
    assert!(!fx("1").problems().contains("fx.rates"));
}
