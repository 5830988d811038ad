//! What the members of a contained campaign are let through with, on the log's own clock.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::engine::{Bucket, CampaignId};
use crate::identity::AccountId;
use crate::policy::{Containment, Pace};
use crate::signal::Ask;
use crate::time::Timestamp;

/// Theoretical arrival times, as in any GCRA. Accounts not yet known count as one member.
#[derive(Debug, Default)]
pub(super) struct Shares {
    whole: BTreeMap<CampaignId, Timestamp>,
    own: BTreeMap<(CampaignId, AccountId), Timestamp>,
}

impl Shares {
    /// Whether a member's request passes: within its own part and within what all share. Requests
    /// alone are counted here; the proxy counts their tokens, too.
    pub(super) fn admit(
        &mut self,
        id: CampaignId,
        ask: &Ask,
        (policy, bucket): (&Containment, &Bucket),
    ) -> bool {
        let own = self.own.entry((id, ask.caller.account)).or_default();
        let whole = self.whole.entry(id).or_default();
        let gaps =
            [bucket.own_slower(), bucket.slower[0]].map(|slower| gap(policy.requests, slower));
        let passes = [*own, *whole].into_iter().all(|due| due <= ask.at);
        if passes {
            (*own, *whole) = (ask.at + gaps[0], ask.at + gaps[1]);
        }
        passes
    }
}

/// Time between two requests at a pace that is so many times slower.
pub(super) fn gap(pace: Pace, slower: f64) -> Duration {
    Duration::from_secs_f64(60.0 / f64::from(pace.requests_per_minute.get()) * slower)
}
