//! Campaigns through the engine's own verbs.

mod kept;
mod orders;

use std::time::Duration;

use super::*;
use crate::dialect::{Api, Usage};
use crate::engine::{Engine, Verdict};
use crate::identity::{Attributes, Caller, Client};
use crate::policy::{Action, Settings as PolicySettings};
use crate::signal::{
    Ask, Completion, Ending, Exchange, ExchangeId, Model, Phrases, Prompt, UsageSource,
};

const START: Timestamp = Timestamp::from_millis(1_790_000_000_000);

/// Containment as soon as it is called for, from ten members on.
const ENFORCE: &str = r#"{"defaults": {"mode": "enforce",
    "campaign": {"score": 6, "members": 10, "onset_minutes": 0}}}"#;

struct Scene {
    engine: Engine,
    now: Timestamp,
    asked: u64,
}

/// Who asks, and with what keys. Zero is none.
#[derive(Clone, Copy, Default)]
struct Who {
    account: u16,
    tools: u64,
    egress: u64,
    card: u64,
    /// Reasoning written out, and ids that were issued to a neighbour.
    harvests: bool,
}

fn scene(policy: &str) -> Scene {
    scene_with(Settings::default(), policy)
}

fn scene_with(settings: Settings, policy: &str) -> Scene {
    let policy: PolicySettings = serde_json::from_str(policy).unwrap();
    Scene { engine: Engine::new(settings, Policies::from(&policy)), now: START, asked: 0 }
}

fn id(account: u16) -> AccountId {
    let mut id = [7; 16];
    // Ids are hashes: spread, so that samples by id are fair.
    let mixed = u64::from(account).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    id[..8].copy_from_slice(&mixed.to_be_bytes());
    AccountId(id)
}

/// A member of the campaign with tool set `tools`.
fn member(account: u16, tools: u64) -> Who {
    let card = 900 + tools * 100 + u64::from(account / 8);
    Who { account, tools, egress: 10_000 + u64::from(account), card, harvests: true }
}

impl Scene {
    fn ask(&mut self, who: Who) -> Ask {
        self.asked += 1;
        let n = self.asked;
        let attributes =
            Attributes { payment: Some(Tag(who.card)).filter(|t| t.0 > 0), ..Default::default() };
        let caller = Caller {
            tenant: "default".into(),
            account: id(who.account),
            egress: Tag(who.egress),
            client: Client::OpenaiPython,
            attributes,
            ..Caller::sample(0)
        };
        let phrases =
            if who.harvests { Phrases::ELICITS.union(Phrases::TAGS) } else { Phrases::NONE };
        let prompt = Prompt {
            api: Api::OpenaiChat,
            model: Model::from("large-1"),
            tokens: 200,
            turns: 1,
            tools: Tag(who.tools),
            phrases,
            last: Tag(n << 32 | 1),
            body: Tag(n << 32 | 2),
            ..Prompt::default()
        };
        Ask { id: ExchangeId(Tag(n)), at: self.now, caller, prompt }
    }

    /// One exchange, served if the verdict's outcome is milder than throttle.
    fn exchange(&mut self, who: Who) -> Verdict {
        let ask = self.ask(who);
        self.pass(ask)
    }

    fn pass(&mut self, ask: Ask) -> Verdict {
        let verdict = self.engine.assess(&ask);
        let refused = verdict.outcome() >= Action::Throttle;
        let completion = Completion {
            usage: Usage { output: Some(400), ..Usage::default() },
            source: UsageSource::Reported,
            ..Completion::default()
        };
        let (ending, status) =
            if refused { (Ending::Refused, 429) } else { (Ending::Complete, 200) };
        let ended = ask.at + Duration::from_secs(2);
        self.engine.learn(&Exchange { ask, ended, ending, status, completion });
        verdict
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        self.engine.tick(self.now);
    }

    /// Every one of `all` asks `rounds` times.
    fn rounds(&mut self, all: &[Who], rounds: usize) {
        for _ in 0..rounds {
            for who in all {
                self.exchange(*who);
            }
            self.wait(60);
        }
    }

    fn contained(&self) -> Vec<About> {
        let all = self.engine.campaigns().into_iter();
        all.filter(|about| about.state == State::Contained).collect()
    }
}

fn members(from: u16, count: u16, tools: u64) -> Vec<Who> {
    (from..from + count).map(|account| member(account, tools)).collect()
}

#[test]
fn a_campaign_is_found_named_and_told_what_it_took() {
    let mut scene = scene(ENFORCE);
    scene.rounds(&members(0, 40, 5), 12);
    let [about] = &*scene.contained() else { panic!("{:?}", scene.engine.campaigns()) };
    assert_eq!(
        (about.members, about.active, about.tenants[&TenantName::from("default")]),
        (40, 40, 40)
    );
    assert!(about.evidence.len() >= 2 && about.score > 6.0, "{about:?}");
    assert!(about.keys[&Facet::Tools] == 1 && about.keys[&Facet::Payment] >= 4, "{about:?}");
    let harvest = &about.harvest;
    assert!(harvest.by[&Capability::Reasoning].exchanges == harvest.served);
    assert!(harvest.by[&Capability::Agentic].output_tokens == harvest.output_tokens);
    assert!(harvest.refused > 0 && harvest.models[&Model::from("large-1")] == harvest.served);
    assert_eq!(about.id.to_string().parse(), Ok(about.id));
}

#[test]
fn accounts_that_replace_banned_ones_fall_into_it_at_their_first_request() {
    let mut scene = scene(ENFORCE);
    scene.rounds(&members(0, 40, 5), 12);
    let id = scene.contained()[0].id;
    for account in 200..240 {
        let verdict = scene.exchange(member(account, 5));
        assert_eq!(
            (verdict.campaign, verdict.contained),
            (Some(id), true),
            "{}",
            verdict.in_words()
        );
        assert_eq!(verdict.outcome(), Action::Throttle);
        assert!(!verdict.known);
    }
    // One that is let through is known from then on, and counted as a replacement.
    let ask = scene.ask(member(300, 5));
    scene.engine.accept(&ask);
    scene.now = scene.now + Duration::from_secs(10);
    (0..6).for_each(|_| drop(scene.exchange(member(300, 5))));
    scene.wait(60);
    let about = &scene.contained()[0];
    assert_eq!((about.id, about.members, about.replacements), (id, 41, 1));
}

#[test]
fn honest_accounts_on_its_tools_its_network_or_in_its_company_are_not_in_it() {
    let mut scene = scene(ENFORCE);
    let mut campaign = members(0, 40, 5);
    campaign.iter_mut().for_each(|who| who.egress = 77);
    let honest = |n: u16| match n % 3 {
        0 => Who { account: 1000 + n, tools: 5, egress: 20_000 + u64::from(n), ..Who::default() },
        1 => Who { account: 1000 + n, egress: 77, ..Who::default() },
        _ => Who { account: 1000 + n, egress: 77, tools: 50 + u64::from(n), ..Who::default() },
    };
    let honest: Vec<_> = (0..30).map(honest).collect();
    for _ in 0..14 {
        scene.rounds(&campaign, 1);
        for who in &honest {
            let verdict = scene.exchange(*who);
            assert!(!verdict.contained, "{}", verdict.in_words());
            assert!(verdict.outcome() < Action::Throttle, "{}", verdict.in_words());
        }
    }
    assert!(
        scene.contained().iter().any(|about| about.members == 40),
        "{:?}",
        scene.engine.campaigns()
    );
}

#[test]
fn an_established_account_is_exempt_whatever_keys_it_holds() {
    let mut scene = scene(ENFORCE);
    scene.rounds(&members(0, 40, 5), 12);
    let mut ask = scene.ask(member(500, 5));
    let created = Some(Timestamp::from_millis(START.as_millis() - 100 * 86_400_000));
    ask.caller.attributes = Attributes { created, paid_invoices: Some(3), ..ask.caller.attributes };
    let verdict = scene.pass(ask);
    assert_eq!((verdict.campaign, verdict.contained), (None, false));
}

#[test]
fn two_campaigns_in_one_network_stay_two() {
    let mut scene = scene(ENFORCE);
    let mut both = [members(0, 30, 5), members(100, 30, 6)].concat();
    both.iter_mut().for_each(|who| who.egress = 77);
    scene.rounds(&both, 12);
    let found = scene.contained();
    assert_eq!(found.iter().map(|about| about.members).collect::<Vec<_>>(), [30, 30], "{found:?}");
}

#[test]
fn a_key_shared_by_others_too_does_not_join_and_one_that_is_the_campaigns_does() {
    let mut scene = scene(ENFORCE);
    let mut campaign = members(0, 40, 5);
    // A fifth of them stands on a network with as many strangers again.
    campaign.iter_mut().take(8).for_each(|who| who.egress = 77);
    campaign.iter_mut().skip(8).for_each(|who| who.egress = 78);
    let strangers = (0..24).map(|n| Who { account: 1000 + n, egress: 77, ..Who::default() });
    let all: Vec<_> = campaign.iter().copied().chain(strangers).collect();
    scene.rounds(&all, 14);
    let id = scene.contained()[0].id;
    let keys = scene.engine.campaign(id).unwrap().keys;
    assert!(
        keys.contains_key(&Facet::Egress.key(78)) && !keys.contains_key(&Facet::Egress.key(77))
    );
}

#[test]
fn in_shadow_it_is_told_and_nobody_is_slowed() {
    let policy = r#"{"defaults": {"mode": "enforce",
        "ladder": {"throttle": 50, "challenge": 60, "drop": 70},
        "campaign": {"mode": "shadow", "score": 6, "members": 10, "onset_minutes": 0}}}"#;
    let mut scene = scene(policy);
    scene.rounds(&members(0, 40, 5), 12);
    assert_eq!(scene.contained().len(), 1);
    let ask = scene.ask(member(400, 5));
    let verdict = scene.engine.assess(&ask);
    assert!(verdict.contained && verdict.outcome() < Action::Throttle, "{}", verdict.in_words());
}

#[test]
fn the_moment_of_onset_lies_within_the_window_and_differs_by_campaign() {
    let policy = r#"{"defaults": {"mode": "enforce",
        "campaign": {"score": 6, "members": 10, "onset_minutes": 600}}}"#;
    let mut scene = scene(policy);
    let all: Vec<_> = (0..6_u16).flat_map(|n| members(n * 100, 20, 5 + u64::from(n))).collect();
    scene.rounds(&all, 12);
    let due: Vec<_> = scene.engine.campaigns().iter().filter_map(|about| about.due).collect();
    assert_eq!(due.len() + scene.contained().len(), 6);
    let last = scene.now + Duration::from_secs(600 * 60);
    assert!(due.iter().all(|due| *due > scene.now && *due <= last));
    let mut distinct = due.clone();
    distinct.sort();
    distinct.dedup();
    assert!(distinct.len() == due.len() && due.len() >= 4, "{due:?}");
    let before = scene.contained().len();
    for _ in 0..20 {
        scene.rounds(&all[..1], 1);
        scene.wait(1800);
    }
    assert!(scene.contained().len() > before, "it comes");
}

#[test]
fn the_breaker_holds_back_what_is_a_large_part_of_the_fleet() {
    let mut scene = scene(ENFORCE);
    scene.rounds(&members(0, 140, 5), 8);
    let about = &scene.engine.campaigns()[0];
    assert!(about.tripped && about.state == State::Watching, "{about:?}");
    let settings = Settings {
        campaign: crate::engine::CampaignSettings { breaker_share: 1.0, ..Default::default() },
        ..Settings::default()
    };
    let mut scene = scene_with(settings, ENFORCE);
    scene.rounds(&members(0, 140, 5), 8);
    assert_eq!(scene.contained().len(), 1);
}

#[test]
fn a_campaign_that_goes_quiet_is_closed_then_forgotten_and_frees_its_members() {
    let mut scene = scene(ENFORCE);
    scene.rounds(&members(0, 40, 5), 12);
    let id = scene.contained()[0].id;
    scene.wait(80 * 3600);
    let about = &scene.engine.campaigns()[0];
    assert_eq!((about.id, about.state), (id, State::Closed));
    let ask = scene.ask(member(600, 5));
    assert!(!scene.engine.assess(&ask).contained);
    scene.wait(40 * 24 * 3600);
    assert!(scene.engine.campaigns().is_empty());
}

#[test]
fn a_move_to_a_model_just_released_is_seen_beside_the_fleets() {
    let mut settings = Settings::default();
    let at = jiff::Timestamp::from_millisecond(START.as_millis() as i64 + 960_000).unwrap();
    settings.campaign.releases = vec![Release { model: Model::from("large-2"), at }];
    let mut scene = scene_with(settings, ENFORCE);
    let campaign = members(0, 40, 5);
    scene.rounds(&campaign, 16);
    for n in 0..20_u16 {
        let honest = Who { account: 1000 + n, egress: 30_000 + u64::from(n), ..Who::default() };
        (0..20).for_each(|_| drop(scene.exchange(honest)));
    }
    for who in &campaign {
        let mut ask = scene.ask(*who);
        ask.prompt.model = Model::from("large-2");
        let (ended, ending, completion) = (ask.at, Ending::Complete, Completion::default());
        scene.engine.learn(&Exchange { ask, ended, ending, status: 200, completion });
    }
    scene.wait(60);
    let about = &scene.engine.campaigns()[0];
    let pivot = &about.pivots[&Model::from("large-2")];
    assert!(pivot.share() > 0.9 && pivot.fleet_share < 0.2, "{pivot:?}");
    assert_eq!(pivot.noticed, Some(scene.now));
}

#[test]
fn memory_is_bounded_however_many_accounts_and_models_come() {
    let mut ledger = Ledger::default();
    let mut campaign = Campaign::default();
    campaign.about.id = CampaignId::new(9);
    ledger.campaigns.insert(campaign.about.id, campaign);
    let mut matches = Matches::default();
    let marked = crate::signal::Crowd { campaign: Tag(9), ..Default::default() };
    matches.add(Facet::Tools, &marked, Action::Allow);
    let mut scene = scene(ENFORCE);
    for n in 0..5000_u16 {
        let mut ask = scene.ask(member(n, 5));
        ask.prompt.model = Model::from(&*format!("model-{n}"));
        let (ending, completion) = (Ending::Complete, Completion::default());
        let exchange = Exchange { ask, ended: START, ending, status: 200, completion };
        let keys = (0..3).map(|k| (Facet::Tools, Tag(1 + k + u64::from(n) * 3))).collect();
        let sighting = Sighting {
            account: Some(id(n)),
            tenant: (&*format!("tenant-{n}")).into(),
            at: START,
            first: START,
            established: false,
            counted: None,
            fired: 255,
            keys,
            matches,
            tally: Tally::of(&exchange),
        };
        ledger.take(sighting, &[]);
    }
    let campaign = &ledger.campaigns[&CampaignId::new(9)];
    assert_eq!(campaign.about.members, 5000);
    assert_eq!(campaign.members.len(), Campaign::MEMBERS);
    assert_eq!(campaign.about.tenants.len(), Campaign::TENANTS);
    assert!(campaign.about.harvest.models.len() <= Harvest::MODELS + 1);
    assert_eq!(ledger.followed(), 4096);
}

#[test]
fn two_runs_find_the_same() {
    let run = || {
        let mut scene = scene(ENFORCE);
        scene.rounds(&[members(0, 30, 5), members(100, 30, 6)].concat(), 14);
        let all = scene.engine.campaigns();
        let whole: Vec<_> = all.iter().map(|about| scene.engine.campaign(about.id)).collect();
        serde_json::to_string(&whole).unwrap()
    };
    assert_eq!(run(), run());
}

#[test]
fn a_campaign_survives_being_written_down() {
    let mut scene = scene(ENFORCE);
    scene.rounds(&members(0, 40, 5), 12);
    let campaign = scene.engine.campaign(scene.contained()[0].id).unwrap();
    let text = serde_json::to_string(&campaign).unwrap();
    assert_eq!(serde_json::from_str::<Campaign>(&text).unwrap(), campaign);
}
