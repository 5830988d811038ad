//! The program killed at any moment, under load.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;

use stillguard::lab::rng::Rng;
use stillguard::time::Clock;

use super::operators::{Operators, admit_operators, form_campaign};
use super::{Stage, ask, challenge, solve};

/// What a caller was told before the program was killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    /// Its first request was answered: it is known from then on.
    Served,
    /// It has to answer a challenge.
    Refused,
    /// It has.
    Cleared,
}

struct Witness {
    key: String,
    told: Told,
    /// Nanoseconds of the test's clock.
    at: u64,
    challenge: Option<(String, String)>,
}

/// Accounts that come one after the other until the program is gone.
fn callers(address: &str, name: &str, clock: Clock, goes_on: &AtomicBool) -> Vec<Witness> {
    let mut witnesses = Vec::new();
    for n in 0.. {
        let key = format!("sk-{name}-{n}");
        let mut witness = |told, challenge| {
            let (key, at) = (key.clone(), clock.elapsed_nanos());
            witnesses.push(Witness { key, told, at, challenge });
        };
        let Some((200, _)) = ask(address, &key) else { break };
        if n % 3 == 0 {
            witness(Told::Served, None);
            continue;
        }
        let Some((403, refusal)) = ask(address, &key) else { break };
        let challenge = challenge(&refusal);
        if n % 3 == 1 {
            witness(Told::Refused, Some(challenge));
        } else {
            let Some(200) = solve(address, &challenge) else { break };
            witness(Told::Cleared, Some(challenge));
        }
        if !goes_on.load(Relaxed) {
            break;
        }
    }
    witnesses
}

/// The oldest decision and the oldest evidence that kills have made the program forget, in
/// nanoseconds of age, and how many of how many.
#[derive(Debug, Default)]
struct Forgotten {
    decisions: AtomicU64,
    evidence: AtomicU64,
    lost: AtomicU64,
    told: AtomicU64,
    twice: AtomicU64,
    /// Operators' orders that were answered. None of them may be forgotten, however young.
    orders: u64,
}

impl Forgotten {
    /// Whether the program still knows what it told.
    fn check(&self, address: &str, witness: &Witness, killed: u64) -> bool {
        self.told.fetch_add(1, Relaxed);
        // A stranger passes once: only who was cleared passes twice.
        let statuses = [(); 2].map(|()| ask(address, &witness.key).expect("the program runs").0);
        let expected = if witness.told == Told::Cleared { 200 } else { 403 };
        let forgotten = statuses != [expected; 2];
        if forgotten {
            self.lost.fetch_add(1, Relaxed);
            let age = killed.saturating_sub(witness.at);
            let oldest =
                if witness.told == Told::Served { &self.evidence } else { &self.decisions };
            oldest.fetch_max(age, Relaxed);
        }
        if let (Told::Cleared, false, Some(challenge)) =
            (witness.told, forgotten, &witness.challenge)
        {
            // What was earned was earned once.
            let again = solve(address, challenge);
            self.twice.fetch_add(u64::from(again == Some(200)), Relaxed);
        }
        !forgotten
    }
}

/// Kills the program so many times at random moments, from a few milliseconds after its start on.
fn kill(times: u64, longest: u64, with_campaign: bool) -> Forgotten {
    let (stage, mut forgotten, clock) = (Stage::new(), Forgotten::default(), Clock::start());
    admit_operators(&stage);
    let mut operators = Operators::new(with_campaign.then(|| form_campaign(&stage)));
    let mut rng = Rng::new(times);
    let mut earlier: Vec<Witness> = Vec::new();
    for round in 0..times {
        let mut proxy = stage.start();
        let (address, goes_on) = (proxy.listen.clone(), AtomicBool::new(true));
        let admin = proxy.admin.clone();
        let run = 20 + rng.below(longest as usize) as u64;
        let (witnesses, killed) = thread::scope(|scope| {
            let threads: Vec<_> = (0..3)
                .map(|thread| {
                    let (address, goes_on) = (&address, &goes_on);
                    let name = format!("{round}-{thread}");
                    scope.spawn(move || callers(address, &name, clock, goes_on))
                })
                .collect();
            scope.spawn(|| operators.order(&stage, &admin, &goes_on));
            stage.wait(run);
            let killed = clock.elapsed_nanos();
            proxy.child.kill().unwrap();
            proxy.child.wait().unwrap();
            goes_on.store(false, Relaxed);
            let all = threads.into_iter().flat_map(|thread| thread.join().unwrap());
            (all.collect::<Vec<_>>(), killed)
        });
        let mut proxy = stage.start();
        operators.check(&proxy.admin);
        // Nor is it forgotten later, with other kills and snapshots in between.
        for witness in earlier.iter().rev().take(20) {
            assert!(forgotten.check(&proxy.listen, witness, killed), "forgotten later");
        }
        for witness in witnesses.into_iter().filter(|witness| witness.at <= killed) {
            let known = forgotten.check(&proxy.listen, &witness, killed);
            if known && witness.told == Told::Refused {
                earlier.push(witness);
            }
        }
        proxy.end();
    }
    let log = stage.log();
    assert!(!log.contains(" is lost") && !log.contains("panicked"), "{log}");
    forgotten.orders = operators.answered;
    forgotten
}

#[test]
fn what_was_decided_outlives_kills_at_any_moment() {
    let forgotten = kill(5, 900, false);
    is_bounded(&forgotten);
    assert!(forgotten.told.load(Relaxed) > 20 && forgotten.orders > 5, "{forgotten:?}");
}

/// 20 ms and a second, and the time of one write and one sync: on a machine busy with other tests that
/// can be a second more.
fn is_bounded(forgotten: &Forgotten) {
    let seconds = |nanos: &AtomicU64| nanos.load(Relaxed) / 1_000_000_000;
    assert!(seconds(&forgotten.decisions) < 2, "{forgotten:?}");
    assert!(seconds(&forgotten.evidence) < 4, "{forgotten:?}");
    assert_eq!(forgotten.twice.load(Relaxed), 0, "{forgotten:?}");
}

/// `cargo test --test it -- --ignored two_hundred_kills --nocapture`: takes some minutes.
#[test]
#[ignore = "takes minutes"]
fn two_hundred_kills_forget_nothing_decided_or_ordered() {
    let forgotten = kill(200, 1500, true);
    println!("{forgotten:?}");
    is_bounded(&forgotten);
}
