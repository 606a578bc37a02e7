#![allow(clippy::unwrap_used)]
use pingora::protocols::l4::stream::Stream as Connected;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);
const QUICK: Pace =
    Pace { ping_every: Duration::from_millis(50), pong_time: Duration::from_millis(200) };

/// Both ends of a connection.
async fn ends() -> (Stream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap());
    let (near, far) = tokio::join!(near, listener.accept());
    (Box::new(Connected::from(near.unwrap())), far.unwrap().0)
}

/// Says SETTINGS, allowing so many streams, and answers so many PINGs; then it is silent.
async fn serve(mut far: TcpStream, streams_max: u8, mut pongs: usize) {
    far.read_exact(&mut [0; 24]).await.unwrap();
    far.write_all(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, streams_max]).await.unwrap();
    let mut head = [0; 9];
    while far.read_exact(&mut head).await.is_ok() {
        let mut payload = vec![0; usize::from(head[2]) + (usize::from(head[1]) << 8)];
        far.read_exact(&mut payload).await.unwrap();
        if (head[3], head[4]) == (6, 0) && pongs > 0 {
            pongs -= 1;
            far.write_all(&[&[0, 0, 8, 6, 1, 0, 0, 0, 0][..], &payload].concat()).await.unwrap();
        }
    }
}

async fn until_over(line: &Http2Line) -> bool {
    let over = async {
        while !line.is_over() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(DEADLINE, over).await.is_ok()
}

#[tokio::test]
async fn as_many_streams_are_entered_as_the_server_allows_from_the_first_on() {
    for (streams_max, expected) in [(0, 0), (3, 3), (255, STREAMS_MAX)] {
        let (near, far) = ends().await;
        tokio::spawn(serve(far, streams_max, 1));
        let line = Arc::new(Http2Line::open(near).await.unwrap());
        let mut places: Vec<Place> = std::iter::from_fn(|| line.enter()).take(1_000).collect();
        assert_eq!(places.len(), expected, "{streams_max}");
        if places.pop().is_some() {
            assert!(line.enter().is_some(), "a place that is given back is there again");
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_speak_http_2_is_not_opened() {
    for said in ["HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH_9.6 and more\r\n", ""] {
        let (near, mut far) = ends().await;
        far.write_all(said.as_bytes()).await.unwrap();
        far.shutdown().await.unwrap();
        assert!(timeout(DEADLINE, Http2Line::open(near)).await.unwrap().is_none(), "{said}");
    }
}

/// One that was lost on the way is given up while requests wait on it, and left alone while none does.
#[tokio::test]
async fn a_silent_connection_is_over_where_requests_wait_on_it() {
    let (near, far) = ends().await;
    tokio::spawn(serve(far, 9, 1));
    let line = Arc::new(Http2Line::open_at(QUICK, near).await.unwrap());
    sleep(4 * (QUICK.ping_every + QUICK.pong_time)).await;
    assert!(!line.is_over(), "nobody waits");
    let _place = line.enter().unwrap();
    assert!(until_over(&line).await);
}

#[tokio::test]
async fn a_connection_that_answers_is_kept_however_long_a_request_waits() {
    let (near, far) = ends().await;
    tokio::spawn(serve(far, 9, usize::MAX));
    let line = Arc::new(Http2Line::open_at(QUICK, near).await.unwrap());
    let _place = line.enter().unwrap();
    sleep(4 * (QUICK.ping_every + QUICK.pong_time)).await;
    assert!(!line.is_over());
}

/// Its server sees it end when nobody has it any more, and not before.
#[tokio::test]
async fn a_connection_goes_with_its_last_stream() {
    let (near, far) = ends().await;
    let served = tokio::spawn(serve(far, 9, 1));
    let line = Arc::new(Http2Line::open(near).await.unwrap());
    let place = line.enter().unwrap();
    drop(line);
    sleep(Duration::from_millis(100)).await;
    assert!(!served.is_finished());
    drop(place);
    timeout(DEADLINE, served).await.unwrap().unwrap();
}

/// Whatever it panics over: a connection that nobody reads would be joined for ever.
#[tokio::test]
async fn a_connection_whose_task_panics_is_over() {
    let (near, far) = ends().await;
    tokio::spawn(serve(far, 9, 1));
    let near = Counted::new(near, Arc::default());
    let (_sender, connection) = Builder::new().handshake(near).await.unwrap();
    let state = Arc::new(State::new(Arc::default()));
    let (_held, is_left) = oneshot::channel();
    let asked = async { panic!("for the test") };
    let driven = tokio::spawn(drive(connection, asked, is_left, Arc::clone(&state)));
    assert!(driven.await.unwrap_err().is_panic());
    assert!(state.is_over.load(Ordering::Acquire));
}

/// A server that allows no more streams has no room when the last one ends either.
#[tokio::test]
async fn an_idle_connection_that_allows_no_stream_is_over() {
    let (near, far) = ends().await;
    tokio::spawn(serve(far, 0, 1));
    let line = Http2Line::open(near).await.unwrap();
    assert!(line.is_over());
}

/// `h2` bears so many empty frames in all: with each of them there is room for one answer less, and then for none.
#[tokio::test]
async fn a_connection_is_left_before_its_empty_frames_are_used_up() {
    let (near, far) = ends().await;
    tokio::spawn(serve(far, 255, 1));
    let line = Arc::new(Http2Line::open(near).await.unwrap());
    line.state.frames.empty.store(EMPTY_FRAMES_ENOUGH - 1, Ordering::Release);
    assert!(!line.is_over());
    let places: Vec<Place> = std::iter::from_fn(|| line.enter()).take(1_000).collect();
    assert_eq!(places.len() + EMPTY_FRAMES_ENOUGH - 1, EMPTY_FRAMES_MAX);
    line.state.frames.empty.fetch_add(1, Ordering::AcqRel);
    assert!(line.is_over());
}
