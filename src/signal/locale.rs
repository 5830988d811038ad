//! N4: the time zone or the country that the client names is far from where its requests leave.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::exchange::Ask;
use super::registry::{Asked, Ended, Family, Signal, Spec};
use super::share::{self, Share};
use crate::identity::Country;

pub(super) struct Locale;

impl Signal for Locale {
    const SPEC: Spec = Spec {
        id: "N4",
        name: "locale",
        family: Family::N,
        says: "names a time zone or country far from where its requests come from",
        lookalike: "travellers; VPNs; work sent through a cloud region on another continent",
        weight: 0.7,
        half_life: 168.0,
        // Guessed: of clients that name a zone at all, perhaps one in seven leaves through a VPN or
        // a cloud on another continent now and then, and one in twelve always.
        tail: &[(0.3, 0.15), (0.7, 0.08)],
    };

    type Params = Params;
    type Account = Share;
    type Fleet = ();

    fn ask(params: &Params, asked: &Asked<'_>, account: &Share, _: &()) -> Option<f32> {
        is_away(params, asked.ask)?.then(|| account.with_one_more(&params.share()))
    }

    fn learn(params: &Params, ended: &Ended<'_>, account: &mut Share, _: &()) -> Option<f32> {
        let away = is_away(params, &ended.exchange.ask)?;
        account.take(&params.share(), away)
    }
}

/// Whether what an ask names is far from where it comes from. None where either is not known.
fn is_away(params: &Params, ask: &Ask) -> Option<bool> {
    let (trace, zone) = (&ask.caller.trace, ask.prompt.zone);
    let here = hours_of(trace.country?)?;
    let zone = zone.map(|zone| (zone.0, zone.0));
    let locale = trace.locale.and_then(hours_of);
    let named = [zone, locale].into_iter().flatten().map(|there| apart(here, there));
    // Half hours. A zone says more than a language, and either may be the honest one.
    let least = named.min()?;
    Some(i32::from(least) > 2 * i32::from(params.hours))
}

/// Half hours between two spans of time zones, the short way round the earth.
fn apart(one: (i8, i8), other: (i8, i8)) -> i16 {
    let gap = |below: (i8, i8), above: (i8, i8)| i16::from(above.0) - i16::from(below.1);
    let gap = gap(one, other).max(gap(other, one)).max(0);
    gap.min(48 - gap)
}

/// A country's time zones, from the westernmost to the easternmost, by standard time in half hours
/// east of UTC. Overseas parts are left out.
fn hours_of(country: Country) -> Option<(i8, i8)> {
    let known = |(_, _, countries): &&(i8, i8, &str)| {
        countries.split(' ').any(|one| one == country.as_str())
    };
    SPANS.iter().find(known).map(|(west, east, _)| (*west, *east))
}

const SPANS: [(i8, i8, &str); 27] = [
    (-20, -10, "US"),
    (-16, -7, "CA"),
    (-16, -10, "MX"),
    (-12, -12, "GT CR SV HN NI"),
    (-10, -10, "CO PE PA EC JM CU"),
    (-8, -8, "VE BO DO PR PY"),
    (-10, -6, "BR CL"),
    (-6, -6, "AR UY"),
    (0, 0, "GB IE PT IS GH CI SN MA"),
    (0, 2, "ES"),
    (2, 2, "FR DE IT NL BE AT CH SE NO DK PL CZ SK HU RS HR SI LU NG DZ TN CM"),
    (4, 4, "GR FI UA RO BG LT LV EE EG ZA IL LB CY MD JO"),
    (4, 24, "RU"),
    (6, 6, "TR BY SA IQ KW QA KE ET BH TZ UG"),
    (7, 7, "IR"),
    (8, 8, "AE AZ GE AM OM"),
    (10, 10, "PK UZ KZ TM TJ"),
    (11, 11, "IN LK"),
    (12, 12, "BD BT KG"),
    (14, 14, "TH VN KH LA"),
    (14, 18, "ID"),
    (14, 16, "MN"),
    (16, 16, "CN HK MO TW SG MY PH BN"),
    (18, 18, "JP KR KP"),
    (16, 20, "AU"),
    (24, 24, "NZ FJ"),
    (13, 13, "MM"),
];

#[derive(Clone, Debug, Deserialize, JsonSchema, PartialEq, Serialize)]
#[schemars(rename = "LocaleParams")]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// Requests that name a place before their share means anything.
    pub at_least: u32,
    /// Requests the share reaches back.
    #[schemars(range(min = 1))]
    pub memory: u32,
    /// Hours of difference that summer time, neighbours and a day's travel explain.
    #[schemars(range(max = 12))]
    pub hours: u8,
}

impl Params {
    fn share(&self) -> share::Params {
        share::Params { at_least: self.at_least, memory: self.memory, single: 0.0 }
    }
}

impl Default for Params {
    fn default() -> Self {
        Self { at_least: 8, memory: 50, hours: 3 }
    }
}

#[cfg(test)]
mod tests {
    use super::super::exchange::{Exchange, Prompt, Zone};
    use super::super::samples::{Around, exchange};
    use super::*;

    fn from(country: Option<&str>, zone: Option<i8>, locale: Option<&str>) -> Exchange {
        let prompt = Prompt { zone: zone.map(Zone), ..Prompt::default() };
        let mut ended = exchange(1, 0, prompt);
        let of = |code: Option<&str>| code.and_then(|code| code.parse().ok());
        (ended.ask.caller.trace.country, ended.ask.caller.trace.locale) = (of(country), of(locale));
        ended
    }

    fn away(country: &str, zone: Option<i8>, locale: Option<&str>) -> Option<bool> {
        is_away(&Params::default(), &from(Some(country), zone, locale).ask)
    }

    #[test]
    fn far_is_more_than_neighbours_and_summer_time_explain() {
        assert_eq!(away("US", Some(16), None), Some(true), "China's time from America");
        assert_eq!(away("NL", Some(16), Some("CN")), Some(true));
        assert_eq!(away("SG", Some(16), None), Some(false));
        assert_eq!(away("DE", Some(6), None), Some(false), "Moscow");
        assert_eq!(away("US", Some(-20), None), Some(false), "Hawaii");
        assert_eq!(away("NZ", Some(-20), None), Some(false), "across the date line");
        assert_eq!(away("JP", Some(2), Some("JP")), Some(false), "a visitor's own language");
    }

    #[test]
    fn without_a_place_at_either_end_nothing_is_said() {
        assert_eq!(away("US", None, None), None);
        assert_eq!(away("AQ", Some(16), None), None);
        assert_eq!(is_away(&Params::default(), &from(None, Some(16), None).ask), None);
    }

    #[test]
    fn a_trip_is_quiet_and_a_habit_is_not() {
        let says = |journey: &[&str]| {
            let (around, mut account) = (Around::default(), Share::default());
            journey.iter().fold(None, |_, country| {
                let ended = from(Some(country), Some(16), None);
                Locale::learn(&Params::default(), &around.ended(&ended), &mut account, &())
            })
        };
        let least = Locale::SPEC.tail[0].0;
        assert_eq!(says(&["US"; 7]), None);
        assert!(says(&["US"; 30]) > Some(0.7));
        assert!(says(&[&["CN"; 40][..], &["US"; 10]].concat()) < Some(least));
    }

    #[test]
    fn no_country_is_listed_twice() {
        let mut all: Vec<_> = SPANS.iter().flat_map(|(_, _, some)| some.split(' ')).collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        assert!(all.iter().all(|code| code.parse::<Country>().is_ok()));
    }
}
