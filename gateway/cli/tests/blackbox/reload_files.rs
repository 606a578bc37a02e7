//! What the files of a running gateway may become: pipes, moved, full of plain keys (A6, X12).

use crate::samples::CALLS;
use crate::support::{Config, Directory, Gateway, Key, Upstream, waiting};

fn reader(id: &str) -> Key {
    Key::new(id, &["calls:read"])
}

/// A6: a key in plain text is a fault wherever it stands in a record, and no report repeats it.
#[test]
fn a_plain_key_in_the_directory_is_never_repeated() {
    let upstream = Upstream::answering(200, CALLS);
    let good = reader("good");
    let uuid = "6f1c2d3e-4a5b-4c6d-8e7f-9a0b1c2d3e4f";
    let pair = "CLIENTKEY0123456789ab:CLIENTSECRET0123456789";
    let members = ["key", "secret", "digest", "display", "name", "digests", "expires_at", "teams"];
    let gateway = Gateway::start(&Config::with_upstream(&upstream), &Directory::of([good.clone()]));
    for secret in [&*reader("broken").text, uuid, pair, "hunter2hunter2"] {
        for member in members {
            let broken = Key::with_text("broken", secret, &["calls:read"]).with(member, secret);
            gateway.write_file("directory.yaml", &Directory::of([good.clone(), broken]).text());
            let reload = gateway.admin("POST", "/admin/v1/reload").send();
            assert!(reload.text().contains("keys.broken"), "{member}: {}", reload.text());
            assert_eq!(gateway.get("/api/calls").bearer(&good).send().status, 200, "{member}");
            let status = gateway.admin("GET", "/admin/v1/status").send();
            assert!(!status.text().contains(secret), "{member}: {}", status.text());
            assert!(!reload.text().contains(secret), "{member}: {}", reload.text());
        }
        let told = gateway.log.all().into_iter().find(|line| line.contains(secret));
        assert!(told.is_none(), "{told:?}");
    }
}

/// What keys look like decides which names may be shown, also when only that changes.
#[test]
fn a_new_form_of_keys_is_held_against_the_names_that_are_there() {
    let upstream = Upstream::answering(200, CALLS);
    let named = reader("named").with("name", "acme-0123456789abcdef");
    let directory = Directory::of([named.clone(), reader("other")]);
    let config = Config::with_upstream(&upstream);
    let gateway = Gateway::start(&config, &directory);
    assert_eq!(gateway.get("/api/calls").bearer(&named).send().status, 200);
    let text = config.section("keys", "{ prefix: acme- }").text();
    gateway.write_file("gateway.yaml", &text);
    waiting::until("the end of the key that is named like one", || {
        (gateway.get("/api/calls").bearer(&named).send().status == 401).then_some(())
    });
    let status = gateway.admin("GET", "/admin/v1/status").send();
    assert!(status.text().contains("is the text of a key"), "{}", status.text());
    assert_eq!(gateway.get("/api/calls").bearer(&reader("other")).send().status, 200);
}

/// X12: a pipe, a device or a directory in a file's place changes nothing, hangs nothing, and what
/// comes after it is read.
#[test]
fn what_is_no_regular_file_changes_nothing_and_hangs_nothing() {
    let upstream = Upstream::answering(200, CALLS);
    let (old, new) = (reader("old"), reader("new"));
    let gateway = Gateway::start(&Config::with_upstream(&upstream), &Directory::of([old.clone()]));
    for (round, (made, kind)) in
        [("mkfifo $F", "pipe"), ("mkdir $F", "directory"), ("ln -s /dev/zero $F", "device")]
            .into_iter()
            .enumerate()
    {
        for file in ["directory.yaml", "gateway.yaml"] {
            let good = std::fs::read_to_string(gateway.folder().join(file)).unwrap();
            let script = format!("F={file}; mv $F kept; {made}");
            let status = std::process::Command::new("sh")
                .args(["-c", &script])
                .current_dir(gateway.folder())
                .status()
                .unwrap();
            assert!(status.success(), "{script}");
            let told = format!("it is a {kind}");
            waiting::until("the fault in the log", || {
                let lines = gateway.log.all();
                let told = |line: &&String| line.contains(&told) && line.contains(file);
                (lines.iter().filter(told).count() == 1).then_some(())
            });
            let reload = gateway.admin("POST", "/admin/v1/reload").send();
            assert_eq!(reload.status, 422, "{file} {kind}: {}", reload.text());
            assert_eq!(gateway.get("/api/calls").bearer(&old).send().status, 200);
            let path = gateway.folder().join(file);
            std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path)).unwrap();
            gateway.write_file(file, &good);
        }
        let key = if round % 2 == 0 { &new } else { &old };
        let directory = Directory::of([old.clone(), key.clone()]);
        gateway.write_file("directory.yaml", &directory.text());
        waiting::until("the next directory", || {
            (gateway.get("/api/calls").bearer(key).send().status == 200).then_some(())
        });
        gateway.write_file("directory.yaml", &Directory::of([old.clone()]).text());
        waiting::until("the directory after it", || {
            (gateway.get("/api/calls").bearer(&new).send().status == 401).then_some(())
        });
    }
}

/// A configuration that names a directory which is not there yet, or faulty, comes into force with it.
#[test]
fn a_moved_directory_is_waited_for() {
    let upstream = Upstream::answering(200, CALLS);
    let (old, new) = (reader("old"), reader("new"));
    let config = Config::with_upstream(&upstream);
    let gateway = Gateway::start(&config, &Directory::of([old.clone()]));
    let text = config.section("store", "{ file: moved.yaml }").text();
    gateway.reload_refused("gateway.yaml", &text, "moved.yaml");
    assert_eq!(gateway.get("/api/calls").bearer(&old).send().status, 200);
    gateway.write_file("moved.yaml", "version: 2");
    waiting::until("the fault of the new file", || {
        let told = |line: &String| line.contains("moved.yaml:1:10");
        gateway.log.all().iter().any(told).then_some(())
    });
    // What is served goes on being watched.
    gateway.write_file("directory.yaml", &Directory::of([old.clone(), reader("more")]).text());
    waiting::until("the old directory's change", || {
        (gateway.get("/api/calls").bearer(&reader("more")).send().status == 200).then_some(())
    });
    gateway.write_file("moved.yaml", &Directory::of([new.clone()]).text());
    waiting::until("the new directory", || {
        (gateway.get("/api/calls").bearer(&new).send().status == 200).then_some(())
    });
    assert_eq!(gateway.get("/api/calls").bearer(&old).send().status, 401);
    let status = gateway.admin("GET", "/admin/v1/status").send();
    assert_eq!(status.json()["last_reload"]["ok"], true, "{}", status.text());
}
