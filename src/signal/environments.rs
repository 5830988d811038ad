//! B9: many people's machines behind one seat.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::exchange::Prompt;
use super::linkage::counted;
use super::registry::{Asked, Ended, Family, Signal, Spec};
use super::shelf::Kept;
use crate::identity::Tag;
use crate::time::{Shift, Timestamp};

pub(super) struct Environments;

/// The machines of one account on one day, by the bits their tags fall on (linear counting): tells
/// one from five and five from forty.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct Machines {
    bits: [u32; 2],
    /// Days since the epoch.
    day: u32,
}

const DAY: u64 = 24 * 3_600_000;

impl Kept for Machines {
    fn shift(&mut self, by: Shift) {
        let days = i32::try_from(by.0 / DAY as i64).unwrap_or_default();
        if self.bits != [0; 2] {
            self.day = self.day.saturating_add_signed(days);
        }
    }
}

impl Signal for Environments {
    const SPEC: Spec = Spec {
        id: "B9",
        name: "environments",
        family: Family::B,
        says: "asks from many people's machines within a day",
        lookalike: "teams with one key, declared resellers",
        weight: 1.5,
        half_life: 24.0,
        // Guessed: one person has two or three machines, a team that shares a key a dozen.
        tail: &[(5.0, 0.12), (10.0, 0.05), (20.0, 0.015), (40.0, 0.005)],
    };

    type Params = Params;
    type Account = Machines;
    type Fleet = ();

    fn ask(_: &Params, asked: &Asked<'_>, account: &Machines, _: &()) -> Option<f32> {
        let mut account = *account;
        account.take(&asked.ask.prompt, asked.ask.at)
    }

    fn learn(_: &Params, ended: &Ended<'_>, account: &mut Machines, _: &()) -> Option<f32> {
        account.take(&ended.exchange.ask.prompt, ended.exchange.ask.at)
    }
}

impl Machines {
    /// Machines of the day, with the one that a request names.
    fn take(&mut self, prompt: &Prompt, at: Timestamp) -> Option<f32> {
        let machine = Some(prompt.environment).filter(|machine| *machine != Tag::default())?;
        let day = u32::try_from(at.as_millis() / DAY).unwrap_or(u32::MAX);
        if day != self.day {
            *self = Self { day, bits: [0; 2] };
        }
        let bit = machine.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58;
        self.bits[(bit / 32) as usize] |= 1 << (bit % 32);
        Some(counted(self.bits.iter().map(|bits| bits.count_zeros()).sum(), 64))
    }
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "EnvironmentsParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {}

#[cfg(test)]
mod tests {
    use super::super::samples::{Around, exchange, keyring};
    use super::*;

    fn says(machines: impl IntoIterator<Item = u64>, pause: u64) -> Option<f32> {
        let (around, mut account, mut last) = (Around::default(), Machines::default(), None);
        for (n, machine) in (0..).zip(machines) {
            let environment = keyring().tag("environment", &machine.to_le_bytes());
            let ended = exchange(1, n * pause, Prompt { environment, ..Prompt::default() });
            let asked = Environments::ask(&Params {}, &around.asked(&ended.ask), &account, &());
            last = Environments::learn(&Params {}, &around.ended(&ended), &mut account, &());
            assert_eq!(asked, last);
        }
        last
    }

    #[test]
    fn a_seat_that_forty_people_share_is_seen() {
        assert!(says(0..40, 60) >= Some(Environments::SPEC.tail[2].0));
        assert!(says(0..12, 60) >= Some(Environments::SPEC.tail[0].0));
    }

    #[test]
    fn one_persons_machines_and_a_life_of_them_are_not() {
        let tail = Environments::SPEC.tail;
        assert!(says((0..200).map(|n| n % 3), 60) < Some(tail[0].0));
        assert!(says(0..40, 24 * 3600) < Some(tail[0].0));
        let around = Around::default();
        let plain = exchange(1, 0, Prompt::default());
        let said =
            Environments::learn(&Params {}, &around.ended(&plain), &mut Machines::default(), &());
        assert_eq!(said, None);
    }
}
