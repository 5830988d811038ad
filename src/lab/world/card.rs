//! What an operator's records say of an account, and where it calls from.

use std::net::Ipv4Addr;

use serde::Serialize;

use super::scenario::{Honest, Plan, Shared};
use crate::lab::fleet::Style;
use crate::lab::rng::Rng;

/// One account as the provider sees it. Its name tells nothing of its kind.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    pub name: String,
    pub org: Option<String>,
    pub address: Ipv4Addr,
    pub country: &'static str,
    pub agent: String,
    pub style: Style,
    pub attributes: Option<Attributes>,
}

/// Provisioning attributes as an exchange log has them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attributes {
    pub created_at: f64,
    pub plan: &'static str,
    pub paid_invoices: u32,
    pub payment_hash: String,
    pub pathway: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail_domain_hash: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub declared_reseller: bool,
}

const COUNTRIES: [&str; 16] = [
    "US", "US", "US", "US", "DE", "GB", "FR", "IN", "BR", "JP", "JP", "SG", "SG", "HK", "KR", "NL",
];
const RELAYS: [&str; 6] = ["US", "SG", "JP", "HK", "NL", "DE"];

const AGENTS: [(&str, Style); 12] = [
    ("OpenAI/Python 2.54.0", Style::OpenaiChat),
    ("OpenAI/Python 2.51.1", Style::OpenaiChat),
    ("AsyncOpenAI/Python 2.54.0", Style::OpenaiChat),
    ("OpenAI/JS 6.49.0", Style::OpenaiChat),
    ("Anthropic/Python 2.12.0", Style::AnthropicMessages),
    ("Anthropic/JS 1.12.0", Style::AnthropicMessages),
    ("langchain-openai/1.3.0", Style::OpenaiChat),
    ("litellm/1.106.2", Style::OpenaiChat),
    ("ai-sdk/openai/3.0 runtime/node.js/22", Style::OpenaiChat),
    ("curl/8.9.1", Style::OpenaiChat),
    ("python-requests/2.32.5", Style::OpenaiChat),
    ("Mozilla/5.0 (X11; Linux x86_64)", Style::OpenaiChat),
];

/// Networks of clouds that many customers share; and how many callers leave through one of them.
const CLOUDS: usize = 400;
const IN_CLOUD: f64 = 0.35;

const DAY: f64 = 86_400.0;

/// The card of honest account `number` of a class, first used at `first` seconds of the epoch.
/// `class` and `group` are streams that all of the class, all of its group draw from.
pub(super) fn honest(
    class: &Honest,
    (number, first): (usize, f64),
    (own, group): (&Rng, &Rng),
) -> Card {
    let shares = |what| class.group > 0 && class.shares.contains(&what);
    let mut rng = own.split(1);
    let common = group.split(1);
    let fresh = rng.chance(class.fresh) || class.meetings > 0;
    let (agent, style) = AGENTS[rng.below(AGENTS.len())];
    let mut from = if shares(Shared::Network) { common.split(2) } else { rng.split(2) };
    let country = COUNTRIES[from.below(COUNTRIES.len())];
    let address = home(&mut from, &mut rng);
    let age = if fresh { rng.unit() * 2.0 } else { 20.0 + rng.unit() * 700.0 };
    let age =
        if shares(Shared::Signup) { common.split(3).unit() * 2.0 + rng.unit() * 0.02 } else { age };
    let plan = ["free", "pay-as-you-go", "pay-as-you-go", "team"][rng.below(4)];
    let invoices = if fresh { u32::from(rng.chance(0.2)) } else { (age / 30.0) as u32 };
    let school = shares(Shared::Signup);
    let mut pays = if shares(Shared::Payment) { common.split(4) } else { rng.split(4) };
    let attributes = Attributes {
        created_at: (first - age * DAY).floor(),
        plan: if school { "free" } else { plan },
        paid_invoices: if school || plan == "free" && rng.chance(0.7) { 0 } else { invoices },
        payment_hash: format!("pay-{:012x}", pays.draw() >> 16),
        pathway: if school {
            "education".into()
        } else {
            ["card", "card", "invoice", "marketplace"][rng.below(4)].into()
        },
        mail_domain_hash: Some(mail(school || shares(Shared::Organisation), (own, group))),
        declared_reseller: class.declared,
    };
    let org =
        shares(Shared::Organisation).then(|| format!("org-{:012x}", common.split(5).draw() >> 16));
    let name = name(&mut rng.split(6).split(number as u64));
    Card { name, org, address, country, agent: agent.into(), style, attributes: Some(attributes) }
}

fn home(network: &mut Rng, rng: &mut Rng) -> Ipv4Addr {
    let host = 1 + rng.below(250) as u8;
    if network.chance(IN_CLOUD) {
        // Squaring makes some clouds far more popular than others.
        let cloud = (network.unit().powi(2) * CLOUDS as f64) as usize;
        return Ipv4Addr::new(52, (cloud / 250) as u8, (cloud % 250) as u8, host);
    }
    let [a, b] = [network.below(256) as u8, network.below(256) as u8];
    Ipv4Addr::new(60 + network.below(60) as u8, a, b, host)
}

/// The card of a campaign's account `number`, taken into use at `born` seconds of the epoch.
pub(super) fn hired(plan: &Plan, (number, born): (u32, f64), campaign: &Rng) -> Card {
    let mut rng = campaign.split(u64::from(number) + 10);
    let n = number as usize;
    let mut network = campaign.split(3).split((n % plan.networks.max(1)) as u64);
    let host = 1 + rng.below(250) as u8;
    let [a, b] = [network.below(256) as u8, network.below(256) as u8];
    let address = if plan.unique {
        home(&mut rng.split(7), &mut rng)
    } else {
        Ipv4Addr::new(45 + network.below(6) as u8, a, b, host)
    };
    let country = if plan.unique {
        COUNTRIES[rng.below(COUNTRIES.len())]
    } else {
        RELAYS[network.below(RELAYS.len())]
    };
    let agents: Vec<_> = plan.agents.iter().map(String::as_str).collect();
    let agent =
        if plan.pinned || agents.is_empty() { AGENTS[0].0 } else { agents[n % agents.len()] };
    let style =
        if agent.contains("nthropic") { Style::AnthropicMessages } else { Style::OpenaiChat };
    let burst = (n / plan.per_signup.max(1)) as f64;
    let created = if plan.aged {
        born - (150.0 + rng.unit() * 250.0) * DAY
    } else if plan.unique {
        born - rng.unit() * 6.0 * DAY
    } else {
        born - (1.0 + burst % 48.0) * 3_600.0
    };
    let card = if plan.unique { n } else { n / plan.per_card.max(1) };
    let pathway = plan.pathways.get(n % plan.pathways.len().max(1)).cloned().unwrap_or_default();
    let attributes = Attributes {
        created_at: created.floor(),
        plan: ["free", "pay-as-you-go"]
            [usize::from(plan.aged || plan.unique || !n.is_multiple_of(3))],
        paid_invoices: if plan.aged {
            4 + rng.below(8) as u32
        } else {
            u32::from(rng.chance(0.15))
        },
        payment_hash: format!("pay-{:012x}", campaign.split(5).split(card as u64).draw() >> 16),
        pathway,
        mail_domain_hash: Some(hired_mail(plan, &rng, (campaign, burst as u64))),
        declared_reseller: false,
    };
    let name = name(&mut rng.split(6));
    Card {
        name,
        org: None,
        address,
        country,
        agent: agent.into(),
        style,
        attributes: Some(attributes),
    }
}

/// Domains are cheap: one for each burst of sign-ups, or mail as everybody has it.
fn hired_mail(plan: &Plan, own: &Rng, (campaign, burst): (&Rng, u64)) -> String {
    mail(!plan.unique, (own, &campaign.split(8).split(burst)))
}

/// The mail domain of an account: its group's own, or one that everybody uses, or its own.
fn mail(of_group: bool, (own, group): (&Rng, &Rng)) -> String {
    let mut rng = own.split(0x3a11);
    let domain = if of_group {
        group.split(0x3a11).draw() >> 16
    } else if rng.chance(0.6) {
        rng.zipf(20) as u64
    } else {
        rng.draw() >> 16
    };
    format!("mail-{domain:012x}")
}

fn name(rng: &mut Rng) -> String {
    format!("acc-{:016x}", rng.draw())
}
