use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";

async fn connect(endpoint: &Endpoint) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(endpoint.addr).await.unwrap();
    let (send, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    send
}

fn request(path: &str, body: &Value) -> http::request::Builder {
    assert!(body.is_object());
    http::Request::post(path).header("host", "lab").header("authorization", "Bearer sk-1")
}

async fn post(path: &str, mock: &str, body: Value) -> (u16, http::HeaderMap, Bytes) {
    let endpoint = Endpoint::start(Settings::default()).await.unwrap();
    let mut send = connect(&endpoint).await;
    let request = request(path, &body).header("x-mock", mock);
    let request = request.body(Full::from(body.to_string())).unwrap();
    let answer = send.send_request(request).await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    (status, headers, answer.into_body().collect().await.unwrap().to_bytes())
}

fn asking(text: &str) -> Value {
    json!({"model": "large-1", "max_tokens": 500, "messages": [{"role": "user", "content": text}]})
}

fn with(mut body: Value, extra: Value) -> Value {
    body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    body
}

fn tools() -> Value {
    json!({"tool_choice": {"type": "any"}, "tools": [
        {"name": "look", "input_schema": {"type": "object", "properties": {"q": {"type": "string"}}}}]})
}

/// The `data:` of every event of a stream.
fn events(stream: &Bytes) -> Vec<String> {
    // Gemini ends its lines with both.
    let text = std::str::from_utf8(stream).unwrap().replace("\r\n", "\n");
    let data =
        |event: &str| event.lines().find_map(|line| line.strip_prefix("data: ")).map(str::to_owned);
    text.split("\n\n").filter_map(data).collect()
}

fn parsed(stream: &Bytes) -> Vec<Value> {
    events(stream).iter().filter_map(|data| serde_json::from_str(data).ok()).collect()
}

#[tokio::test]
async fn a_chat_completion_has_its_parts_and_its_usage_adds_up() {
    let (status, headers, body) = post(CHAT, "", with(asking("Hello"), json!({"n": 2}))).await;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, headers["content-type"].as_bytes()), (200, &b"application/json"[..]));
    assert!(answer["id"].as_str().unwrap().starts_with("chatcmpl-"));
    assert_eq!(answer["choices"].as_array().unwrap().len(), 2);
    assert!(answer["choices"][1]["message"]["content"].as_str().unwrap().len() >= 64);
    let usage = |key: &str| answer["usage"][key].as_u64().unwrap();
    assert_eq!(usage("prompt_tokens") + usage("completion_tokens"), usage("total_tokens"));
}

#[tokio::test]
async fn a_streamed_chat_says_what_the_whole_one_says() {
    let (_, _, whole) = post(CHAT, "", asking("Hello")).await;
    let asked =
        with(asking("Hello"), json!({"stream": true, "stream_options": {"include_usage": true}}));
    let (_, headers, stream) = post(CHAT, "", asked).await;
    assert_eq!(headers["content-type"], "text/event-stream");
    let chunks = parsed(&stream);
    let text: String =
        chunks.iter().filter_map(|c| c["choices"][0]["delta"]["content"].as_str()).collect();
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(whole["choices"][0]["message"]["content"], text.as_str());
    assert_eq!(chunks.last().unwrap()["usage"], whole["usage"]);
    assert!(chunks[0]["usage"].is_null());
    assert_eq!(events(&stream).last().unwrap(), "[DONE]");
}

#[tokio::test]
async fn a_streamed_gemini_answer_says_what_the_whole_one_says() {
    let asked = json!({"contents": [{"role": "user", "parts": [{"text": "Use a tool"}]}],
        "tools": [{"functionDeclarations": [{"name": "look"}]}]});
    let (_, _, whole) = post("/v1/models/large-1:generateContent", "", asked.clone()).await;
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    let stream = "/v1beta/models/large-1:streamGenerateContent";
    let (_, headers, array) = post(stream, "", asked.clone()).await;
    assert_eq!(headers["content-type"], "application/json");
    let array: Vec<Value> = serde_json::from_slice(&array).unwrap();
    let (_, headers, stream) = post(&format!("{stream}?alt=sse"), "", asked).await;
    assert_eq!(headers["content-type"], "text/event-stream");
    let events = parsed(&stream);
    assert_eq!(array.len(), events.len());
    let part = |event: &Value| event["candidates"][0]["content"]["parts"][0]["text"].clone();
    let text: String =
        events.iter().filter_map(|event| part(event).as_str()?.to_owned().into()).collect();
    let last = events.last().unwrap();
    assert_eq!(part(&whole), text.as_str());
    assert_eq!(whole["usageMetadata"], last["usageMetadata"]);
    assert_eq!(last["candidates"][0]["content"]["parts"][0]["functionCall"]["name"], "look");
    assert_eq!(whole["candidates"][0]["content"]["parts"][1]["functionCall"]["name"], "look");
}

#[tokio::test]
async fn a_streamed_response_ends_with_the_whole_one_and_its_deltas_make_its_text() {
    let asked = json!({"model": "large-1", "input": "Hello", "stream": true, "tool_choice": "required",
        "tools": [{"type": "function", "name": "look", "parameters": {}}]});
    let (_, _, stream) = post("/v1/responses", "", asked).await;
    let events = parsed(&stream);
    let numbers = events.iter().map(|event| event["sequence_number"].as_u64().unwrap());
    assert!(numbers.eq(0..events.len() as u64));
    let last = events.last().unwrap();
    assert_eq!(
        (&events[0]["type"], &last["type"]),
        (&json!("response.created"), &json!("response.completed"))
    );
    let output = &last["response"]["output"];
    let deltas = |kind: &str, at: u64| -> String {
        let ours =
            events.iter().filter(|event| event["type"] == kind && event["output_index"] == at);
        ours.filter_map(|event| event["delta"].as_str()).collect()
    };
    assert_eq!(output[0]["content"][0]["text"], deltas("response.output_text.delta", 0));
    assert_eq!(output[1]["arguments"], deltas("response.function_call_arguments.delta", 1));
    assert_eq!(output[1]["name"], "look");
    assert!(last["response"]["usage"]["output_tokens"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn a_streamed_converse_says_what_the_whole_one_says() {
    let asked = json!({"messages": [{"role": "user", "content": [{"text": "Hello"}]}]});
    let (_, _, whole) = post("/model/large-1/converse", "", asked.clone()).await;
    let whole: Value = serde_json::from_slice(&whole).unwrap();
    let (_, headers, stream) = post("/model/large-1/converse-stream", "", asked).await;
    assert_eq!(headers["content-type"], "application/vnd.amazon.eventstream");
    let mut events: Vec<(String, Value)> = Vec::new();
    crate::dialect::eventstream::Splitter::default().push(&stream, |event| {
        events.push((event.name.unwrap().to_owned(), serde_json::from_str(event.data).unwrap()));
    });
    let text: String =
        events.iter().filter_map(|(_, data)| data["delta"]["text"].as_str()).collect();
    assert_eq!(whole["output"]["message"]["content"][0]["text"], text);
    let (last, counts) = events.last().unwrap();
    assert_eq!((last.as_str(), &counts["usage"]), ("metadata", &whole["usage"]));
}

#[tokio::test]
async fn an_embedding_is_a_unit_vector_for_each_text() {
    let asked = json!({"model": "large-1", "input": ["one", "two"], "dimensions": 12});
    let (_, _, body) = post("/v1/embeddings", "", asked).await;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    let vector = |at: usize| -> Vec<f64> {
        answer["data"][at]["embedding"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(Value::as_f64)
            .collect()
    };
    assert_eq!((vector(0).len(), vector(1).len()), (12, 12));
    assert!((vector(0).iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-5);
    assert_ne!(vector(0), vector(1));
}

#[tokio::test]
async fn usage_is_left_out_of_a_chat_stream_that_did_not_ask_for_it() {
    let (_, _, stream) = post(CHAT, "", with(asking("Hello"), json!({"stream": true}))).await;
    assert!(parsed(&stream).iter().all(|chunk| chunk.get("usage").is_none()));
}

#[tokio::test]
async fn a_message_stream_has_the_events_of_the_api_in_their_order() {
    let asked = json!({"stream": true, "thinking": {"type": "enabled", "budget_tokens": 1024}});
    let (_, _, stream) = post(MESSAGES, "", with(with(asking("Hi"), asked), tools())).await;
    let events = parsed(&stream);
    let mut names: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    names.dedup();
    assert_eq!(names[..4], ["message_start", "content_block_start", "ping", "content_block_delta"]);
    assert_eq!(names[names.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
    let kinds: Vec<_> = events.iter().filter_map(|e| e["content_block"]["type"].as_str()).collect();
    assert_eq!(kinds[..3], ["thinking", "text", "tool_use"]);
    let deltas =
        events.iter().filter(|event| event["type"] == "content_block_delta").count() as u64;
    let end = &events[events.len() - 2];
    // Every delta but the signature is a token, and each tool call's name is one.
    let calls = kinds.iter().filter(|kind| **kind == "tool_use").count() as u64;
    assert_eq!(end["usage"]["output_tokens"].as_u64().unwrap(), deltas - 1 + calls);
    assert_eq!(end["delta"]["stop_reason"], "tool_use");
    assert!(
        events
            .iter()
            .any(|event| event["delta"]["signature"].as_str().is_some_and(|s| s.len() > 40))
    );
}

#[tokio::test]
async fn tool_calls_come_with_ids_and_arguments_that_parse() {
    let (_, _, body) = post(MESSAGES, "", with(asking("Hi"), tools())).await;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    let used =
        answer["content"].as_array().unwrap().iter().find(|b| b["type"] == "tool_use").unwrap();
    assert!(used["id"].as_str().unwrap().starts_with("toolu_"));
    assert!(used["input"]["q"].is_string());
    let function = json!({"type": "function", "function": {"name": "look", "parameters":
        {"type": "object", "properties": {"q": {"type": "string"}}}}});
    let (_, _, body) =
        post(CHAT, "", with(asking("Use a tool"), json!({"tools": [function]}))).await;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    let call = &answer["choices"][0]["message"]["tool_calls"][0];
    assert!(call["id"].as_str().unwrap().starts_with("call_"));
    let arguments = call["function"]["arguments"].as_str().unwrap();
    assert!(serde_json::from_str::<Value>(arguments).unwrap()["q"].is_string());
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
}

#[tokio::test]
async fn ids_never_repeat_though_words_do() {
    let endpoint = Endpoint::start(Settings::default()).await.unwrap();
    let mut send = connect(&endpoint).await;
    let mut answers = Vec::new();
    for _ in 0..2 {
        let request = request(CHAT, &asking("Hello"));
        let request = request.body(Full::from(asking("Hello").to_string())).unwrap();
        let answer = send.send_request(request).await.unwrap().into_body().collect().await.unwrap();
        answers.push(serde_json::from_slice::<Value>(&answer.to_bytes()).unwrap());
    }
    assert_eq!(answers[0]["choices"], answers[1]["choices"]);
    assert_ne!(answers[0]["id"], answers[1]["id"]);
    assert_eq!((endpoint.seen(), endpoint.completed(), endpoint.connections()), (2, 2, 1));
    assert_eq!(endpoint.last().unwrap().body, asking("Hello").to_string());
}

#[tokio::test]
async fn unknown_keys_and_models_are_refused_in_each_dialect() {
    let missing = json!({"model": "no-such-model", "messages": []});
    let (status, _, body) = post(CHAT, "", missing.clone()).await;
    let error: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &error["error"]["code"]), (404, &json!("model_not_found")));
    let (status, _, body) = post(MESSAGES, "", missing).await;
    let error: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &error["error"]["type"]), (404, &json!("not_found_error")));
    let endpoint =
        Endpoint::start(Settings { key_prefixes: vec!["ak-".into()], ..Settings::default() }).await;
    let endpoint = endpoint.unwrap();
    let request =
        request(MESSAGES, &asking("Hi")).body(Full::from(asking("Hi").to_string())).unwrap();
    let answer = connect(&endpoint).await.send_request(request).await.unwrap();
    assert_eq!(answer.status(), 401);
    assert!(answer.headers().contains_key("request-id"));
}

#[tokio::test]
async fn a_status_that_was_asked_for_is_worded_by_the_dialect() {
    let (status, _, body) = post(MESSAGES, "status=529", asking("Hi")).await;
    let error: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((status, &error["error"]["type"]), (529, &json!("overloaded_error")));
}

#[tokio::test]
async fn a_big_answer_is_as_big_as_asked() {
    let (_, _, body) = post(CHAT, "big=300000", asking("Hi")).await;
    let answer: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"].as_str().unwrap().len(), 300_000);
}

#[tokio::test]
async fn a_gzip_answer_holds_the_plain_one_in_stored_blocks() {
    let (_, headers, coded) = post(MESSAGES, "gzip", asking("Hi")).await;
    assert_eq!(headers["content-encoding"], "gzip");
    let length = u16::from_le_bytes([coded[11], coded[12]]) as usize;
    let plain: Value = serde_json::from_slice(&coded[15..15 + length]).unwrap();
    assert_eq!(plain["type"], "message");
}

#[tokio::test]
async fn broken_answers_break_and_are_not_taken_for_leaving_clients() {
    let endpoint = Endpoint::start(Settings::default()).await.unwrap();
    for stream in [true, false] {
        let mut send = connect(&endpoint).await;
        let body = with(asking("Hi"), json!({"stream": stream}));
        let request = request(CHAT, &body).header("x-mock", "truncate");
        let request = request.body(Full::from(body.to_string())).unwrap();
        let answer = send.send_request(request).await.unwrap();
        assert!(answer.into_body().collect().await.is_err());
    }
    let request = request(CHAT, &asking("Hi")).header("x-mock", "reset");
    let request = request.body(Full::from(asking("Hi").to_string())).unwrap();
    assert!(connect(&endpoint).await.send_request(request).await.is_err());
    assert_eq!((endpoint.seen(), endpoint.cancelled()), (3, 0));
}

#[tokio::test]
async fn a_client_that_leaves_while_text_is_made_is_counted() {
    let pace = Duration::from_secs(3600);
    let endpoint =
        Endpoint::start(Settings { per_chunk: pace, ..Settings::default() }).await.unwrap();
    for stream in [true, false] {
        let mut socket = TcpStream::connect(endpoint.addr).await.unwrap();
        let body = with(asking("Hi"), json!({"stream": stream})).to_string();
        let head = format!(
            "POST {CHAT} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer sk-1\r\n\
            content-length: {}\r\n\r\n",
            body.len()
        );
        socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
        while endpoint.last().is_none_or(|seen| seen.body != body) {
            tokio::task::yield_now().await;
        }
    }
    while endpoint.cancelled() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(endpoint.completed(), 0);
}

#[tokio::test]
async fn an_error_event_ends_a_stream_without_done() {
    let asked = with(asking("Hi"), json!({"stream": true}));
    let (_, _, stream) = post(CHAT, "error-event", asked.clone()).await;
    assert!(parsed(&stream).last().unwrap()["error"]["message"].is_string());
    assert!(!events(&stream).contains(&"[DONE]".to_owned()));
    let (_, _, stream) = post(MESSAGES, "error-event", asked).await;
    assert_eq!(parsed(&stream).last().unwrap()["type"], "error");
}

#[tokio::test]
async fn an_echo_gives_back_body_target_and_both_cookies() {
    let (status, headers, body) = post("/echo//a/./b?x=%2F", "", json!({"any": "thing"})).await;
    assert_eq!((status, &body[..]), (200, &br#"{"any":"thing"}"#[..]));
    assert_eq!(headers["x-echo-target"], "/echo//a/./b?x=%2F");
    assert_eq!(headers.get_all("set-cookie").iter().count(), 2);
}

#[tokio::test]
async fn an_upgraded_connection_gives_every_byte_back() {
    let endpoint = Endpoint::start(Settings::default()).await.unwrap();
    let mut socket = TcpStream::connect(endpoint.addr).await.unwrap();
    let head =
        b"GET /anywhere HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    socket.write_all(head).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(socket.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "));
    socket.write_all(b"\x81\x05hello").await.unwrap();
    let mut echoed = [0; 7];
    socket.read_exact(&mut echoed).await.unwrap();
    assert_eq!(&echoed, b"\x81\x05hello");
}

#[tokio::test]
async fn a_dropped_endpoint_listens_no_more() {
    let endpoint = Endpoint::start(Settings::default()).await.unwrap();
    let addr = endpoint.addr;
    drop(endpoint);
    while TcpStream::connect(addr).await.is_ok() {
        tokio::task::yield_now().await;
    }
}
