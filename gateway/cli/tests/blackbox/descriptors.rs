//! A process that has few descriptors: what is set aside for itself is there, and nothing turns in a
//! circle when there is none left.

use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::samples::CALLS;
use crate::support::gateway::Launch;
use crate::support::{Config, Connection, Directory, Gateway, Key, Upstream, waiting};

const DESCRIPTORS: u32 = 256;
const CLIENTS: usize = 400;

fn started(upstream: &Upstream, bounds: &str) -> (Gateway, Key) {
    let key = Key::new("k", &["calls:read"]);
    let config = Config::with_upstream(upstream).section("bounds", bounds);
    let directory = Directory::of([key.clone()]);
    let launch = Launch::files(&config.text(), &directory.text()).descriptors(DESCRIPTORS);
    let mut gateway = launch.start();
    gateway.keep_secret(&directory);
    (gateway, key)
}

/// Connections that are begun; those that nobody accepts wait in the kernel.
fn crowd(gateway: &Gateway) -> Vec<Socket> {
    let begin = |_| {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        let _ = socket.connect(&gateway.address().into());
        socket
    };
    (0..CLIENTS).map(begin).collect()
}

/// CPU time of the process so far.
fn cpu(gateway: &Gateway) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", gateway.pid())).unwrap();
    let behind_name = stat.rsplit_once(')').unwrap().1;
    let mut ticks =
        behind_name.split_whitespace().skip(11).map(|ticks| ticks.parse::<u64>().unwrap());
    // A tick is a hundredth of a second on Linux (`USER_HZ`).
    Duration::from_millis(10 * (ticks.next().unwrap() + ticks.next().unwrap()))
}

/// Its share of one core, over two seconds in which nobody asks for anything.
fn cpu_share(gateway: &Gateway) -> f64 {
    let (began, before) = (Instant::now(), cpu(gateway));
    std::thread::sleep(Duration::from_secs(2));
    (cpu(gateway) - before).as_secs_f64() / began.elapsed().as_secs_f64()
}

fn is_served(gateway: &Gateway, key: &Key) -> bool {
    let mut connection = Connection::open(gateway.address());
    let request = gateway.get("/api/calls").bearer(key).bytes();
    let answer = connection.send(request).try_answer_to("GET");
    answer.is_some_and(|answer| answer.status == 200)
}

/// Without a word of the configuration there are never more clients than leave room for the rest.
#[test]
fn a_crowd_leaves_room_for_the_process_itself() {
    let upstream = Upstream::answering(200, CALLS);
    let (gateway, key) = started(&upstream, "{}");
    let told = gateway.log.json();
    let told = told
        .iter()
        .find(|line| line["fields"]["message"] == "client connections are bounded")
        .expect("the log tells the bound");
    assert_eq!(told["fields"]["descriptors"], DESCRIPTORS);
    let most = told["fields"]["connections"].as_u64().unwrap();
    assert!((16..u64::from(DESCRIPTORS) / 2).contains(&most), "{most}");
    assert!(is_served(&gateway, &key));
    let crowd = crowd(&gateway);
    // The kernel drops some of a burst, and tries them again later.
    waiting::until("most of them to be seen", || {
        let shed = gateway.metric("colonnade_shed_total", &[("bound", "connections")]);
        (shed >= (CLIENTS / 4) as f64).then_some(())
    });
    assert_eq!(gateway.metric("colonnade_connections", &[]), most as f64);
    assert!(cpu_share(&gateway) < 0.2);
    assert_eq!(gateway.telemetry("/readyz").status, 200);
    assert_eq!(gateway.admin("GET", "/admin/v1/status").send().status, 200);
    assert_eq!(gateway.metric("colonnade_shed_total", &[("bound", "descriptors")]), 0.0);
    drop(crowd);
    waiting::until("an answer once they are gone", || is_served(&gateway, &key).then_some(()));
}

/// A configuration may ask for more than there is. Then connections wait, and the process does too.
#[test]
fn without_descriptors_nothing_turns_in_a_circle() {
    let upstream = Upstream::answering(200, CALLS);
    let bounds = "{ connections: 100000, connections_per_address: 100000 }";
    let (gateway, key) = started(&upstream, bounds);
    let warned = |line: &serde_json::Value| {
        line["level"] == "WARN" && line["fields"]["recommended"].is_number()
    };
    gateway.log.await_json("a warning", warned);
    let crowd = crowd(&gateway);
    gateway.log.await_json("the log to say that there are none left", |line| {
        line["fields"]["message"] == "connections cannot be accepted; they wait"
    });
    let share = cpu_share(&gateway);
    assert!(share < 0.2, "{share}");
    let complaints = gateway.log.all().iter().filter(|line| line.contains("they wait")).count();
    assert_eq!(complaints, 1, "and does not say it again and again");
    drop(crowd);
    let released = Instant::now();
    waiting::until("an answer", || is_served(&gateway, &key).then_some(()));
    // Two seconds on a machine that has time; the loop itself waits a tenth of one.
    assert!(released.elapsed() < Duration::from_secs(10), "{:?}", released.elapsed());
    assert!(gateway.metric("colonnade_shed_total", &[("bound", "descriptors")]) >= 1.0);
}
