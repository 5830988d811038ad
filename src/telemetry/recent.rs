//! The last decisions, in memory, for whoever asks about an id they were shown.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::engine::Verdict;
use crate::policy::Action;
use crate::signal::{Ask, ExchangeId};

/// Decisions kept: about 4 MiB.
const KEPT: usize = 4_096;
/// One in so many allowed exchanges is kept too, so that "allowed" can be explained as well.
const SAMPLE: u64 = 64;

/// A ring of decisions: all that called for more than allow, and a sample of the others.
#[derive(Debug, Default)]
pub(super) struct Recent(Mutex<VecDeque<Arc<Decision>>>);

#[derive(Clone, Debug)]
pub(super) struct Decision {
    pub(super) ask: Ask,
    pub(super) verdict: Verdict,
}

impl Recent {
    /// Takes the lock only for what is kept, and only for a pointer's move.
    pub(super) fn keep(&self, ask: &Ask, verdict: &Verdict) {
        let sampled = ask.id.0.0.is_multiple_of(SAMPLE);
        if verdict.action == Action::Allow && !sampled {
            return;
        }
        let decision = Arc::new(Decision { ask: ask.clone(), verdict: verdict.clone() });
        let mut ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = if ring.len() >= KEPT { ring.pop_front() } else { None };
        ring.push_back(decision);
        drop(ring);
        drop(oldest);
    }

    /// Searches from the youngest; microseconds, and only the admin listener asks.
    pub(super) fn find(&self, id: ExchangeId) -> Option<Arc<Decision>> {
        let ring = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        ring.iter().rev().find(|decision| decision.ask.id == id).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Tag;
    use crate::telemetry::fakes;

    fn shaped() -> Verdict {
        Verdict { action: Action::Shape, ..Verdict::default() }
    }

    #[test]
    fn the_ring_forgets_its_oldest_and_stays_bounded() {
        let recent = Recent::default();
        for id in 0..=KEPT as u64 {
            recent.keep(&fakes::ask(id), &shaped());
        }
        assert!(recent.find(ExchangeId(Tag(0))).is_none());
        assert!(recent.find(ExchangeId(Tag(1))).is_some());
        assert_eq!(recent.0.lock().unwrap().len(), KEPT);
    }

    #[test]
    fn of_allowed_exchanges_only_a_sample_is_kept() {
        let recent = Recent::default();
        for id in 0..SAMPLE * 10 {
            recent.keep(&fakes::ask(id), &Verdict::default());
        }
        assert_eq!(recent.0.lock().unwrap().len(), 10);
    }
}
