//! Where addresses are, by databases in MaxMind's format that the operator gives.
//!
//! None is shipped: their licences are the operator's to agree to. A database is held whole in memory
//! and looked up in place, some 40 ns.

use std::net::IpAddr;

use maxminddb::Reader;
use serde::Deserialize;

use super::{Country, Trace};

/// The databases in use, at most one of each kind.
#[derive(Debug, Default)]
pub struct Atlas {
    countries: Option<Reader<Vec<u8>>>,
    networks: Option<Reader<Vec<u8>>>,
}

/// What a database is to tell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Chart {
    Countries,
    /// Autonomous systems.
    Networks,
}

/// The members that are read of a record; both may stand in one database.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Found<'a> {
    #[serde(borrow)]
    country: Option<Named<'a>>,
    /// Where an address is registered, for those that are nowhere, such as satellites'.
    #[serde(borrow)]
    registered_country: Option<Named<'a>>,
    autonomous_system_number: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named<'a> {
    #[serde(borrow)]
    iso_code: Option<&'a str>,
}

impl Atlas {
    /// With this database too.
    ///
    /// # Errors
    /// Bytes that are no such database, or a damaged one: all of it is walked.
    pub fn with(mut self, chart: Chart, bytes: Vec<u8>) -> Result<Self, String> {
        let reader = Reader::from_source(bytes).map_err(|why| why.to_string())?;
        reader.verify().map_err(|why| why.to_string())?;
        match chart {
            Chart::Countries => self.countries = Some(reader),
            Chart::Networks => self.networks = Some(reader),
        }
        Ok(self)
    }

    /// Adds to what is known of a caller where its address is. What a database can't tell of it
    /// stays unknown.
    pub fn place(&self, address: IpAddr, trace: &mut Trace) {
        let address = address.to_canonical();
        if let Some(found) = look_up(self.countries.as_ref(), address) {
            let code = [found.country, found.registered_country];
            let mut code = code.into_iter().flatten().filter_map(|named| named.iso_code);
            trace.country = code.next().and_then(|code| code.parse::<Country>().ok());
        }
        if let Some(found) = look_up(self.networks.as_ref(), address) {
            trace.asn = found.autonomous_system_number;
        }
    }

    pub fn tells(&self, chart: Chart) -> bool {
        match chart {
            Chart::Countries => self.countries.is_some(),
            Chart::Networks => self.networks.is_some(),
        }
    }
}

fn look_up(reader: Option<&Reader<Vec<u8>>>, address: IpAddr) -> Option<Found<'_>> {
    reader?.lookup(address).ok()?.decode().ok()?
}

#[cfg(test)]
#[path = "../../tests/support/mmdb.rs"]
mod mmdb;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::mmdb::{Value, database};
    use super::*;

    fn countries() -> Vec<u8> {
        let of = |code: &str| Value::map([("country", Value::map([("iso_code", code.into())]))]);
        let registered =
            Value::map([("registered_country", Value::map([("iso_code", "NL".into())]))]);
        database(&[
            ("10.1.0.0/16", of("DE")),
            ("10.1.7.0/24", of("CH")),
            ("2001:db8:5::/48", of("JP")),
            ("10.9.0.0/16", registered),
        ])
    }

    fn at(atlas: &Atlas, address: &str) -> (Option<String>, Option<u32>) {
        let mut trace = Trace::default();
        atlas.place(address.parse().unwrap(), &mut trace);
        (trace.country.map(|country| country.to_string()), trace.asn)
    }

    #[test]
    fn an_address_is_where_the_closest_network_is() {
        let number = |n: u32| Value::map([("autonomous_system_number", Value::Number(n))]);
        let networks = database(&[("10.1.0.0/16", number(64_512))]);
        let atlas = Atlas::default().with(Chart::Countries, countries()).unwrap();
        let atlas = atlas.with(Chart::Networks, networks).unwrap();
        for (address, country, asn) in [
            ("10.1.2.3", Some("DE"), Some(64_512)),
            ("::ffff:10.1.2.3", Some("DE"), Some(64_512)),
            ("10.1.7.9", Some("CH"), Some(64_512)),
            ("10.2.0.1", None, None),
            ("2001:db8:5::9", Some("JP"), None),
            ("2001:db8:6::9", None, None),
            ("10.9.1.1", Some("NL"), None),
        ] {
            assert_eq!(at(&atlas, address), (country.map(str::to_owned), asn), "{address}");
        }
    }

    #[test]
    fn without_a_database_nobody_is_anywhere() {
        assert_eq!(at(&Atlas::default(), "10.1.2.3"), (None, None));
        assert!(!Atlas::default().tells(Chart::Countries));
    }

    #[test]
    fn what_is_no_database_is_refused_when_it_is_read() {
        let whole = countries();
        for bytes in [&b""[..], b"no database at all", &whole[..whole.len() - 40], &whole[60..]] {
            assert!(Atlas::default().with(Chart::Countries, bytes.to_vec()).is_err());
        }
    }

    proptest! {
        #[test]
        fn a_damaged_database_is_refused_or_read_without_panic(
            at in 0_usize..1000, to: u8, address: u32
        ) {
            let mut bytes = countries();
            let at = at % bytes.len();
            bytes[at] = to;
            if let Ok(atlas) = Atlas::default().with(Chart::Countries, bytes) {
                atlas.place(IpAddr::V4(address.into()), &mut Trace::default());
            }
        }
    }
}
