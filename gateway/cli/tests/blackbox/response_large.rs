//! Large bodies, and many at a time (E12).

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::response_source::Source;
use crate::response_support::{CANARY, Rig, json_head};
use crate::support::answer::Ending;
use crate::support::waiting::DEADLINE;
use crate::support::{Gateway, Reply};

/// What a process has in memory, in KiB, by the kernel's account.
pub(crate) fn resident_kib(gateway: &Gateway) -> usize {
    status_kib(gateway, "VmRSS:")
}

fn status_kib(gateway: &Gateway, name: &str) -> usize {
    let text = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Row `number` as an upstream sends it, and as it is shown.
fn row(number: usize) -> [String; 2] {
    let shown = format!(
        r#"{{"call_id":"call_{number}","note":"Zo\u00eb's {number}th call","n":{number}.50"#
    );
    let hidden = format!(
        r#","phone_number":"c4n4ry-{number}","raw":{{"call_id":"c4n4ry","of":["c4n4ry",{number}]}}"#
    );
    let customer =
        [r#","customer":{"email":"c4n4ry","name":"Ann"}}"#, r#","customer":{"name":"Ann"}}"#];
    [format!("{shown}{hidden}{}", customer[0]), format!("{shown}{}", customer[1])]
}

/// A list of about `bytes`, and what is shown of it.
fn list(bytes: usize) -> [String; 2] {
    let mut bodies = [r#"{"data":["#.to_owned(), r#"{"data":["#.to_owned()];
    for number in 0.. {
        for (body, row) in bodies.iter_mut().zip(row(number)) {
            body.push_str(if number == 0 { "" } else { "," });
            body.push_str(&row);
        }
        if bodies[0].len() >= bytes {
            break;
        }
    }
    bodies.map(|body| body + r#"],"pagination":{"has_more":true}}"#)
}

/// E12, C1: a page of a megabyte, whatever its framing and pieces.
#[test]
fn a_page_of_a_megabyte_is_filtered_row_by_row() {
    let rig = Rig::new();
    let [body, shown] = list(1 << 20);
    for reply in [
        Reply::json(&body),
        Reply::until_close(&body),
        Reply::chunked(&body.as_bytes().chunks(1_000).collect::<Vec<_>>()),
        Reply::chunked(&body.as_bytes().chunks(65_537).collect::<Vec<_>>()),
        Reply::chunked(&body.as_bytes().chunks(7).collect::<Vec<_>>()),
    ] {
        let answer = rig.of("/list", reply);
        assert_eq!((answer.status, answer.ending), (200, Ending::Whole));
        assert!(answer.text() == shown, "{} bytes instead of {}", answer.body.len(), shown.len());
    }
}

/// Reads an answer without keeping it: how many bytes, and whether it ended whole.
fn measured(rig: &Rig, target: &str) -> (usize, bool) {
    let mut stream = TcpStream::connect_timeout(&rig.gateway().address(), DEADLINE).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    let request = rig.gateway().get(target).header("Connection", "close").bearer(&rig.key);
    stream.write_all(&request.bytes()).unwrap();
    let (mut bytes, mut last, mut piece) = (0, Vec::new(), vec![0; 256 << 10]);
    loop {
        let read = stream.read(&mut piece).expect("bytes or the end");
        if read == 0 {
            break;
        }
        bytes += read;
        // What stood at the end of the piece before may go on in this one.
        last.extend(&piece[..read]);
        let found = last.windows(CANARY.len()).step_by(1).any(|some| some == CANARY.as_bytes());
        assert!(!found, "a hidden value within the first {bytes} bytes");
        let kept = last.len().saturating_sub(16);
        last.drain(..kept);
    }
    (bytes, last.ends_with(b"0\r\n\r\n"))
}

/// E12: 200 MB stream through at flat memory: shown for the most part, or hidden as one value.
#[test]
fn two_hundred_megabytes_pass_at_flat_memory() {
    const BYTES: usize = 200 << 20;
    let source = Source::pieces::<&[u8]>(&[]);
    let rig = Rig::with(|config| config.upstream("calls", source.address()));
    let rows: String = (0..300).map(|number| row(number)[0].clone() + ",").collect();
    let hidden = CANARY.repeat(10_000);
    for (what, open, again, close, shown) in [
        ("rows", r#"{"data":["#, rows.clone(), r#"{}]}"#, true),
        ("a hidden value", r#"{"data":[],"x":""#, hidden, r#""}"#, false),
    ] {
        let times = BYTES / again.len();
        source.now_plays(move |stream| {
            stream.write_all((json_head("") + open).as_bytes())?;
            for _ in 0..times {
                stream.write_all(again.as_bytes())?;
            }
            stream.write_all(close.as_bytes())?;
            Ok(false)
        });
        let before = resident_kib(rig.gateway());
        let peak_before = status_kib(rig.gateway(), "VmHWM:");
        let (bytes, whole) = measured(&rig, "/list");
        let peak = status_kib(rig.gateway(), "VmHWM:");
        // A peak that did not move was an earlier one.
        let grown = if peak == peak_before { 0 } else { peak.saturating_sub(before) };
        assert!(grown < 16 << 10, "{what}: {grown} KiB more");
        assert!(whole == shown, "{what}: chunked and ended");
        assert!(if shown { bytes > BYTES / 4 } else { bytes < 2_000 }, "{what}: {bytes} bytes");
    }
    source.now_pieces(&[json_head("Content-Length: 11\r\n").as_bytes(), br#"{"data":[]}"#], true);
}

/// E12: 64 pages of a megabyte at the same time are each their own, at less than 512 KiB each.
#[test]
fn sixty_four_pages_at_a_time() {
    let rig = Rig::new();
    let [body, shown] = list(1 << 20);
    let pieces: Vec<&[u8]> = body.as_bytes().chunks(16 << 10).collect();
    rig.of("/list", Reply::chunked(&pieces));
    let before = resident_kib(rig.gateway());
    let (address, key, shown) = (rig.gateway(), &rig.key, &shown);
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..64)
            .map(|client| {
                scope.spawn(move || {
                    let answer = address.get("/list").bearer(key).send();
                    let good = answer.status == 200
                        && answer.ending == Ending::Whole
                        && answer.text() == *shown;
                    (!good)
                        .then(|| format!("{client}: {} {} bytes", answer.status, answer.body.len()))
                })
            })
            .collect();
        clients.into_iter().filter_map(|client| client.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{wrong:?}");
    let grown = status_kib(rig.gateway(), "VmHWM:").saturating_sub(before);
    assert!(grown < 32 << 10, "{grown} KiB for 64 streams");
}
