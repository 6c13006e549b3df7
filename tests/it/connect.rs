//! `check --connect`: what a new user sees before the first run.

use crate::fake_hubspot::{self, FakeHubspot};
use crate::fake_rest::{FakeRest, Fault, Paging, Tokens, deals};
use crate::program::Folder;

fn folder_of(crm: &FakeRest) -> Folder {
    let folder = Folder::new();
    folder.write_config(&format!("[sources.crm]\n{}", crm.section(Paging::Cursor)));
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn each_field_is_shown_with_where_it_comes_from_and_what_it_holds() {
    let broken = deals(30).into_iter().map(|deal| deal.replace("\"700.50\"", "\"much\"").replace("2026-03-31", "soon"));
    let crm = FakeRest::start(broken.collect()).await.page_size(20);
    let folder = folder_of(&crm);
    let told = folder.run(&["check", "--connect"]);
    told.assert_code(0);
    let from = told.stdout.find("\ncrm (live)").unwrap();
    insta::assert_snapshot!(&told.stdout[from..]);
    assert!(!folder.join("output").exists(), "nothing is written");
    assert_eq!(crm.requests_of("/v1/cursor/deals"), 1, "one page and no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_crm_issued_is_hidden_where_it_sends_it_back() {
    let echo = deals(3).into_iter().map(|deal| deal.replace("Deal ", "Bearer canary-access-1 of deal "));
    let crm = FakeRest::start(echo.collect()).await.require_token(Tokens { expires_in: 3600, ..Tokens::default() });
    let folder = Folder::new();
    let token_url = format!("{}/oauth/token", crm.origin());
    folder.write_config(&format!(
        "[sources.crm]\n{}\nauth = {{ type = \"oauth2\", grant = \"client_credentials\", token_url = \"{token_url}\", \
         client_id = \"app\", client_secret = \"canary-secret\" }}",
        crm.section(Paging::Cursor)
    ));
    let told = folder.run(&["check", "--connect"]);
    told.assert_code(0);
    assert!(told.stdout.contains("Bearer *** of deal 1") && !told.stdout.contains("canary"), "{}", told.stdout);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_are_said_with_what_to_do() {
    let crm = FakeRest::start(deals(3)).await.fail(Fault::Status(401));
    let folder = folder_of(&crm);
    let told = folder.run(&["check", "--connect", "crm"]);
    told.assert_code(77);
    insta::assert_snapshot!(told.stderr);
    folder.run(&["check", "--connect", "other"]).assert_code(64);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_is_what_a_pull_would_take_in_the_currency_it_would_take() {
    let crm = FakeHubspot::start(vec![
        fake_hubspot::bare_deal(1).with("pipeline", "7654321").with("dealname", "of another pipeline"),
        fake_hubspot::bare_deal(2).with("amount", "5"),
    ]);
    let (crm, folder) = (crm.await, Folder::new());
    folder.write_config(&format!("[sources.hubspot]\n{}\npipelines = [\"default\"]\n", crm.section()));
    let told = folder.run(&["check", "--connect"]).assert_code(0).stdout.clone();
    assert!(!folder.join("output").exists(), "nothing is written");
    assert!(told.contains("2 records, 1 left out by the configuration, 0 skipped"), "{told}");
    assert!(!told.contains("of another pipeline"), "{told}");
    let row = told.lines().find(|line| line.trim_start().starts_with("currency ")).unwrap();
    assert!(row.ends_with("USD"), "{row}");
}
