//! Honest accounts and campaigns together, text and all: for logs, and for whoever wants to look.

use std::iter::Peekable;
use std::sync::Arc;

use super::{Crowd, Dispatch, Fate, Hydra, Queue, Scenario, Sent};
use crate::lab::material::Corpus;

/// A world on its own clock. Each exchange has to be answered before the next one is asked for.
#[derive(Debug)]
pub struct World {
    crowd: Peekable<Crowd>,
    campaigns: Vec<(Hydra, Queue)>,
    /// The campaign's request that waits for its fate, and whether its task goes on.
    open: Option<(usize, Dispatch, (bool, u32))>,
}

impl World {
    pub fn new(scenario: &Arc<Scenario>, seed: u64, corpus: Option<Arc<Corpus>>) -> Self {
        let crowd = Crowd::new(scenario, seed, corpus.clone()).peekable();
        let campaign = |number| Hydra::new(scenario, number, (seed, corpus.clone()));
        let campaigns = (0..scenario.campaigns.len()).map(campaign).collect();
        Self { crowd, campaigns, open: None }
    }

    /// What became of the exchange that was sent last. Untold, it was served.
    pub fn met(&mut self, fate: Fate) {
        if let Some((number, dispatch, goes_on)) = self.open.take() {
            self.campaigns[number].0.met(&dispatch, fate, goes_on);
        }
    }

    fn of_campaign(&mut self, number: usize) -> Option<Sent> {
        let (hydra, queue) = &mut self.campaigns[number];
        let dispatch = hydra.send()?;
        let turned = queue.turn(dispatch.kind, dispatch.task, dispatch.turn);
        let tokens = queue.tokens(dispatch.kind, dispatch.task, &turned);
        self.open = Some((number, dispatch, (turned.more, tokens.1)));
        Some(hydra.sent(&dispatch, turned, tokens))
    }
}

impl Iterator for World {
    type Item = Sent;

    fn next(&mut self) -> Option<Sent> {
        self.met(Fate::Served);
        loop {
            let due = self.campaigns.iter().map(|(hydra, _)| hydra.due()).enumerate();
            let due = due.filter_map(|(number, at)| Some((at?, number))).min();
            let honest = self.crowd.peek().map(|sent| sent.at);
            match due {
                Some((at, number)) if honest.is_none_or(|honest| at < honest) => {
                    if let Some(sent) = self.of_campaign(number) {
                        return Some(sent);
                    }
                }
                _ => return self.crowd.next(),
            }
        }
    }
}
