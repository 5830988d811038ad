//! What a signal is, and the macro that turns the list of signals into everything made of it.

use std::fmt::Debug;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::crowd::Crowds;
use super::exchange::{Ask, Exchange};
use super::habits::Habits;
use super::pivot::New;
use super::shelf::{Kept, Shelved};
use super::trial::Trial;
use crate::time::Timestamp;

/// One heuristic: what it remembers and what that memory says.
///
/// A signal answers with its *statistic*, a number that rises with suspicion. The engine turns a
/// statistic into evidence through the share of the cohort that shows as much (see
/// `engine::cohort`), so thresholds carry from one deployment to the next.
pub(super) trait Signal {
    const SPEC: Spec;

    /// The operator's knobs, under `[signals.<name>.params]`.
    type Params: Debug
        + Default
        + Clone
        + PartialEq
        + for<'de> Deserialize<'de>
        + Serialize
        + JsonSchema;
    /// What is remembered of one account. Counted against the 1 KiB an account may take.
    type Account: Clone + Debug + Default + Kept;
    /// What is remembered of all accounts together: bounded and expiring. A signal whose row names
    /// another one after its type reads that one's; it stands before it, and so sees what was known
    /// before the exchange at hand.
    type Fleet: Debug + Default + Shelved;

    /// What this very request shows, before it is forwarded. Reads only: it runs on the request's
    /// path, also for accounts that are not known yet (`account` is then empty).
    fn ask(_: &Self::Params, _: &Asked<'_>, _: &Self::Account, _: &Self::Fleet) -> Option<f32> {
        None
    }

    /// Takes in an exchange that has ended, was cut short or was refused. Returns the account's
    /// statistic as it stands now, or none when the exchange says nothing about it.
    fn learn(
        params: &Self::Params,
        ended: &Ended<'_>,
        account: &mut Self::Account,
        fleet: &Self::Fleet,
    ) -> Option<f32>;

    /// Takes in a step of a challenge put to the account. Returns the account's statistic, or none
    /// when the step says nothing about it.
    fn tried(_: &Self::Params, _: &Trial, _: &mut Self::Account, _: &Self::Fleet) -> Option<f32> {
        None
    }

    /// Forgets what has expired. The only place where fleet memory shrinks.
    fn tick(_: &Self::Params, _: &Self::Fleet, _: Timestamp) {}
}

/// What a signal may look at when an exchange is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub ask: &'a Ask,
    /// The account is older than the age at which one counts as established.
    pub aged: bool,
    /// It comes from where its tenant's policy says that the service is not offered.
    pub unserved: bool,
    pub habits: &'a Habits,
    pub crowds: &'a Crowds,
    /// The models that are new now.
    pub news: &'a [New],
}

/// What a signal may look at when an exchange has ended. Habits and crowds have taken it in.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    pub exchange: &'a Exchange,
    /// The account is older than the age at which one counts as established.
    pub aged: bool,
    /// It came from where its tenant's policy says that the service is not offered.
    pub unserved: bool,
    /// It was refused because the account is shut out, by the ladder or by an operator.
    pub condemned: bool,
    pub habits: &'a Habits,
    pub crowds: &'a Crowds,
    /// The models that are new now.
    pub news: &'a [New],
}

/// A signal's entry in the catalogue, the manual and the metrics.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// Identifier in the literature of this project, e.g. `C1`.
    pub id: &'static str,
    /// Name in config and logs; also the file's.
    pub name: &'static str,
    pub family: Family,
    /// What it says when it speaks, as the end of "this account ...". Shown to people.
    pub says: &'static str,
    /// The innocent who look alike.
    pub lookalike: &'static str,
    /// Most evidence it can give, in nats, before the tenant's re-weighting.
    pub weight: f32,
    /// Hours after which half of its evidence is forgotten.
    pub half_life: f32,
    /// Rising values of the statistic with the share of honest accounts that reach them: the
    /// prior of the cohort's distribution, before the deployment's own accounts are counted.
    pub tail: &'static [(f32, f32)],
}

/// Families of evidence. Signals of one family share a cap; families are taken as independent.
#[derive(
    Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize,
)]
pub enum Family {
    /// Content of prompts.
    C,
    /// Behaviour of the account.
    B,
    /// Provisioning: how the account came to be.
    P,
    /// Network.
    N,
    /// Template groups.
    T,
    /// Linkage between accounts.
    L,
    /// Fleet dynamics.
    S,
    /// Answers to interventions.
    X,
}

impl Family {
    pub const ALL: [Self; 8] =
        [Self::C, Self::B, Self::P, Self::N, Self::T, Self::L, Self::S, Self::X];

    pub const fn index(self) -> usize {
        self as usize
    }

    /// In sets of families, which are bits of a byte.
    pub const fn bit(self) -> u8 {
        1 << self.index()
    }
}

const _: () = assert!(Family::ALL.len() <= 8, "families fit the bits of a byte");

/// One signal's settings.
#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Knobs<P: Default> {
    pub mode: Mode,
    /// Multiplies the signal's own weight: 0 silences it, 1 leaves it.
    #[schemars(range(min = 0.0, max = 4.0))]
    pub weight: f32,
    pub params: P,
}

impl<P: Default> Default for Knobs<P> {
    fn default() -> Self {
        Self { mode: Mode::default(), weight: 1.0, params: P::default() }
    }
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Computed and counted.
    #[default]
    On,
    /// Computed and shown, but not added to the score.
    Shadow,
    /// Not computed.
    Off,
}

/// The fleet's memory that a signal owns, and the one it reads.
macro_rules! owned {
    ($signal:ty) => {
        <$signal as Signal>::Fleet
    };
    ($signal:ty, $of:ident) => {
        ()
    };
}
macro_rules! memory {
    ($fleet:expr, $own:ident) => {
        &$fleet.$own
    };
    ($fleet:expr, $own:ident, $of:ident) => {
        &$fleet.$of
    };
}
pub(super) use {memory, owned};

macro_rules! signals {
    ($($name:ident: $signal:ty $([$of:ident])?,)*) => {
        /// Every signal, in the order of every array of evidence.
        pub const CATALOGUE: [Spec; [$(stringify!($name)),*].len()] = [$(<$signal as Signal>::SPEC),*];

        /// How many signals there are.
        pub const COUNT: usize = CATALOGUE.len();

        /// Every signal's settings, under `[signals]`.
        #[derive(Clone, Debug, Default, serde::Deserialize, schemars::JsonSchema, PartialEq, serde::Serialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Settings {
            $(pub $name: Knobs<$name::Params>,)*
        }

        /// What every signal remembers of one account.
        #[derive(Clone, Debug, Default)]
        pub struct Account {
            $($name: <$signal as Signal>::Account,)*
        }

        /// What every signal remembers of the fleet.
        #[derive(Debug, Default)]
        pub struct Fleet {
            $($name: owned!($signal $(, $of)?),)*
        }

        impl Account {
            /// What is remembered, by signal and encoded, where it is anything.
            pub fn kept(&self) -> Vec<(u8, Vec<u8>)> {
                let all = [$(shelf::encode(&self.$name)),*];
                // Who has nothing to remember has nothing but zeros.
                let told = (0..).zip(all).filter(|(_, bytes)| bytes.iter().any(|byte| *byte != 0));
                told.collect()
            }

            /// Takes back what [`Account::kept`] gave. What can't be read stays as it is.
            pub fn recall(&mut self, signal: usize, bytes: &[u8], by: crate::time::Shift) {
                let mut place = 0..COUNT;
                $(if place.next() == Some(signal) {
                    if let Some(mut kept) = shelf::decode::<<$signal as Signal>::Account>(bytes) {
                        shelf::Kept::shift(&mut kept, by);
                        self.$name = kept;
                    }
                })*
            }
        }

        impl Fleet {
            /// Memory that outlives the process, by signal.
            pub fn shelves(&self) -> [(&'static str, Option<&dyn shelf::Shelf>); COUNT] {
                [$((stringify!($name), shelf::Shelved::shelf(&self.$name))),*]
            }
        }

        /// One statistic per signal; none where the signal has nothing to say.
        pub type Statistics = [Option<f32>; COUNT];

        impl Settings {
            /// Mode and weight of every signal, in catalogue order.
            pub fn knobs(&self) -> [(Mode, f32); COUNT] {
                [$((self.$name.mode, self.$name.weight)),*]
            }
        }

        /// What this request shows by itself, before it is forwarded.
        pub fn ask(settings: &Settings, asked: &Asked<'_>, account: &Account, fleet: &Fleet) -> Statistics {
            [$(match settings.$name.mode {
                Mode::Off => None,
                _ => <$signal as Signal>::ask(
                    &settings.$name.params, asked, &account.$name, memory!(fleet, $name $(, $of)?)),
            }),*]
        }

        /// Takes in an ended exchange and returns the statistics it moved.
        pub fn learn(settings: &Settings, ended: &Ended<'_>, account: &mut Account, fleet: &Fleet) -> Statistics {
            [$(match settings.$name.mode {
                Mode::Off => None,
                _ => <$signal as Signal>::learn(
                    &settings.$name.params, ended, &mut account.$name,
                    memory!(fleet, $name $(, $of)?)),
            }),*]
        }

        /// Takes in a step of a challenge and returns the statistics it moved.
        pub fn tried(settings: &Settings, trial: &Trial, account: &mut Account, fleet: &Fleet) -> Statistics {
            [$(match settings.$name.mode {
                Mode::Off => None,
                _ => <$signal as Signal>::tried(
                    &settings.$name.params, trial, &mut account.$name,
                    memory!(fleet, $name $(, $of)?)),
            }),*]
        }

        /// Forgets what has expired.
        pub fn tick(settings: &Settings, fleet: &Fleet, now: crate::time::Timestamp) {
            $(<$signal as Signal>::tick(
                &settings.$name.params, memory!(fleet, $name $(, $of)?), now);)*
        }
    };
}
pub(super) use signals;
