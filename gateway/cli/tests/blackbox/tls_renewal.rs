//! Certificates that are renewed while the gateway serves.

use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::pki_types::CertificateDer;

use crate::response_h2::Http2;
use crate::samples::CALLS;
use crate::support::certificates::{Caller, Pair};
use crate::support::{Gateway, Upstream, waiting};
use crate::tls_names::{config, launch, reader};

fn pair() -> Pair {
    Pair::of(&["gateway.test"])
}

fn put(gateway: &Gateway, name: &str, pair: &Pair) {
    gateway.write_file(&format!("{name}.crt"), &pair.certificate);
    gateway.write_file(&format!("{name}.key"), &pair.key);
}

fn shown(gateway: &Gateway) -> CertificateDer<'static> {
    Caller::new().shown(gateway, "gateway.test")
}

fn await_shown(gateway: &Gateway, pair: &Pair) {
    waiting::until("the new certificate", || (shown(gateway) == pair.der()).then_some(()));
}

fn await_logged(gateway: &Gateway, told: &str) {
    waiting::until(told, || gateway.log.all().iter().any(|line| line.contains(told)).then_some(()));
}

fn last_reload(gateway: &Gateway) -> String {
    gateway.admin("GET", "/admin/v1/status").send().json()["last_reload"].to_string()
}

/// Nobody notices: no handshake fails meanwhile, and connections go on.
#[test]
fn a_renewed_certificate_is_shown_from_then_on_and_connections_live_on() {
    let upstream = Upstream::answering(200, CALLS);
    let (old, new) = (pair(), pair());
    let gateway = launch(&config(&upstream, ""), &[("main", &old)]).start();
    let stream = Caller::new().offering(&["h2"]).call(&gateway, "gateway.test").unwrap();
    let mut kept = Http2::over(stream);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let handshakes = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let shown = shown(&gateway);
                assert!(shown == old.der() || shown == new.der());
            }
        });
        put(&gateway, "main", &new);
        await_shown(&gateway, &new);
        done.store(true, Ordering::Relaxed);
        handshakes.join().unwrap();
    });
    for _ in 0..2 {
        let asked = kept.get("/api/calls", &reader().text);
        assert!(kept.answer(asked).is_ended);
    }
    assert_eq!(Caller::new().get(&gateway, &reader()).map(|(status, _)| status), Some(200));
    assert_eq!(gateway.metric("colonnade_tls_handshakes_total", &[("result", "failed")]), 0.0);
}

/// A certificate that arrives before its key is as a faulty configuration until the key is there.
#[test]
fn half_a_renewal_keeps_the_old_pair_in_service() {
    let upstream = Upstream::answering(200, CALLS);
    let (old, new) = (pair(), pair());
    let gateway = launch(&config(&upstream, ""), &[("main", &old)]).start();
    let failures = || gateway.metric("colonnade_reloads_total", &[("result", "failed")]);
    gateway.write_file("main.crt", &new.certificate);
    await_logged(&gateway, "listeners[0].tls.key: the key is not this certificate's");
    waiting::until("the count of it", || (failures() >= 1.0).then_some(()));
    assert!(last_reload(&gateway).contains("\"ok\":false"), "{}", last_reload(&gateway));
    assert!(shown(&gateway) == old.der());
    // Asked for, it is told again.
    let reload = gateway.admin("POST", "/admin/v1/reload").send();
    assert_eq!(reload.status, 422, "{}", reload.text());
    assert!(reload.text().contains("listeners[0].tls.key"), "{}", reload.text());
    assert!(shown(&gateway) == old.der());
    gateway.write_file("main.key", &new.key);
    await_shown(&gateway, &new);
    // Told a moment after it is shown.
    waiting::until("the good reload", || {
        last_reload(&gateway).contains("\"ok\":true").then_some(())
    });
}

/// A file that goes, and a file that is cut off, are no reason to stop serving.
#[test]
fn files_that_go_or_are_spoilt_keep_the_old_pair_in_service() {
    let upstream = Upstream::answering(200, CALLS);
    let (old, new) = (pair(), pair());
    let gateway = launch(&config(&upstream, ""), &[("main", &old)]).start();
    std::fs::remove_file(gateway.folder().join("main.key")).unwrap();
    await_logged(&gateway, "listeners[0].tls.key: cannot read");
    gateway.write_file("main.crt", &new.certificate[..100]);
    await_logged(&gateway, "listeners[0].tls.certificate: there is no certificate");
    assert!(shown(&gateway) == old.der());
    put(&gateway, "main", &new);
    await_shown(&gateway, &new);
}

/// A Secret that is mounted: what changes is where a link leads.
#[test]
fn a_link_that_leads_elsewhere_is_a_renewal() {
    let upstream = Upstream::answering(200, CALLS);
    let (old, new) = (pair(), pair());
    let launch = launch(&config(&upstream, ""), &[("one", &old), ("two", &new)]);
    let folder = launch.directory_path().parent().unwrap().to_owned();
    for name in ["one", "two"] {
        std::fs::create_dir(folder.join(name)).unwrap();
        for end in ["crt", "key"] {
            let from = folder.join(format!("{name}.{end}"));
            std::fs::rename(from, folder.join(name).join(format!("main.{end}"))).unwrap();
        }
    }
    symlink("one", folder.join("data")).unwrap();
    for end in ["crt", "key"] {
        symlink(format!("data/main.{end}"), folder.join(format!("main.{end}"))).unwrap();
    }
    let gateway = launch.start();
    assert!(shown(&gateway) == old.der());
    symlink("two", folder.join("data.next")).unwrap();
    std::fs::rename(folder.join("data.next"), folder.join("data")).unwrap();
    await_shown(&gateway, &new);
}

/// All or nothing: neither rules nor certificates of a configuration of which one cannot be used.
#[test]
fn a_configuration_waits_for_its_certificates() {
    let upstream = Upstream::answering(200, CALLS);
    let (old, new) = (pair(), pair());
    let served = config(&upstream, "");
    let gateway = launch(&served, &[("main", &old)]).start();
    let next = served.text().replace("main.crt, key: main.key", "next.crt, key: next.key");
    let next = next.replace("x-api-key]", "basic]");
    gateway.reload_refused("gateway.yaml", &next, "next.crt");
    assert!(shown(&gateway) == old.der());
    let by_header = || {
        let line = format!("X-Api-Key: {}\r\n", reader().text);
        Caller::new().ask(&gateway, &line).map(|(status, _)| status)
    };
    assert_eq!(by_header(), Some(200), "the rules are the old ones");
    // What is served is renewed all the same.
    let renewed = pair();
    put(&gateway, "main", &renewed);
    await_shown(&gateway, &renewed);
    put(&gateway, "next", &new);
    await_shown(&gateway, &new);
    assert_eq!(by_header(), Some(401), "the rules came with the certificates");
    // From now on its own files are the ones to look at.
    put(&gateway, "next", &old);
    await_shown(&gateway, &old);
}

#[test]
fn a_configuration_that_waits_is_forgotten_with_the_next_one() {
    let upstream = Upstream::answering(200, CALLS);
    let (old, renewed) = (pair(), pair());
    let served = config(&upstream, "");
    let gateway = launch(&served, &[("main", &old)]).start();
    let next = served.text().replace("main.crt, key: main.key", "next.crt, key: next.key");
    gateway.reload_refused("gateway.yaml", &next, "next.crt");
    gateway.write_file("gateway.yaml", &served.marked(1));
    let reload = gateway.admin("POST", "/admin/v1/reload").send();
    assert_eq!(reload.status, 200, "{}", reload.text());
    put(&gateway, "next", &pair());
    // Under the one that waited these files would be nobody's.
    put(&gateway, "main", &renewed);
    await_shown(&gateway, &renewed);
}

/// Certificates come and go with the configuration; sockets stay, and what they need is told.
#[test]
fn a_reload_changes_what_is_shown_but_not_where_it_is_served() {
    let upstream = Upstream::answering(200, CALLS);
    let (main, more) = (pair(), Pair::of(&["more.test"]));
    let plain = config(&upstream, "");
    let gateway = launch(&plain, &[("main", &main), ("more", &more)]).start();
    let asked = || Caller::new().shown(&gateway, "more.test");
    assert!(asked() == main.der());
    let reload = |text: &str| {
        gateway.write_file("gateway.yaml", text);
        let reload = gateway.admin("POST", "/admin/v1/reload").send();
        assert_eq!(reload.status, 200, "{}", reload.text());
    };
    let restart = || gateway.log.all().iter().filter(|line| line.contains("next start")).count();
    reload(&config(&upstream, ", certificates: [{ certificate: more.crt, key: more.key }]").text());
    assert!(asked() == more.der());
    reload(&plain.text());
    assert!(asked() == main.der());
    assert_eq!(restart(), 0);
    // Without TLS, and so until the next start with what it had.
    reload(&plain.section("listeners", "\n  - { address: \"127.0.0.1:0\" }").text());
    assert!(asked() == main.der());
    assert_eq!(restart(), 1);
}

/// The same where accounts and keys are in a database; and a faulty configuration holds up no renewal.
#[test]
fn certificates_are_renewed_with_a_store_and_behind_a_faulty_configuration() {
    let upstream = Upstream::answering(200, CALLS);
    let pairs = [pair(), pair(), pair()];
    let config = config(&upstream, "").section("store", "{ sqlite: colonnade.db }");
    let gateway = launch(&config, &[("main", &pairs[0])]).start();
    gateway.write_file("main.crt", &pairs[1].certificate);
    await_logged(&gateway, "the key is not this certificate's");
    gateway.write_file("main.key", &pairs[1].key);
    await_shown(&gateway, &pairs[1]);
    gateway.reload_refused("gateway.yaml", &config.text().replace("keys:", "kyes:"), "kyes");
    put(&gateway, "main", &pairs[2]);
    await_shown(&gateway, &pairs[2]);
}
