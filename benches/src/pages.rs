//! List pages of any size, made of rows of three kinds.

use crate::calls::{ASSISTANTS, COLUMNS};
use crate::draw::Draw;

const HEAD: &str = "{\"data\":[";
const TAIL: &str = "],\"pagination\":{\"limit\":1000,\"offset\":0,\"has_more\":false}}";
/// An assistant without a name.
const UNNAMED: &str = "asst_unknown_77";
/// What is said in one transcript, about seven kilobytes.
const TURNS: usize = 80;

/// What the rows of a page are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// 25 columns, about 750 bytes.
    Wide,
    /// Six columns, about 200 bytes.
    Narrow,
    /// Six columns, two of them with all that was said.
    Transcripts,
}

impl Rows {
    /// The columns of a row in the order of its members.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Rows::Wide => &COLUMNS,
            Rows::Narrow => {
                &["call_id", "created_at", "assistant_id", "phone_number", "ai_summary", "cost"]
            }
            Rows::Transcripts => {
                &["call_id", "created_at", "assistant_id", "transcript", "turns", "cost"]
            }
        }
    }

    /// A list page of exactly `bytes` bytes, or of one row where that is longer.
    pub fn page(self, bytes: usize) -> Vec<u8> {
        let mut draw = Draw::new(7);
        let mut page = String::from(HEAD);
        let last = |stretch| self.row(&mut Draw::new(7), 0, Some(stretch));
        let behind = last(0).len() + TAIL.len();
        for index in 0.. {
            let row = self.row(&mut draw, index, None);
            if page.len() + row.len() + 1 + behind > bytes {
                break;
            }
            page.push_str(&row);
            page.push(',');
        }
        page.push_str(&last(bytes.saturating_sub(page.len() + behind)));
        page.push_str(TAIL);
        page.into_bytes()
    }

    /// A row as long as rows are, or one to be stretched to the page's end.
    fn row(self, draw: &mut Draw, index: usize, stretch: Option<usize>) -> String {
        let words = stretched(stretch.unwrap_or(0));
        match self {
            Rows::Wide => wide(draw, index, &words),
            Rows::Narrow => narrow(draw, index, &words),
            Rows::Transcripts => {
                let turns = if stretch.is_some() { 1 } else { TURNS };
                transcript(draw, index, turns, &words)
            }
        }
    }
}

/// Words of exactly `bytes` bytes.
fn stretched(bytes: usize) -> String {
    "the technician will call ahead ".chars().cycle().take(bytes).collect()
}

fn assistant(draw: &mut Draw) -> &'static str {
    match draw.below(5) {
        4 => UNNAMED,
        known => ASSISTANTS[known].0,
    }
}

fn wide(draw: &mut Draw, index: usize, stretch: &str) -> String {
    let first = ["Ann", "Jos\u{e9}", "Mary-Lou", "D'Angelo"][draw.below(4)];
    let last = ["Smith", "Nu\u{f1}ez", "O'Brien", "Lee"][draw.below(4)];
    let assistant = assistant(draw);
    let (id, seconds, phone) = (draw.draw(), draw.below(3_600), 2_000_000 + draw.below(7_000_000));
    format!(
        concat!(
            r#"{{"call_id":"{id:016x}-4d6f","created_at":"2026-11-{day:02}T12:{minute:02}:00Z","#,
            r#""duration_seconds":{seconds},"call_reason":"Service request","#,
            r#""call_outcome":"Appointment booked","is_booked":{booked},"is_bookable":true,"#,
            r#""booking_result":"Booked","is_transferred":false,"first_name":"{first}","#,
            r#""last_name":"{last}","phone_number":"+1555{phone}","#,
            r#""ai_summary":"Caller asks for a visit; says \"soon\". {stretch}","#,
            r#""service_titan_job_id":"62047157","non_booked_disposition":null,"#,
            r#""non_booked_disposition_code":null,"job_type":"HVAC – Repair","#,
            r#""assistant_id":"{assistant}","#,
            r#""recording_url":"https://recordings.example.com/a.wav?X-Sig=a%2Fb%3D&e=1","#,
            r#""cost":0.{cost:04},"tags":["high-intent","über"],"custom":{{"note":"gate code"}},"#,
            r#""team_id":101,"user_email":"ann@acme.test","is_private":false}}"#,
        ),
        id = id,
        day = 1 + index % 28,
        minute = index % 60,
        seconds = seconds,
        booked = index.is_multiple_of(3),
        first = first,
        last = last,
        phone = phone,
        stretch = stretch,
        assistant = assistant,
        cost = seconds,
    )
}

/// The members of every call: its id, when it was, whose it is.
fn begun(draw: &mut Draw, index: usize) -> String {
    format!(
        concat!(
            r#"{{"call_id":"{id:016x}-4d6f","created_at":"2026-11-{day:02}T12:{minute:02}:00Z","#,
            r#""assistant_id":"{assistant}""#,
        ),
        id = draw.draw(),
        day = 1 + index % 28,
        minute = index % 60,
        assistant = assistant(draw),
    )
}

fn narrow(draw: &mut Draw, index: usize, stretch: &str) -> String {
    let begun = begun(draw, index);
    let (phone, cost) = (2_000_000 + draw.below(7_000_000), draw.below(3_600));
    format!(
        r#"{begun},"phone_number":"+1555{phone}","ai_summary":"Asks for a visit. {stretch}","cost":0.{cost:04}}}"#
    )
}

fn transcript(draw: &mut Draw, index: usize, turns: usize, stretch: &str) -> String {
    let said = [
        "Hello, this is the \\\"Front Desk\\\".",
        "Nu\u{f1}ez, the heating is out.",
        "[inaudible]",
    ];
    let turn = |number: usize| {
        let (role, text) = (["agent", "caller"][number % 2], said[number % said.len()]);
        format!(r#"{{"role":"{role}","at":{number}.25,"text":"{text} {stretch}"}}"#)
    };
    let (begun, cost) = (begun(draw, index), draw.below(3_600));
    let text = said.iter().cycle().take(turns).copied().collect::<String>();
    let turns = (0..turns).map(turn).collect::<Vec<String>>().join(",");
    format!(r#"{begun},"transcript":"{text}","turns":[{turns}],"cost":0.{cost:04}}}"#)
}

#[cfg(test)]
mod tests {
    use super::Rows;

    #[test]
    fn a_page_has_the_size_it_was_asked_for() {
        for rows in [Rows::Wide, Rows::Narrow, Rows::Transcripts] {
            for bytes in [1 << 10, 10 << 10, 100 << 10, 1 << 20] {
                assert_eq!(rows.page(bytes).len(), bytes, "{rows:?}");
            }
        }
    }
}
