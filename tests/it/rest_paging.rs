//! Every way of paging against every oddity that real servers have shown: all deals come, or the pull fails.

use proptest::prelude::*;

use crate::fake_rest::{FakeRest, Fault, Habit, Paging, deal, deals};
use crate::program::Folder;
use crate::rest::{failure, ids, pulled, told, with};

/// The ways whose answers name the next page.
const LINKED: [Paging; 2] = [Paging::NextUrl, Paging::Link];

/// Whether a way asks for one answer alone.
fn is_one(paging: Paging) -> bool {
    paging == Paging::None
}

#[tokio::test]
async fn a_page_in_the_middle_may_be_short() {
    for paging in Paging::ALL.into_iter().filter(|paging| !matches!(paging, Paging::Page | Paging::BodyPage)) {
        let crm = FakeRest::start(deals(23)).await.page_size(5).habit(Habit::ShortensSecondPage);
        let (deals, _) =
            pulled(&crm.section(paging)).await.unwrap_or_else(|error| panic!("{paging:?}: {}", told(&error)));
        assert_eq!(ids(&deals).len(), 23, "{paging:?}");
    }
}

#[tokio::test]
async fn an_empty_page_in_the_middle_is_no_end_where_the_answer_names_a_next_one() {
    for paging in LINKED.into_iter().chain([Paging::Cursor, Paging::CursorHeader, Paging::GraphQl]) {
        let crm = FakeRest::start(deals(23)).await.page_size(5).habit(Habit::EmptiesSecondPage);
        let told = failure(&crm.section(paging)).await;
        assert!(told.contains("a next one") || told.contains("read already"), "its next page is itself: {told}");
    }
    for (paging, keys) in [
        (Paging::Page, r#"type = "page", has_more = "$.meta.has_more""#),
        (Paging::Page, r#"type = "page", total_pages = "$.meta.total_pages""#),
        (Paging::BodyPage, r#"type = "page", in = "body", param = "page.number", has_more = "$.meta.has_more""#),
    ] {
        let crm = FakeRest::start(deals(23)).await.page_size(5).habit(Habit::EmptiesSecondPage);
        let line = format!("paging = {{ {keys} }}");
        let (deals, _) = pulled(&with(&crm.section(paging), "paging", &line)).await.unwrap();
        assert_eq!(ids(&deals).len(), 18, "the five of the empty page are nowhere else: {keys}");
    }
}

#[tokio::test]
async fn a_page_may_begin_with_the_last_record_of_the_one_before() {
    for paging in Paging::ALL.into_iter().filter(|paging| !is_one(*paging)) {
        // A walk by counted records would skip as many as came twice; it is asked to step by the size.
        let crm = FakeRest::start(deals(23)).await.page_size(5).habit(Habit::Overlaps);
        let section = match paging {
            Paging::Offset | Paging::HeaderOffset => {
                let keys = format!("{}, step = \"size\"", paging.keys(5));
                with(&crm.section(paging), "paging", &format!("paging = {{ {keys} }}"))
            }
            // Parts that overlap are other parts than those asked for.
            Paging::Range => continue,
            _ => crm.section(paging),
        };
        let (deals, fetched) = pulled(&section).await.unwrap_or_else(|error| panic!("{paging:?}: {}", told(&error)));
        assert_eq!(ids(&deals).len(), 23, "{paging:?}");
        assert!(fetched.fetched > 23, "the doubles are counted");
    }
}

#[tokio::test]
async fn a_next_address_may_be_relative_and_never_leads_to_another_host() {
    for paging in LINKED {
        let crm = FakeRest::start(deals(12)).await.page_size(5).habit(Habit::LinksRelatively);
        let (all, _) =
            pulled(&crm.section(paging)).await.unwrap_or_else(|error| panic!("{paging:?}: {}", told(&error)));
        assert_eq!(ids(&all).len(), 12, "{paging:?}");
        let crm = FakeRest::start(deals(12)).await.page_size(5).habit(Habit::LinksElsewhere);
        let told = failure(&crm.section(paging)).await;
        assert!(told.contains("the address is not on http://127.0.0.1"), "{paging:?}: {told}");
    }
}

#[tokio::test]
async fn a_walk_in_circles_ends_soon_and_in_an_error() {
    for (habit, ways) in [
        (Habit::LinksToItself, &LINKED[..]),
        (Habit::CyclesCursors, &[Paging::Cursor, Paging::CursorHeader, Paging::GraphQl, Paging::NextUrl, Paging::Link]),
        (Habit::RepeatsLastPage, &[Paging::Page, Paging::Offset, Paging::BodyPage, Paging::HeaderOffset]),
        (Habit::IgnoresRanges, &[Paging::Range]),
    ] {
        for paging in ways {
            let crm = FakeRest::start(deals(15)).await.page_size(5).habit(habit);
            let told = failure(&crm.section(*paging)).await;
            let is_known = ["came twice", "read already", "another part"].iter().any(|words| told.contains(words));
            assert!(is_known, "{habit:?}, {paging:?}: {told}");
            assert!(crm.requests().len() < 9, "{habit:?}, {paging:?}: it ends soon");
        }
    }
}

#[tokio::test]
async fn null_an_html_page_a_cut_body_and_a_redirect_are_read_or_refused_whatever_the_way() {
    for paging in Paging::ALL {
        let crm = FakeRest::start(deals(12)).await.page_size(5).habit(Habit::SendsNull);
        assert!(failure(&crm.section(paging)).await.contains("`$.data`: `data` is null"), "{paging:?}");
        for (fault, why) in [
            (Fault::Html, "the answer is an HTML page, not JSON"),
            (Fault::NotJson, "the answer is not JSON"),
            (Fault::Redirect, "the CRM answers 301"),
        ] {
            let crm = FakeRest::start(deals(12)).await.page_size(5).fail_always(fault);
            assert!(failure(&crm.section(paging)).await.contains(why), "{paging:?}");
        }
        for habit in [Habit::Packs, Habit::LabelsPlainAsPacked, Habit::MarksByteOrder, Habit::LabelsAsText] {
            let crm = FakeRest::start(deals(12)).await.page_size(5).habit(habit).fail(Fault::Cut);
            let (all, _) =
                pulled(&crm.section(paging)).await.unwrap_or_else(|error| panic!("{paging:?}: {}", told(&error)));
            assert_eq!(ids(&all).len(), 12, "{habit:?}, {paging:?}");
        }
    }
}

#[tokio::test]
async fn a_redirect_on_the_same_origin_is_followed_where_that_is_wanted() {
    let crm = FakeRest::start(deals(12)).await.fail(Fault::Redirect);
    let fields = with(&crm.section(Paging::None), "fields", r#"fields = { id = "$.id" }"#);
    let section = format!("{fields}\nfollow_redirects = true");
    let (all, _) = pulled(&section).await.unwrap();
    assert_eq!(all.len(), 12);
    let crm = FakeRest::start(vec![deal(1)]).await.fail_always(Fault::Redirect);
    let told = failure(&format!("{}\nfollow_redirects = true", crm.section(Paging::None))).await;
    assert!(told.contains("the CRM redirects more than 5 times"), "{told}");
}

#[tokio::test]
async fn a_list_that_is_longer_than_it_may_be_is_no_list_and_so_is_a_table() {
    for (paging, bound, why) in [
        (Paging::Page, "max_pages = 2", "the list is longer than 2 pages"),
        (Paging::Cursor, "max_pages = 2", "the list is longer than 2 pages"),
        (Paging::NextUrl, "max_records = 11", "the list is longer than 11 records"),
        (Paging::Range, "max_pages = 2", "the list is longer than 2 pages"),
        (Paging::None, "max_records = 11", "the list is longer than 11 records"),
    ] {
        let crm = FakeRest::start(deals(12)).await.page_size(5);
        let bounded =
            |bound: &str| with(&crm.section(paging), "paging", &format!("paging = {{ {}, {bound} }}", paging.keys(5)));
        let told = failure(&bounded(bound)).await;
        assert!(told.contains(why), "{paging:?}: {told}");
        // The fourth page of a list that is counted is the empty one.
        let enough = bound.replace("11", "12").replace("pages = 2", "pages = 4");
        assert_eq!(pulled(&bounded(&enough)).await.unwrap().0.len(), 12, "{paging:?}");
    }
    let crm = FakeRest::start(deals(1)).await.page_size(1);
    let table = |bound: &str| {
        let line = format!(
            r#"lookup.stages = {{ path = "/cursor/stages", paging = {{ type = "cursor", cursor = "$.meta.next", param = "cursor", {bound} }}, records = "$.data", key = "$.id", value = "$.name" }}"#
        );
        with(&crm.section(Paging::None), "lookup.stages", &line)
    };
    assert!(failure(&table("max_pages = 3")).await.contains("read look-up `stages`: the list is longer than 3 pages"));
    let before = crm.requests_of("/v1/cursor/stages");
    pulled(&table("max_pages = 4")).await.unwrap();
    assert_eq!(crm.requests_of("/v1/cursor/stages") - before, 4);
}

#[tokio::test]
async fn a_next_address_is_requested_without_the_query_of_the_first_request() {
    let line = r#"request = { path = "/next_url/deals", query = { view = "all", skip = "0", a = [1, 2] } }"#;
    let crm = FakeRest::start(deals(12)).await.page_size(5);
    let (all, _) = pulled(&with(&crm.section(Paging::NextUrl), "request", line)).await.unwrap();
    assert_eq!(all.len(), 12);
    assert_eq!(crm.requests()[3].query, "skip=5");
}

#[tokio::test]
async fn a_total_that_only_the_first_answer_holds_is_enough() {
    for paging in [Paging::Cursor, Paging::NextUrl, Paging::Link, Paging::Page, Paging::Offset] {
        let crm = FakeRest::start(deals(12)).await.page_size(5).habit(Habit::CountsOnce);
        let line = format!("paging = {{ {}, total = \"$.meta.total\" }}", paging.keys(5));
        let (all, fetched) = pulled(&with(&crm.section(paging), "paging", &line)).await.unwrap();
        assert_eq!((all.len(), fetched.listed, fetched.end.doubt()), (12, Some((12, 12)), None), "{paging:?}");
    }
}

#[tokio::test]
async fn a_count_that_is_the_pages_own_is_no_count_of_the_list() {
    for paging in [Paging::Page, Paging::Offset, Paging::BodyPage, Paging::HeaderOffset] {
        let crm = FakeRest::start(deals(12)).await.page_size(5).habit(Habit::CountsThePage);
        let line = |keys: &str| format!("paging = {{ {keys}, total = \"$.meta.total\" }}");
        let told = failure(&with(&crm.section(paging), "paging", &line(&paging.keys(5)))).await;
        assert!(told.contains("the second holds records: is it the count of a page?"), "{paging:?}: {told}");
        // A list that fills its page is looked behind, and may be refused there.
        let crm = FakeRest::start(deals(5)).await.page_size(5).habit(Habit::MissesBehindTheEnd);
        let (all, _) = pulled(&with(&crm.section(paging), "paging", &line(&paging.keys(5)))).await.unwrap();
        assert_eq!(all.len(), 5, "{paging:?}");
    }
}

/// A list that may be read only as a whole or not at all.
#[derive(Debug, Clone, Copy)]
enum Broken {
    LosesARecord,
    LosesAPage,
    Repeats,
    Cycles,
    LeadsElsewhere,
}

impl Broken {
    fn habit(self) -> Habit {
        match self {
            Self::LosesARecord => Habit::LosesARecord,
            Self::LosesAPage => Habit::EmptiesSecondPage,
            Self::Repeats => Habit::RepeatsLastPage,
            Self::Cycles => Habit::CyclesCursors,
            Self::LeadsElsewhere => Habit::LinksElsewhere,
        }
    }

    /// The ways on which it can be seen.
    fn ways(self) -> Vec<Paging> {
        match self {
            Self::LosesARecord | Self::LosesAPage => {
                let counted = [Paging::Page, Paging::Offset, Paging::BodyPage, Paging::HeaderOffset];
                let cursors = [Paging::Cursor, Paging::CursorHeader, Paging::GraphQl];
                counted.into_iter().chain(cursors).chain(LINKED).collect()
            }
            Self::Repeats => vec![Paging::Page, Paging::Offset, Paging::BodyPage, Paging::HeaderOffset],
            Self::Cycles => [Paging::Cursor, Paging::CursorHeader, Paging::GraphQl].into_iter().chain(LINKED).collect(),
            Self::LeadsElsewhere => LINKED.to_vec(),
        }
    }
}

fn broken() -> impl Strategy<Value = (Broken, Paging)> {
    let kinds = vec![Broken::LosesARecord, Broken::LosesAPage, Broken::Repeats, Broken::Cycles, Broken::LeadsElsewhere];
    proptest::sample::select(kinds).prop_flat_map(|broken| (Just(broken), proptest::sample::select(broken.ways())))
}

/// Fewer faults in a row than there are tries, so that every pull must end well.
fn passing_faults() -> impl Strategy<Value = Vec<Fault>> {
    let fault = prop_oneof![Just(Fault::Status(500)), Just(Fault::Status(503)), Just(Fault::Cut)];
    proptest::collection::vec(fault, 0..=3)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_crm_holds_and_however_it_stumbles_what_is_pulled_is_what_is_served(
        held in proptest::collection::btree_set(any::<u64>(), 0..40),
        size in 1_usize..12,
        paging in proptest::sample::select(Paging::ALL.to_vec()),
        faults in passing_faults(),
        packed in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let pulled = runtime.block_on(async {
            let rows = held.iter().map(|id| format!(r#"{{"id": {id}, "stage_id": 1, "owner_id": 2}}"#)).collect();
            let mut crm = FakeRest::start(rows).await.page_size(size);
            if packed {
                crm = crm.habit(Habit::Packs);
            }
            for fault in faults {
                crm.then_fail(fault);
            }
            pulled(&crm.section(paging)).await
        });
        let (deals, fetched) = pulled.unwrap();
        prop_assert_eq!(fetched.fetched, held.len() as u64);
        prop_assert_eq!(ids(&deals), held);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_list_with_a_hole_or_a_circle_or_a_way_out_is_never_published(
        (broken, paging) in broken(),
        count in 11_u64..30,
        size in 2_usize..5,
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let crm = runtime.block_on(async {
            FakeRest::start((1..=count).map(deal).collect()).await.page_size(size).habit(broken.habit())
        });
        // A hole shows only where the CRM counts; where it counts, a last page that comes again is not even asked for.
        let total = if matches!(broken, Broken::LosesARecord | Broken::LosesAPage) { ", total_header = \"X-Total-Count\"" } else { "" };
        let keys = format!("{}{total}", paging.keys(size));
        let section = with(&crm.section(paging), "paging", &format!("paging = {{ {keys} }}"));
        let folder = Folder::new();
        folder.write_config(&format!("[sources.crm]\n{section}"));
        let ended = folder.run(&["pull"]);
        prop_assert_ne!(ended.code(), Some(0), "{:?}, {:?}: {}", broken, paging, ended.stderr);
        prop_assert!(!folder.join("output/sales_pipeline.json").exists());
    }
}
