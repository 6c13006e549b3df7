//! The unit, the image and the compose file keep what they promise.
//!
//! Apart from the program's own tests: nothing here is compiled, and nothing would notice if it went wrong.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::skip::could_not_run;

const BINARY: &str = env!("CARGO_BIN_EXE_sales-pipeline");
const INSTALLED: &str = "/usr/bin/sales-pipeline";
const UNIT: &str = "systemd/sales-pipeline.service";
const NOTIFY_RELOAD: &str = "systemd/notify-reload.conf";
const DOCKERFILE: &str = "deploy/Dockerfile";
const COMPOSE: &str = "deploy/compose.yaml";

/// `[limits] grace` as it is without a word in the config.
const DEFAULT_GRACE_SECONDS: u32 = 20;

fn path_of(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(file)
}

fn text_of(file: &str) -> String {
    fs::read_to_string(path_of(file)).unwrap_or_else(|error| panic!("read `{file}`: {error}"))
}

/// The values of `key=` in a unit, in order.
fn settings<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

/// The arguments of a Dockerfile's instruction, with its continued lines joined.
fn instruction(dockerfile: &str, name: &str) -> String {
    let joined = dockerfile.replace("\\\n", " ");
    let mut arguments = joined.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    arguments.next_back().unwrap_or_else(|| panic!("the image has no {name}")).trim().to_owned()
}

/// The words of an instruction in exec form, `["a", "b"]`.
fn exec_form(arguments: &str) -> Vec<String> {
    let list = arguments.find('[').map(|start| &arguments[start..]).expect("exec form begins with a bracket");
    serde_json::from_str(list).expect("exec form is a JSON list")
}

fn seconds(text: &str) -> u32 {
    text.trim().trim_end_matches('s').parse().expect("plain seconds")
}

/// Runs systemd-analyze on `unit`, with `arguments` before it; none where the host has no systemd-analyze.
fn systemd_analyze(arguments: &[&str], unit: &Path) -> Option<Output> {
    match Command::new("systemd-analyze").args(arguments).arg(unit).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            could_not_run("the unit by systemd-analyze", "it is not installed (Debian: systemd)");
            None
        }
        Err(error) => panic!("systemd-analyze: {error}"),
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn systemd_finds_nothing_to_complain_about_in_the_unit() {
    // It checks that the programs exist: a copy names the one that was built, by a path without blanks.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = folder.path().join("program");
    std::os::unix::fs::symlink(BINARY, &program).expect("a link to the binary");
    let unit = folder.path().join("sales-pipeline.service");
    fs::write(&unit, text_of(UNIT).replace(INSTALLED, &program.to_string_lossy())).expect("a copy of the unit");

    let Some(output) = systemd_analyze(&["verify", "--man=no"], &unit) else { return };
    assert!(output.status.success(), "{}", said(&output));
    assert!(!said(&output).contains("sales-pipeline"), "{}", said(&output));
}

#[test]
fn the_unit_is_exposed_at_most_1_5() {
    let arguments = ["security", "--no-pager", "--offline=true", "--threshold=15"];
    let Some(output) = systemd_analyze(&arguments, &path_of(UNIT)) else { return };
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn systemd_stops_trying_a_bad_config() {
    let unit = text_of(UNIT);
    let final_codes: Vec<&str> =
        settings(&unit, "RestartPreventExitStatus").iter().flat_map(|codes| codes.split(' ')).collect();
    assert!(final_codes.contains(&"78") && final_codes.contains(&"64"), "{final_codes:?}");
    assert_eq!(settings(&unit, "ExecStartPre"), [format!("{INSTALLED} check")]);
    // systemd restarts the unit whatever code an ExecStartPre= ends with: the start limit must be reached.
    let number = |key: &str| seconds(settings(&unit, key)[0]);
    assert!(number("StartLimitBurst") * number("RestartSec") < number("StartLimitIntervalSec"));
}

#[test]
fn a_reload_checks_the_new_config_before_the_daemon_is_asked() {
    let check = format!("{INSTALLED} check");
    let unit = text_of(UNIT);
    assert_eq!(settings(&unit, "ExecReload"), [check.as_str(), "/bin/kill -HUP $MAINPID"]);
    // With notify-reload systemd sends the signal: the empty line takes the inherited kill away.
    assert_eq!(settings(&text_of(NOTIFY_RELOAD), "ExecReload"), ["", check.as_str()]);
}

#[test]
fn systemd_and_docker_wait_longer_than_the_grace() {
    let unit = text_of(UNIT);
    let unit_waits = settings(&unit, "TimeoutStopSec");
    assert!(seconds(unit_waits[0]) > DEFAULT_GRACE_SECONDS);
    let compose = text_of(COMPOSE);
    let container_waits = compose.lines().find_map(|line| line.trim().strip_prefix("stop_grace_period:"));
    assert!(seconds(container_waits.expect("stop_grace_period")) > DEFAULT_GRACE_SECONDS);
}

#[test]
fn the_program_has_every_command_that_unit_and_image_call() {
    let (unit, image) = (text_of(UNIT), text_of(DOCKERFILE));
    let by_systemd = ["ExecStartPre", "ExecStart", "ExecReload"].into_iter().flat_map(|key| settings(&unit, key));
    let mut calls: Vec<Vec<String>> = by_systemd
        .filter_map(|line| line.strip_prefix(INSTALLED))
        .map(|arguments| arguments.split_whitespace().map(str::to_owned).collect())
        .collect();
    calls.push(exec_form(&instruction(&image, "HEALTHCHECK")).split_off(1));
    calls.push(exec_form(&instruction(&image, "CMD")));
    assert_eq!(calls.len(), 5, "{calls:?}");

    for call in calls {
        let output = Command::new(BINARY).args(&call).arg("--help").output().expect("the binary starts");
        assert!(output.status.success() && said(&output).contains("Usage"), "{call:?}: {}", said(&output));
    }
}

#[test]
fn the_image_runs_the_program_itself_as_nobody_in_particular() {
    let image = text_of(DOCKERFILE);
    assert_eq!(exec_form(&instruction(&image, "ENTRYPOINT")), [INSTALLED]);
    assert_eq!(exec_form(&instruction(&image, "HEALTHCHECK"))[0], INSTALLED);
    assert_eq!(instruction(&image, "STOPSIGNAL"), "SIGTERM");
    // A number, so that `runAsNonRoot` can be checked without the image's user list.
    let user = instruction(&image, "USER");
    assert_eq!(user, "65532:65532");
}

#[test]
fn the_image_brings_certificates_and_owns_its_volume() {
    let image = text_of(DOCKERFILE);
    let certificates = "/etc/ssl/certs/ca-certificates.crt";
    assert!(image.contains(&format!("COPY --from=build {certificates} {certificates}")));
    let volume = instruction(&image, "VOLUME");
    assert_eq!(instruction(&image, "ENV"), format!("SALES_PIPELINE_OUTPUT={volume}"));
    let owned = image.find("-o 65532 -g 65532").expect("the volume's folder gets its owner");
    assert!(owned < image.find("\nVOLUME").expect("a volume"), "a change after VOLUME is lost");
}

#[test]
fn compose_hands_keys_over_as_files() {
    let compose = text_of(COMPOSE);
    assert!(!compose.contains("environment:"), "an environment is shown by `docker inspect`");
    assert!(compose.contains("\n    secrets:\n      - crm_api_key\n"), "the secret is given to the service");
    assert!(compose.contains("\n  crm_api_key:\n    file: "), "and comes from a file");
}

#[test]
fn compose_mounts_folders_and_nothing_else_is_writable() {
    let compose = text_of(COMPOSE);
    let mounts: Vec<_> =
        compose.lines().filter_map(|line| line.trim().strip_prefix("- ")).filter(|item| item.contains(":/")).collect();
    assert_eq!(mounts, ["data:/data", "./config:/etc/sales-pipeline:ro"]);
    for setting in ["restart: always", "read_only: true", "cap_drop:\n      - ALL", "- no-new-privileges:true"] {
        assert!(compose.contains(&format!("    {setting}\n")), "{setting}");
    }
}

#[test]
fn keys_data_and_local_config_stay_out_of_repository_and_image() {
    for (file, lines) in [
        (".gitignore", ["/target", "/output", ".env.local", "/config/sales-pipeline.toml"].as_slice()),
        ("deploy/.gitignore", &["/config/", "/secrets/"]),
        (".dockerignore", &["target/", "output/", "**/.env.*", "config/sales-pipeline.toml", "deploy/secrets/"]),
    ] {
        let ignored = text_of(file);
        for line in lines {
            assert!(ignored.lines().any(|ignored| ignored == *line), "{file} lacks {line}");
        }
    }
}

#[test]
fn one_tls_is_built_and_everything_comes_from_the_registry() {
    let lock = text_of("Cargo.lock");
    for banned in ["openssl-sys", "native-tls", "aws-lc-sys"] {
        assert!(!lock.contains(&format!("name = \"{banned}\"\n")), "{banned} came in");
        assert!(text_of("deny.toml").contains(&format!("{{ crate = \"{banned}\" }}")), "deny.toml allows {banned}");
    }
    assert!(!lock.contains("source = \"git+"), "a dependency from a repository has no immutable version");
}
