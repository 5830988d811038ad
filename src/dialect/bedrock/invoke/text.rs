//! Bodies and answers of models that take a text and go on with it: Llama, Titan, Mistral's first.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::dialect::found::Found;
use crate::dialect::given::{Each, Given, Take};
use crate::dialect::{Delta, Finish, Kind, Malformed, Params, Part, Request, Role, Usage};

#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Prompt<'a> {
    prompt: Given<'a>,
    #[serde(rename = "inputText")]
    input_text: Given<'a>,
    temperature: Given<'a>,
    top_p: Given<'a>,
    max_gen_len: Given<'a>,
    max_tokens: Given<'a>,
    #[serde(rename = "textGenerationConfig")]
    config: Given<'a, Config<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Config<'a> {
    temperature: Given<'a>,
    top_p: Given<'a>,
    max_token_count: Given<'a>,
}

impl<'a> Prompt<'a> {
    pub(super) fn into_request(self) -> Result<Request<'a>, Malformed> {
        for (field, given) in [("prompt", &self.prompt), ("inputText", &self.input_text)] {
            if !matches!(given, Given::Null | Given::Text(_)) {
                return Err(Malformed(format!("`{field}` must be a string")));
            }
        }
        let config = self.config.object().unwrap_or_default();
        let limits = [self.max_gen_len, self.max_tokens, config.max_token_count];
        let mut found = Found::default();
        found.text(Kind::Text, self.prompt);
        found.text(Kind::Text, self.input_text);
        let part = |(kind, text)| Part { turn: 0, role: Role::User, kind, text };
        Ok(Request {
            params: Params {
                temperature: self.temperature.float().or_else(|| config.temperature.float()),
                top_p: self.top_p.float().or_else(|| config.top_p.float()),
                max_tokens: limits.iter().find_map(Given::count),
                ..Params::default()
            },
            parts: found.pieces.into_iter().map(part).collect(),
            ..Request::default()
        })
    }
}

/// A whole answer or an event of one: they differ in how much they say.
#[derive(Debug, Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Answer<'a> {
    // Llama.
    generation: Given<'a>,
    prompt_token_count: Given<'a>,
    generation_token_count: Given<'a>,
    stop_reason: Given<'a>,
    // Mistral.
    outputs: Given<'a, IgnoredAny, Each<Outputs<'a>>>,
    // Titan; its embeddings are numbers.
    results: Given<'a, IgnoredAny, Each<Outputs<'a>>>,
    #[serde(rename = "outputText")]
    output_text: Given<'a>,
    #[serde(rename = "completionReason")]
    completion_reason: Given<'a>,
    #[serde(rename = "inputTextTokenCount")]
    input: Given<'a>,
    #[serde(rename = "totalOutputTextTokenCount")]
    output: Given<'a>,
    embedding: Given<'a>,
}

impl<'a> Answer<'a> {
    pub(super) fn into_delta(self) -> Delta<'a> {
        let mut delta = Delta::default();
        let mut finishes = [finish(self.stop_reason), finish(self.completion_reason)].to_vec();
        let mut found = Found::default();
        found.text(Kind::Text, self.generation);
        found.text(Kind::Text, self.output_text);
        let mut output = self.generation_token_count.count().or_else(|| self.output.count());
        for all in [self.outputs, self.results] {
            let all = all.list().unwrap_or_default();
            found.append(all.found, Kind::Text);
            output = output.or(all.tokens);
            finishes.push(all.finish);
        }
        if !self.embedding.is_null() {
            output = output.or(Some(0));
        }
        let input = self.prompt_token_count.count().or_else(|| self.input.count());
        let usage = Usage { input, output, ..Usage::default() };
        delta.usage = Some(usage).filter(|usage| *usage != Usage::default());
        delta.finish = finishes.into_iter().flatten().next();
        found.issue(&mut delta);
        delta
    }
}

fn finish(reason: Given<'_>) -> Option<Finish> {
    Some(match &*reason.text()? {
        "stop" | "FINISH" | "FINISHED" => Finish::Stop,
        "length" | "LENGTH" => Finish::Length,
        "CONTENT_FILTERED" => Finish::Filter,
        _ => Finish::Other,
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", bound(deserialize = "'de: 'a"))]
struct Output<'a> {
    text: Given<'a>,
    output_text: Given<'a>,
    token_count: Given<'a>,
    completion_reason: Given<'a>,
    #[serde(rename = "stop_reason")]
    stop_reason: Given<'a>,
}

/// All outputs together.
#[derive(Debug, Default)]
struct Outputs<'a> {
    found: Found<'a>,
    tokens: Option<u32>,
    finish: Option<Finish>,
}

impl<'de: 'a, 'a> Take<'de> for Outputs<'a> {
    type Item = Given<'a, Output<'a>>;

    fn take(&mut self, item: Self::Item) {
        let Some(output) = item.object() else { return };
        self.found.text(Kind::Text, output.text);
        self.found.text(Kind::Text, output.output_text);
        if let Some(count) = output.token_count.count() {
            self.tokens = Some(self.tokens.unwrap_or_default().saturating_add(count));
        }
        let reasons = [output.stop_reason, output.completion_reason];
        self.finish = reasons.into_iter().find_map(finish).or(self.finish);
    }
}
