//! The hard cap on streams: how many output tokens one may still give away.

use std::sync::Arc;

use super::budget::{Cost, Now, Reservation};
use crate::engine::Pace;
use crate::policy::Limits;

/// Tokens reserved at once for a stream that goes on; the smaller ones use up what is left. The last
/// bounds how much too early a stream is cut.
const STEPS: [u32; 4] = [1024, 256, 64, 16];

/// What a stream has been granted. Beyond its first reservation it takes more, as it goes, out of
/// what is left in each scope that cuts, so that many streams at once share one remainder.
#[derive(Debug)]
pub(super) struct Cap {
    scopes: Vec<(Arc<Pace>, Limits)>,
    granted: u32,
    /// Given back when the stream has ended: its first reservation is settled for all of it.
    more: Vec<Reservation>,
    reached: bool,
}

impl Cap {
    /// A cap on a stream that has `granted` output tokens reserved; none where nothing is to be cut.
    pub(super) fn new<'a>(
        scopes: impl Iterator<Item = (&'a Arc<Pace>, &'a Limits)>,
        granted: u32,
    ) -> Option<Self> {
        let cutting = scopes.filter(|(_, limits)| limits.cut_streams && limits.any_on_output());
        let scopes: Vec<_> = cutting.map(|(pace, limits)| (Arc::clone(pace), *limits)).collect();
        let none = scopes.is_empty();
        (!none).then_some(Self { scopes, granted, more: Vec::new(), reached: false })
    }

    /// Whether `output` tokens are more than there are. Once they were, they stay so.
    pub(super) fn is_reached(&mut self, output: u32, now: Now) -> bool {
        while !self.reached && self.granted < output {
            self.reached = !STEPS.into_iter().any(|step| self.grant(step, now));
        }
        self.reached
    }

    /// Takes as many more in every scope, or in none.
    fn grant(&mut self, output: u32, now: Now) -> bool {
        let cost = Cost { requests: 0, input: 0, output };
        let take =
            |(pace, limits): &(Arc<Pace>, Limits)| Reservation::take(pace, limits, cost, now);
        let Ok(mut taken) = self.scopes.iter().map(take).collect::<Result<Vec<_>, _>>() else {
            return false;
        };
        self.more.append(&mut taken);
        self.granted = self.granted.saturating_add(output);
        true
    }
}
