//! An exchange as the signals see it.

use super::account::Account;
use super::{Engine, Rules};
use crate::policy::Action;
use crate::signal::{Ended, Exchange, New};

impl Engine {
    /// An exchange of `account` that has ended, beside what is known of it and
    /// which models are new.
    pub(super) fn ended<'a>(
        &'a self,
        rules: &Rules,
        exchange: &'a Exchange,
        (account, news): (&'a Account, &'a [New]),
    ) -> Ended<'a> {
        let ask = &exchange.ask;
        let regions = &rules.policies.of(&ask.caller.tenant).regions;
        let shut_out = account.held.rung == Action::Drop
            || self.rulings.on(ask).is_some_and(|ruled| ruled == Action::Drop);
        Ended {
            exchange,
            aged: account.established,
            unserved: regions.leave_out(ask.caller.trace.country),
            condemned: shut_out && exchange.is_shut_out(),
            habits: &account.habits,
            crowds: &self.fleet.crowds,
            news,
        }
    }
}
