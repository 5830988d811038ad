//! Writes small databases in MaxMind's format (https://maxmind.github.io/MaxMind-DB/), so that none
//! made by others has to be kept here: an IPv6 tree with records of 24 bits, strings, numbers, maps.

use std::collections::BTreeMap;
use std::net::IpAddr;

pub(crate) enum Value {
    Text(String),
    Short(u16),
    Number(u32),
    Long(u64),
    Map(BTreeMap<String, Self>),
    List(Vec<Self>),
}

impl Value {
    pub(crate) fn map<const N: usize>(pairs: [(&str, Self); N]) -> Self {
        Self::Map(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Text(text) => {
                head(2, text.len(), out);
                out.extend(text.as_bytes());
            }
            Self::Short(number) => unsigned(5, (*number).into(), out),
            Self::Number(number) => unsigned(6, (*number).into(), out),
            Self::Long(number) => unsigned(9, *number, out),
            Self::Map(pairs) => {
                head(7, pairs.len(), out);
                for (key, value) in pairs {
                    Self::Text(key.clone()).write(out);
                    value.write(out);
                }
            }
            Self::List(items) => {
                head(11, items.len(), out);
                items.iter().for_each(|item| item.write(out));
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// As few bytes as it takes.
fn unsigned(kind: u8, number: u64, out: &mut Vec<u8>) {
    let bytes = number.to_be_bytes();
    let bytes = &bytes[(number.leading_zeros() / 8) as usize..];
    head(kind, bytes.len(), out);
    out.extend(bytes);
}

/// A control byte; types above seven take a second one. Sizes here stay below 29.
fn head(kind: u8, size: usize, out: &mut Vec<u8>) {
    assert!(size < 29);
    if kind > 7 {
        out.extend([size as u8, kind - 7]);
    } else {
        out.push(kind << 5 | size as u8);
    }
}

/// A node's two records: nothing, another node, or data by its offset.
#[derive(Clone, Copy)]
enum Record {
    Nothing,
    Node(usize),
    Data(usize),
}

/// A database of networks in CIDR notation; wider ones first.
pub(crate) fn database(networks: &[(&str, Value)]) -> Vec<u8> {
    let (mut nodes, mut data) = (vec![[Record::Nothing; 2]], Vec::new());
    for (network, value) in networks {
        let offset = data.len();
        value.write(&mut data);
        let (bits, length) = prefix(network);
        insert(&mut nodes, (bits, length), Record::Data(offset));
    }
    let mut bytes = Vec::new();
    for record in nodes.iter().flatten() {
        let number = match *record {
            Record::Nothing => nodes.len(),
            Record::Node(node) => node,
            Record::Data(offset) => nodes.len() + 16 + offset,
        };
        bytes.extend(&(number as u32).to_be_bytes()[1..]);
    }
    bytes.extend([0; 16]);
    bytes.extend(data);
    bytes.extend(b"\xab\xcd\xefMaxMind.com");
    metadata(nodes.len()).write(&mut bytes);
    bytes
}

/// 128 bits and how many of them count. IPv4 lies below ::/96.
fn prefix(network: &str) -> (u128, u32) {
    let (address, length) = network.split_once('/').unwrap();
    let length: u32 = length.parse().unwrap();
    match address.parse().unwrap() {
        IpAddr::V4(v4) => (u128::from(u32::from(v4)), 96 + length),
        IpAddr::V6(v6) => (u128::from(v6), length),
    }
}

fn insert(nodes: &mut Vec<[Record; 2]>, (bits, length): (u128, u32), record: Record) {
    let mut node = 0;
    for depth in 0..length {
        let side = (bits >> (127 - depth) & 1) as usize;
        if depth + 1 == length {
            nodes[node][side] = record;
            return;
        }
        node = match nodes[node][side] {
            Record::Node(next) => next,
            above => {
                // What held for the wider network holds for both halves of it.
                nodes.push([above; 2]);
                let next = nodes.len() - 1;
                nodes[node][side] = Record::Node(next);
                next
            }
        };
    }
}

fn metadata(nodes: usize) -> Value {
    Value::map([
        ("binary_format_major_version", Value::Short(2)),
        ("binary_format_minor_version", Value::Short(0)),
        ("build_epoch", Value::Long(1_790_000_000)),
        ("database_type", "Made-Up".into()),
        ("description", Value::map([("en", "for tests".into())])),
        ("ip_version", Value::Short(6)),
        ("languages", Value::List(Vec::new())),
        ("node_count", Value::Number(nodes as u32)),
        ("record_size", Value::Short(24)),
    ])
}
