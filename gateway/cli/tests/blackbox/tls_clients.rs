//! Certificates that clients show: they open the connection, and nothing more.

use rustls::HandshakeKind::{Full, Resumed};
use rustls::version::{TLS12, TLS13};

use crate::samples::CALLS;
use crate::support::certificates::{Authority, Caller, Pair};
use crate::support::{Gateway, Key, Upstream, waiting};
use crate::tls_names::{config, launch, reader};

const REQUIRED: &str = ", client_certificates: { ca: clients.pem }";
const OPTIONAL: &str = ", client_certificates: { ca: clients.pem, required: false }";

fn serving(upstream: &Upstream, members: &str, authority: &Authority) -> Gateway {
    let launch = launch(&config(upstream, members), &[("main", &Pair::of(&["gateway.test"]))]);
    launch.write("clients.pem", &authority.pem());
    launch.start()
}

/// One case a row: who shows what, and whether it is served where a certificate is required, and where
/// it is not.
#[test]
fn a_client_is_let_in_by_a_good_certificate_and_never_with_a_bad_one() {
    let upstream = Upstream::answering(200, CALLS);
    let (authority, stranger) = (Authority::new(), Authority::new());
    let (good, foreign) = (authority.client(2020, 2900), stranger.client(2020, 2900));
    let (old, early) = (authority.client(2001, 2002), authority.client(2800, 2900));
    let own = Pair::of(&["client.test"]);
    for (members, is_required) in [(REQUIRED, true), (OPTIONAL, false)] {
        let gateway = serving(&upstream, members, &authority);
        let mut refused = 0;
        for version in [&TLS12, &TLS13] {
            for (what, shows, is_served) in [
                ("none", None, !is_required),
                ("good", Some(&good), true),
                ("of another authority", Some(&foreign), false),
                ("signed by itself", Some(&own), false),
                ("ended", Some(&old), false),
                ("not good yet", Some(&early), false),
            ] {
                let caller = Caller::with(&[version], shows);
                let status = caller.get(&gateway, &reader()).map(|(status, _)| status);
                assert_eq!(status, is_served.then_some(200), "{what} {version:?} {members}");
                refused += u32::from(!is_served);
            }
            // It is no key.
            let stranger = Key::new("stranger", &["calls:read"]);
            let caller = Caller::with(&[version], Some(&good));
            assert_eq!(caller.get(&gateway, &stranger).map(|(status, _)| status), Some(401));
        }
        let failed = || gateway.metric("colonnade_tls_handshakes_total", &[("result", "failed")]);
        waiting::until("the count of those", || (failed() == f64::from(refused)).then_some(()));
    }
}

/// The upstream hears nothing of it, and nothing that a client says of one.
#[test]
fn nothing_goes_up_of_a_clients_certificate() {
    let upstream = Upstream::answering(200, CALLS);
    let authority = Authority::new();
    let gateway = serving(&upstream, REQUIRED, &authority);
    let caller = Caller::with(&[&TLS13], Some(&authority.client(2020, 2900)));
    let lines = format!(
        "Authorization: Bearer {}\r\nX-Forwarded-Client-Cert: Subject=\"CN=admin\"\r\n\
         X-SSL-Client-Verify: SUCCESS\r\nClient-Cert: :AAAA:\r\n",
        reader().text
    );
    assert_eq!(caller.ask(&gateway, &lines).map(|(status, _)| status), Some(200));
    let head = upstream.last().head.to_lowercase();
    assert!(!["cert", "ssl", "client.test"].iter().any(|told| head.contains(told)), "{head}");
}

/// A session that is resumed was judged when it began, which may be long ago.
#[test]
fn sessions_are_resumed_unless_clients_show_certificates() {
    let upstream = Upstream::answering(200, CALLS);
    let authority = Authority::new();
    let client = authority.client(2020, 2900);
    for (members, kind) in [("", Resumed), (REQUIRED, Full), (OPTIONAL, Full)] {
        let gateway = serving(&upstream, members, &authority);
        for version in [&TLS12, &TLS13] {
            let caller = Caller::with(&[version], Some(&client));
            assert_eq!(caller.get(&gateway, &reader()), Some((200, Full)));
            assert_eq!(caller.get(&gateway, &reader()), Some((200, kind)), "{version:?} {members}");
        }
    }
}

/// An authority that is taken away signs no more, for whoever was in before as well.
#[test]
fn who_was_let_in_before_is_not_let_in_by_an_authority_that_is_gone() {
    let upstream = Upstream::answering(200, CALLS);
    let (authority, next) = (Authority::new(), Authority::new());
    let client = authority.client(2020, 2900);
    for members in ["", REQUIRED] {
        let gateway = serving(&upstream, members, &authority);
        let callers = [&TLS12, &TLS13].map(|version| Caller::with(&[version], Some(&client)));
        for caller in &callers {
            assert_eq!(caller.get(&gateway, &reader()), Some((200, Full)));
        }
        gateway.write_file("clients.pem", &next.pem());
        gateway.write_file("gateway.yaml", &config(&upstream, REQUIRED).text());
        let reload = gateway.admin("POST", "/admin/v1/reload").send();
        assert_eq!(reload.status, 200, "{}", reload.text());
        for caller in &callers {
            assert_eq!(caller.get(&gateway, &reader()), None, "{members}");
        }
        let new = Caller::with(&[&TLS13], Some(&next.client(2020, 2900)));
        assert_eq!(new.get(&gateway, &reader()), Some((200, Full)));
    }
}
