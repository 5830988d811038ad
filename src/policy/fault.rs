//! Settings that parse and yet can't work, or can't matter.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::{Action, Bind, Every, Group, Ladder, Limits, Measure, Period, Rate};
use super::{Regions, Settings, TenantSettings};
use crate::identity::AccountId;
use crate::time::Timestamp;

/// What is wrong with a value, and the keys and indices that lead to it from the settings' root.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    pub at: Vec<String>,
    pub gravity: Gravity,
    pub message: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Gravity {
    /// The settings are refused.
    Mistake,
    /// The settings are taken; somebody should look at them.
    Warning,
}

/// Factors on weights: 0 silences a signal, 1 leaves it.
const WEIGHTS: RangeInclusive<f32> = 0.0..=4.0;

impl Settings {
    /// Every fault, in the order of the settings. `signals` are the names a weight may carry.
    pub fn faults(&self, signals: &[&str], now: Timestamp) -> Vec<Fault> {
        let mut faults = Faults { signals, now, at: vec!["defaults".into()], found: Vec::new() };
        let base = TenantSettings::default();
        faults.check(&self.defaults, &base);
        let mut names = BTreeSet::new();
        for (index, tenant) in self.tenants.iter().enumerate() {
            faults.at = vec!["tenants".into(), index.to_string()];
            if tenant.name.trim().is_empty() {
                faults.mistake(&["name"], "a tenant needs a name".into());
            } else if !names.insert(&tenant.name) {
                let message = format!("tenant `{}` is written down twice", tenant.name);
                faults.mistake(&["name"], message);
            }
            faults.check(&tenant.settings, &self.defaults);
        }
        faults.found
    }
}

/// Those that share what each may have.
const TOGETHER: &str = "all accounts together";
const OWN_ACCOUNT: &str = "the account of these end users";

/// Collects faults of one table of tenant settings, which stands at `at`.
struct Faults<'a> {
    signals: &'a [&'a str],
    now: Timestamp,
    at: Vec<String>,
    found: Vec<Fault>,
}

impl Faults<'_> {
    fn mistake(&mut self, below: &[&str], message: String) {
        self.push(below, Gravity::Mistake, message);
    }

    fn warning(&mut self, below: &[&str], message: String) {
        self.push(below, Gravity::Warning, message);
    }

    fn push(&mut self, below: &[&str], gravity: Gravity, message: String) {
        let at = self.at.iter().cloned().chain(below.iter().map(|key| (*key).to_owned())).collect();
        self.found.push(Fault { at, gravity, message });
    }

    fn check(&mut self, settings: &TenantSettings, base: &TenantSettings) {
        if let Some(ladder) = &settings.ladder {
            self.check_ladder(ladder);
        }
        if let Some(shape) = settings.shape.filter(|it| it.refuse_choices_above < it.most_choices) {
            let (refused, most) = (shape.refuse_choices_above, shape.most_choices);
            let message = format!(
                "requests for {most} are refused before they are lowered to it: more than {refused}"
            );
            self.mistake(&["shape", "most_choices"], message);
        }
        self.check_bind(settings);
        if let Some((key, why)) = settings.regions.as_ref().and_then(Regions::objection) {
            self.mistake(&["regions", key], why);
        }
        self.check_rung_modes(settings, base);
        if settings.rung_shares.contains_key(&Action::Allow) {
            let message = "this share never matters: there is nothing to carry out";
            self.warning(&["rung_shares", "allow"], message.into());
        }
        for (name, weight) in &settings.weights {
            if !self.signals.contains(&name.as_str()) {
                self.mistake(&["weights", name], format!("there is no signal `{name}`"));
            }
            if let Some(message) = check_weight(*weight) {
                self.mistake(&["weights", name], message);
            }
        }
        if let Some(limits) = &settings.limits {
            let total = settings.total_limits.or(base.total_limits).unwrap_or_default();
            self.check_limits(&["limits"], limits, (&total, TOGETHER));
        }
        if let Some(limits) = &settings.end_user_limits {
            let account = settings.limits.or(base.limits).unwrap_or_default();
            self.check_limits(&["end_user_limits"], limits, (&account, OWN_ACCOUNT));
        }
        self.check_groups(&settings.groups, &base.groups);
        self.check_allowances(settings);
    }

    /// What is said of bound things matters only where there are any.
    fn check_bind(&mut self, settings: &TenantSettings) {
        let Some(bind) = &settings.bind else { return };
        let said = Bind { bare_until: None, ..*bind };
        if !bind.is_on() && said != Bind::default() {
            let message = "nothing is bound: `signatures` and `tool_ids` are off";
            self.warning(&["bind"], message.into());
        }
    }

    fn check_ladder(&mut self, ladder: &Ladder) {
        let mut below: Option<(Action, f32)> = None;
        for action in Action::ALL.into_iter().skip(1) {
            let (name, threshold) = (action.name(), ladder.threshold(action));
            if !threshold.is_finite() {
                let message = format!("a threshold is a number of nats, not {threshold}");
                self.mistake(&["ladder", name], message);
                continue;
            }
            if let Some((milder, floor)) = below.filter(|(_, floor)| threshold < *floor) {
                let milder = milder.name();
                let message =
                    format!("`{name}` is reached before `{milder}`, which begins at {floor}");
                self.mistake(&["ladder", name], message);
            }
            below = Some((action, threshold));
        }
        if !(ladder.hysteresis.is_finite() && ladder.hysteresis >= 0.0) {
            let message = format!("hysteresis is zero or more nats, not {}", ladder.hysteresis);
            self.mistake(&["ladder", "hysteresis"], message);
        }
    }

    /// A rung's mode matters only where it differs from the mode and the rung can be reached.
    fn check_rung_modes(&mut self, settings: &TenantSettings, base: &TenantSettings) {
        let mode = settings.mode.or(base.mode).unwrap_or_default();
        let ladder = settings.ladder.or(base.ladder).unwrap_or_default();
        for (rung, rung_mode) in &settings.rung_modes {
            let name = rung.name();
            let differs = base.rung_modes.get(rung).is_some_and(|base| base != rung_mode);
            let reason = if *rung == Action::Allow {
                "there is nothing to carry out".into()
            } else if *rung_mode == mode && !differs {
                format!("it says the same as `mode` (`{}`)", mode.name())
            } else if ladder.rung(ladder.threshold(*rung)) != *rung {
                "the next rung begins at the same score".into()
            } else {
                continue;
            };
            self.warning(
                &["rung_modes", name],
                format!("this mode of `{name}` never matters: {reason}"),
            );
        }
    }

    fn check_groups(&mut self, groups: &[Group], inherited: &[Group]) {
        let mut names: BTreeSet<&str> = inherited.iter().map(|group| group.name.as_str()).collect();
        let mut members: BTreeMap<AccountId, &str> = BTreeMap::new();
        for group in inherited {
            members.extend(group.accounts.iter().map(|account| (*account, group.name.as_str())));
        }
        for (index, group) in groups.iter().enumerate() {
            let (index, name) = (index.to_string(), group.name.as_str());
            if !names.insert(name) {
                self.mistake(&["groups", &index, "name"], format!("there are two groups `{name}`"));
            }
            if group.accounts.is_empty() {
                let message = format!("no account is in group `{name}`: it can never match");
                self.mistake(&["groups", &index, "accounts"], message);
            }
            let below = ["groups", &index, "limits"];
            self.check_limits(&below, &group.limits, (&group.total_limits, TOGETHER));
            let below = ["groups", &index, "end_user_limits"];
            self.check_limits(&below, &group.end_user_limits, (&group.limits, OWN_ACCOUNT));
            for account in &group.accounts {
                if let Some(other) = members.insert(*account, name).filter(|other| *other != name) {
                    let message = format!("{account} is in group `{other}` already");
                    self.mistake(&["groups", &index, "accounts"], message);
                }
            }
        }
    }

    /// What each may take matters only where `whose` may take as much.
    fn check_limits(&mut self, below: &[&str], each: &Limits, (total, whose): (&Limits, &str)) {
        let quotas =
            [("per_hour", Period::Hour), ("per_day", Period::Day), ("per_month", Period::Month)];
        let measures = ["requests", "input_tokens", "output_tokens", "tokens"];
        let mut idle: Vec<Vec<&str>> = Vec::new();
        if each.concurrency.zip(total.concurrency).is_some_and(|(each, total)| each > total) {
            idle.push(vec!["concurrency"]);
        }
        for (name, measure) in measures.into_iter().zip(Measure::ALL) {
            let above = |(each, total): (Rate, Rate)| {
                each.amount > total.amount && each.burst > total.burst
            };
            for (every, key) in
                [(Every::Second, vec!["per_second", name]), (Every::Minute, vec![name])]
            {
                let rates = each.rate(every, measure).zip(total.rate(every, measure));
                if rates.is_some_and(above) {
                    idle.push(key);
                }
            }
            for (table, period) in quotas {
                let pair = each.quotas(period).of(measure).zip(total.quotas(period).of(measure));
                if pair.is_some_and(|(each, total)| each > total) {
                    idle.push(vec![table, name]);
                }
            }
        }
        for key in idle {
            let message = format!("{whose} may have less: this limit never matters");
            self.warning(&[below, &key].concat(), message);
        }
    }

    fn check_allowances(&mut self, settings: &TenantSettings) {
        for (index, entry) in settings.allow.iter().enumerate() {
            let index = index.to_string();
            for (key, text) in [("reason", &entry.reason), ("owner", &entry.owner)] {
                if text.trim().is_empty() {
                    self.mistake(&["allow", &index, key], format!("an allowance needs its {key}"));
                }
            }
            if !entry.lasts(self.now) {
                let message = format!("this allowance ended at {}", entry.expires);
                self.warning(&["allow", &index, "expires"], message);
            }
        }
    }
}

/// What is wrong with a factor on a signal's weight, if something is.
fn check_weight(weight: f32) -> Option<String> {
    (!WEIGHTS.contains(&weight)).then(|| format!("a weight is a number from 0 to 4, not {weight}"))
}
