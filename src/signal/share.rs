//! A share of an account's requests that forgets.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::exchange::{Phrases, Prompt};
use super::registry::{Asked, Ended, Signal, Spec};
use super::shelf::Kept;

/// A signal that is the share of requests which hold phrases of some classes.
///
/// The user side only: what a system prompt says is its template's, which family T already counts,
/// and one piece of evidence must not amplify itself.
pub(super) trait Phrased {
    const SPEC: Spec;
    const CLASSES: Phrases;
}

impl<S: Phrased> Signal for S {
    const SPEC: Spec = <S as Phrased>::SPEC;

    type Params = Params;
    type Account = Share;
    type Fleet = ();

    fn ask(params: &Params, asked: &Asked<'_>, account: &Share, _: &()) -> Option<f32> {
        holds::<S>(&asked.ask.prompt).then(|| account.with_one_more(params))
    }

    fn learn(params: &Params, ended: &Ended<'_>, account: &mut Share, _: &()) -> Option<f32> {
        account.take(params, holds::<S>(&ended.exchange.ask.prompt))
    }
}

fn holds<S: Phrased>(prompt: &Prompt) -> bool {
    prompt.phrases.any(S::CLASSES)
}

/// How many of the account's recent requests had some mark: counts that shrink a little with every
/// request, so that a low-and-slow account can't wait them out.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Share {
    hits: f32,
    total: f32,
    seen: u32,
}

impl Kept for Share {}

/// Unmarked requests every account is given to start with: a few early hits are no habit yet.
const BENEFIT: f32 = 2.0;

impl Share {
    /// Takes in one request and returns the share, once there were enough.
    pub(super) fn take(&mut self, params: &Params, hit: bool) -> Option<f32> {
        let keep = 1.0 - 1.0 / params.memory.max(1) as f32;
        self.hits = self.hits * keep + f32::from(u8::from(hit));
        self.total = self.total * keep + 1.0;
        self.seen = self.seen.saturating_add(1);
        (self.seen >= params.at_least).then_some(self.hits / (self.total + BENEFIT))
    }

    /// What the share would be with one more marked request.
    pub(super) fn with_one_more(mut self, params: &Params) -> f32 {
        self.take(params, true).unwrap_or(params.single)
    }
}

/// Knobs of a signal that is such a share.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "ShareParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Requests before the account's share means anything.
    pub at_least: u32,
    /// Requests the share reaches back.
    #[schemars(range(min = 1))]
    pub memory: u32,
    /// The share that one such request from an account still unknown stands for.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub single: f32,
}

impl Default for Params {
    fn default() -> Self {
        Self { at_least: 4, memory: 50, single: 0.1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(hits: impl IntoIterator<Item = bool>) -> Option<f32> {
        let mut share = Share::default();
        hits.into_iter().fold(None, |_, hit| share.take(&Params::default(), hit))
    }

    #[test]
    fn a_share_says_nothing_before_enough_requests() {
        assert_eq!(after([true; 3]), None);
        assert!(after([true; 4]).is_some_and(|share| share < 0.7));
    }

    #[test]
    fn a_share_follows_what_the_account_does_now() {
        let share = after((0..400).map(|n| n >= 200));
        assert!(share > Some(0.9) && share < Some(1.0), "{share:?}");
        assert!(after((0..400).map(|n| n < 200)) < Some(0.03));
        let half = after((0..400).map(|n| n % 2 == 0));
        assert!(half > Some(0.45) && half < Some(0.51), "{half:?}");
    }

    #[test]
    fn one_more_is_what_taking_it_gives() {
        let (params, mut share) = (Params::default(), Share::default());
        assert_eq!(share.with_one_more(&params), params.single);
        (0..9).fold(None, |_, _| share.take(&params, false));
        let would = share.with_one_more(&params);
        assert_eq!(share.take(&params, true), Some(would));
    }
}
