//! An exchange as a line of the exchange log.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Attributes, Sent};
use crate::lab::fleet::Style;

/// One line; fields as the exchange log documents them.
#[derive(Debug, Serialize)]
pub struct Entry<'a> {
    pub t: f64,
    pub id: String,
    pub tenant: &'static str,
    pub account: &'a str,
    pub key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub org: Option<&'a str>,
    pub ip: Ipv4Addr,
    pub country: &'static str,
    pub user_agent: &'a str,
    pub dialect: &'static str,
    pub model: &'a str,
    pub stream: bool,
    pub params: BTreeMap<&'static str, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_user: Option<&'a str>,
    pub messages: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tools: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub response_ids: Vec<&'a str>,
    pub completion: &'a str,
    pub in_tokens: u32,
    pub out_tokens: u32,
    pub latency_ms: u64,
    pub status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attributes: Option<&'a Attributes>,
    pub label: String,
    pub truth: Value,
}

impl<'a> Entry<'a> {
    /// `start` is the world's, in seconds of the epoch.
    pub fn new(sent: &'a Sent, start: u64) -> Self {
        let card = &*sent.card;
        let (messages, tools) = sent.call.spoken();
        Self {
            t: (start * 1000 + sent.at) as f64 / 1000.0,
            id: format!("{:016x}", sent.id),
            tenant: "default",
            account: &card.name,
            key: &card.name,
            org: card.org.as_deref(),
            ip: card.address,
            country: card.country,
            user_agent: &card.agent,
            dialect: match card.style {
                Style::OpenaiChat => "openai",
                Style::AnthropicMessages => "anthropic",
            },
            model: &sent.call.model,
            stream: sent.call.stream,
            params: params(sent),
            end_user: sent.end_user.as_deref(),
            messages,
            tools,
            response_ids: sent.reply.calls.iter().map(|call| &*call.id).collect(),
            completion: &sent.reply.text,
            in_tokens: sent.tokens.0,
            out_tokens: sent.tokens.1,
            latency_ms: sent.latency(),
            status: 200,
            attributes: card.attributes.as_ref(),
            label: sent.truth.label(),
            truth: json!({ "class": sent.truth.class }),
        }
    }
}

fn params(sent: &Sent) -> BTreeMap<&'static str, Value> {
    let mut params = BTreeMap::from([("max_tokens", json!(sent.call.max_tokens.max(1)))]);
    params.extend(sent.call.temperature.map(|temperature| ("temperature", json!(temperature))));
    if sent.call.thinking {
        params.insert("effort", json!("high"));
    }
    params
}
