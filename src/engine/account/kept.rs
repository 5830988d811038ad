//! An account as it is written down: some 700 bytes of an account with habits.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Account, Granted, Keys, REFUSED, Shown};
use crate::dialect::Api;
use crate::engine::campaign::CampaignId;
use crate::engine::cohort::{Cohort, STEPS};
use crate::engine::memory::{KeptPace, Moment, Recall};
use crate::identity::{Client, Tag};
use crate::policy::{Action, Held};
use crate::signal::crowd::OCTAVES;
use crate::signal::{self, COUNT, Habits};
use crate::time::Timestamp;

/// What is known by a signal's number goes by the numbers of the build that wrote it.
#[derive(Deserialize, Serialize)]
pub(in crate::engine) struct Saved {
    #[serde(with = "by_name")]
    client: Client,
    #[serde(with = "by_name")]
    api: Api,
    first: Timestamp,
    last: Timestamp,
    established: bool,
    kept: Timestamp,
    habits: Habits,
    memory: Vec<(u8, Vec<u8>)>,
    shown: Vec<(u8, Shown)>,
    steps: Vec<(u8, u8)>,
    keys: Vec<Tag>,
    fired: u8,
    counted: Action,
    load: Option<u8>,
    held: Held,
    clearance: Option<Granted>,
    score: f32,
    pace: KeptPace,
    refused: [Tag; REFUSED],
    campaign: Option<CampaignId>,
    watched: bool,
    share: Option<KeptPace>,
    rises: Option<Timestamp>,
}

impl Saved {
    pub(in crate::engine) fn of(account: Account, now: Moment) -> Self {
        // No `..` here: what an account remembers is written down or left out on purpose.
        let Account {
            cohort: Cohort(client, api),
            first,
            last,
            established,
            kept,
            habits,
            memory,
            shown,
            steps,
            keys,
            fired,
            counted,
            load,
            held,
            rises,
            clearance,
            score,
            pace,
            refused,
            share,
            campaign,
            watched,
            unwritten: _,
        } = account;
        Self {
            client,
            api,
            first,
            last,
            established,
            kept,
            habits,
            memory: memory.kept(),
            shown: told(shown),
            steps: told(steps),
            keys: keys.as_slice().to_vec(),
            fired,
            counted,
            load,
            held,
            clearance,
            score,
            pace: KeptPace::of(&pace, now),
            refused,
            campaign,
            watched,
            share: share.map(|share| KeptPace::of(&share, now)),
            rises,
        }
    }

    /// The account. None when it can't be one.
    pub(in crate::engine) fn account(
        self,
        columns: &[Option<usize>],
        recall: &Recall,
    ) -> Option<Account> {
        let by = recall.shift;
        let mut memory = signal::Account::default();
        for (column, bytes) in &self.memory {
            if let Some(signal) = known(columns, *column) {
                memory.recall(signal, bytes, by);
            }
        }
        let shown = self.shown.into_iter().map(|(column, shown)| (column, shown.shifted(by)));
        let mut keys = Keys::default();
        self.keys.into_iter().for_each(|key| keys.push(key));
        let possible = self.load.is_none_or(|load| usize::from(load) < OCTAVES)
            && self.steps.iter().all(|(_, step)| usize::from(*step) < STEPS);
        possible.then(|| Account {
            cohort: Cohort(self.client, self.api),
            first: self.first.shifted(by),
            last: self.last.shifted(by),
            established: self.established,
            kept: self.kept.shifted(by),
            habits: self.habits,
            memory,
            shown: placed(shown, columns),
            steps: placed(self.steps.into_iter(), columns),
            keys,
            fired: self.fired,
            counted: self.counted,
            load: self.load,
            held: self.held.shifted(by),
            rises: self.rises.map(|rises| rises.shifted(by)),
            clearance: self.clearance.map(|mut granted| {
                granted.clearance.until = granted.clearance.until.shifted(by);
                granted
            }),
            score: self.score,
            pace: Arc::new(self.pace.pace(recall)),
            refused: self.refused,
            unwritten: None,
            share: self.share.map(|share| Arc::new(share.pace(recall))),
            campaign: self.campaign,
            watched: self.watched,
        })
    }
}

fn known(columns: &[Option<usize>], column: u8) -> Option<usize> {
    columns.get(usize::from(column)).copied().flatten()
}

/// Those that say anything, with their numbers.
fn told<T: Default + PartialEq>(all: [T; COUNT]) -> Vec<(u8, T)> {
    (0..).zip(all).filter(|(_, one)| *one != T::default()).collect()
}

fn placed<T: Copy + Default>(
    told: impl Iterator<Item = (u8, T)>,
    columns: &[Option<usize>],
) -> [T; COUNT] {
    let mut all = [T::default(); COUNT];
    for (column, one) in told {
        if let Some(place) = known(columns, column).and_then(|signal| all.get_mut(signal)) {
            *place = one;
        }
    }
    all
}

const _: () = assert!(COUNT <= 256, "a signal's number fits into a byte");

/// Names instead of places in a list that may grow in the middle. One that this build does not know
/// is the default.
mod by_name {
    use serde::de::IntoDeserializer;
    use serde::de::value::Error as Unknown;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<T: Serialize, S: Serializer>(
        value: &T,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match serde_json::to_value(value) {
            Ok(serde_json::Value::String(name)) => to.serialize_str(&name),
            _ => to.serialize_str(""),
        }
    }

    pub(super) fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: for<'a> Deserialize<'a> + Default,
        D: Deserializer<'de>,
    {
        let name = <std::borrow::Cow<'de, str>>::deserialize(from)?;
        let named: Result<T, Unknown> = T::deserialize((&*name).into_deserializer());
        Ok(named.unwrap_or_default())
    }
}
