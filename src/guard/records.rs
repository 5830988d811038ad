//! What the operator's own records tell of a caller: accounts' attributes by file and by order, and
//! where addresses are.

use arc_swap::ArcSwap;

use crate::engine::Engine;
use crate::identity::{Atlas, Identity, Provision, Register};

/// Files as they were last read; each is replaced whole.
#[derive(Debug, Default)]
pub struct Records {
    pub register: ArcSwap<Register>,
    pub atlas: ArcSwap<Atlas>,
}

impl Records {
    /// Completes what is known of who calls. Before the ask is made, so that the decision log has it
    /// and a replay sees the same.
    pub(super) fn complete(&self, engine: &Engine, identity: &mut Identity) {
        let account = identity.caller.account;
        let filed = self.register.load().of(account);
        Provision::tell(&mut identity.caller, engine.provision(account), filed);
        self.atlas.load().place(identity.address, &mut identity.caller.trace);
    }
}
