//! An operator's word: what is to be done, who says so, and why.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::campaign::{CampaignId, State};
use crate::identity::{AccountId, Provision};
use crate::policy::Action;
use crate::signal::ExchangeId;
use crate::time::Timestamp;

/// One thing an operator wants done. Written to the audit log and the decision log as it stands.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    pub verb: Verb,
    pub owner: Words,
    pub reason: Words,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Verb {
    /// Holds for an account whatever its score: `allow` exempts it, every other action is carried
    /// out on it, in shadow mode too.
    Rule {
        account: AccountId,
        action: Action,
        /// Models it is about, in full or up to a closing `*`. None: all of them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        models: Vec<String>,
        lasts_seconds: u32,
    },
    /// Ends the ruling on an account.
    Lift { account: AccountId },
    /// Forgets what an account has shown and lets go of its rung. What it does next counts anew.
    Clear { account: AccountId },
    /// Tells how an account came to be, in place of what was told of it before; nothing takes that
    /// back. It goes before what trusted hops and the file say, member by member.
    Tell { account: AccountId, provision: Provision },
    /// A person's judgement on what was decided: `right`, or wrong. Changes nothing by itself; it is
    /// what weights are tuned by.
    Review {
        account: AccountId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exchange: Option<ExchangeId>,
        right: bool,
    },
    /// Lets the members of a campaign share one pace whatever its score, in shadow mode too.
    Contain { campaign: CampaignId, lasts_seconds: u32 },
    /// Lets go of a campaign, which is watched and not contained.
    Release { campaign: CampaignId, lasts_seconds: u32 },
    /// Lets go of a campaign for good, or until the time is over and it is active still.
    Close { campaign: CampaignId, lasts_seconds: u32 },
}

/// Why an order was not carried out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Disobeyed {
    #[error("{0}")]
    Unsound(&'static str),
    #[error("nothing is known of this account")]
    NotKnown,
    #[error("there is no ruling on this account")]
    NotRuled,
    #[error("there is no such campaign")]
    NoCampaign,
    #[error("100,000 orders of this kind are in force, and no more fit")]
    Full,
}

/// Rulings on one account speak of so many models at most, each named in so many bytes.
const MOST_MODELS: usize = 32;
const LONGEST_MODEL: usize = 200;

impl Verb {
    /// The campaign it is about, what is to become of that, and for how many seconds.
    pub(super) fn on_campaign(&self) -> Option<(CampaignId, State, u32)> {
        match *self {
            Self::Contain { campaign, lasts_seconds } => {
                Some((campaign, State::Contained, lasts_seconds))
            }
            Self::Release { campaign, lasts_seconds } => {
                Some((campaign, State::Watching, lasts_seconds))
            }
            Self::Close { campaign, lasts_seconds } => {
                Some((campaign, State::Closed, lasts_seconds))
            }
            Self::Rule { .. }
            | Self::Lift { .. }
            | Self::Clear { .. }
            | Self::Tell { .. }
            | Self::Review { .. } => None,
        }
    }

    /// What is wrong with it, though it could be read.
    pub fn objection(&self) -> Option<&'static str> {
        if self.on_campaign().is_some_and(|(_, _, lasts_seconds)| lasts_seconds == 0) {
            return Some("an order on a campaign lasts a second at least");
        }
        let Self::Rule { models, lasts_seconds, .. } = self else { return None };
        if *lasts_seconds == 0 {
            return Some("a ruling lasts a second at least");
        }
        let sound = |model: &String| !model.is_empty() && model.len() <= LONGEST_MODEL;
        let sound = models.len() <= MOST_MODELS && models.iter().all(sound);
        (!sound).then_some("a ruling names at most 32 models, each in 1 to 200 bytes")
    }
}

/// What holds of one account until it expires.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Ruling {
    pub account: AccountId,
    pub action: Action,
    pub models: Vec<String>,
    pub owner: Words,
    pub reason: Words,
    pub since: Timestamp,
    pub expires: Timestamp,
}

impl Ruling {
    /// The ruling that an order given at `now` makes, if it makes one.
    pub fn made(order: &Order, now: Timestamp) -> Option<Self> {
        let Verb::Rule { account, action, models, lasts_seconds } = &order.verb else {
            return None;
        };
        Some(Self {
            account: *account,
            action: *action,
            models: models.clone(),
            owner: order.owner.clone(),
            reason: order.reason.clone(),
            since: now,
            expires: now + Duration::from_secs((*lasts_seconds).into()),
        })
    }

    pub fn holds(&self, model: &str, now: Timestamp) -> bool {
        let about = |named: &String| match named.strip_suffix('*') {
            Some(start) => model.starts_with(start),
            None => model == named,
        };
        self.expires > now && (self.models.is_empty() || self.models.iter().any(about))
    }
}

/// What an operator has said is to become of a campaign, until it expires.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Ordered {
    pub state: State,
    pub owner: Words,
    pub reason: Words,
    pub since: Timestamp,
    pub expires: Timestamp,
}

impl Ordered {
    /// What an order given at `now` says of a campaign, if it is about one.
    pub(super) fn made(order: &Order, now: Timestamp) -> Option<(CampaignId, Self)> {
        let (campaign, state, lasts) = order.verb.on_campaign()?;
        let expires = now + Duration::from_secs(lasts.into());
        let (owner, reason) = (order.owner.clone(), order.reason.clone());
        Some((campaign, Self { state, owner, reason, since: now, expires }))
    }
}

/// A person's own words: 1 to 500 bytes, without control characters, so that they can't forge a line
/// of a log or of a terminal.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(try_from = "String")]
pub struct Words(String);

#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("1 to 500 bytes without control characters are expected")]
pub struct NotWords;

impl Words {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Words {
    type Error = NotWords;

    fn try_from(text: String) -> Result<Self, NotWords> {
        let sound = (1..=500).contains(&text.len()) && !text.chars().any(char::is_control);
        if sound { Ok(Self(text)) } else { Err(NotWords) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(text: &str) -> Result<Order, serde_json::Error> {
        serde_json::from_str(text)
    }

    const RULE: &str = r#"{"verb":{"rule":{"account":"acct_00000000000000000000000000000007",
        "action":"drop","models":["gpt-5*","o9"],"lasts_seconds":60}},
        "owner":"ann","reason":"case 7"}"#;

    #[test]
    fn a_ruling_holds_for_its_models_until_it_expires() {
        let now = Timestamp::from_millis(1_000);
        let ruling = Ruling::made(&order(RULE).unwrap(), now).unwrap();
        for (model, holds) in [("gpt-5-mini", true), ("o9", true), ("o9-pro", false), ("", false)] {
            assert_eq!(ruling.holds(model, now), holds, "{model}");
        }
        assert!(ruling.holds("o9", Timestamp::from_millis(60_999)));
        assert!(!ruling.holds("o9", Timestamp::from_millis(61_000)));
    }

    #[test]
    fn an_order_reads_back_as_it_was_written() {
        let order = order(RULE).unwrap();
        let text = serde_json::to_string(&order).unwrap();
        assert_eq!(serde_json::from_str::<Order>(&text).unwrap(), order);
    }

    #[test]
    fn words_that_could_forge_a_line_and_unknown_fields_are_refused() {
        assert!(order(&RULE.replace("case 7", "a\\nb")).is_err());
        assert!(order(&RULE.replace("case 7", "")).is_err());
        assert!(order(&RULE.replace("case 7", &"x".repeat(501))).is_err());
        assert!(order(&RULE.replace("\"action\"", "\"until\":1,\"action\"")).is_err());
        assert!(order(&RULE.replace("\"owner\"", "\"who\"")).is_err());
    }

    #[test]
    fn a_ruling_for_no_time_or_a_flood_of_models_meets_an_objection() {
        let objects = |text: &str| order(text).unwrap().verb.objection().is_some();
        assert!(!objects(RULE));
        assert!(objects(&RULE.replace(":60", ":0")));
        assert!(objects(&RULE.replace("\"o9\"", "\"\"")));
        assert!(objects(&RULE.replace("\"o9\"", &vec!["\"m\""; 32].join(","))));
    }
}
