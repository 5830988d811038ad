//! OpenAI embeddings, as the API shapes them: unit vectors made from a hash of each text.

use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde_json::{Value, json};

use super::text;
use crate::lab::rng::Rng;

/// Dimensions, if the request names none, and at most.
const DIMENSIONS: u64 = 256;
const MOST_DIMENSIONS: u64 = 4096;

/// The answer, or none if the request has no model or no input.
pub(super) fn answer(body: &Value) -> Option<Value> {
    let model = body["model"].as_str()?;
    let inputs = match &body["input"] {
        Value::Array(inputs) if !inputs.is_empty() && !inputs[0].is_number() => inputs.clone(),
        one @ (Value::String(_) | Value::Array(_)) => vec![one.clone()],
        _ => return None,
    };
    let size = body["dimensions"].as_u64().unwrap_or(DIMENSIONS).clamp(1, MOST_DIMENSIONS);
    let coded = body["encoding_format"] == "base64";
    let data = inputs.iter().enumerate().map(|(index, input)| {
        let vector = vector(&input.to_string(), size as usize);
        let bytes = || vector.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>();
        let embedding = if coded { json!(BASE64_STANDARD.encode(bytes())) } else { json!(vector) };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    });
    let tokens: usize = inputs.iter().map(|input| input.to_string().len() / 4 + 1).sum();
    Some(json!({"object": "list", "model": model, "data": data.collect::<Value>(),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}))
}

fn vector(input: &str, size: usize) -> Vec<f32> {
    let mut rng = Rng::new(text::hash(input.as_bytes()));
    // 24 bits are as many as an f32 keeps.
    let drawn: Vec<f32> =
        (0..size).map(|_| (rng.draw() >> 40) as f32 / (1 << 23) as f32 - 1.0).collect();
    let length = drawn.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    drawn.iter().map(|x| x / length).collect()
}
