use http::Request;

use super::*;

fn judge(request: http::request::Builder) -> Result<Parts, Reason> {
    let (mut head, ()) = request.body(()).unwrap().into_parts();
    admit(&mut head, &Limits::default()).map(|()| head)
}

fn post() -> http::request::Builder {
    Request::post("/v1/messages").header("host", "api.example:8080")
}

fn h2(uri: &str) -> http::request::Builder {
    Request::post(uri).version(Version::HTTP_2)
}

fn refused(request: http::request::Builder) -> Reason {
    judge(request).unwrap_err()
}

#[test]
fn exactly_one_transfer_coding_is_let_in() {
    assert!(judge(post().header("transfer-encoding", "Chunked")).is_ok());
    for coding in ["gzip, chunked", ",chunked", "chunked,", "identity", "xchunked", ""] {
        let reason = refused(post().header("transfer-encoding", coding));
        assert_eq!(reason, Reason::BadRequest, "{coding:?}");
    }
    let twice = post().header("transfer-encoding", "chunked");
    refused(twice.header("transfer-encoding", "chunked"));
    refused(post().version(Version::HTTP_10).header("transfer-encoding", "chunked"));
    let both = post().header("transfer-encoding", "chunked");
    refused(both.header("content-length", "3"));
}

#[test]
fn a_length_is_one_number_that_everybody_can_hold() {
    assert!(judge(post().header("content-length", "3")).is_ok());
    for length in ["+3", "-3", "3, 3", "9223372036854775808", "", "0x3", "03", "00"] {
        refused(post().header("content-length", length));
        refused(h2("http://a/").header("content-length", length));
    }
    refused(post().header("content-length", "3").header("content-length", "3"));
}

#[test]
fn cookies_that_come_one_by_one_are_one_field() {
    let request = h2("http://a/").header("cookie", "a=b").header("x", "y").header("cookie", "c=d");
    let head = judge(request).unwrap();
    let cookies: Vec<_> = head.headers.get_all("cookie").iter().collect();
    assert_eq!(cookies, ["a=b; c=d"]);
}

#[test]
fn a_request_means_exactly_one_host() {
    for host in ["a", "a.b:1", "a_b", "127.0.0.1:65535", "[::1]", "[::1]:80"] {
        assert!(judge(Request::get("/").header("host", host)).is_ok(), "{host}");
    }
    let bad =
        ["", "a/", "a/?", "a#", "u@a", "a b", "a:", "a:x", "a:65536", "a%41", "[::1", "[x]", "::1"];
    for host in bad {
        let reason = refused(Request::get("/").header("host", host));
        assert_eq!(reason, Reason::BadRequest, "{host:?}");
    }
    refused(Request::get("/"));
    refused(post().header("host", "api.example:8080"));
    assert!(judge(Request::get("/").version(Version::HTTP_10)).is_ok());
}

#[test]
fn an_absolute_target_must_agree_with_its_host() {
    let agreeing = Request::get("http://API.example/a?b").header("host", "api.example");
    assert_eq!(judge(agreeing).unwrap().uri, "/a?b");
    refused(Request::get("http://evil.example/a").header("host", "api.example"));
    refused(Request::get("http://u@api.example/a").header("host", "api.example"));
    refused(Request::get("ftp://api.example/a").header("host", "api.example"));
    refused(Request::get("api.example:443").header("host", "api.example:443"));
    refused(Request::get("http://api.example/a"));
}

#[test]
fn the_authority_of_http2_becomes_the_host() {
    let head = judge(h2("https://api.example/v1/messages")).unwrap();
    assert_eq!(head.headers[HOST], "api.example");
    assert_eq!(head.uri, "/v1/messages");
    refused(h2("https://api.example/").header("host", "evil.example"));
    for (name, value) in [("connection", "close"), ("keep-alive", "1"), ("te", "gzip")] {
        refused(h2("https://api.example/").header(name, value));
    }
}

#[test]
fn tunnels_and_echoes_are_no_methods_here() {
    for method in ["CONNECT", "TRACE"] {
        let request = Request::builder().method(method).uri("a:443").header("host", "a:443");
        assert_eq!(refused(request), Reason::MethodNotAllowed);
    }
}

#[test]
fn what_is_too_long_is_told_apart() {
    let long = "x".repeat(9_000);
    let target = Request::get(format!("/{long}")).header("host", "a");
    assert_eq!(refused(target), Reason::UriTooLong);
    let fields = (0..4).fold(post(), |post, n| post.header(format!("x-{n}"), &long));
    assert_eq!(refused(fields), Reason::HeadersTooLarge);
    let method = Request::builder().method("A".repeat(33).as_str()).uri("/").header("host", "a");
    assert_eq!(refused(method), Reason::BadRequest);
}

#[test]
fn a_field_can_not_pose_as_another() {
    let head = judge(
        post()
            .header("x_api_key", "stolen")
            .header("x.forwarded.for", "1.2.3.4")
            .header("x-stillguard-account", "acct_0")
            .header("x_stillguard_account", "acct_0")
            .header("authorization", "Bearer k")
            .header("my_own.field", "kept"),
    );
    let names: Vec<_> = head.unwrap().headers.keys().map(|name| name.to_string()).collect();
    assert_eq!(names, ["host", "authorization", "my_own.field"]);
}

#[test]
fn the_target_is_left_as_it_came() {
    for target in ["//v1", "/v1/./x", "/a%2Fb;c", "/a?", "/a?b=%20"] {
        let head = judge(Request::get(target).header("host", "a")).unwrap();
        assert_eq!(head.uri.path_and_query().unwrap().as_str(), target);
    }
}
