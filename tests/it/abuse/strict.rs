//! A reader of requests with no tolerance at all: it stands for every server that may be behind.

/// One request as it stood on the wire.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Forwarded {
    pub(super) method: String,
    pub(super) target: String,
    pub(super) fields: Vec<(String, Vec<u8>)>,
    pub(super) body: Vec<u8>,
}

impl Forwarded {
    pub(super) fn all(&self, name: &str) -> Vec<&[u8]> {
        let own = self.fields.iter().filter(|(own, _)| own == name);
        own.map(|(_, value)| value.as_slice()).collect()
    }
}

/// Why bytes are not exactly one request. `None`: they are the beginning of one.
type Fault = Option<String>;

/// The first request in `bytes`, and how many of them it takes.
pub(super) fn read(bytes: &[u8]) -> Result<(Forwarded, usize), Fault> {
    let mut at = 0;
    let start = line(bytes, &mut at)?;
    let start = String::from_utf8(start.to_vec()).map_err(|_| fault("line", start))?;
    let pieces: Vec<_> = start.split(' ').collect();
    let [method, target, "HTTP/1.1"] = pieces[..] else {
        return Err(fault("request line", start.as_bytes()));
    };
    let graphic = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if !graphic(method) || !graphic(target) || target.contains('#') {
        return Err(fault("request line", start.as_bytes()));
    }
    let mut request =
        Forwarded { method: method.into(), target: target.into(), ..Default::default() };
    request.fields = fields(bytes, &mut at)?;
    sound(&request)?;
    request.body = match (request.all("content-length")[..].first(), chunked(&request)) {
        (Some(length), false) => {
            let length: usize = std::str::from_utf8(length).unwrap().parse().unwrap();
            bytes.get(at..at + length).ok_or(None).inspect(|_| at += length)?.to_vec()
        }
        (None, true) => chunks(bytes, &mut at)?,
        _ => Vec::new(),
    };
    Ok((request, at))
}

fn fault(what: &str, bytes: &[u8]) -> Fault {
    Some(format!("{what}: {:?}", String::from_utf8_lossy(bytes)))
}

fn chunked(request: &Forwarded) -> bool {
    !request.all("transfer-encoding").is_empty()
}

/// One line without its end.
fn line<'b>(bytes: &'b [u8], at: &mut usize) -> Result<&'b [u8], Fault> {
    let rest = &bytes[*at..];
    let end = rest.iter().position(|&byte| byte == b'\n').ok_or(None)?;
    let line = rest[..end].strip_suffix(b"\r").ok_or_else(|| fault("bare LF", &rest[..end]))?;
    if line.iter().any(|&byte| byte == 127 || byte < 32 && byte != b'\t') {
        return Err(fault("control character", line));
    }
    *at += end + 1;
    Ok(line)
}

fn fields(bytes: &[u8], at: &mut usize) -> Result<Vec<(String, Vec<u8>)>, Fault> {
    let mut fields = Vec::new();
    loop {
        let line = line(bytes, at)?;
        if line.is_empty() {
            return Ok(fields);
        }
        let colon =
            line.iter().position(|&byte| byte == b':').ok_or_else(|| fault("field", line))?;
        let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.is_empty() || !name.iter().all(token) {
            return Err(fault("name", line));
        }
        fields.push((String::from_utf8(name.to_ascii_lowercase()).unwrap(), value.to_vec()));
    }
}

/// No field that two servers could take for different things.
fn sound(request: &Forwarded) -> Result<(), Fault> {
    let lengths = request.all("content-length");
    let codings = request.all("transfer-encoding");
    let wrong = match (&lengths[..], &codings[..]) {
        ([], []) | ([], [b"chunked"]) => false,
        ([length], []) => {
            let digits = length.iter().all(u8::is_ascii_digit);
            let plain = length == b"0" || length.first() != Some(&b'0');
            length.is_empty() || !digits || !plain
        }
        _ => true,
    };
    let of_hop =
        ["keep-alive", "proxy-connection", "te", "trailer", "expect", "http2-settings", "upgrade"];
    let poses = |name: &str| {
        let name = name.replace(['_', '.'], "-");
        ["content-length", "transfer-encoding", "host", "authorization"].contains(&name.as_str())
    };
    let odd = |(name, _): &(String, Vec<u8>)| {
        of_hop.contains(&name.as_str())
            || name.starts_with("x-stillguard-")
            || name.contains(['_', '.']) && poses(name)
    };
    if wrong || request.all("host").len() != 1 || request.fields.iter().any(odd) {
        return Err(Some(format!("{request:?}")));
    }
    Ok(())
}

fn chunks(bytes: &[u8], at: &mut usize) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    loop {
        let size = line(bytes, at)?;
        let digits = std::str::from_utf8(size).unwrap_or_default();
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let length = usize::from_str_radix(digits, 16).ok().filter(|_| plain);
        let length = length.ok_or_else(|| fault("chunk size", size))?;
        let chunk = bytes.get(*at..*at + length).ok_or(None)?;
        *at += length;
        if !line(bytes, at)?.is_empty() {
            return Err(fault("after a chunk", chunk));
        }
        body.extend_from_slice(chunk);
        if length == 0 {
            return Ok(body);
        }
    }
}
