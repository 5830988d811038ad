//! What it looks like: one file per heuristic, and the features they read.
//!
//! To add a signal, write `signal/<name>.rs` with its knobs as `Params`, and add a `mod` line and a
//! row to `signals!` below. The registry yields the config schema, the account memory, the fleet memory,
//! the catalogue and the metrics.

mod bonds;
mod exchange;
mod features;
mod lexicon;
mod linkage;
mod registry;
mod share;
mod trial;
pub mod changes;
pub mod crowd;
pub mod habits;
pub mod index;
pub mod shelf;
pub mod sketch;

mod burst;
mod challenge;
mod echo;
mod elicitation;
mod equal_loads;
mod failover;
mod harvest_format;
mod grader;
mod handoff;
mod id_crossing;
mod egress;
mod environments;
mod masquerade;
mod incoherent;
mod locale;
mod migration;
mod neutralising;
mod obfuscation;
mod output_ratio;
mod reasoning_attack;
mod payment;
mod pivot;
mod probe;
mod scaffold;
mod skeleton;
mod session;
mod template;
mod tombstone;
mod toolset;
mod unserved;

#[cfg(test)]
mod samples;

pub use self::bonds::Bonds;
pub use self::crowd::{Crowd, Crowds, Facet};
pub use self::exchange::{
    Ask, Completion, Ending, Exchange, ExchangeId, Model, Phrases, Prompt, Topics, UsageSource,
    Zone,
};
pub use self::features::{Answer, Rates, SESSION_HEADERS, foreign, inspect, session_tag};
pub use self::habits::Habits;
pub use self::pivot::New;
pub use self::registry::{Asked, Ended, Family, Knobs, Mode, Spec};
use self::registry::{Signal, memory, owned, signals};
pub use self::trial::{Clearance, Step, Trial};

signals! {
    elicitation: elicitation::Elicitation,
    reasoning_attack: reasoning_attack::ReasoningAttack,
    grader: grader::Grader,
    neutralising: neutralising::Neutralising,
    harvest_format: harvest_format::HarvestFormat,
    obfuscation: obfuscation::Obfuscation,
    masquerade: masquerade::Masquerade,
    output_ratio: output_ratio::OutputRatio,
    scaffold: scaffold::Scaffold,
    environments: environments::Environments,
    payment: payment::Payment,
    burst: burst::Burst,
    tombstone: tombstone::Tombstone,
    egress: egress::Egress,
    incoherent: incoherent::Incoherent,
    locale: locale::Locale,
    unserved: unserved::Unserved,
    template: template::Template,
    skeleton: skeleton::Skeleton,
    toolset: toolset::Toolset,
    id_crossing: id_crossing::IdCrossing,
    migration: migration::Migration,
    probe: probe::Probe [failover],
    failover: failover::Failover,
    session: session::Session,
    echo: echo::Echo,
    pivot: pivot::Pivoting,
    equal_loads: equal_loads::EqualLoads,
    handoff: handoff::Handoff,
    challenge: challenge::Challenge,
}

#[cfg(test)]
mod tests;
