use super::*;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const PING: u8 = 6;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
/// `:method: GET`, of the static table.
const GET: &[u8] = &[0x82];

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
}

fn begun() -> Guard {
    let mut guard = Guard::default();
    guard.pass(&mut PREFACE.to_vec()).expect("a preface");
    guard
}

/// How many of these frames pass, of so many.
fn passing(guard: &mut Guard, frames: &[Vec<u8>], of: usize) -> usize {
    let mut all = frames.iter().cycle().take(of);
    all.position(|frame| guard.pass(&mut frame.clone()).is_err()).unwrap_or(of)
}

#[test]
fn frames_that_ask_for_nothing_end_a_connection() {
    let most = FRAMES_BEFORE as usize;
    for (what, flood, passes) in [
        ("PING", frame(PING, 0, &[0; 8]), most),
        ("SETTINGS", frame(SETTINGS, 0, &[0, 4, 0, 0, 0, 1]), most),
        ("long SETTINGS", frame(SETTINGS, 0, &[0; 6 * 1_000]), most / 47),
        ("WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, &[0, 0, 0, 1]), most),
        ("PRIORITY", frame(2, 0, &[0; 5]), most),
        ("empty DATA", frame(DATA, 0, &[]), most),
        ("an unknown kind", frame(0x7a, 0, &[]), most),
        ("RST_STREAM", frame(RST_STREAM, 0, &[0; 4]), RESETS_BEFORE as usize),
        ("DATA", frame(DATA, 0, b"x"), 3 * most),
        ("the end of a body", frame(DATA, END_STREAM, &[]), 3 * most),
        ("requests", frame(HEADERS, END_HEADERS | END_STREAM, GET), 3 * most),
    ] {
        assert_eq!(passing(&mut begun(), &[flood], 3 * most), passes, "{what}");
    }
}

#[test]
fn each_second_request_may_be_reset_and_no_more() {
    let request = || frame(HEADERS, END_HEADERS | END_STREAM, GET);
    let reset = || frame(RST_STREAM, 0, &[0; 4]);
    let rapid = passing(&mut begun(), &[request(), reset()], 100_000);
    assert_eq!(rapid, 4 * RESETS_BEFORE as usize + 1, "twice as many resets as at first");
    let patient = [request(), request(), reset()];
    assert_eq!(passing(&mut begun(), &patient, 100_000), 100_000);
}

#[test]
fn requests_and_answers_are_worth_frames() {
    let request = || frame(HEADERS, END_HEADERS | END_STREAM, GET);
    let update = || frame(WINDOW_UPDATE, 0, &[0, 0, 0, 1]);
    let usual = [vec![request()], vec![update(); FRAMES_PER_REQUEST as usize]].concat();
    assert_eq!(passing(&mut begun(), &usual, 100_000), 100_000);
    // A download: two updates for each frame of the longest kind.
    let mut guard = begun();
    for _ in 0..100_000 {
        guard.answered(16 << 10);
        assert_eq!(passing(&mut guard, &[update(), update()], 2), 2);
    }
    assert_eq!(passing(&mut guard, &[update()], 100_000), FRAMES_MAX as usize - 2, "and no hoard");
}

#[test]
fn what_has_begun_and_is_no_body_is_midway() {
    let mut guard = begun();
    let mut step = |bytes: &[u8]| {
        guard.pass(&mut bytes.to_vec()).expect("sound");
        guard.midway()
    };
    assert_eq!(step(&[]), None);
    let whole = frame(HEADERS, END_HEADERS, GET);
    let first = step(&whole[..1]);
    assert!(first.is_some());
    assert_eq!(step(&whole[1..9]), first, "the same, however it drips");
    assert_eq!(step(&whole[9..]), None);
    let second = step(&frame(HEADERS, 0, GET));
    assert!(second.is_some() && second != first);
    assert_eq!(step(&frame(CONTINUATION, 0, GET)), second, "a block is over with its last frame");
    assert_eq!(step(&frame(CONTINUATION, END_HEADERS, GET)), None);
    let body = frame(DATA, 0, b"body");
    assert_eq!((step(&body[..10]), step(&body[10..])), (None, None), "a body has its own time");
    let ping = frame(PING, 0, &[0; 8]);
    assert!(step(&ping[..12]).is_some());
    assert_eq!(step(&ping[12..]), None);
}
