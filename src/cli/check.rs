//! `stillguard check`: what a file means.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::io::IsTerminal;
use std::path::Path;

use stillguard::config::{Config, Loaded, Looked, Records};
use stillguard::identity::{self, Atlas, Country, Identifier, Keyring, Register};
use stillguard::net::Tls;
use stillguard::net::upstream::{Endpoint, Route};
use stillguard::policy::{
    Action, Bind, Binding, Limits, Pace, Period, Policies, Policy, Quotas, Regions, Shape,
    Throttle, TokenPace, Unbound,
};

use super::{Failure, counted, joined, load, print};

pub(super) fn check(file: &Path) -> Result<(), Failure> {
    let Loaded { config, warnings } = load(file)?;
    if !warnings.is_empty() {
        eprintln!("{}\n", warnings.render(std::io::stderr().is_terminal()));
    }
    let records = records(&config)?;
    let result = counted(warnings.len(), "warning");
    print(&format!("{}{records}\n{}: ok, {result}\n", described(&config), file.display()))
}

/// What the files of records say; a broken one is a mistake.
fn records(config: &Config) -> Result<String, Failure> {
    let looked = looked_at(config, &config.identity)?;
    let register = looked.register.unwrap_or_else(|| Ok(Register::default()));
    let register = register.map_err(Failure::Mistakes)?;
    looked.atlas.unwrap_or_else(|| Ok(Atlas::default())).map_err(Failure::Mistakes)?;
    let mut text = String::new();
    if let Some(file) = &config.identity.attributes_file {
        let count = counted(register.len(), "account");
        text.push('\n');
        row(&mut text, 0, "attributes", &format!("of {count}, {}", file.display()));
    }
    let charts =
        [("countries", &config.identity.country_file), ("networks", &config.identity.asn_file)];
    for (name, file) in charts {
        if let Some(file) = file {
            row(&mut text, 0, name, &file.display().to_string());
        }
    }
    Ok(text)
}

/// The files of records that `settings` name, read for the first time.
pub(super) fn looked_at(config: &Config, settings: &identity::Settings) -> Result<Looked, Failure> {
    // Any secret will do: nobody is identified here.
    let texts = config.key_texts().map_err(Failure::Mistakes)?;
    let identifier = Identifier::with_keys(settings, Keyring::new([0; 32]), &texts);
    let identifier = identifier.map_err(|why| Failure::Mistakes(why.to_string()))?;
    Ok(Records::default().look(settings, &identifier, true))
}

fn described(config: &Config) -> String {
    let mut text = String::new();
    let forward = config.forward();
    let listen: Vec<_> = config.net().listen.iter().map(ToString::to_string).collect();
    let upstream = match forward.endpoints.is_empty() {
        true => "given by --upstream".into(),
        false => joined(&forward.endpoints),
    };
    row(&mut text, 0, "upstream", &upstream);
    own(&mut text, &forward.endpoints, forward.client_tls.as_ref());
    for group in &forward.groups {
        row(&mut text, 0, &format!("group {}", group.name), &joined(&group.endpoints));
        own(&mut text, &group.endpoints, group.client_tls.as_ref());
    }
    for route in &forward.routes {
        row(&mut text, 0, &format!("to {}", route.group), &conditions(route));
    }
    for (tenant, url) in &forward.tenants {
        row(&mut text, 0, &format!("to {url}"), &format!("tenant {tenant}"));
    }
    row(&mut text, 0, "listen", &listen.join(", "));
    row(&mut text, 0, "admin", &config.telemetry().admin.listen.to_string());
    let policies = Policies::from(&config.policy());
    text.push_str("\nEvery tenant without settings of its own\n");
    describe(&mut text, policies.defaults());
    let mut own: Vec<_> = policies.iter().collect();
    own.sort_by(|a, b| a.tenant.cmp(&b.tenant));
    for policy in own {
        text.push_str(&format!("\nTenant {}\n", policy.tenant));
        describe(&mut text, policy);
    }
    text
}

/// What endpoints get of ours.
fn own(text: &mut String, endpoints: &[Endpoint], client_tls: Option<&Tls>) {
    for endpoint in endpoints.iter().filter(|endpoint| endpoint.key.is_some()) {
        row(text, 0, "key of our own for", &endpoint.url.to_string());
    }
    if let Some(files) = client_tls {
        row(text, 0, "shown to them", &files.cert_file.display().to_string());
    }
}

fn conditions(route: &Route) -> String {
    let model = route.model.clone().map(String::from);
    let all = [
        route.tenant.as_ref().map(|tenant| format!("tenant {tenant}")),
        model.map(|model| format!("model {model}")),
        route.path_prefix.as_ref().map(|path| format!("path {path}")),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn describe(text: &mut String, policy: &Policy) {
    let ladder = &policy.ladder;
    row(text, 2, "mode", policy.mode.name());
    for action in Action::ALL.into_iter().skip(1) {
        let done = if policy.enforces(action) { "carried out" } else { "written down only" };
        let mut from = format!("from {:.1} nats, {done}", ladder.threshold(action));
        if let Some(share) = policy.rung_shares.get(&action).filter(|_| policy.enforces(action)) {
            from += &format!(" on {} % of accounts", f32::from(*share));
        }
        row(text, 2, action.name(), &from);
    }
    let relief = format!(
        "{:.1} nats below a rung, after {} s on it",
        ladder.hysteresis, ladder.dwell_seconds
    );
    row(text, 2, "relief", &relief);
    if ladder.onset_seconds > 0 {
        row(text, 2, "onset", &format!("within {} s, by account", ladder.onset_seconds));
    }
    row(text, 2, "throttled to", &throttle(&policy.throttle));
    row(text, 2, "shaped to", &shape(&policy.shape));
    if policy.bind.is_on() {
        row(text, 2, "bound", &bind(&policy.bind));
    }
    if !policy.end_user_limits.is_none() {
        row(text, 2, "each end user", &limits(&policy.end_user_limits));
    }
    row(text, 2, "limits", &limits(&policy.limits));
    row(text, 2, "in total", &limits(&policy.total_limits));
    if !policy.regions.are_all() {
        row(text, 2, "regions", &regions(&policy.regions));
    }
    for (signal, weight) in &policy.weights {
        row(text, 2, &format!("weight of {signal}"), &format!("x {weight}"));
    }
    for group in &policy.groups {
        let members = counted(group.accounts.len(), "account");
        let (each, total) = (limits(&group.limits), limits(&group.total_limits));
        let mut means = format!("{members}, limits {each}; in total {total}");
        if !group.end_user_limits.is_none() {
            means += &format!("; each end user {}", limits(&group.end_user_limits));
        }
        row(text, 2, &format!("group {}", group.name), &means);
    }
    for entry in &policy.allow {
        let why = format!("{} ({}, until {})", entry.reason, entry.owner, entry.expires);
        row(text, 2, "never acted on", &format!("{}: {why}", entry.account));
    }
}

fn regions(regions: &Regions) -> String {
    let listed = |what: &str, countries: &BTreeSet<Country>| {
        let names: Vec<_> = countries.iter().map(Country::as_str).collect();
        (!names.is_empty()).then(|| format!("{what} {}", names.join(" ")))
    };
    let lists = [listed("served", &regions.served), listed("not served", &regions.not_served)];
    let lists: Vec<_> = lists.into_iter().flatten().collect();
    let then = if regions.refuse { "others are refused" } else { "others are evidence" };
    format!("{}; {then}", lists.join(", "))
}

fn row(text: &mut String, indent: usize, name: &str, value: &str) {
    // Writing to a string can't fail.
    let _ = writeln!(text, "{:indent$}{name:<width$} {value}", "", width = 20 - indent);
}

fn pace(pace: &Pace) -> String {
    format!("{} requests per minute, bursts of {}", pace.requests_per_minute, pace.burst)
}

fn throttle(throttle: &Throttle) -> String {
    let more = [
        throttle.concurrency.map(|most| format!(", {most} at once")),
        throttle
            .stream_tokens_per_second
            .map(|rate| format!(", streams of {rate} tokens a second")),
    ];
    let more: Vec<_> = more.into_iter().flatten().collect();
    format!("{}{}", pace(&throttle.pace()), more.concat())
}

fn shape(shape: &Shape) -> String {
    let without = |what: &str, withheld: bool| withheld.then(|| format!("no {what}"));
    let all = [
        without("log probabilities", shape.withhold_logprobs),
        without("reasoning", shape.withhold_reasoning),
        Some(format!("{} answers to a prompt", shape.most_choices)),
        shape.most_output_tokens.map(|most| format!("{most} output tokens")),
    ];
    let all: Vec<_> = all.into_iter().flatten().collect();
    format!("{}; more than {} answers refused", all.join(", "), shape.refuse_choices_above)
}

fn bind(bind: &Bind) -> String {
    let binding = |what: &str, binding| match binding {
        Binding::Off => None,
        Binding::Unwrap => Some(format!("{what}, unwrapped alone")),
        Binding::Wrap => Some(what.to_owned()),
    };
    let done = |what: &str, done| match done {
        Unbound::Count => None,
        Unbound::Strip => Some(format!("{what} ones stripped")),
        Unbound::Refuse => Some(format!("{what} ones refused")),
    };
    let all = [
        binding("seals of thinking", bind.signatures),
        binding("ids of tool calls", bind.tool_ids),
        done("foreign", bind.foreign),
        done("altered", bind.altered),
        done("bare", bind.bare),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn limits(limits: &Limits) -> String {
    let rate = |kind: &str, rate: Option<TokenPace>| {
        let TokenPace { tokens_per_minute, burst } = rate?;
        Some(format!("{tokens_per_minute} {kind} per minute, bursts of {burst}"))
    };
    let all = [
        limits.requests.as_ref().map(pace),
        limits.concurrency.map(|most| format!("{most} at once")),
        rate("input tokens", limits.input_tokens),
        rate("output tokens", limits.output_tokens),
        rate("tokens", limits.tokens),
    ];
    let named = [(Period::Hour, "hour"), (Period::Day, "day"), (Period::Month, "month")];
    let quotas = named.into_iter().flat_map(|(period, name)| amounts(name, limits.quotas(period)));
    let paces = amounts("second", &limits.per_second);
    let all: Vec<_> = all.into_iter().flatten().chain(paces).chain(quotas).collect();
    if all.is_empty() { "none".into() } else { all.join(", ") }
}

fn amounts(span: &'static str, quotas: &Quotas) -> impl Iterator<Item = String> + use<> {
    let all = [
        (quotas.requests, "requests"),
        (quotas.input_tokens, "input tokens"),
        (quotas.output_tokens, "output tokens"),
        (quotas.tokens, "tokens"),
    ];
    all.into_iter().filter_map(move |(most, kind)| Some(format!("{} {kind} per {span}", most?)))
}
