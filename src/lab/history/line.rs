//! One line of an exchange log, and the ask it stands for.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::Place;
use super::report::{Counted, Known};
use crate::dialect::{self, Api, Delta, Kind, Usage};
use crate::identity::{Caller, Keyring, Tag, Told, Trace, client_family};
use crate::lab::baseline::Meta;
use crate::signal::{
    self, Answer, Ask, Completion, Ending, Exchange, ExchangeId, Prompt, SESSION_HEADERS,
    session_tag,
};
use crate::time::Timestamp;

/// A line as exporters write it. What is not there is not known; fields of other tools are ignored.
///
/// `label` and `truth` are read by the report alone: [`Line::ask`] and [`Line::end`], which make
/// what the engine sees, take nothing from them.
#[derive(Debug, Deserialize)]
pub(super) struct Line<'a> {
    t: f64,
    id: Cow<'a, str>,
    #[serde(default = "unnamed")]
    tenant: Cow<'a, str>,
    pub(super) account: Cow<'a, str>,
    #[serde(default)]
    org: Option<Cow<'a, str>>,
    #[serde(default)]
    ip: Option<IpAddr>,
    #[serde(default)]
    country: Option<Cow<'a, str>>,
    #[serde(default)]
    asn: Option<u32>,
    #[serde(default)]
    user_agent: Option<Cow<'a, str>>,
    /// Further headers of the request; one that can't be a header's is left out.
    #[serde(default)]
    headers: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    dialect: Option<Cow<'a, str>>,
    #[serde(default)]
    model: Option<Cow<'a, str>>,
    #[serde(default)]
    stream: Option<bool>,
    #[serde(default)]
    params: Option<BTreeMap<String, Value>>,
    #[serde(default)]
    end_user: Option<Cow<'a, str>>,
    #[serde(default)]
    system: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    tools: Option<&'a RawValue>,
    #[serde(default)]
    tools_digest: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    messages: Option<&'a RawValue>,
    /// The last user turn, where the rest of the text is withheld.
    #[serde(default)]
    last: Option<Cow<'a, str>>,
    #[serde(default)]
    request_ids: Option<Vec<Cow<'a, str>>>,
    #[serde(default)]
    response_ids: Option<Vec<Cow<'a, str>>>,
    #[serde(default)]
    completion: Option<Cow<'a, str>>,
    #[serde(default)]
    in_tokens: Option<u32>,
    #[serde(default)]
    out_tokens: Option<u32>,
    #[serde(default)]
    latency_ms: Option<f64>,
    #[serde(default)]
    status: Option<u16>,
    #[serde(default)]
    attributes: Option<Told<'a>>,
    #[serde(default)]
    label: Option<Cow<'a, str>>,
    #[serde(default)]
    truth: Option<Truth<'a>>,
}

#[derive(Debug, Deserialize)]
struct Truth<'a> {
    #[serde(default)]
    class: Option<Cow<'a, str>>,
}

fn unnamed() -> Cow<'static, str> {
    "default".into()
}

impl Line<'_> {
    pub(super) fn at(&self) -> Timestamp {
        Timestamp::from_seconds(self.t)
    }

    /// The ask this line stands for. Where the log does not tell the country of an address, `place`
    /// does.
    ///
    /// # Errors
    /// When the conversation can't be read.
    pub(super) fn ask(&self, keyring: &Keyring, place: Place<'_>) -> Result<Ask, String> {
        let told = self.attributes.as_ref().map(|told| told.provision(keyring));
        let told = told.unwrap_or_default();
        let headers = self.headers();
        let caller = Caller {
            tenant: (&*self.tenant).into(),
            account: keyring.account(&self.tenant, "log", self.account.as_bytes()),
            org: self.org.as_ref().map(|org| keyring.tag("org", org.as_bytes())).or(told.org),
            end_user: self.end_user.as_ref().map(|user| keyring.tag("user", user.as_bytes())),
            egress: self.ip.map(|ip| keyring.egress(ip)).unwrap_or_default(),
            client: client_family(&headers),
            attributes: told.attributes,
            trace: self.trace(&headers, place),
        };
        let id = ExchangeId(keyring.tag("exchange", self.id.as_bytes()));
        let mut prompt = self.prompt(keyring)?;
        let sessions = SESSION_HEADERS.iter().filter_map(|name| headers.get(*name)?.to_str().ok());
        prompt.sessions.extend(sessions.filter_map(|id| session_tag(id, keyring)).take(1));
        Ok(Ask { id, at: self.at(), caller, prompt })
    }

    fn trace(&self, headers: &HeaderMap, place: Place<'_>) -> Trace {
        let mut trace = Trace::of(headers);
        if let Some(address) = self.ip {
            place(address, &mut trace);
        }
        let told = self.country.as_deref().and_then(|country| country.parse().ok());
        Trace { country: told.or(trace.country), asn: self.asn.or(trace.asn), ..trace }
    }

    fn prompt(&self, keyring: &Keyring) -> Result<Prompt, String> {
        let mut prompt =
            described(&self.body(), self.api(), (self.request_ids.as_deref(), keyring))?;
        if let (Some(digest), Tag(0)) = (&self.tools_digest, prompt.tools) {
            prompt.tools = keyring.tag("tools", digest.as_bytes());
        }
        prompt.tokens = self.in_tokens.unwrap_or(prompt.tokens);
        Ok(prompt)
    }

    /// The request as a chat completion: the form in which the log's `messages` are written.
    fn body(&self) -> String {
        let mut fields: BTreeMap<&str, Value> = BTreeMap::new();
        for (name, value) in self.params.iter().flatten() {
            let name = if name == "effort" { "reasoning_effort" } else { name };
            fields.insert(name, value.clone());
        }
        fields.insert("model", json!(self.model.as_deref().unwrap_or_default()));
        fields.insert("stream", json!(self.stream.unwrap_or_default()));
        fields.insert("messages", self.conversation());
        if let Some(tools) = self.tools.and_then(|raw| serde_json::from_str(raw.get()).ok()) {
            fields.insert("tools", named(tools));
        }
        json!(fields).to_string()
    }

    fn conversation(&self) -> Value {
        let said = self.messages.and_then(|raw| serde_json::from_str::<Vec<Value>>(raw.get()).ok());
        let mut said = said.unwrap_or_else(|| {
            self.last.iter().map(|last| json!({"role": "user", "content": last})).collect()
        });
        if let Some(system) = &self.system {
            said.insert(0, json!({"role": "system", "content": system}));
        }
        Value::Array(said)
    }

    fn api(&self) -> Api {
        match self.dialect.as_deref() {
            Some("anthropic") => Api::AnthropicMessages,
            Some("gemini") => Api::GeminiGenerate,
            Some("bedrock") => Api::BedrockConverse,
            _ => Api::OpenaiChat,
        }
    }

    fn headers(&self) -> HeaderMap {
        let named = self.headers.iter().flatten().filter_map(|(name, value)| {
            let value = HeaderValue::from_str(value.as_str()?).ok()?;
            Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value))
        });
        let mut headers: HeaderMap = named.collect();
        let agent = self.user_agent.as_deref().and_then(|agent| HeaderValue::from_str(agent).ok());
        headers.extend(agent.map(|agent| (http::header::USER_AGENT, agent)));
        headers
    }

    /// The exchange as it ended, given that it was forwarded.
    pub(super) fn end(&self, ask: Ask, keyring: &Keyring) -> Exchange {
        let latency = self.latency_ms.unwrap_or_default().clamp(0.0, 3_600_000.0);
        let ended = ask.at + std::time::Duration::from_millis(latency as u64);
        let completion = self.answer(&ask.prompt, keyring);
        let status = self.status.unwrap_or(200);
        Exchange { ask, ended, ending: Ending::Complete, status, completion }
    }

    fn answer(&self, prompt: &Prompt, keyring: &Keyring) -> Completion {
        let text = self.completion.as_deref().unwrap_or_default();
        let usage = Usage { input: self.in_tokens, output: self.out_tokens, ..Usage::default() };
        answered(prompt, (text, self.response_ids.as_deref().unwrap_or_default()), (usage, keyring))
    }

    /// What only the report reads of it.
    /// What detectors with hindsight may know.
    pub(super) fn meta(&self) -> Meta<'_> {
        let Known { label, counted, .. } = self.known();
        let country = self.country.as_deref().unwrap_or_default();
        Meta { attack: label.starts_with("campaign"), counted, country }
    }

    pub(super) fn known(&self) -> Known<'_> {
        let class = self.truth.as_ref().and_then(|truth| truth.class.as_deref());
        let counted = match (&self.label, class) {
            (Some(label), Some("unrelated")) if label.starts_with("campaign") => Counted::Unrelated,
            _ => Counted::Once,
        };
        let label = self.label.as_deref().unwrap_or("unlabelled");
        Known { label, class, account: &self.account, counted }
    }
}

/// The features of a request in the form of a chat completion. `ids` are those it presents, where
/// they are told apart from its text.
pub(in crate::lab) fn described(
    body: &str,
    api: Api,
    (ids, keyring): (Option<&[Cow<'_, str>]>, &Keyring),
) -> Result<Prompt, String> {
    let chat = dialect::of(&Method::POST, "/v1/chat/completions", &HeaderMap::new());
    let chat = chat.ok_or("no dialect reads chat completions")?;
    let mut request = chat.read_request(body.as_bytes()).map_err(|why| why.to_string())?;
    if let Some(ids) = ids {
        request.presented = ids.to_vec();
    }
    Ok(signal::inspect(&request, api, body.len(), keyring))
}

/// The features of an answer: its text and the ids that left with it.
pub(in crate::lab) fn answered(
    prompt: &Prompt,
    (text, issued): (&str, &[Cow<'_, str>]),
    (usage, keyring): (Usage, &Keyring),
) -> Completion {
    let mut answer = Answer::new(prompt, keyring.clone());
    answer.take(&Delta {
        pieces: vec![(Kind::Text, text.into())],
        issued: issued.to_vec(),
        usage: Some(usage),
        ..Delta::default()
    });
    answer.passed(text.len());
    answer.finish()
}

/// Tools given by name alone become tools without parameters.
fn named(tools: Vec<Value>) -> Value {
    let tool = |tool: Value| match tool {
        Value::String(name) => json!({"type": "function", "function": {"name": name}}),
        other => other,
    };
    tools.into_iter().map(tool).collect()
}
