use proptest::prelude::*;

use super::*;
use crate::identity::settings::HeaderRule;

fn rule(name: &str) -> TenantRule {
    TenantRule { name: name.to_owned(), ..TenantRule::default() }
}

fn on_host(name: &str, host: &str) -> TenantRule {
    TenantRule { hosts: vec![host.to_owned()], ..rule(name) }
}

fn on_path(name: &str, path: &str) -> TenantRule {
    TenantRule { path_prefix: Some(path.to_owned()), ..rule(name) }
}

fn with_key(name: &str, prefix: &str) -> TenantRule {
    TenantRule { key_prefix: Some(prefix.to_owned()), ..rule(name) }
}

fn head(uri: &str, host: &str) -> Parts {
    http::Request::builder().uri(uri).header(HOST, host).body(()).unwrap().into_parts().0
}

fn found(rules: &[TenantRule], head: &Parts) -> Option<usize> {
    let sought = Sought { head, credential: Some(b"sk-ant-1"), trusted_hop: false };
    Rules::new(rules).unwrap().find(&sought)
}

fn mistake(rules: &[TenantRule]) -> String {
    Rules::new(rules).unwrap_err().to_string()
}

#[test]
fn hosts_match_without_port_and_case() {
    let rules = [on_host("a", "API.example.com"), on_host("b", "*.example.com")];
    assert_eq!(found(&rules, &head("/", "api.EXAMPLE.com:8443")), Some(0));
    assert_eq!(found(&rules, &head("/", "api.example.com.")), Some(0));
    assert_eq!(found(&rules, &head("/", "x.y.example.com")), Some(1));
    assert_eq!(found(&rules, &head("/", "example.com")), None);
    assert_eq!(found(&rules, &head("/", "badexample.com")), None);
    assert_eq!(found(&rules, &head("/", ".example.com")), None);
    assert_eq!(found(&[on_host("v6", "::1")], &head("/", "[::1]:80")), Some(0));
}

#[test]
fn the_requests_own_authority_comes_before_the_host_header() {
    let rules = [on_host("a", "a"), on_host("b", "b")];
    assert_eq!(found(&rules, &head("http://b/x", "a")), Some(1));
}

#[test]
fn the_longest_path_wins_and_ends_at_a_segment() {
    let rules = [on_path("short", "/a"), on_path("long", "/a/b/")];
    assert_eq!(found(&rules, &head("/a/b/c", "h")), Some(1));
    assert_eq!(found(&rules, &head("/a/b", "h")), Some(1));
    assert_eq!(found(&rules, &head("/a/bc?x=/a/b", "h")), Some(0));
    assert_eq!(found(&rules, &head("/ab", "h")), None);
}

#[test]
fn no_spelling_of_a_path_leaves_its_tenant() {
    let rules = [on_path("a", "/team-a")];
    for path in ["/team%2Da/x", "//team-a/x", "/./team-a", "/x/../team-a", "/x/%2e%2e/team-a"] {
        assert_eq!(found(&rules, &head(path, "h")), Some(0), "{path}");
    }
    assert_eq!(found(&rules, &head("/team-a/../b", "h")), None);
}

#[test]
fn a_header_counts_only_from_a_trusted_hop_and_only_once() {
    let header = HeaderRule { name: "x-tenant".to_owned(), value: "a".to_owned() };
    let rules = Rules::new(&[TenantRule { header: Some(header), ..rule("a") }]).unwrap();
    let mut head = head("/", "h");
    head.headers.insert("x-tenant", HeaderValue::from_static("a"));
    let find =
        |head: &Parts, trusted_hop| rules.find(&Sought { head, credential: None, trusted_hop });
    assert_eq!(find(&head, true), Some(0));
    assert_eq!(find(&head, false), None);
    head.headers.append("x-tenant", HeaderValue::from_static("b"));
    assert_eq!(find(&head, true), None);
}

#[test]
fn every_condition_of_a_rule_must_hold() {
    let both = TenantRule { key_prefix: Some("sk-ant-".to_owned()), ..on_host("a", "a") };
    assert_eq!(found(std::slice::from_ref(&both), &head("/", "a")), Some(0));
    assert_eq!(found(&[both], &head("/", "b")), None);
    assert_eq!(found(&[with_key("o", "sk-proj-")], &head("/", "a")), None);
}

#[test]
fn rules_that_cant_work_are_named() {
    assert!(mistake(&[rule("a")]).contains("`a` has no condition"));
    assert!(mistake(&[on_path("a", "/")]).contains("`a` has no condition"));
    assert!(mistake(&[with_key("a", "")]).contains("empty key_prefix"));
    assert!(mistake(&[with_key("a", "x"), with_key("a", "y")]).contains("defined twice"));
    assert!(mistake(&[on_host("", "a")]).contains("without a name"));
    assert!(mistake(&[on_path("a", "x")]).contains("begin with a slash"));
    for host in ["a:80", "*", "*a.b", "a*", "", "http://a"] {
        assert!(mistake(&[on_host("a", host)]).contains("without port"), "{host}");
    }
}

#[test]
fn a_rule_behind_a_wider_one_is_named() {
    let never = |wide: TenantRule, narrow: TenantRule| {
        let why = mistake(&[wide, narrow]);
        assert!(why.contains("`narrow` can never match: tenant `wide`"), "{why}");
    };
    never(on_host("wide", "*.a.b"), on_host("narrow", "x.a.b"));
    never(on_host("wide", "*.b"), on_host("narrow", "*.a.b"));
    never(with_key("wide", "sk-"), with_key("narrow", "sk-ant-"));
    never(on_path("wide", "/a"), on_path("narrow", "/a/"));
    let narrow = TenantRule { key_prefix: Some("k".to_owned()), ..on_host("narrow", "a") };
    never(on_host("wide", "a"), narrow);
    // The longer path is tried first, wherever it stands.
    assert!(Rules::new(&[on_path("wide", "/a"), on_path("narrow", "/a/b")]).is_ok());
    assert!(Rules::new(&[on_host("narrow", "x.b"), on_host("wide", "*.b")]).is_ok());
    let hosts = ["x.b", "c"].map(str::to_owned).to_vec();
    assert!(Rules::new(&[on_host("one", "*.b"), TenantRule { hosts, ..rule("both") }]).is_ok());
}

proptest! {
    #[test]
    fn any_host_and_path_are_read_without_panic(
        host in proptest::collection::vec(32_u8..=255, 0..40),
        path in "/[a-z%./0-9-]{0,40}",
    ) {
        let mut head = head("/", "h");
        if let (Ok(host), Ok(uri)) = (HeaderValue::from_bytes(&host), path.parse()) {
            head.headers.insert(HOST, host);
            head.uri = uri;
            let rules = [on_host("b", "*.b"), on_path("p", "/p")];
            let _ = found(&rules, &head);
        }
    }
}
