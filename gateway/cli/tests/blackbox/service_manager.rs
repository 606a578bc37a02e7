//! What a service manager hears over `NOTIFY_SOCKET`, by sd_notify(3).

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use tempfile::TempDir;

use crate::samples::CALLS;
use crate::support::gateway::Launch;
use crate::support::{Config, Directory, Gate, Key, Reply, Upstream, waiting};

/// A manager that listens in a folder of its own.
struct Manager {
    folder: TempDir,
    socket: UnixDatagram,
}

impl Manager {
    fn new() -> Manager {
        let folder = TempDir::new().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(waiting::DEADLINE)).unwrap();
        Manager { folder, socket }
    }

    fn launch(&self, config: &Config, key: &Key) -> Launch {
        let directory = Directory::of([key.clone()]);
        Launch::files(&config.text(), &directory.text())
            .variable("NOTIFY_SOCKET", self.folder.path().join("notify").display())
    }

    /// The lines of the next message that is no sign of life.
    fn next(&self) -> Vec<String> {
        loop {
            let message = self.any();
            if message != ["WATCHDOG=1"] {
                return message;
            }
        }
    }

    fn any(&self) -> Vec<String> {
        let mut bytes = [0; 4096];
        let len = self.socket.recv(&mut bytes).expect("a message before the deadline");
        std::str::from_utf8(&bytes[..len]).unwrap().lines().map(str::to_owned).collect()
    }
}

fn reader() -> Key {
    Key::new("k", &["calls:read"])
}

/// READY=1 comes when every address answers, around each reload, and the end is told before it is waited for.
#[test]
fn ready_reloading_and_stopping_are_told() {
    let manager = Manager::new();
    let gate = Gate::new();
    let upstream = Upstream::replying(Reply::json(CALLS).behind(&gate));
    let (config, key) = (Config::with_upstream(&upstream), reader());
    let config = config.section("drain", "{ delay: 0s, grace: 20s }");
    let mut gateway = manager.launch(&config, &key).start();
    assert_eq!(manager.next(), ["READY=1", "STATUS=serving"]);
    assert_eq!(gateway.telemetry("/readyz").status, 200);

    gateway.signal("HUP");
    let reloading = manager.next();
    assert_eq!(reloading[0], "RELOADING=1");
    let since = reloading[1].strip_prefix("MONOTONIC_USEC=").expect("when it began");
    assert!(since.parse::<u64>().unwrap() > 0);
    assert_eq!(manager.next(), ["READY=1", "STATUS=serving"]);

    std::fs::write(gateway.folder().join("gateway.yaml"), "version: 2\n").unwrap();
    gateway.signal("HUP");
    assert_eq!(manager.next()[0], "RELOADING=1");
    let failed = manager.next();
    assert_eq!(failed[0], "READY=1", "it serves what it served");
    assert!(failed[1].contains("failed"), "{failed:?}");

    let mut connection = gateway.connect();
    connection.send(gateway.get("/api/calls").bearer(&key).bytes());
    gate.await_reached(1);
    gateway.signal("TERM");
    assert_eq!(manager.next(), ["STOPPING=1", "STATUS=draining"]);
    assert!(gateway.is_running(), "it waits for what is under way");
    gate.open();
    assert_eq!(connection.answer().status, 200);
    assert_eq!(gateway.await_end().code(), Some(0));
}

/// The manager learns whom to look after when another process takes over, and signs of life come from it.
#[test]
fn who_takes_over_is_told() {
    let manager = Manager::new();
    let upstream = Upstream::answering(200, CALLS);
    let (config, key) = (Config::with_upstream(&upstream), reader());
    let mut gateway = manager
        .launch(&config, &key)
        .variable("WATCHDOG_USEC", 200_000)
        .variable("WATCHDOG_PID", "1")
        .start();
    assert_eq!(manager.next(), ["READY=1", "STATUS=serving"]);
    gateway.exchange();
    let told = [manager.next(), manager.next()];
    assert!(told.contains(&vec![format!("MAINPID={}", gateway.pid())]), "{told:?}");
    assert!(told.contains(&vec!["READY=1".to_owned(), "STATUS=serving".to_owned()]), "{told:?}");
    assert_eq!(gateway.await_first_end().code(), Some(0));
    assert_eq!(manager.any(), ["WATCHDOG=1"], "whoever was watched before");
}

/// WATCHDOG_USEC asks for signs of life; they come at half of it, and do not without.
#[test]
fn signs_of_life_are_sent_to_who_asks() {
    let manager = Manager::new();
    let upstream = Upstream::answering(200, CALLS);
    let (config, key) = (Config::with_upstream(&upstream), reader());
    let gateway = manager.launch(&config, &key).variable("WATCHDOG_USEC", 200_000).start();
    let signs = (0..6).filter(|_| manager.any() == ["WATCHDOG=1"]).count();
    assert!(signs >= 5, "{signs}: one of six says that it is ready");
    drop(gateway);

    let manager = Manager::new();
    let gateway = manager.launch(&config, &key).start();
    assert_eq!(manager.any()[0], "READY=1");
    manager.socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    assert!(manager.socket.recv(&mut [0; 64]).is_err(), "nobody asked");
    drop(gateway);
}

/// A manager that is gone, or does not read, holds nothing up.
#[test]
fn a_manager_that_does_not_listen_holds_nothing_up() {
    let upstream = Upstream::answering(200, CALLS);
    let (config, key) = (Config::with_upstream(&upstream), reader());
    let deaf = Manager::new();
    let gateway = deaf.launch(&config, &key).variable("WATCHDOG_USEC", 2_000).start();
    // More signs of life than the socket and the queue before it hold.
    waiting::until("the queue to be full", || {
        let is_told = |line: &serde_json::Value| line.to_string().contains("does not read");
        gateway.log.json().iter().any(is_told).then_some(())
    });
    assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200);
    assert_eq!(gateway.telemetry("/readyz").status, 200);
    drop(gateway);

    let gone = Manager::new();
    let launch = gone.launch(&config, &key);
    drop(gone);
    let gateway = launch.start();
    assert_eq!(gateway.get("/api/calls").bearer(&key).send().status, 200);
}
