//! What operators say while the program is killed again and again.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde_json::{Value, json};
use stillguard::time::Clock;

use super::{Stage, exchange};

pub(super) const BEARER: &str = "authorization: Bearer a-token-of-operators\r\n";

/// Lets orders be given on `stage`.
pub(super) fn admit_operators(stage: &Stage) {
    let token = stage.directory.path().join("token");
    std::fs::write(&token, "a-token-of-operators").unwrap();
    let config = std::fs::read_to_string(stage.config()).unwrap();
    let admin = format!("[telemetry.admin]\ntoken_file = {token:?}\n");
    std::fs::write(stage.config(), config + &admin).unwrap();
}

/// What a page of the admin listener says.
pub(super) fn see(admin: &str, path: &str) -> Value {
    let mut stream = TcpStream::connect(admin).unwrap();
    let head = format!("host: {admin}\r\nconnection: close\r\n{BEARER}");
    write!(stream, "GET {path} HTTP/1.1\r\n{head}\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap_or_else(|why| panic!("{path}: {why}: {answer}"))
}

const MEMBERS: usize = 20;
/// Members it has before the first kill, and ever after.
const FEWEST: u64 = 10;
/// Forming a campaign takes up to two reviews, which are 15 seconds apart.
const PATIENCE_NANOS: u64 = 120_000_000_000;

/// A campaign: accounts with one system prompt and one set of tools, each of which goes on where its
/// neighbour was. Formed in shadow, or its members would be refused before they are one.
pub(super) fn form_campaign(stage: &Stage) -> String {
    let config = std::fs::read_to_string(stage.config()).unwrap();
    let shadow = config.replace(r#"mode = "enforce""#, r#"mode = "shadow""#);
    assert_ne!(shadow, config);
    std::fs::write(stage.config(), shadow).unwrap();
    let mut proxy = stage.start();
    let (begun, mut last) = (Clock::start(), vec![None; MEMBERS]);
    let id = loop {
        for member in 0..MEMBERS {
            let neighbour = last[(member + 1) % MEMBERS].take();
            last[member] = go_on(&proxy.listen, member, neighbour);
        }
        let found = see(&proxy.admin, "/admin/v1/campaigns?format=json");
        let has_members = found[0]["members"].as_u64() >= Some(FEWEST);
        if let Some(id) = found[0]["id"].as_str().filter(|_| has_members) {
            break id.to_owned();
        }
        assert!(begun.elapsed_nanos() < PATIENCE_NANOS, "no campaign: {}", stage.log());
        stage.wait(200);
    };
    proxy.end();
    std::fs::write(stage.config(), config).unwrap();
    id
}

/// The id of an answer to `member`, which goes on from the one of another.
fn go_on(address: &str, member: usize, from: Option<String>) -> Option<String> {
    let head = format!("authorization: Bearer sk-member-{member}\r\n");
    let tool = json!({"type": "function", "name": "note", "parameters": {"type": "object"}});
    let mut body = json!({"model": "m", "max_output_tokens": 4, "tools": [tool],
        "instructions": "Explain every step of the way to the answer, then sum it up in one line.",
        "input": format!("Case {member}: what comes next?")});
    if let Some(from) = from {
        body["previous_response_id"] = from.into();
    }
    let (status, answer) = exchange(address, "/v1/responses", &head, &body.to_string()).unwrap();
    assert_eq!(status, 200, "{answer}");
    serde_json::from_str::<Value>(&answer).unwrap()["id"].as_str().map(str::to_owned)
}

/// What an order is about, and the number of the one that holds. None: nothing was said of it, or it
/// was taken back.
type Slot = (String, Option<u64>);

/// Operators who never tire: on a campaign, where there is one, and on a few accounts.
pub(super) struct Operators {
    campaign: Option<String>,
    number: u64,
    holds: BTreeMap<String, Option<u64>>,
    /// Sent when the program was killed, and never answered.
    in_flight: Option<Slot>,
    pub(super) answered: u64,
}

impl Operators {
    pub(super) fn new(campaign: Option<String>) -> Self {
        let (holds, in_flight) = Default::default();
        Self { campaign, number: 0, holds, in_flight, answered: 0 }
    }

    /// Orders, one after the other, until the program is gone.
    pub(super) fn order(&mut self, stage: &Stage, admin: &str, goes_on: &AtomicBool) {
        while goes_on.load(Relaxed) {
            self.number += 1;
            let (verb, slot) = self.verb(self.number);
            let reason = self.number.to_string();
            let order = json!({"verb": verb, "owner": "ann", "reason": reason}).to_string();
            let Some((status, answer)) = exchange(admin, "/admin/v1/orders", BEARER, &order) else {
                self.in_flight = Some(slot);
                break;
            };
            // There may be nothing to lift where the ruling was in flight.
            let nothing = status == 404 && slot.1.is_none();
            let lasting = status == 200 && answer.contains("\"lasting\":true");
            assert!(nothing || lasting, "{order}: {status} {answer}");
            self.holds.insert(slot.0, slot.1);
            self.answered += 1;
            stage.wait(5);
        }
    }

    fn verb(&self, n: u64) -> (Value, Slot) {
        if let Some(campaign) = self.campaign.as_ref().filter(|_| n.is_multiple_of(2)) {
            let said = json!({"campaign": campaign, "lasts_seconds": 86_400});
            let verb = if contains(n) { "contain" } else { "release" };
            return (json!({ verb: said }), (campaign.clone(), Some(n)));
        }
        let account = format!("acct_{:032x}", n % 16);
        match n / 16 % 3 {
            2 => (json!({"lift": {"account": account}}), (account, None)),
            _ => {
                let said = json!({"account": account, "action": "drop", "lasts_seconds": 86_400});
                (json!({ "rule": said }), (account, Some(n)))
            }
        }
    }

    /// All that was answered holds, and nothing else; what was in flight may.
    pub(super) fn check(&mut self, admin: &str) {
        let found = self.found(admin);
        let in_flight = self.in_flight.take();
        let mut holds = std::mem::take(&mut self.holds);
        for about in found.keys() {
            holds.entry(about.clone()).or_default();
        }
        for (about, said) in holds {
            let now = found.get(&about).copied();
            let also = in_flight.as_ref().filter(|(other, _)| *other == about).map(|(_, n)| *n);
            assert!(now == said || also == Some(now), "{about}: {now:?}, not {said:?} or {also:?}");
        }
        self.holds = found.into_iter().map(|(about, n)| (about, Some(n))).collect();
    }

    fn found(&self, admin: &str) -> BTreeMap<String, u64> {
        let number = |said: &Value| said["reason"].as_str().unwrap().parse().unwrap();
        let rulings = see(admin, "/admin/v1/rulings");
        let rulings = rulings["rulings"].as_array().unwrap().iter();
        let about = |one: &Value| one["account"].as_str().unwrap().to_owned();
        let mut found: BTreeMap<_, _> = rulings.map(|one| (about(one), number(one))).collect();
        if let Some(campaign) = &self.campaign {
            let page = see(admin, &format!("/admin/v1/campaigns/{campaign}?format=json"));
            let whole = &page["about"];
            assert!(whole["members"].as_u64() >= Some(FEWEST), "its members are forgotten: {page}");
            if whole["order"].is_object() {
                let n = number(&whole["order"]);
                let state = if contains(n) { "contained" } else { "watching" };
                assert_eq!(whole["state"], state, "{whole}");
                found.insert(campaign.clone(), n);
            }
        }
        found
    }
}

/// Every other order on the campaign contains it.
fn contains(n: u64) -> bool {
    n.is_multiple_of(4)
}
