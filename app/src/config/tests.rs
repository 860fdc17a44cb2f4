//! What settings are refused for, case by case.

use std::net::SocketAddr;

use berth_kernel::secret::Secret;

use super::{variables::known_keys, *};
use crate::role::{Role, Service};

fn keys(problems: &Refusals) -> Vec<&str> {
    problems.list().iter().map(|problem| problem.key.as_str()).collect()
}

/// What any process refuses.
fn refused(config: &Config) -> Refusals {
    let mut problems = Refusals::default();
    config.check(&mut problems);
    problems
}

#[expect(clippy::unnecessary_wraps, reason = "as the settings are")]
fn secret(text: &str) -> Option<Secret> {
    Some(text.into())
}

/// A production process for which everything is there.
fn production() -> Config {
    Config {
        profile: Profile::Production,
        public_url: Some("https://tickets.berth.test".to_owned()),
        provider_url: Some("https://api.midtrans.test".to_owned()),
        provider_server_key: secret("Mid-server-5fT2kQ9xWb71"),
        smtp_url: secret("smtps://me:Zk81-qqTe@mail.berth.test"),
        mail_from: "Berth <tickets@berth.test>".to_owned(),
        ..Config::default()
    }
}

#[test]
fn the_defaults_are_good_and_production_can_be() {
    assert_eq!(refused(&Config::default()), Refusals::default());
    assert_eq!(refused(&production()), Refusals::default());
    assert_eq!(production().problems_of_serving(), Refusals::default());
}

#[test]
fn everything_is_told_at_once() {
    let bare = Config { profile: Profile::Production, ..Config::default() };
    let problems = bare.problems_of_serving();
    assert_eq!(keys(&problems), ["public_url", "provider_url", "provider_server_key", "smtp_url", "mail_from"]);
    assert!(problems.to_string().lines().all(|line| line.contains(": ") && line.contains(" (example: ")), "{problems}");
}

#[test]
fn a_role_is_asked_for_what_it_uses() {
    let bare = |roles: &str| {
        let config = Config { profile: Profile::Production, roles: roles.to_owned(), ..Config::default() };
        config.problems_of_serving()
    };
    assert_eq!(keys(&bare("router")), [""; 0]);
    assert_eq!(keys(&bare("inventory")), [""; 0]);
    assert_eq!(keys(&bare("user")), ["public_url"]);
    assert_eq!(keys(&bare("payment")), ["public_url", "provider_url", "provider_server_key"]);
    assert_eq!(keys(&bare("user,worker")), ["public_url", "smtp_url", "mail_from"]);
    assert_eq!(bare("worker").list().len(), 5);
}

#[test]
fn production_refuses_each_of_these() {
    let of = |change: &dyn Fn(&mut Config)| {
        let mut config = production();
        change(&mut config);
        keys(&config.problems_of_serving()).join(",")
    };
    assert_eq!(of(&|config| config.demo = Some(true)), "demo");
    assert_eq!(of(&|config| config.clock_offset_secs = 600), "clock_offset_secs");
    assert_eq!(of(&|config| config.clock_file = Some("clock".into())), "clock_file");
    assert_eq!(of(&|config| config.public_url = Some("http://tickets.berth.test".to_owned())), "public_url");
    assert_eq!(of(&|config| config.provider_url = Some("http://api.midtrans.test".to_owned())), "provider_url");
    assert_eq!(of(&|config| config.provider_url = Some("http://127.0.0.1:9".to_owned())), "");
    for weak in
        ["changemechangemechangeme", "aaaaaaaaaaaaaaaaaaaaaaaa", "0101010101010101010101", "Mid-server-5", "your-key-goes-here-1"]
    {
        assert_eq!(of(&|config| config.provider_server_key = secret(weak)), "provider_server_key", "{weak}");
    }
    assert_eq!(of(&|config| config.smtp_url = secret("smtp://me:Zk81-qqTe@mail.berth.test")), "smtp_url");
    assert_eq!(of(&|config| config.smtp_url = secret("smtp://me:Zk81-qqTe@mail.berth.test?tls=opportunistic")), "smtp_url");
    assert_eq!(of(&|config| config.smtp_url = secret("smtp://me:Zk81-qqTe@mail.berth.test?tls=required")), "");
    assert_eq!(of(&|config| config.smtp_url = secret("smtp://localhost")), "");
    assert_eq!(of(&|config| config.mail_from = "Berth <no-reply@berth.example>".to_owned()), "mail_from");
    assert_eq!(of(&|config| config.database_url = secret("postgres://berth:changeme@db/berth")), "database_url");
    assert_eq!(of(&|config| config.database_url = secret("postgres://postgres:postgres@db/berth")), "database_url");
    assert_eq!(of(&|config| config.redis_url = secret("redis://:password@cache")), "redis_url");
    assert_eq!(of(&|config| config.redis_url = secret("redis://:k2J9-aa01Lq@cache")), "");
}

#[test]
fn the_demo_is_for_development() {
    assert!(Config::default().imports_demo());
    assert!(!production().imports_demo());
    assert!(!Config { demo: Some(false), ..Config::default() }.imports_demo());
}

#[test]
fn a_bad_value_is_refused_under_its_key() {
    let of = |change: &dyn Fn(&mut Config)| {
        let mut config = Config::default();
        change(&mut config);
        keys(&refused(&config)).join(",")
    };
    for bad in ["example.com", "http://x/path/", "ftp://x", "http://me:pw@x", "http://x?a=b", "http://"] {
        assert_eq!(of(&|config| config.public_url = Some(bad.to_owned())), "public_url", "{bad}");
    }
    for bad in ["nonsense", "a@", "@b.test", ""] {
        assert_eq!(of(&|config| config.mail_from = bad.to_owned()), "mail_from", "{bad}");
    }
    for bad in ["10,5", "0,5", "5,5", "", "5,x", "-1"] {
        assert_eq!(of(&|config| config.payment_poll_secs = bad.to_owned()), "payment_poll_secs", "{bad}");
    }
    for bad in ["*", "https://a.test/", "https://A.test", "https://a.test:443", "a.test", "https://a.test/x", "null"] {
        assert_eq!(of(&|config| config.allowed_origins = format!("https://good.test,{bad}")), "allowed_origins", "{bad}");
    }
    assert_eq!(of(&|config| config.allowed_origins = "https://a.test,http://localhost:3000".to_owned()), "");
    assert_eq!(of(&|config| config.workers = Some(0)), "workers");
    assert_eq!(of(&|config| config.hold_ttl_secs = 4), "hold_ttl_secs");
    assert_eq!(of(&|config| config.sign_up_work = 31), "sign_up_work");
    assert_eq!(of(&|config| config.trusted_proxies = 17), "trusted_proxies");
    assert_eq!(of(&|config| config.clock_offset_secs = i64::MIN), "clock_offset_secs");
    assert_eq!(of(&|config| config.database_wait_secs = 3_601), "database_wait_secs");
    assert_eq!(of(&|config| config.log = "warn,brth=debug".to_owned()), "log");
    assert_eq!(of(&|config| config.roles = "router,seats".to_owned()), "roles");
    assert_eq!(of(&|config| config.subgraph_user = Some("10.0.0.1:4101".to_owned())), "subgraph_user");
    assert_eq!(of(&|config| config.database_url = secret("postgres://me:pa/ss@db/berth")), "database_url");
    assert_eq!(of(&|config| config.database_url_user = secret("postgres://me@db/berth?foo=bar")), "database_url_user");
    assert_eq!(of(&|config| config.redis_url = secret("http://cache")), "redis_url");
    assert_eq!(of(&|config| config.otlp_url = secret("collector:4318")), "otlp_url");
    assert_eq!(of(&|config| config.sms_url = secret("https://sms.test")), "sms_token");
}

#[test]
fn no_refusal_repeats_a_secret() {
    let mut config = Config { sms_token: secret("tulip token\u{7f}"), sms_url: secret("tulip://tulip"), ..production() };
    for url in [
        &mut config.database_url,
        &mut config.database_url_user,
        &mut config.redis_url,
        &mut config.smtp_url,
        &mut config.otlp_url,
    ] {
        *url = secret("postgres://tulip:tu/lip@tulip#tulip");
    }
    config.provider_url = Some("https://tulip:tulip@x".to_owned());
    config.public_url = Some("https://tulip:tulip@x".to_owned());
    let told = format!("{} {} {config:?}", refused(&config), config.problems_of_serving());
    let shown = config.redacted().unwrap();
    assert!(refused(&config).list().len() > 6, "{told}");
    let plain = told.replace("https://tulip:tulip@x", "");
    assert!(!plain.contains("tulip") && !plain.contains("lip@"), "{plain}");
    assert!(!shown.replace("https://tulip:tulip@x", "").contains("tulip"), "{shown}");
}

#[test]
fn every_key_is_shown_and_no_password() {
    let config = Config {
        database_url: secret("postgres://me:pw-4711@db/berth"),
        otlp_url: secret("https://me:pw-4711@collector"),
        sms_url: secret("https://sms.test/?key=pw-4711"),
        sms_token: secret("pw-4711"),
        provider_server_key: secret("pw-4711"),
        ..Config::default()
    };
    let text = config.redacted().unwrap();
    assert!(known_keys().iter().all(|key| text.contains(key)), "{text}");
    assert!(!text.contains("4711"), "{text}");
    assert!(text.contains("postgres://(hidden)@db/berth") && text.contains("demo = true"), "{text}");
}

#[test]
fn every_setting_is_in_the_operators_table() {
    let page = include_str!("../../../docs/OPERATIONS.md");
    let rows: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix("| `BERTH_")?.split('`').next()).collect();
    for key in known_keys() {
        let variable = key.to_uppercase();
        let general = ["LISTEN_", "SUBGRAPH_", "DATABASE_URL_"].iter().any(|start| {
            let pattern = rows.iter().any(|row| row.starts_with(&format!("{start}<")));
            let roles = Role::ALL.iter().any(|role| variable == format!("{start}{}", role.name().to_uppercase()));
            pattern && roles
        });
        assert!(general || rows.contains(&variable.as_str()), "{variable} is not in docs/OPERATIONS.md");
    }
}

#[test]
fn one_address_each() {
    let router = Config { listen: Some(SocketAddr::from(([127, 0, 0, 1], 9))), ..Config::default() };
    assert_eq!((router.address(Role::Router).port(), router.address(Role::Worker).port()), (9, 4105));
    let booking = Config { roles: "booking".to_owned(), ..router.clone() };
    assert_eq!(booking.address(Role::Service(Service::Booking)).port(), 9);
    let two = Config { roles: "booking,worker".to_owned(), ..router };
    assert_eq!(two.address(Role::Service(Service::Booking)).port(), 4103);
}

#[test]
fn replicas_are_listed() {
    let config = Config { subgraph_user: Some("http://a:1/graphql, http://b:2/".to_owned()), ..Config::default() };
    assert_eq!(config.subgraph(Service::User), ["http://a:1", "http://b:2"]);
    assert_eq!(config.subgraph(Service::Inventory), ["http://127.0.0.1:4102"]);
}
