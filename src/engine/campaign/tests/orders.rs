//! An operator's word on a campaign.

use super::*;
use crate::engine::memory::Remember;
use crate::engine::memory::tests::{AT_ONCE, THEN, Written};
use crate::engine::{Disobeyed, Order, Verb, Words};

/// Campaigns are found, and no rule ever contains one.
const WATCHED: &str = r#"{"defaults": {"mode": "shadow", "campaign": {"score": 500}}}"#;

fn order(verb: Verb) -> Order {
    let words = |text: &str| Words::try_from(text.to_owned()).unwrap();
    Order { verb, owner: words("ann"), reason: words("case 7") }
}

fn contain(campaign: CampaignId, lasts_seconds: u32) -> Order {
    order(Verb::Contain { campaign, lasts_seconds })
}

impl Scene {
    fn only(&self) -> About {
        let [about] = &*self.engine.campaigns() else { panic!("one campaign") };
        about.clone()
    }

    fn obeys(&self, order: &Order) {
        self.engine.obey(order, self.now).unwrap();
    }
}

#[test]
fn one_that_is_ordered_contained_is_so_in_shadow_too_until_the_order_expires() {
    let mut scene = scene(WATCHED);
    scene.rounds(&members(0, 40, 5), 12);
    let id = scene.only().id;
    assert_eq!(scene.only().state, State::Watching);
    scene.obeys(&contain(id, 3600));
    let verdict = scene.exchange(member(200, 5));
    assert_eq!(verdict.outcome(), Action::Throttle, "{}", verdict.in_words());
    assert!(verdict.ordered && scene.engine.bucket(id, super::id(3)).unwrap().ordered);
    scene.rounds(&members(0, 40, 5)[..5], 2);
    assert_eq!(scene.only().state, State::Contained, "a review lets it be");
    let words = scene.engine.campaign(id).unwrap().in_words();
    assert!(words.contains("by order of ann") && words.contains("case 7"), "{words}");
    scene.wait(3600);
    assert_eq!((scene.only().state, scene.only().order), (State::Watching, None));
    assert_eq!(scene.exchange(member(201, 5)).outcome(), Action::Allow);
}

#[test]
fn one_that_is_released_or_closed_stays_so_though_the_rules_would_contain_it() {
    for close in [false, true] {
        let mut scene = scene(ENFORCE);
        scene.rounds(&members(0, 40, 5), 12);
        let campaign = scene.contained()[0].id;
        let lasts_seconds = 7200;
        let (verb, state) = match close {
            true => (Verb::Close { campaign, lasts_seconds }, State::Closed),
            false => (Verb::Release { campaign, lasts_seconds }, State::Watching),
        };
        scene.obeys(&order(verb));
        assert!(!scene.exchange(member(200, 5)).contained);
        scene.rounds(&members(0, 40, 5), 3);
        assert_eq!(scene.only().state, state);
        scene.wait(7200);
        scene.rounds(&members(0, 40, 5), 3);
        assert_eq!(scene.only().state, State::Contained, "it is the rules' again");
    }
}

#[test]
fn an_order_on_a_campaign_is_told_at_once_and_outlives_the_process() {
    let (mut scene, mut written) = (scene(WATCHED), Written::default());
    scene.engine.watch();
    written.take(|out| scene.engine.preamble(out));
    scene.rounds(&members(0, 40, 5), 12);
    written.changes(&scene.engine, THEN);
    let id = scene.only().id;
    scene.obeys(&contain(id, 3600));
    written.take(|out| scene.engine.decisions(THEN, out));
    let again = written.recalled(WATCHED, AT_ONCE);
    assert_eq!(again.campaigns(), scene.engine.campaigns());
    assert_eq!(again.bucket(id, super::id(3)).map(|bucket| bucket.ordered), Some(true));
    // It is kept though the campaign is long over.
    scene.wait(3000);
    scene.obeys(&contain(id, 90 * 86_400));
    scene.wait(89 * 86_400);
    assert_eq!(scene.only().state, State::Contained);
    // Let go, closed, forgotten.
    [2, 1, 40].into_iter().for_each(|days| scene.wait(days * 86_400));
    assert!(scene.engine.campaigns().is_empty());
}

#[test]
fn an_order_on_no_campaign_or_for_no_time_is_refused() {
    let scene = scene(WATCHED);
    let nowhere: CampaignId = "cmp_00000000000a".parse().unwrap();
    let obeyed = |order: &Order| scene.engine.obey(order, scene.now);
    assert_eq!(obeyed(&contain(nowhere, 60)), Err(Disobeyed::NoCampaign));
    assert!(matches!(obeyed(&contain(nowhere, 0)), Err(Disobeyed::Unsound(_))));
}

#[test]
fn who_is_suspected_most_does_not_pass_its_campaign_by_where_the_ladder_is_in_shadow() {
    let policy = r#"{"defaults": {"mode": "shadow",
        "ladder": {"shape": -40, "throttle": -39, "challenge": -38, "drop": -37},
        "campaign": {"mode": "enforce", "score": 6, "members": 10, "onset_minutes": 0}}}"#;
    let mut scene = scene(policy);
    scene.rounds(&members(0, 40, 5), 12);
    let verdict = scene.exchange(member(3, 5));
    assert!(verdict.contained, "{}", verdict.in_words());
    assert_eq!(verdict.outcome(), Action::Throttle);
}

#[test]
fn an_explanation_names_the_campaign_its_evidence_by_family_and_what_would_end_it() {
    let mut scene = scene(ENFORCE);
    scene.rounds(&members(0, 40, 5), 12);
    let explained = scene.engine.explain((&"default".into(), super::id(3)), scene.now).unwrap();
    let about = &explained.in_campaign.as_ref().unwrap().about;
    assert_eq!((about.id, explained.contained), (scene.contained()[0].id, true));
    assert!(!explained.families.is_empty());
    let words = explained.in_words();
    for part in
        [&*about.id.to_string(), "of 40 accounts", "C +", "below +4.0 nats", "contained since"]
    {
        assert!(words.contains(part), "no `{part}`: {words}");
    }
    let json = serde_json::to_value(&explained).unwrap();
    assert!(json["in_campaign"]["about"]["evidence"]["C"].as_f64() > Some(0.0), "{json}");
}
