use std::collections::BTreeSet;

use super::*;

fn small(seed: u64) -> Settings {
    let pool = PoolSettings { accounts: 4, spares: 2, replacement: 50, ..PoolSettings::default() };
    Settings { seed, campaigns: vec![(Harvest::ToolUse, pool)], ..Settings::default() }
}

fn said(settings: &Settings) -> String {
    let mut fleet = Fleet::new(settings);
    let hydra = &mut fleet.campaigns[0];
    let task = hydra.conversation();
    let picked = hydra.pool.pick(0);
    let seats = fleet.honest.iter_mut().map(|seat| {
        let (think, conversation) = (seat.think(), seat.conversation());
        format!("{:?} {} {think} {conversation:?}\n", seat.account, seat.starts)
    });
    format!("{task:?} {picked:?} {}", seats.collect::<String>())
}

#[test]
fn the_same_seed_makes_the_same_fleet_and_another_seed_another() {
    assert_eq!(said(&small(3)), said(&small(3)));
    assert_ne!(said(&small(3)), said(&small(4)));
}

#[test]
fn every_account_has_a_key_of_its_own() {
    let mut fleet = Fleet::new(&small(1));
    let mut keys: Vec<_> = fleet.honest.iter().map(|seat| seat.account.key.clone()).collect();
    keys.extend((0..4).filter_map(|_| fleet.campaigns[0].pool.pick(0)).map(|a| a.key.clone()));
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
}

#[test]
fn a_class_sits_behind_one_network_and_other_people_do_not() {
    let fleet = Fleet::new(&small(1));
    let networks = |cohort| {
        let of = fleet.honest.iter().filter(move |seat| seat.cohort == cohort);
        of.map(|seat| seat.account.address.octets()[..3].to_vec()).collect::<BTreeSet<_>>().len()
    };
    assert_eq!(networks(Cohort::Classroom), 1);
    assert!(networks(Cohort::Chat) > 25);
}

#[test]
fn the_pool_goes_round_without_affinity() {
    let pool = &mut Fleet::new(&small(1)).campaigns[0].pool;
    let keys: Vec<_> = (0..8).filter_map(|_| pool.pick(0)).map(|a| a.key.clone()).collect();
    assert_eq!(keys[..4], keys[4..]);
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), 4);
}

#[test]
fn a_resting_account_is_passed_over_until_its_time() {
    let pool = &mut Fleet::new(&small(1)).campaigns[0].pool;
    let first = pool.pick(0).unwrap();
    pool.rest(&first, 10);
    assert!((0..8).filter_map(|_| pool.pick(9)).all(|account| account.key != first.key));
    assert!((0..4).filter_map(|_| pool.pick(10)).any(|account| account.key == first.key));
}

#[test]
fn a_banned_account_is_replaced_later_until_the_spares_run_out() {
    let pool = &mut Fleet::new(&small(1)).campaigns[0].pool;
    for now in [0, 0, 100, 100, 200, 200] {
        let account = pool.pick(now).unwrap();
        pool.ban(&account, now);
    }
    assert_eq!((pool.lost(), pool.opened(), pool.pick(1000)), (6, 6, None));
}
