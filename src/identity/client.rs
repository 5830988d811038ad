//! Which family of client software calls, by its own words.

use http::header::{HeaderMap, USER_AGENT};

use super::Client;

/// The longest part of a user-agent that is looked at, in bytes.
const LOOKED_AT: usize = 64;

/// How user-agents begin, in lower case. OpenAI's and Anthropic's SDKs prefix the name of the
/// class in use (`AsyncAzureOpenAI/Python 2.1`), so theirs are searched for instead.
const BEGINNINGS: &[(&str, Client)] = &[
    ("langchain", Client::Langchain),
    ("litellm/", Client::Litellm),
    ("google-genai-sdk/", Client::GoogleGenai),
    ("boto3/", Client::Boto),
    ("botocore/", Client::Boto),
    ("ai-sdk/", Client::AiSdk),
    ("ai/", Client::AiSdk),
    ("curl/", Client::Curl),
];

const SDKS: &[(&str, Client)] = &[
    ("openai/python", Client::OpenaiPython),
    ("openai/js", Client::OpenaiJs),
    ("anthropic/python", Client::AnthropicPython),
    ("anthropic/js", Client::AnthropicJs),
];

/// The caller's family: from the user-agent, else from headers that only one family sends.
pub fn family(headers: &HeaderMap) -> Client {
    let agent = value(headers, USER_AGENT.as_str());
    let agent = agent[..agent.len().min(LOOKED_AT)].to_ascii_lowercase();
    let begins = |(beginning, _): &&(&str, Client)| agent.starts_with(beginning.as_bytes());
    let holds = |(name, _): &&(&str, Client)| {
        let class = agent.split(|&byte| byte == b' ').next().unwrap_or_default();
        class.ends_with(name.as_bytes())
    };
    let named = BEGINNINGS.iter().find(begins).or_else(|| SDKS.iter().find(holds));
    match named {
        Some((_, family)) => *family,
        None => by_traits(headers).unwrap_or_else(|| browser(&agent)),
    }
}

/// Callers may replace the user-agent; few replace the SDK's other headers with it.
fn by_traits(headers: &HeaderMap) -> Option<Client> {
    let anthropic = headers.contains_key("anthropic-version");
    let language = value(headers, "x-stainless-lang");
    if language.eq_ignore_ascii_case(b"python") {
        return Some(if anthropic { Client::AnthropicPython } else { Client::OpenaiPython });
    }
    if language.eq_ignore_ascii_case(b"js") {
        return Some(if anthropic { Client::AnthropicJs } else { Client::OpenaiJs });
    }
    if headers.contains_key("amz-sdk-invocation-id") {
        return Some(Client::Boto);
    }
    value(headers, "x-goog-api-client")
        .starts_with(b"google-genai-sdk/")
        .then_some(Client::GoogleGenai)
}

fn browser(agent: &[u8]) -> Client {
    if agent.starts_with(b"mozilla/") { Client::Browser } else { Client::Other }
}

fn value<'a>(headers: &'a HeaderMap, name: &str) -> &'a [u8] {
    headers.get(name).map_or(&[], |value| value.as_bytes())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(pairs: &[(&'static str, &'static str)]) -> Client {
        let pairs = pairs.iter().map(|(name, value)| {
            (name.parse::<http::HeaderName>().unwrap(), HeaderValue::from_static(value))
        });
        family(&pairs.collect())
    }

    #[test]
    fn every_family_is_known_by_its_user_agent() {
        for (agent, client) in [
            ("OpenAI/Python 3.54.0", Client::OpenaiPython),
            ("AsyncOpenAI/Python 3.54.0", Client::OpenaiPython),
            ("AsyncAzureOpenAI/Python 2.1.0", Client::OpenaiPython),
            ("OpenAI/JS 6.49.0", Client::OpenaiJs),
            ("Anthropic/Python 2.12.0", Client::AnthropicPython),
            ("AsyncAnthropic/Python 2.12.0", Client::AnthropicPython),
            ("Anthropic/JS 1.12.0", Client::AnthropicJs),
            ("langchain-anthropic/1.7.7", Client::Langchain),
            ("litellm/1.106.2", Client::Litellm),
            ("google-genai-sdk/3.4.0 gl-python/3.11.7", Client::GoogleGenai),
            ("Boto3/1.44.5 md/Botocore#1.44", Client::Boto),
            ("ai-sdk/openai/3.0 runtime/node.js/22", Client::AiSdk),
            ("ai/6.0.326 ai-sdk/provider", Client::AiSdk),
            ("curl/8.9.1", Client::Curl),
            ("Mozilla/5.0 (X11; Linux x86_64)", Client::Browser),
            ("python-requests/2.32", Client::Other),
            ("", Client::Other),
        ] {
            assert_eq!(of(&[("user-agent", agent)]), client, "{agent}");
        }
    }

    #[test]
    fn a_renamed_sdk_is_known_by_its_other_headers() {
        let stainless = ("x-stainless-lang", "Python");
        let mine = ("user-agent", "my-app/1.0");
        assert_eq!(of(&[mine, stainless]), Client::OpenaiPython);
        let version = ("anthropic-version", "2023-06-01");
        assert_eq!(of(&[mine, stainless, version]), Client::AnthropicPython);
        assert_eq!(of(&[mine, ("amz-sdk-invocation-id", "1")]), Client::Boto);
        assert_eq!(of(&[mine, ("x-stainless-lang", "js")]), Client::OpenaiJs);
    }
}
