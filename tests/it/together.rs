//! Several sources as one: totals in the base currency, and no source that goes missing in silence.

use rust_decimal::Decimal;
use serde_json::Value;

use crate::fake_rest::{FakeRest, Fault, Paging, deals};
use crate::fake_salesforce::{self, FakeSalesforce};
use crate::program::{Folder, wait_for};
use crate::schema::assert_schema;

fn in_currency(count: u64, code: &str) -> Vec<String> {
    deals(count).into_iter().map(|deal| deal.replace("\"EUR\"", &format!("\"{code}\""))).collect()
}

/// Two open deals of 100.50 and 400.50, one won, one lost, in each of three currencies; pounds have no rate.
async fn three_sources() -> (Folder, [FakeRest; 3]) {
    let sources = [
        FakeRest::start(deals(4)).await,
        FakeRest::start(in_currency(4, "USD")).await,
        FakeRest::start(in_currency(4, "GBP")).await,
    ];
    let folder = Folder::new();
    let [eu, us, uk] = [0, 1, 2].map(|index| sources[index].section(Paging::Cursor));
    folder.write_config(&format!(
        "currency = \"EUR\"\n[fx]\nrates = {{ USD = 0.92 }}\n[sources.eu]\n{eu}\n\
         [sources.us]\n{us}\n[sources.uk]\n{uk}\n"
    ));
    (folder, sources)
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_add_up_in_the_base_currency_and_what_has_no_rate_is_counted() {
    let (folder, _crms) = three_sources().await;
    let pulled = folder.run(&["pull"]);
    pulled.assert_code(0);
    insta::assert_snapshot!(pulled.stdout.lines().last().unwrap());
    assert_schema(&folder.join("output/sales_pipeline.json"));
    let latest = folder.json("output/sales_pipeline.json");
    assert_eq!((&latest["currency"], &latest["total_leads"]), (&"EUR".into(), &12.into()));
    // 501.00 in euros, and the same in dollars at 0.92.
    assert_eq!(latest["totals"]["open"]["value"].to_string(), "961.92");
    let by_currency = &latest["totals"]["open"]["by_currency"];
    for code in ["EUR", "GBP", "USD"] {
        assert_eq!(by_currency[code]["value"].to_string(), "501.0", "{code}");
    }
    assert_eq!(latest["totals"]["unpriced"], 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_of_the_summary_says_how_many_of_its_deals_have_no_price() {
    let (folder, _crms) = three_sources().await;
    folder.run(&["pull"]).assert_code(0);
    let summary = folder.run(&["summary"]).stdout;
    for line in ["| Won | 3 | ", "| uk | "] {
        let line = summary.lines().find(|known| known.starts_with(line)).unwrap_or_else(|| panic!("{line}: {summary}"));
        assert!(line.contains(" EUR (1 not priced) |") || line.contains(" EUR (2 not priced) |"), "{line}");
    }
    assert!(summary.contains("| All in the file | 12 | ") && summary.contains(" EUR (4 not priced) | "), "{summary}");
    let latest = folder.json("output/sales_pipeline.json");
    let unpriced = |status: &str| latest["totals"][status]["unpriced"].as_u64();
    assert_eq!([unpriced("open"), unpriced("won"), unpriced("lost")], [Some(2), Some(1), Some(1)]);
    let eu = folder.json(&format!("output/sales_cache/eu/{}", folder.snapshots("eu")[0]));
    assert_eq!(eu["totals"]["won"].get("unpriced"), None, "nothing where there are none");
    for file in ["output/sales_pipeline.json", "output/daily_summary.json"] {
        assert_schema(&folder.join(file));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_renamed_or_removed_leaves_no_deals_behind() {
    let (folder, [eu, us, uk]) = three_sources().await;
    folder.run(&["pull"]).assert_code(0);
    let section = |name: &str, crm: &FakeRest| format!("[sources.{name}]\n{}\n", crm.section(Paging::Cursor));
    let joined = || {
        let latest = folder.json("output/sales_pipeline.json");
        let sources = latest["sources"].as_array().unwrap().iter();
        let names: Vec<String> = sources.map(|source| source["name"].as_str().unwrap().to_owned()).collect();
        let of = |name: &str| latest["leads"].as_array().unwrap().iter().filter(|lead| lead["source"] == name).count();
        let deals: Vec<usize> = names.iter().map(|name| of(name)).collect();
        assert_eq!(latest["total_leads"], deals.iter().sum::<usize>(), "no deal of another source");
        (names.join(" "), deals, latest["completeness"]["complete"].clone())
    };

    // Under its new name it is a source that was never pulled, and is named as one until it is.
    folder.write_config(&[section("eu", &eu), section("usa", &us), section("uk", &uk)].concat());
    folder.run(&["pull", "eu"]).assert_code(0);
    let (named, deals, is_complete) = joined();
    assert_eq!((named.as_str(), deals, is_complete), ("eu uk usa", vec![4, 4, 0], false.into()));
    folder.run(&["pull", "usa"]).assert_code(0);
    assert_eq!(joined().1, [4, 4, 4], "and no deal stands there twice");

    folder.write_config(&[section("eu", &eu), section("uk", &uk)].concat());
    folder.run(&["pull", "eu"]).assert_code(0);
    let (named, deals, is_complete) = joined();
    assert_eq!((named.as_str(), deals, is_complete), ("eu uk", vec![4, 4], true.into()));
    assert!(!folder.run(&["status"]).stdout.contains("usa"));
    assert_eq!(folder.snapshots("us").len(), 1, "what was pulled under the old name stays until retention takes it");
    for file in ["output/sales_pipeline.json", "output/daily_summary.json"] {
        assert_schema(&folder.join(file));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_other_sources_an_org_keeps_the_prices_of_its_own_rates() {
    let org = FakeSalesforce::start(fake_salesforce::deals(40)).await.with(|org| {
        org.multi_currency = true;
        org.date_rate("USD", "1.25", "2026-01-01", "2026-07-01");
        org.date_rate("USD", "1.5", "2026-07-01", "9999-12-31");
    });
    let other = FakeRest::start(deals(4)).await;
    let folder = Folder::new();
    let rest = other.section(Paging::Cursor);
    folder.write_config(&format!("currency = \"EUR\"\n[sources.org]\n{}\n[sources.other]\n{rest}", org.section()));
    folder.run(&["pull"]).assert_code(0);
    assert_schema(&folder.join("output/sales_pipeline.json"));
    let newest = |name: &str| {
        let snapshots = folder.snapshots(name);
        folder.json(&format!("output/sales_cache/{name}/{}", snapshots.last().unwrap()))
    };
    let (org, other, joined) = (newest("org"), newest("other"), folder.json("output/sales_pipeline.json"));
    for status in ["open", "won", "lost"] {
        for figure in ["value", "weighted"] {
            let of = |head: &Value| head["totals"][status][figure].to_string().parse::<Decimal>().unwrap();
            assert_eq!(of(&joined), of(&org) + of(&other), "{status} {figure}");
        }
    }
    let source = |head: &Value| head["fx"]["source"].as_str().map(str::to_owned);
    assert_eq!((source(&joined), source(&other)), (source(&org), None));
    assert_eq!(source(&org).as_deref(), Some("crm by close date"));
    assert_eq!(org["fx"]["crm"]["dated"]["USD"]["2026-07-01"], 1.5);
    assert_eq!((&joined["sources"][0]["fx"], &joined["totals"]["unpriced"]), (&org["fx"], &org["totals"]["unpriced"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_or_is_held_is_named_with_its_age_and_its_reason() {
    let (folder, [eu, us, _uk]) = three_sources().await;
    folder.run(&["pull"]).assert_code(0);
    let good = folder.json("output/sales_pipeline.json");
    (0..4).for_each(|_| eu.then_fail(Fault::Status(500)));
    us.hold("deals", Vec::new());
    let pulled = folder.run(&["pull"]);
    pulled.assert_code(69);
    insta::with_settings!({filters => vec![(r"\d+ s old", "[age] old")]}, {
        insta::assert_snapshot!(pulled.stdout.lines().last().unwrap());
    });
    for file in ["output/sales_pipeline.json", "output/daily_summary.json"] {
        assert_schema(&folder.join(file));
    }
    let latest = folder.json("output/sales_pipeline.json");
    assert_eq!(latest["totals"], good["totals"], "the last good deals stay");
    let because = |index: usize| latest["sources"][index]["stale_because"].as_str().map(str::to_owned);
    assert!(because(0).unwrap().starts_with("failing: "), "{:?}", because(0));
    assert!(because(2).unwrap().starts_with("held: no deals came"), "{:?}", because(2));
    assert_eq!((because(1), &latest["sources"][1]["stale_since"]), (None, &serde_json::Value::Null));

    // Once both are well again, nothing is left of it.
    us.hold("deals", in_currency(4, "USD"));
    folder.run(&["pull"]).assert_code(0);
    let latest = folder.json("output/sales_pipeline.json");
    assert!(latest["sources"].as_array().unwrap().iter().all(|source| source["stale_since"].is_null()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_never_pulled_is_named_too() {
    let (folder, _crms) = three_sources().await;
    let pulled = folder.run(&["pull", "eu", "uk"]);
    pulled.assert_code(0);
    insta::assert_snapshot!(pulled.stdout.lines().last().unwrap());
    assert_eq!(folder.json("output/sales_pipeline.json")["completeness"]["complete"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_summary_of_one_source_says_that_its_pulls_fail_until_one_does_not() {
    let crm = FakeRest::start(deals(4)).await;
    let folder = Folder::new();
    let schedule = "schedule = \"*/1 * * * * *\"\n";
    folder.write_config(&format!("[sources.crm]\n{}\n{schedule}", crm.section(Paging::Cursor)));
    folder.run(&["pull"]).assert_code(0);
    let daemon = folder.start(&["run"]);
    let since =
        || folder.json("output/daily_summary.json")["sales_pipeline_summary"]["sources"]["crm"]["stale_since"].clone();
    (0..15).for_each(|_| crm.then_fail(Fault::Status(503)));
    wait_for("the failure in the summary", || since().is_string().then_some(()));
    wait_for("its end", || since().is_null().then_some(()));
    daemon.stop().assert_code(0);
}
