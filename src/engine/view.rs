//! An exchange as the signals see it.

use super::account::Account;
use super::{Engine, Rules};
use crate::policy::Action;
use crate::signal::{self, Ended, Exchange, Statistics};

impl Engine {
    /// Lets every signal learn from an exchange of `account` that has ended.
    pub(super) fn teach(
        &self,
        rules: &Rules,
        exchange: &Exchange,
        account: &mut Account,
    ) -> Statistics {
        let ask = &exchange.ask;
        let regions = &rules.policies.of(&ask.caller.tenant).regions;
        let shut_out = account.held.rung == Action::Drop
            || self.rulings.on(ask).is_some_and(|ruled| ruled == Action::Drop);
        let news = self.campaigns.news();
        let ended = Ended {
            exchange,
            aged: account.established,
            unserved: regions.leave_out(ask.caller.trace.country),
            condemned: shut_out && exchange.is_shut_out(),
            habits: &account.habits,
            crowds: &self.fleet.crowds,
            news: &news,
        };
        let (knobs, fleet) = (&rules.settings.signals, &self.fleet.memory);
        signal::learn(knobs, &ended, &mut account.memory, fleet)
    }
}
