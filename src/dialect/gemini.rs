//! Google's Gemini, as its own API and as Vertex AI serve it.

mod answer;
mod bind;
mod config;
mod content;
mod refusal;
mod shape;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, Method};
use serde::Deserialize;

use self::answer::Answer;
use self::config::{Config, Offered, Tools};
use self::content::{Content, Contents};
use super::found::{Found, object, required};
use super::given::{Given, Many, Take, many};
use super::shape::Shapes;
use super::{Api, Delta, Dialect, Framing, Malformed, Request, Role, Worded, Wording, route, sse};

/// One family of methods: `{model}:{method}` ends the path of each.
#[derive(Debug)]
pub(super) struct Gemini {
    api: Api,
    methods: &'static [&'static str],
}

pub(super) const GENERATE: Gemini =
    Gemini { api: Api::GeminiGenerate, methods: &["generateContent", STREAM] };
pub(super) const EMBED: Gemini =
    Gemini { api: Api::GeminiEmbed, methods: &["embedContent", "batchEmbedContents"] };
/// Counts what it is given, and answers no text.
pub(super) const COUNT: Gemini = Gemini { api: Api::GeminiCountTokens, methods: &["countTokens"] };

const STREAM: &str = "streamGenerateContent";

fn is_alt(name: &[u8]) -> bool {
    name.eq_ignore_ascii_case(b"alt") || name.eq_ignore_ascii_case(b"$alt")
}

fn is_json(form: &[u8]) -> bool {
    form.eq_ignore_ascii_case(b"json") || form.eq_ignore_ascii_case(b"sse")
}

/// Whether only this API has such a path.
pub(super) fn owns(path: &str) -> bool {
    [GENERATE, EMBED, COUNT].iter().any(|family| family.target(path).is_some())
}

impl Gemini {
    /// The model of a path, and the method it is asked for.
    fn target<'a>(&self, path: &'a str) -> Option<(Cow<'a, str>, &'static str)> {
        route::named(path, |path| {
            let (model, asked) = path.rsplit('/').next()?.rsplit_once(':')?;
            let method = self.methods.iter().find(|method| **method == asked)?;
            Some((model, *method))
        })
    }

    fn read<'a>(&self, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
        match self.api {
            Api::GeminiEmbed => object::<Embeds<'a>>(body)?.into_request(),
            Api::GeminiCountTokens => object::<Counts<'a>>(body)?.into_request(),
            _ => object::<Asked<'a>>(body)?.into_request(),
        }
    }
}

impl Dialect for Gemini {
    fn api(&self) -> Api {
        self.api
    }

    fn speaks(&self, method: &Method, path: &str, _: &HeaderMap) -> bool {
        method == Method::POST && self.target(path).is_some()
    }

    fn read_request<'a>(&self, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
        self.read(body)
    }

    /// An answer in another form than JSON would pass unread.
    fn read_call<'a>(&self, path: &'a str, body: &'a [u8]) -> Result<Request<'a>, Malformed> {
        let query = path.split_once('?').map_or("", |(_, query)| query);
        if route::parameters(query).any(|(name, form)| is_alt(&name) && !is_json(&form)) {
            return Err(Malformed("`alt` must be json or sse".to_owned()));
        }
        let (model, method) = self.target(path).unwrap_or_default();
        Ok(Request { model, stream: method == STREAM, ..self.read(body)? })
    }

    /// Streams are arrays unless events are asked for.
    fn framing(&self, path: &str) -> Framing {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let streams = self.target(path).is_some_and(|(_, method)| method == STREAM);
        let events = query.split('&').any(|pair| matches!(pair, "alt=sse" | "$alt=sse"));
        if streams && !events { Framing::JsonArray } else { Framing::Sse }
    }

    fn read_answer<'a>(&self, body: &'a [u8]) -> Result<Delta<'a>, Malformed> {
        Ok(object::<Answer<'a>>(body)?.into_delta())
    }

    fn read_event<'a>(&self, event: sse::Event<'a>) -> Result<Delta<'a>, Malformed> {
        let delta = object::<Answer<'a>>(event.data.as_bytes())?.into_delta();
        Ok(Delta { last: delta.finish.is_some(), ..delta })
    }

    fn shapes(&self) -> &'static Shapes {
        if self.api == Api::GeminiGenerate { &shape::GENERATE } else { &Shapes::NONE }
    }

    fn binds(&self) -> &'static Shapes {
        match self.api {
            Api::GeminiGenerate => &bind::GENERATE,
            Api::GeminiCountTokens => &bind::COUNTS,
            _ => &Shapes::NONE,
        }
    }

    fn refuse(&self, wording: &Wording<'_>) -> Worded {
        refusal::refuse(wording)
    }

    fn break_stream(&self, wording: &Wording<'_>) -> Bytes {
        refusal::break_events(wording)
    }

    fn break_framed(&self, framing: Framing, wording: &Wording<'_>) -> Bytes {
        match framing {
            Framing::JsonArray => refusal::break_array(wording),
            _ => refusal::break_events(wording),
        }
    }
}

/// Names may be written in both cases; one that comes in both is malformed.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Asked<'a> {
    contents: Many<'a, Content<'a>, Contents<'a>>,
    #[serde(alias = "system_instruction")]
    system_instruction: Given<'a, Content<'a>>,
    #[serde(alias = "generation_config")]
    generation_config: Given<'a, Config<'a>>,
    tools: Many<'a, Offered<'a>, Tools<'a>>,
    #[serde(alias = "cached_content")]
    cached_content: Given<'a>,
}

impl<'a> Asked<'a> {
    fn into_request(self) -> Result<Request<'a>, Malformed> {
        let is_some = matches!(self.contents, Given::List(_) | Given::Object(_));
        required(is_some.then_some(()), "contents", "an array")?;
        let (params, schema) = self.generation_config.object().unwrap_or_default().into_params();
        let mut found = Found::default();
        found.id(self.cached_content);
        match self.system_instruction {
            Given::Object(system) => system.tell(&mut found),
            Given::Null => {}
            _ => return Err(Malformed("`systemInstruction` must be an object".to_owned())),
        }
        let mut request = Request { params, schema, ..Request::default() };
        found.instruct(&mut request);
        request.tools = many(self.tools).0;
        many(self.contents).tell(&mut request)?;
        Ok(request)
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Counts<'a> {
    contents: Many<'a, Content<'a>, Contents<'a>>,
    #[serde(alias = "generate_content_request")]
    generate_content_request: Given<'a, Asked<'a>>,
}

impl<'a> Counts<'a> {
    fn into_request(self) -> Result<Request<'a>, Malformed> {
        let bare = Asked { contents: self.contents, ..Asked::default() };
        self.generate_content_request.object().unwrap_or(bare).into_request()
    }
}

/// One text to embed, or a batch of them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Embeds<'a> {
    content: Given<'a, Content<'a>>,
    requests: Many<'a, Embed<'a>, Batch<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Embed<'a> {
    content: Given<'a, Content<'a>>,
}

/// Every text of a batch, as a turn of its own.
#[derive(Debug, Default)]
struct Batch<'a>(super::found::Conversation<'a>, u32);

impl<'de: 'a, 'a> Take<'de> for Batch<'a> {
    type Item = Given<'a, Embed<'a>>;

    fn take(&mut self, item: Self::Item) {
        let mut found = Found::default();
        if let Given::Object(content) = item.object().unwrap_or_default().content {
            content.tell(&mut found);
        }
        self.0.say(Role::User, found);
        self.1 = self.1.saturating_add(1);
    }
}

impl<'a> Embeds<'a> {
    fn into_request(self) -> Result<Request<'a>, Malformed> {
        let mut batch = many(self.requests);
        match self.content {
            Given::Object(_) => batch.take(Given::Object(Embed { content: self.content })),
            Given::Null => {}
            _ => return Err(Malformed("`content` must be an object".to_owned())),
        }
        let Batch(texts, n) = batch;
        let mut request = Request::default();
        request.params.n = n;
        texts.told(&mut request);
        Ok(request)
    }
}
