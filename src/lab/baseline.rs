//! What simpler detectors make of the same traffic, in the same run, with hindsight where it helps
//! them: an engine that can't beat these is not worth its cost.

use std::collections::BTreeMap;

use serde::Serialize;

use super::history::Counted;
use crate::identity::{AccountId, Client, Tag};
use crate::signal::{Ask, Exchange};

/// What baselines may know beyond the ask.
#[derive(Clone, Copy, Debug)]
pub(in crate::lab) struct Meta<'a> {
    pub(in crate::lab) attack: bool,
    pub(in crate::lab) counted: Counted,
    pub(in crate::lab) country: &'a str,
}

/// Requests a day at which a static limit is tried.
const LIMITS: [u32; 8] = [12, 25, 50, 100, 200, 400, 800, 1600];

/// Weak signals of the group test: phrases, single turns, more out than in, long answers allowed,
/// full temperature.
const WEAK: usize = 5;

/// Members from which a component or group is looked at.
const CROWD: usize = 20;

/// Standard deviations from which a group is flagged.
const FLAGGED: f64 = 4.0;

#[derive(Debug, Default)]
pub(in crate::lab) struct Baselines {
    accounts: BTreeMap<AccountId, Facts>,
    countries: BTreeMap<String, u16>,
    offered: u64,
    /// Attack exchanges that each limit would have let pass.
    passed: [u64; LIMITS.len()],
}

#[derive(Debug)]
struct Facts {
    attack: bool,
    day: u64,
    today: u32,
    /// Limits it has run into, as bits.
    hit: u8,
    requests: u32,
    weak: [u32; WEAK],
    /// System prompt, tools, skeleton, network, payment; zero where there is none.
    keys: [u64; 5],
    /// Client, country, parameters.
    trace: [u32; 3],
}

/// Results, each as shares of accounts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Baseline {
    pub name: String,
    /// Share of attack accounts caught, or of attack exchanges held back for limits.
    pub caught: f64,
    /// Share of honest accounts flagged.
    pub harmed: f64,
    pub note: String,
}

impl Baseline {
    pub const HEADER: &str = "baseline                        caught  honest harmed";

    /// A line of the table under [`HEADER`](Self::HEADER).
    pub fn row(&self) -> String {
        let Self { name, caught, harmed, note } = self;
        format!("{name:28} {:>8.2}% {:>13.3}%  {note}", caught * 100.0, harmed * 100.0)
    }
}

impl Baselines {
    pub(in crate::lab) fn take(&mut self, ask: &Ask, meta: Meta<'_>) {
        let next = self.countries.len() as u16;
        let country = match self.countries.get(meta.country) {
            Some(country) => *country,
            None => *self.countries.entry(meta.country.to_owned()).or_insert(next),
        };
        let day = ask.at.as_millis() / 86_400_000;
        let facts = self
            .accounts
            .entry(ask.caller.account)
            .or_insert_with(|| Facts::new(ask, (meta.attack, country)));
        if facts.day != day {
            (facts.day, facts.today) = (day, 0);
        }
        facts.today += 1;
        let harvest = meta.attack && meta.counted != Counted::Unrelated;
        self.offered += u64::from(harvest && meta.counted == Counted::Once);
        for (at, limit) in LIMITS.iter().enumerate() {
            if facts.today > *limit {
                facts.hit |= 1 << at;
            } else {
                self.passed[at] += u64::from(harvest && meta.counted == Counted::Once);
            }
        }
        facts.requests += 1;
        let prompt = &ask.prompt;
        let shows = [
            prompt.phrases.0 != 0,
            prompt.turns <= 1,
            false,
            prompt.params.max_tokens.unwrap_or_default() >= 2048,
            prompt.params.temperature == Some(1.0),
        ];
        for (count, shown) in facts.weak.iter_mut().zip(shows) {
            *count += u32::from(shown);
        }
    }

    pub(in crate::lab) fn ended(&mut self, exchange: &Exchange) {
        let longer = exchange.completion.output() > exchange.ask.prompt.tokens;
        if let Some(facts) = self.accounts.get_mut(&exchange.ask.caller.account) {
            facts.weak[2] += u32::from(longer);
        }
    }

    pub(in crate::lab) fn told(&self) -> Vec<Baseline> {
        vec![self.limit(), self.groups(), self.components(), self.trace()]
    }

    /// The tightest limit that one honest account in two thousand runs into, or the loosest.
    fn limit(&self) -> Baseline {
        let hit = |at: usize| self.share(false, |facts| facts.hit >> at & 1 == 1);
        let at = (0..LIMITS.len()).find(|at| hit(*at) <= 5e-4).unwrap_or(LIMITS.len() - 1);
        let held = 1.0 - self.passed[at] as f64 / self.offered.max(1) as f64;
        let note = format!("{} requests a day; exchanges held back, not accounts", LIMITS[at]);
        Baseline { name: "static limit per account".into(), caught: held, harmed: hit(at), note }
    }

    fn share(&self, attack: bool, of: impl Fn(&Facts) -> bool) -> f64 {
        let side = self.accounts.values().filter(|facts| facts.attack == attack);
        let (hit, all) =
            side.fold((0_u64, 0_u64), |(hit, all), facts| (hit + u64::from(of(facts)), all + 1));
        hit as f64 / all.max(1) as f64
    }

    /// Many weak signals under one key: Stouffer's z over them, flagged as a whole.
    fn groups(&self) -> Baseline {
        let all = self.accounts.len().max(1) as f64;
        let mut rates = [0.0; WEAK];
        let mut groups = BTreeMap::<(usize, u64), (f64, [f64; WEAK])>::new();
        for facts in self.accounts.values() {
            let fired = facts.fired();
            rates.iter_mut().zip(fired).for_each(|(rate, fired)| *rate += fired / all);
            for key in facts.keyed() {
                let (members, sums) = groups.entry(key).or_default();
                *members += 1.0;
                sums.iter_mut().zip(fired).for_each(|(sum, fired)| *sum += fired);
            }
        }
        let flagged = |key: &(usize, u64)| {
            let (n, sums) = groups.get(key).copied().unwrap_or_default();
            let z = sums
                .iter()
                .zip(rates)
                .map(|(k, p)| (k - n * p) / (n * p * (1.0 - p)).max(1e-9).sqrt());
            n >= CROWD as f64 && z.sum::<f64>() / (WEAK as f64).sqrt() > FLAGGED
        };
        let hit = |facts: &Facts| facts.keyed().any(|key| flagged(&key));
        let note = format!("groups of {CROWD} and more, z > {FLAGGED}");
        Baseline {
            name: "plain group z-score".into(),
            caught: self.share(true, hit),
            harmed: self.share(false, hit),
            note,
        }
    }

    /// Accounts joined by any key they share, and by those of the ones so joined.
    fn components(&self) -> Baseline {
        let order: Vec<&Facts> = self.accounts.values().collect();
        let mut parent: Vec<usize> = (0..order.len()).collect();
        let mut owners = BTreeMap::new();
        for (at, facts) in order.iter().enumerate() {
            for key in facts.keyed() {
                let other = *owners.entry(key).or_insert(at);
                let (a, b) = (root(&mut parent, at), root(&mut parent, other));
                parent[a] = b;
            }
        }
        let mut sizes = vec![0_usize; order.len()];
        let roots: Vec<usize> = (0..order.len()).map(|at| root(&mut parent, at)).collect();
        roots.iter().for_each(|root| sizes[*root] += 1);
        let (mut hit, mut all) = ([0_u64; 2], [0_u64; 2]);
        for (facts, root) in order.iter().zip(&roots) {
            all[usize::from(facts.attack)] += 1;
            hit[usize::from(facts.attack)] += u64::from(sizes[*root] >= CROWD);
        }
        let share = |side: usize| hit[side] as f64 / all[side].max(1) as f64;
        let largest =
            sizes.iter().max().copied().unwrap_or_default() as f64 / order.len().max(1) as f64;
        let note = format!(
            "components of {CROWD} and more; the largest holds {:.0} % of all accounts",
            largest * 100.0
        );
        Baseline {
            name: "union-find on shared keys".into(),
            caught: share(1),
            harmed: share(0),
            note,
        }
    }

    /// Naive Bayes over client, country and parameters, learnt on half of the accounts, told of the
    /// other: what the generator itself gives away. A real campaign may not.
    fn trace(&self) -> Baseline {
        let (learnt, tried): (Vec<_>, Vec<_>) =
            self.accounts.iter().partition(|(id, _)| id.0[0] & 1 == 0);
        let mut seen = [BTreeMap::new(), BTreeMap::new(), BTreeMap::new()];
        let mut all = [0.0_f64; 2];
        for (_, facts) in learnt {
            let side = usize::from(facts.attack);
            all[side] += 1.0;
            for (seen, value) in seen.iter_mut().zip(facts.trace) {
                seen.entry(value).or_insert([0.0_f64; 2])[side] += 1.0;
            }
        }
        let score = |facts: &Facts| -> f64 {
            let ratio = |(seen, value): (&BTreeMap<u32, [f64; 2]>, u32)| {
                let [honest, attack] = seen.get(&value).copied().unwrap_or_default();
                ((attack + 0.5) / (all[1] + 1.0) / ((honest + 0.5) / (all[0] + 1.0))).ln()
            };
            seen.iter().zip(facts.trace).map(ratio).sum()
        };
        let mut scored: Vec<_> =
            tried.iter().map(|(_, facts)| (score(facts), facts.attack)).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (caught, harmed, area) = curve(&scored);
        let note = format!("other half of the accounts, area under the curve {area:.3}");
        Baseline { name: "metadata-only naive Bayes".into(), caught, harmed, note }
    }
}

/// Share caught while at most one honest account in a thousand scores as high, that share, and the
/// area under the curve. Ties count as one step.
pub(in crate::lab) fn curve(scored: &[(f64, bool)]) -> (f64, f64, f64) {
    let all = |attack: bool| scored.iter().filter(|one| one.1 == attack).count().max(1) as f64;
    let (attacks, honests) = (all(true), all(false));
    let (mut caught, mut harmed, mut area, mut best) = (0.0, 0.0, 0.0, (0.0, 0.0));
    for tied in scored.chunk_by(|a, b| a.0 == b.0) {
        let more = tied.iter().filter(|one| one.1).count() as f64 / attacks;
        let worse = tied.iter().filter(|one| !one.1).count() as f64 / honests;
        area += worse * (caught + more / 2.0);
        (caught, harmed) = (caught + more, harmed + worse);
        if harmed <= 1e-3 {
            best = (caught, harmed);
        }
    }
    (best.0, best.1, area)
}

fn root(parent: &mut [usize], of: usize) -> usize {
    let mut at = of;
    while parent[at] != at {
        parent[at] = parent[parent[at]];
        at = parent[at];
    }
    at
}

impl Facts {
    fn new(ask: &Ask, (attack, country): (bool, u16)) -> Self {
        let prompt = &ask.prompt;
        let system =
            prompt.system.as_ref().and_then(|sketch| sketch.slots().first_chunk::<4>().copied());
        let system = system.map_or(0, |slots| {
            slots.iter().fold(7_u64, |hash, &slot| {
                (hash ^ u64::from(slot)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            })
        });
        let payment = ask.caller.attributes.payment.unwrap_or(Tag(0));
        let params = &prompt.params;
        let tokens = params.max_tokens.unwrap_or_default().checked_ilog2().unwrap_or_default();
        let heat = params.temperature.map_or(99, |temperature| (temperature * 10.0) as u32);
        Self {
            attack,
            day: 0,
            today: 0,
            hit: 0,
            requests: 0,
            weak: [0; WEAK],
            keys: [system, prompt.tools.0, prompt.skeleton.0, ask.caller.egress.0, payment.0],
            trace: [
                client(ask.caller.client) << 4 | prompt.api as u32,
                u32::from(country),
                heat << 8 | tokens << 1 | u32::from(prompt.stream),
            ],
        }
    }

    fn keyed(&self) -> impl Iterator<Item = (usize, u64)> {
        self.keys.into_iter().enumerate().filter(|(_, key)| *key != 0)
    }

    fn fired(&self) -> [f64; WEAK] {
        let half = self.requests.max(1).div_ceil(2);
        self.weak.map(|count| f64::from(u8::from(count >= half)))
    }
}

const fn client(client: Client) -> u32 {
    client as u32
}
