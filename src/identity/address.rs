//! The client's address: the peer's, or the one a counted trusted hop reports.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::header::{FORWARDED, HeaderMap, HeaderName};
use ipnet::IpNet;

use super::settings::{AddressHeader, Settings};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies in front, and where they say who called them.
#[derive(Debug)]
pub(super) struct Hops {
    trusted: Vec<IpNet>,
    count: u8,
    header: AddressHeader,
}

impl Hops {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            trusted: settings.trusted_hops.clone(),
            count: settings.hops,
            header: settings.address_header,
        }
    }

    pub(super) fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted.iter().any(|network| network.contains(&peer))
    }

    /// The client behind `peer`. An unreadable entry, or a list too short to have come through
    /// all hops, leaves the peer's address: never one of the client's choosing.
    pub(super) fn client(&self, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
        let peer = peer.to_canonical();
        if self.count == 0 || !self.trusts(peer) {
            return peer;
        }
        let place = usize::from(self.count) - 1;
        let reported = match self.header {
            AddressHeader::XForwardedFor => {
                nth_from_right(headers, &X_FORWARDED_FOR, place).and_then(node)
            }
            AddressHeader::Forwarded => {
                nth_from_right(headers, &FORWARDED, place).and_then(forwarded_for).and_then(node)
            }
        };
        reported.unwrap_or(peer)
    }
}

/// Entry `place` from the right over all lines of a list header. Empty entries count: skipping
/// them would move the count into what the client wrote.
///
/// Splitting ignores quotes on purpose: read from the left, a quote that the client never closes
/// would swallow the entries of the hops, which stand to its right and need no quoted comma.
fn nth_from_right<'a>(headers: &'a HeaderMap, name: &HeaderName, place: usize) -> Option<&'a str> {
    let lines = headers.get_all(name).iter().rev();
    let bytes = lines.flat_map(|line| line.as_bytes().rsplit(|&byte| byte == b',')).nth(place)?;
    std::str::from_utf8(bytes).ok().map(str::trim)
}

/// The value of the one `for` parameter of a `Forwarded` element, without its quotes.
fn forwarded_for(element: &str) -> Option<&str> {
    let mut nodes = element.split(';').filter_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value.trim())
    });
    let value = nodes.next().filter(|_| nodes.next().is_none())?;
    match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"'),
        None => Some(value),
    }
}

/// An address with or without port and brackets; `unknown` and `_obfuscated` are none.
fn node(text: &str) -> Option<IpAddr> {
    let address = text.parse::<IpAddr>().ok();
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|socket| socket.ip()));
    let bracketed = || {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    };
    address.or_else(bracketed).map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    const HOP: &str = "10.0.0.1";

    fn client(settings: &Settings, peer: &str, lines: &[&[u8]]) -> IpAddr {
        let name = match settings.address_header {
            AddressHeader::XForwardedFor => X_FORWARDED_FOR,
            AddressHeader::Forwarded => FORWARDED,
        };
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&name, HeaderValue::from_bytes(line).unwrap());
        }
        Hops::new(settings).client(&headers, peer.parse().unwrap())
    }

    fn behind(hops: u8) -> Settings {
        let trusted_hops = vec!["10.0.0.0/8".parse().unwrap()];
        Settings { trusted_hops, hops, ..Settings::default() }
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_entry_of_the_outermost_hop_counts_and_the_clients_own_words_dont() {
        let lines: [&[u8]; 2] = [b"6.6.6.6, 1.2.3.4", b"5.5.5.5"];
        assert_eq!(client(&behind(0), HOP, &lines), ip(HOP));
        assert_eq!(client(&behind(1), HOP, &lines), ip("5.5.5.5"));
        assert_eq!(client(&behind(2), HOP, &lines), ip("1.2.3.4"));
        assert_eq!(client(&behind(4), HOP, &lines), ip(HOP), "too short a list");
    }

    #[test]
    fn ports_brackets_and_mapped_addresses_are_read() {
        for (text, address) in [
            ("1.2.3.4:80", "1.2.3.4"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:443", "2001:db8::1"),
            ("\t1.2.3.4  ", "1.2.3.4"),
        ] {
            assert_eq!(client(&behind(1), HOP, &[text.as_bytes()]), ip(address), "{text}");
        }
        assert_eq!(client(&behind(1), "::ffff:10.0.0.1", &[b"1.2.3.4"]), ip("1.2.3.4"));
    }

    #[test]
    fn an_unreadable_entry_leaves_the_peer() {
        for junk in [&b"unknown"[..], b"_hidden", b"", b"6.6.6.6,", b"1.2.3", b"\xff", b"[1.2.3.4]"]
        {
            assert_eq!(client(&behind(1), HOP, &[junk]), ip(HOP), "{junk:?}");
        }
    }

    #[test]
    fn forwarded_is_read_only_where_the_hops_write_it() {
        let settings = Settings { address_header: AddressHeader::Forwarded, ..behind(1) };
        for (line, address) in [
            ("for=1.2.3.4", "1.2.3.4"),
            ("proto=https;For=\"[2001:db8::1]:47\" ; by=_x", "2001:db8::1"),
            ("for=\"6.6.6.6, for=1.2.3.4", "1.2.3.4"),
            ("for=6.6.6.6;for=1.2.3.4", HOP),
            ("for=_hidden", HOP),
            ("by=1.2.3.4", HOP),
        ] {
            assert_eq!(client(&settings, HOP, &[line.as_bytes()]), ip(address), "{line}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(FORWARDED, HeaderValue::from_static("for=6.6.6.6"));
        assert_eq!(Hops::new(&behind(1)).client(&headers, ip(HOP)), ip(HOP));
    }

    /// A list of entries that read well and of arbitrary bytes that a header may hold.
    fn line() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![any::<u8>(), Just(b','), Just(b'"'), Just(b'='), Just(b';')];
        let byte = byte.prop_filter("legal", |byte| *byte >= 32 && *byte != 127);
        let junk = proptest::collection::vec(byte, 0..30);
        let sound = prop_oneof![Just("6.6.6.6"), Just("for=6.6.6.6"), Just("[2001:db8::6]:1")];
        let entry = prop_oneof![junk, sound.prop_map(|text| text.as_bytes().to_vec())];
        proptest::collection::vec(entry, 1..5).prop_map(|entries| entries.join(&b','))
    }

    fn both(hops: u8) -> [Settings; 2] {
        let address_header = AddressHeader::Forwarded;
        [behind(hops), Settings { address_header, ..behind(hops) }]
    }

    proptest! {
        #[test]
        fn an_untrusted_peer_is_always_the_client(line in line(), hops in 0_u8..4) {
            for settings in both(hops) {
                prop_assert_eq!(client(&settings, "7.7.7.7", &[&line]), ip("7.7.7.7"));
            }
        }

        #[test]
        fn nothing_to_the_left_of_the_hops_moves_the_client(line in line()) {
            for (settings, own) in both(1).iter().zip([&b",1.2.3.4"[..], b",for=1.2.3.4"]) {
                let joined = [&line[..], own].concat();
                prop_assert_eq!(client(settings, HOP, &[&joined]), ip("1.2.3.4"));
            }
        }

        #[test]
        fn any_line_is_read_without_panic(line in line(), hops in 1_u8..4) {
            for settings in both(hops) {
                let _ = client(&settings, HOP, &[&line, &line]);
            }
        }
    }
}
