#![allow(clippy::unwrap_used)]
use super::*;

#[derive(Debug)]
struct Nowhere;

impl SpanSink for Nowhere {
    fn take(&self, _: SpanFacts) {}
    fn close(&self) {}
}

fn traces(ratio: f64) -> Traces {
    Traces::new(ratio, Box::new(Nowhere))
}

fn offered(flags: &str) -> String {
    format!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-{flags}")
}

/// The flag that goes up is the decision, and the span that it names is the call's.
#[test]
fn what_goes_up_says_what_was_decided() {
    for (ratio, flags, is_trusted, sampled) in [
        (0.0, None, false, false),
        (1.0, None, false, true),
        (0.0, Some("01"), false, false),
        (0.0, Some("01"), true, true),
        (1.0, Some("00"), false, true),
        (1.0, Some("00"), true, false),
        (0.0, Some("03"), true, true),
        (1.0, Some("02"), false, true),
    ] {
        let case = format!("ratio={ratio} flags={flags:?} trusted={is_trusted}");
        let header = flags.map(offered);
        let header = header.as_deref().map(str::as_bytes);
        let (context, recording) = traces(ratio).begin(header, is_trusted, UnixMs(0));
        assert_eq!(recording.is_some(), sampled, "{case}");
        let flag = u8::from_str_radix(&context.header()[53..], 16).unwrap();
        assert_eq!(flag & 1 == 1, sampled, "{case}");
        assert_eq!(flag & 2, if matches!(flags, Some("02" | "03")) { 2 } else { 0 }, "{case}");
        let Some(recording) = recording else { continue };
        assert_eq!(format!("{:032x}", recording.ids.trace_id), context.trace_id(), "{case}");
        assert_eq!(format!("{:016x}", recording.ids.client), context.header()[36..52], "{case}");
        assert_ne!(recording.ids.server, recording.ids.client, "{case}");
        assert_eq!(recording.ids.parent, flags.map(|_| 0xb7ad_6b71_6920_3331), "{case}");
    }
}

#[test]
fn a_ratio_is_kept_whoever_chose_the_trace_id() {
    const REQUESTS: u32 = 20_000;
    // All ones: by its id it would always be sampled.
    let chosen = format!("00-{}-b7ad6b7169203331-01", "f".repeat(32));
    for header in [None, Some(chosen.as_bytes())] {
        let traces = traces(0.1);
        let sampled =
            (0..REQUESTS).filter(|_| traces.begin(header, false, UnixMs(0)).1.is_some()).count();
        assert!((1_700..2_300).contains(&sampled), "{sampled} of {REQUESTS}, {header:?}");
    }
}

#[test]
fn a_trusted_flag_counts_a_bounded_number_of_times_a_second() {
    let traces = traces(0.0);
    let header = offered("01");
    let sampled = |at| {
        (0..FLAGGED_PER_SECOND_MAX * 2)
            .filter(|_| traces.begin(Some(header.as_bytes()), true, UnixMs(at)).1.is_some())
            .count() as u64
    };
    let second = 1_700_000_000_000;
    assert_eq!(sampled(second), FLAGGED_PER_SECOND_MAX);
    assert_eq!(sampled(second + 999), 0);
    assert_eq!(sampled(second + 1_000), FLAGGED_PER_SECOND_MAX);
    assert_eq!(sampled(second), 0, "a thread that is behind");
}

#[test]
fn a_call_lasts_from_the_first_try_to_the_last_byte() {
    let ms = Duration::from_millis;
    let one: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let other: SocketAddr = "127.0.0.1:2".parse().unwrap();
    let (_, recording) = traces(1.0).begin(None, false, UnixMs(0));
    let mut recording = recording.unwrap();
    recording.hears(None, ms(1));
    assert!(recording.call.is_none(), "nobody was asked");
    recording.asks(&Method::GET, one, ms(2));
    recording.hears(None, ms(3));
    recording.asks(&Method::GET, other, ms(3));
    recording.hears(Some(StatusCode::OK), ms(5));
    recording.hears(None, ms(9));
    let call = recording.call.unwrap();
    assert_eq!((call.server, call.status, call.repeats), (other, Some(200), 1));
    assert_eq!((call.began, call.ended), (ms(2), Some(ms(9))));
}
