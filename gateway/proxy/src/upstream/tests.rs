#![allow(clippy::unwrap_used)]
use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::balance::Balance;
use crate::breaker::BreakerRule;
use crate::health::HealthRule;
use crate::outlier::OutlierRule;
use crate::upstreams::{ServerSpec, Upstreams};

const LONG: Duration = Duration::from_secs(600);

fn spec(weights: &[u32]) -> UpstreamSpec {
    let server = |(index, weight): (usize, &u32)| ServerSpec {
        address: format!("127.0.0.1:{}", 9000 + index),
        weight: *weight,
    };
    UpstreamSpec {
        servers: weights.iter().enumerate().map(server).collect(),
        outlier: OutlierRule {
            consecutive_failures: 3,
            base_ejection: LONG,
            max_ejection: LONG,
            max_ejected_percent: 100,
        },
        breaker: BreakerRule { consecutive_failures: 3, probe_interval: LONG },
        ..UpstreamSpec::example(Duration::from_secs(1))
    }
}

fn upstream(spec: UpstreamSpec) -> Arc<Upstream> {
    only(&Upstreams::build(vec![spec], None))
}

fn only(upstreams: &Upstreams) -> Arc<Upstream> {
    Arc::clone(upstreams.iter().next().unwrap())
}

fn endpoint(upstream: &Upstream, server: usize) -> Arc<Endpoint> {
    Arc::clone(&upstream.servers()[server][0])
}

fn fail(upstream: &Upstream, server: usize) {
    for _ in 0..upstream.spec.outlier.consecutive_failures {
        upstream.server_failed(&endpoint(upstream, server), Symptom::Died);
    }
}

/// Which servers get so many requests, and how many each.
fn shares(upstream: &Arc<Upstream>, requests: usize) -> BTreeMap<usize, usize> {
    let mut shares = BTreeMap::new();
    for _ in 0..requests {
        let picked = upstream.pick(Pass::Ordinary, &[]).unwrap();
        *shares.entry(picked.endpoint.server).or_default() += 1;
    }
    shares
}

#[test]
fn a_tried_server_is_passed_over_and_all_tried_is_none() {
    for balance in [Balance::RoundRobin, Balance::LeastConnections, Balance::Random] {
        let upstream = upstream(UpstreamSpec { balance, ..spec(&[5, 1]) });
        let both = [endpoint(&upstream, 0), endpoint(&upstream, 1)];
        for pass in [Pass::Ordinary, Pass::Probe] {
            for _ in 0..20 {
                let picked = upstream.pick(pass, &both[..1]).unwrap();
                assert_eq!(picked.endpoint.server, 1, "{balance:?} {pass:?}");
            }
            assert!(upstream.pick(pass, &both).is_none());
        }
    }
}

#[test]
fn least_connections_takes_the_idle_one_by_weight() {
    let spec = UpstreamSpec { balance: Balance::LeastConnections, ..spec(&[1, 3]) };
    let upstream = upstream(spec);
    let under_way: Vec<Picked> =
        (0..8).map(|_| upstream.pick(Pass::Ordinary, &[]).unwrap()).collect();
    let on_first = under_way.iter().filter(|picked| picked.endpoint.server == 0).count();
    assert_eq!(on_first, 2, "a quarter of what is under way");
    drop(under_way);
    assert_eq!(endpoint(&upstream, 0).in_flight() + endpoint(&upstream, 1).in_flight(), 0);
}

#[test]
fn equals_take_turns_where_nobody_is_busy() {
    let spec = UpstreamSpec { balance: Balance::LeastConnections, ..spec(&[1, 1]) };
    assert_eq!(shares(&upstream(spec), 10), BTreeMap::from([(0, 5), (1, 5)]));
}

/// What falls on a server that is out goes to the others by their weights.
#[test]
fn weights_hold_with_and_without_a_server() {
    let upstream = upstream(spec(&[4, 2, 1]));
    assert_eq!(shares(&upstream, 700), BTreeMap::from([(0, 400), (1, 200), (2, 100)]));
    fail(&upstream, 1);
    let left = shares(&upstream, 1_400);
    assert_eq!(left.keys().copied().collect::<Vec<_>>(), [0, 2]);
    assert!((1_100..=1_140).contains(&left[&0]), "four of five of 1 400: {left:?}");
}

#[test]
fn the_last_server_is_never_ejected() {
    let upstream = upstream(spec(&[1, 1, 1]));
    for (server, in_service) in [(0, 2), (1, 1), (2, 1), (2, 1)] {
        fail(&upstream, server);
        assert_eq!(upstream.in_service(), in_service, "{server}");
    }
    assert_eq!(upstream.tally().of(Count::Ejected), 2);
    assert_eq!(shares(&upstream, 9), BTreeMap::from([(2, 9)]));
}

/// From many threads at once, too.
#[test]
fn the_last_server_is_never_ejected_in_a_race() {
    for _ in 0..200 {
        let upstream = upstream(spec(&[1, 1]));
        let start = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            for server in 0..2 {
                let (upstream, start) = (&upstream, &start);
                scope.spawn(move || {
                    start.wait();
                    fail(upstream, server);
                });
            }
        });
        assert_eq!(upstream.in_service(), 1);
    }
}

/// The one that is left begins to fail its checks: who was ejected is better asked than nobody.
#[test]
fn an_ejected_server_is_asked_where_no_other_is_healthy() {
    let rule =
        HealthRule { path: "/".into(), interval: LONG, unhealthy_after: 1, healthy_after: 1 };
    let upstream = upstream(UpstreamSpec { health: Some(rule.clone()), ..spec(&[1, 1]) });
    fail(&upstream, 0);
    assert_eq!(shares(&upstream, 4), BTreeMap::from([(1, 4)]));
    endpoint(&upstream, 1).health.ended(false, &rule);
    assert_eq!(shares(&upstream, 4), BTreeMap::from([(0, 4)]));
    endpoint(&upstream, 0).health.ended(false, &rule);
    assert!(upstream.pick(Pass::Ordinary, &[]).is_none());
    assert!(!upstream.has_healthy());
}

#[tokio::test]
async fn places_come_back_and_an_open_breaker_gives_none() {
    let upstream = upstream(UpstreamSpec { connections_max: 2, ..spec(&[1]) });
    let permits = (upstream.enter().await.unwrap(), upstream.enter().await.unwrap());
    let full = Shed::NoPlace(NoPlace::Full);
    assert_eq!(upstream.enter().await.err(), Some(full), "the third is over connections_max");
    drop(permits);
    let permit = upstream.enter().await.unwrap();
    assert_eq!(permit.pass, Pass::Ordinary);
    drop(permit);
    (0..3).for_each(|_| upstream.request_failed(Pass::Ordinary));
    assert_eq!(upstream.enter().await.err(), Some(Shed::BreakerOpen));
    assert_eq!((upstream.in_service(), upstream.places.taken()), (0, 0));
    upstream.request_answered(Pass::Probe);
    assert!(upstream.enter().await.is_ok());
}

/// A probe finds out who is back, whoever was ejected; and who answers it is.
#[test]
fn a_probe_goes_to_ejected_servers_too() {
    let upstream = upstream(spec(&[1, 1]));
    fail(&upstream, 0);
    let mut asked: Vec<usize> =
        (0..4).map(|_| upstream.pick(Pass::Probe, &[]).unwrap().endpoint.server).collect();
    asked.sort_unstable();
    assert_eq!(asked, [0, 0, 1, 1]);
    upstream.server_answered(&endpoint(&upstream, 0), Pass::Probe);
    assert_eq!(upstream.in_service(), 2);
}

/// All addresses of a name are used, share its weight, and keep what is known of them as long as the
/// name has them.
#[test]
fn a_name_stands_for_all_its_addresses() {
    let upstream = Upstream::new(spec(&[2, 1]), None);
    let at = |address: &str| -> SocketAddr { address.parse().unwrap() };
    let [one, two, three, alone] =
        ["10.0.0.1:80", "10.0.0.2:80", "[fd00::3]:80", "10.0.1.1:80"].map(at);
    let resolve = |found: &[SocketAddr]| {
        let (name, found) = (upstream.spec.servers[0].address.clone(), found.to_vec());
        upstream.resolve(&|asked: &str| if asked == name { found.clone() } else { vec![alone] });
    };
    let upstream = {
        resolve(&[two, one, two]);
        Arc::new(upstream)
    };
    let asked = |requests: usize| {
        let mut asked = BTreeMap::<SocketAddr, usize>::new();
        for _ in 0..requests {
            let picked = upstream.pick(Pass::Ordinary, &[]).unwrap();
            *asked.entry(picked.endpoint.address).or_default() += 1;
        }
        asked
    };
    assert_eq!(asked(600), BTreeMap::from([(one, 200), (two, 200), (alone, 200)]));
    fail(&upstream, 0);
    assert_eq!(asked(6).get(&one), None, "the first of them was ejected, the other goes on");
    let resolve = |found: &[SocketAddr]| {
        let (name, found) = (upstream.spec.servers[0].address.clone(), found.to_vec());
        upstream.resolve(&|asked: &str| if asked == name { found.clone() } else { vec![alone] });
    };
    resolve(&[three, one]);
    let now = asked(600);
    assert!(now.contains_key(&three) && !now.contains_key(&two), "{now:?}");
    assert!(!now.contains_key(&one), "still ejected: {now:?}");
    resolve(&[]);
    assert_eq!(asked(600), now, "a name that stops resolving keeps what it had");
}

#[test]
fn what_is_known_survives_a_reload_that_changes_nothing() {
    let calls = spec(&[1, 1]);
    let before = Upstreams::build(vec![calls.clone()], None);
    fail(&only(&before), 0);
    let same = Upstreams::build(vec![calls.clone()], Some(&before));
    assert_eq!((only(&same).in_service(), only(&same).tally().of(Count::Ejected)), (1, 1));
    let other = UpstreamSpec { connections_max: 11, ..calls };
    let changed = Upstreams::build(vec![other], Some(&same));
    assert_eq!(only(&changed).in_service(), 2, "another upstream begins well");
    assert_eq!(only(&changed).tally().of(Count::Ejected), 1, "a counter never goes back");
}

/// A reload while the name server is away changes what was changed, and loses no address.
#[test]
fn a_changed_upstream_keeps_the_addresses_of_names_that_do_not_resolve_now() {
    let address = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let mut before = spec(&[1, 1]);
    before.servers[0].address = "one.test:80".into();
    before.servers[1].address = "two.test:80".into();
    let found = |server: &str| match server {
        "one.test:80" => vec![address(1), address(2)],
        _ => vec![address(3)],
    };
    let known = Upstreams::built(vec![before.clone()], None, &found);
    let mut changed = UpstreamSpec { pending_max: 5, ..before };
    changed.servers.swap(0, 1);
    changed.servers.push(ServerSpec { address: "new.test:80".into(), weight: 1 });
    let after = Upstreams::built(vec![changed.clone()], Some(&known), &|_: &str| Vec::new());
    let addresses = |upstreams: &Upstreams| -> Vec<Vec<SocketAddr>> {
        let servers = only(upstreams).servers();
        let of = |server: &Vec<Arc<Endpoint>>| server.iter().map(|one| one.address).collect();
        servers.iter().map(of).collect()
    };
    assert_eq!(addresses(&after), [vec![address(3)], vec![address(1), address(2)], vec![]]);
    let resolved = Upstreams::built(
        vec![UpstreamSpec { pending_max: 6, ..changed }],
        Some(&after),
        &|_: &str| vec![address(9)],
    );
    assert_eq!(addresses(&resolved), [[address(9)], [address(9)], [address(9)]]);
}

/// One that has no address is not asked, so it passes no check for the others.
#[test]
fn a_server_without_an_address_is_not_healthy_for_the_others() {
    let mut two = spec(&[1, 1]);
    two.servers[1].address = "nowhere.test:80".into();
    let rule =
        HealthRule { path: "/".into(), interval: LONG, unhealthy_after: 1, healthy_after: 1 };
    two.health = Some(rule.clone());
    let look_up = |server: &str| server.parse().into_iter().collect();
    let upstream = only(&Upstreams::built(vec![two], None, &look_up));
    assert!(upstream.has_healthy(), "a new server is healthy");
    endpoint(&upstream, 0).health.ended(false, &rule);
    assert!(!upstream.has_healthy());
}
