//! Labels that reviewers have given: `stillguard review` in a decision log.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::BufRead;

use super::{Sample, open};
use crate::engine::{CampaignId, Engine, Order, Settings, Verb, Verdict};
use crate::identity::AccountId;
use crate::lab::replay::{ReplayError, follow};
use crate::policy::Action;
use crate::signal::{Ask, ExchangeId};

/// Decisions that a review may name, the latest; about 40 bytes each. An older one stands for the
/// severest on its account.
const DECISIONS: usize = 1 << 20;

/// Replays a decision log, letting everything pass, and gathers the accounts that reviewers have judged:
/// one whose account was acted on, or would have been, and rightly so, is an attack; so is one that was
/// wrongly allowed. The last word on an account counts. What an operator has ruled says nothing of it.
///
/// Accounts of one campaign are one source, every other account is its own.
///
/// # Errors
/// As those of a replay.
pub fn reviewed(settings: &Settings, log: impl BufRead) -> Result<Vec<Sample>, ReplayError> {
    let engine = Engine::new(settings.clone(), open());
    let gathered = RefCell::new(Gathered::default());
    follow(
        &engine,
        log,
        |ask, logged, now| gathered.borrow_mut().asked(ask, logged, now),
        |order| gathered.borrow_mut().ordered(order),
    )?;
    Ok(gathered.into_inner().samples())
}

#[derive(Default)]
struct Gathered {
    accounts: BTreeMap<AccountId, Reviewed>,
    decisions: BTreeMap<ExchangeId, bool>,
    latest: VecDeque<ExchangeId>,
}

struct Reviewed {
    sample: Sample,
    campaign: Option<CampaignId>,
    /// Any decision on it was more than to allow it.
    acted: bool,
    attack: Option<bool>,
}

impl Gathered {
    fn asked(&mut self, ask: &Ask, logged: &Verdict, now: &Verdict) {
        let acted = logged.action > Action::Allow && !logged.ruled;
        let fresh = || Reviewed {
            sample: Sample::new(false, String::new()),
            campaign: None,
            acted: false,
            attack: None,
        };
        let account = self.accounts.entry(ask.caller.account).or_insert_with(fresh);
        account.sample.see(now);
        account.acted |= acted;
        account.campaign = logged.campaign.or(account.campaign);
        if self.latest.len() >= DECISIONS {
            let oldest = self.latest.pop_front();
            oldest.and_then(|id| self.decisions.remove(&id));
        }
        self.latest.push_back(ask.id);
        self.decisions.insert(ask.id, acted);
    }

    fn ordered(&mut self, order: &Order) {
        let Verb::Review { account, exchange, right } = &order.verb else { return };
        // Of an account that this log does not know there is nothing to learn.
        let Some(known) = self.accounts.get_mut(account) else { return };
        let named = exchange.and_then(|id| self.decisions.get(&id)).copied();
        known.attack = Some(named.unwrap_or(known.acted) == *right);
    }

    fn samples(self) -> Vec<Sample> {
        let judged = self.accounts.into_iter().filter_map(|(id, one)| Some((id, one.attack?, one)));
        let labelled = judged.map(|(id, attack, Reviewed { sample, campaign, .. })| {
            let campaign = campaign.filter(|_| attack);
            let source = campaign.map_or_else(|| id.to_string(), |campaign| campaign.to_string());
            Sample { attack, source, ..sample }
        });
        labelled.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::Api;
    use crate::engine::{Line, Words};
    use crate::identity::{Caller, Tag};
    use crate::signal::Prompt;
    use crate::time::Timestamp;

    fn ask(account: u8, id: u64) -> Ask {
        let caller = Caller { egress: Tag(1), ..Caller::sample(account) };
        let prompt = Prompt { api: Api::OpenaiChat, ..Prompt::default() };
        Ask { id: ExchangeId(Tag(id)), at: Timestamp::from_millis(1000 + id), caller, prompt }
    }

    fn asked(account: u8, id: u64, verdict: Verdict) -> Line {
        Line::Ask { ask: ask(account, id), verdict }
    }

    fn at(action: Action) -> Verdict {
        Verdict { action, ..Verdict::default() }
    }

    fn review(account: u8, exchange: Option<u64>, right: bool) -> Line {
        let words = |text: &str| Words::try_from(text.to_owned()).unwrap();
        let (account, exchange) =
            (AccountId([account; 16]), exchange.map(|id| ExchangeId(Tag(id))));
        let verb = Verb::Review { account, exchange, right };
        let order = Order { verb, owner: words("ann"), reason: words("appeal 9") };
        Line::Order { at: Timestamp::from_millis(9000), order }
    }

    fn labels(lines: &[Line]) -> Vec<(String, bool)> {
        let lines = lines.iter().map(|line| serde_json::to_string(line).unwrap() + "\n");
        let log: String = lines.collect();
        let samples = reviewed(&Settings::default(), log.as_bytes()).unwrap();
        samples.into_iter().map(|sample| (sample.source, sample.attack)).collect()
    }

    #[test]
    fn a_reviewers_word_on_a_decision_is_a_label() {
        let campaign = "cmp_00000000000a".parse().ok();
        let lines = [
            asked(1, 1, Verdict { campaign, ..at(Action::Drop) }),
            asked(2, 2, at(Action::Throttle)),
            asked(3, 3, at(Action::Allow)),
            asked(4, 4, at(Action::Allow)),
            asked(5, 5, at(Action::Drop)),
            review(1, Some(1), true),
            review(2, None, false),
            review(3, Some(3), true),
            review(4, Some(4), false),
            review(9, None, true),
        ];
        let id = |n: u8| AccountId([n; 16]).to_string();
        let expected =
            [("cmp_00000000000a".to_owned(), true), (id(2), false), (id(3), false), (id(4), true)];
        assert_eq!(labels(&lines), expected);
    }

    #[test]
    fn the_last_word_counts_and_is_about_the_decision_it_names() {
        let lines = [
            asked(1, 1, at(Action::Allow)),
            asked(1, 2, at(Action::Challenge)),
            review(1, Some(1), true),
        ];
        let id = AccountId([1; 16]).to_string();
        assert_eq!(labels(&lines), [(id.clone(), false)]);
        let more = [&lines[..], &[review(1, None, true)]].concat();
        assert_eq!(labels(&more), [(id.clone(), true)]);
        // What was forced on a test account says nothing of what it is.
        let forced = Verdict { ruled: true, ..at(Action::Drop) };
        assert_eq!(labels(&[asked(1, 1, forced), review(1, None, true)]), [(id, false)]);
    }
}
