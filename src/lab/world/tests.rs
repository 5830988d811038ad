use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::*;
use crate::lab::material::Cohort;

fn scenario(change: impl Fn(&mut Plan)) -> Arc<Scenario> {
    let honest = Honest { accounts: 40, per_day: 3.0, ..Honest::default() };
    let class = Honest {
        class: "classroom".into(),
        asks: vec![Cohort::Classroom],
        accounts: 50,
        group: 25,
        shares: vec![Shared::Network, Shared::Signup],
        meetings: 3,
        ..Honest::default()
    };
    let mut plan =
        Plan { accounts: 30, at_once: 20, exchanges: 600, start_day: 1.0, ..Plan::default() };
    change(&mut plan);
    let release = Some(Release { model: "large-2".into(), day: 2.0 });
    Arc::new(
        Scenario {
            days: 4.0,
            honest: vec![honest, class],
            campaigns: vec![plan],
            release,
            ..Scenario::default()
        }
        .evading(),
    )
}

fn all(scenario: &Arc<Scenario>, fate: impl Fn(&Sent) -> Fate) -> Vec<Sent> {
    let mut world = World::new(scenario, 1, None);
    let mut sent = Vec::new();
    while let Some(next) = world.next() {
        world.met(fate(&next));
        sent.push(next);
    }
    sent
}

fn of_campaign(sent: &[Sent]) -> impl Iterator<Item = &Sent> {
    sent.iter().filter(|sent| sent.truth.campaign.is_some())
}

fn accounts<'a>(sent: impl Iterator<Item = &'a Sent>) -> BTreeSet<String> {
    sent.map(|sent| sent.card.name.clone()).collect()
}

#[test]
fn one_seed_is_one_world_in_time_order() {
    let scenario = scenario(|_| {});
    let lines = |seed| {
        let world = World::new(&scenario, seed, None);
        let lines =
            world.map(|sent| serde_json::to_string(&Entry::new(&sent, scenario.start)).unwrap());
        lines.collect::<Vec<_>>()
    };
    let (one, again, other) = (lines(1), lines(1), lines(2));
    assert!(one == again && one != other && one.len() > 1_000, "{}", one.len());
    let sent = all(&scenario, |_| Fate::Served);
    assert!(sent.windows(2).all(|two| two[0].at <= two[1].at));
    let ids: BTreeSet<_> = sent.iter().map(|sent| sent.id).collect();
    assert_eq!(ids.len(), sent.len());
}

#[test]
fn a_campaign_takes_what_it_planned_round_robin() {
    let sent = all(&scenario(|_| {}), |_| Fate::Served);
    let campaign: Vec<_> = of_campaign(&sent).collect();
    assert!((600..1_000).contains(&campaign.len()), "{}", campaign.len());
    let mut loads = BTreeMap::<_, u32>::new();
    campaign.iter().for_each(|sent| *loads.entry(&sent.card.name).or_default() += 1);
    assert!(loads.len() >= 20 && *loads.values().max().unwrap() <= 40, "{loads:?}");
}

#[test]
fn banned_accounts_are_replaced_later_until_none_is_left() {
    let sent = all(&scenario(|_| {}), |sent| {
        if sent.truth.campaign.is_some() { Fate::Banned } else { Fate::Served }
    });
    assert_eq!(accounts(of_campaign(&sent)).len(), 30, "every account is tried once");
    assert_eq!(of_campaign(&sent).count(), 30);
}

#[test]
fn a_refused_request_comes_again_elsewhere_within_a_minute_unless_told_not_to() {
    let repeats = |failover| {
        let scenario = scenario(|plan| plan.failover = failover);
        let sent = all(&scenario, |sent| {
            let slowed = sent.truth.campaign.is_some() && sent.id % 10 == 0;
            if slowed { Fate::Slowed } else { Fate::Served }
        });
        let bodies: Vec<_> =
            of_campaign(&sent).map(|sent| format!("{:?}", sent.call.turns)).collect();
        bodies.len() - bodies.iter().collect::<BTreeSet<_>>().len()
    };
    assert!(repeats(true) > 30 && repeats(false) == 0);
}

#[test]
fn affinity_keeps_a_task_on_one_account_and_its_absence_spreads_it() {
    let spread = |affinity| {
        let sent = all(&scenario(|plan| plan.affinity = affinity), |_| Fate::Served);
        let mut tasks = BTreeMap::<String, BTreeSet<_>>::new();
        for sent in of_campaign(&sent) {
            tasks
                .entry(format!("{:?}", sent.call.turns[0]))
                .or_default()
                .insert(sent.card.name.clone());
        }
        tasks.values().filter(|accounts| accounts.len() > 1).count()
    };
    assert!(spread(false) > 50);
    // An account whose life is over leaves its last task to the next one in its place.
    assert!(spread(true) < 5);
}

#[test]
fn a_pivot_moves_its_share_within_a_day() {
    let sent = all(&scenario(|plan| (plan.pivot, plan.exchanges) = (0.5, 3_000)), |_| Fate::Served);
    let day = 86_400_000;
    let late: Vec<_> = of_campaign(&sent).filter(|sent| sent.at > 3 * day).collect();
    let moved = late.iter().filter(|sent| sent.call.model == "large-2").count() as f64;
    assert!((0.3..0.7).contains(&(moved / late.len() as f64)), "{moved} of {}", late.len());
}

#[test]
fn a_class_shares_its_network_and_its_hour_and_signs_up_together() {
    let sent = all(&scenario(|_| {}), |_| Fate::Served);
    let class: Vec<_> = sent.iter().filter(|sent| sent.truth.class == "classroom").collect();
    let networks: BTreeSet<_> =
        class.iter().map(|sent| sent.card.address.octets()[..3].to_vec()).collect();
    assert_eq!(networks.len(), 2);
    let hours =
        class.iter().map(|sent| sent.card.attributes.as_ref().unwrap().created_at as u64 / 3_600);
    assert!(hours.collect::<BTreeSet<_>>().len() <= 4);
}

#[test]
fn every_evasion_changes_what_it_is_named_after() {
    let plain = scenario(|_| {}).campaigns[0].clone();
    for evasion in Evasion::ALL {
        let changed = scenario(|plan| {
            plan.pivot = 0.3;
            plan.evasions = vec![evasion];
        });
        let with = Plan { evasions: Vec::new(), ..changed.campaigns[0].clone() };
        let plain = Plan { pivot: 0.3, ..plain.clone() };
        assert_ne!(with, plain, "{}", evasion.name());
        let spelt = serde_json::to_value(evasion).unwrap();
        assert_eq!(spelt, evasion.name());
    }
}

#[test]
fn a_scale_keeps_what_one_account_does() {
    let scenario = Scenario {
        campaigns: vec![Plan {
            accounts: 1_000,
            exchanges: 500_000,
            at_once: 900,
            ..Plan::default()
        }],
        honest: vec![Honest { accounts: 10_000, ..Honest::default() }],
        ..Scenario::default()
    };
    let small = scenario.scaled(0.1);
    let plan = &small.campaigns[0];
    assert_eq!((plan.accounts, plan.exchanges, plan.at_once), (100, 50_000, 90));
    assert_eq!(
        (small.honest[0].accounts, scenario.scaled(0.001).campaigns[0].accounts),
        (1_000, 24)
    );
}
