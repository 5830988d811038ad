//! From generated exchanges to what the engine sees: by the code that reads exchange logs, without
//! the detour over a file.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use http::{HeaderMap, HeaderValue, header};
use serde_json::{Value, json};

use crate::dialect::{Api, Usage};
use crate::identity::{Caller, Keyring, Told, Trace, client_family};
use crate::lab::fleet::Style;
use crate::lab::history::{answered, described};
use crate::lab::world::{Card, Sent, Turned};
use crate::signal::{Ask, Completion, ExchangeId, Prompt};
use crate::time::Timestamp;

/// Features of one turn's texts, whoever sends them.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) prompt: Prompt,
    pub(super) completion: Completion,
    pub(super) more: bool,
    pub(super) output: u32,
}

/// One turn's features. A call that no dialect could read would be empty; there is none.
pub(super) fn text(turned: &Turned, tokens: (u32, u32), keyring: &Keyring) -> Text {
    let call = &turned.call;
    let (messages, tools) = call.spoken();
    let mut body: BTreeMap<&str, Value> = BTreeMap::from([
        ("max_tokens", json!(call.max_tokens.max(1))),
        ("messages", messages),
        ("model", json!(call.model)),
        ("stream", json!(call.stream)),
    ]);
    body.extend(tools.map(|tools| ("tools", tools)));
    body.extend(call.temperature.map(|temperature| ("temperature", json!(temperature))));
    body.extend(call.thinking.then(|| ("reasoning_effort", json!("high"))));
    let body = json!(body).to_string();
    let mut prompt = described(&body, Api::OpenaiChat, (None, keyring)).unwrap_or_default();
    prompt.tokens = tokens.0;
    let issued: Vec<Cow<'_, str>> =
        turned.reply.calls.iter().map(|call| call.id.as_str().into()).collect();
    let usage = Usage { input: Some(tokens.0), output: Some(tokens.1), ..Usage::default() };
    let completion = answered(&prompt, (&turned.reply.text, &issued), (usage, keyring));
    Text { prompt, completion, more: turned.more, output: tokens.1 }
}

/// Who asks, as the engine sees them.
pub(super) fn caller(card: &Card, end_user: Option<&str>, keyring: &Keyring) -> Caller {
    // Attributes are read as a log tells them.
    let told =
        card.attributes.as_ref().and_then(|attributes| serde_json::to_string(attributes).ok());
    let told = told.and_then(|told| {
        serde_json::from_str::<Told<'_>>(&told).ok().map(|told| told.attributes(keyring))
    });
    let agent = HeaderValue::from_str(&card.agent).ok();
    let headers: HeaderMap = agent.into_iter().map(|agent| (header::USER_AGENT, agent)).collect();
    Caller {
        tenant: "default".into(),
        account: keyring.account("default", "log", card.name.as_bytes()),
        org: card.org.as_ref().map(|org| keyring.tag("org", org.as_bytes())),
        end_user: end_user.map(|user| keyring.tag("user", user.as_bytes())),
        egress: keyring.egress(IpAddr::V4(card.address)),
        client: client_family(&headers),
        attributes: told.unwrap_or_default(),
        trace: Trace { country: card.country.parse().ok(), ..Trace::of(&headers) },
    }
}

const fn api(style: Style) -> Api {
    match style {
        Style::OpenaiChat => Api::OpenaiChat,
        Style::AnthropicMessages => Api::AnthropicMessages,
    }
}

/// An ask of these texts: whose, when and through what.
pub(super) fn ask(
    text: &Text,
    caller: Caller,
    (id, at): (ExchangeId, Timestamp),
    call: (&str, Style),
) -> Ask {
    let mut prompt = text.prompt.clone();
    prompt.model = call.0.into();
    prompt.api = api(call.1);
    Ask { id, at, caller, prompt }
}

pub(super) fn name(id: u64, keyring: &Keyring) -> ExchangeId {
    ExchangeId(keyring.tag("exchange", format!("{id:016x}").as_bytes()))
}

/// The whole of an exchange that is at hand with its text.
pub(super) fn whole(sent: &Sent, start: u64, keyring: &Keyring) -> (Ask, Text) {
    let turned = Turned { call: sent.call.clone(), reply: sent.reply.clone(), more: false };
    let text = text(&turned, sent.tokens, keyring);
    let at = time(start, sent.at);
    let caller = caller(&sent.card, sent.end_user.as_deref(), keyring);
    let call = (&*sent.call.model, sent.card.style);
    (ask(&text, caller, (name(sent.id, keyring), at), call), text)
}

/// A time of the world on the engine's clock.
pub(super) const fn time(start: u64, at: u64) -> Timestamp {
    Timestamp::from_millis(start * 1000 + at)
}
