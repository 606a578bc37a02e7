//! `colonnade keys`, `accounts` and `users`: the admin API from the shell.

use http::Method;
use serde_json::{Map, Value, json};

use crate::api::{Answer, Api};
use crate::args::Format;
use crate::args::directory::{
    AccountsArgs, AccountsCommand, DirectoryArgs, KeysArgs, KeysCommand, NewKeyArgs, UsersArgs,
    UsersCommand,
};
use crate::exit::Failed;
use crate::{exit, import, terminal};

/// Most pages of a list that are asked for.
const PAGES_MAX: usize = 10_000;
const PAGE: u32 = 200;

/// One request, and what of its answer is shown.
struct Ask {
    method: Method,
    path: String,
    body: Option<Value>,
    show: Show,
}

enum Show {
    /// All members of the answer.
    Record,
    /// The key's text first: it is shown this once.
    NewKey,
    /// Items of a list, these members of each.
    List(&'static [&'static str]),
}

impl Ask {
    fn of(method: Method, path: String, body: Option<Value>, show: Show) -> Ask {
        Ask { method, path, body, show }
    }

    fn get(path: String, show: Show) -> Ask {
        Ask::of(Method::GET, path, None, show)
    }
}

const KEY_COLUMNS: &[&str] =
    &["id", "name", "display", "status", "scopes", "data_scope", "created_at", "last_used"];

pub(crate) fn keys(args: &KeysArgs) -> u8 {
    let ask = match &args.command {
        KeysCommand::Create { key } => {
            let path = format!("/accounts/{}/keys", escaped(&key.account));
            Ask::of(Method::POST, path, Some(new_key(key)), Show::NewKey)
        }
        KeysCommand::Import { key, digest, display } => {
            let mut body = new_key(key);
            body["digest"] = json!(digest);
            if let Some(display) = display {
                body["display"] = json!(display);
            }
            let path = format!("/accounts/{}/keys/import", escaped(&key.account));
            Ask::of(Method::POST, path, Some(body), Show::Record)
        }
        KeysCommand::List { account, status } => {
            let path = format!("/accounts/{}/keys?status={}", escaped(account), escaped(status));
            Ask::get(path, Show::List(KEY_COLUMNS))
        }
        KeysCommand::Show { id } => Ask::get(format!("/keys/{}", escaped(id)), Show::Record),
        KeysCommand::Rename { id, name } => {
            let path = format!("/keys/{}", escaped(id));
            Ask::of(Method::PATCH, path, Some(json!({ "name": name })), Show::Record)
        }
        KeysCommand::Regenerate { id, grace } => {
            let path = format!("/keys/{}/regenerate", escaped(id));
            let body = grace.as_ref().map_or(json!({}), |grace| json!({ "grace": grace }));
            Ask::of(Method::POST, path, Some(body), Show::NewKey)
        }
        KeysCommand::Revoke { id, wait } => {
            let wait = wait.as_ref().map(|wait| format!("?wait={}", escaped(wait)));
            let path = format!("/keys/{}/revoke{}", escaped(id), wait.unwrap_or_default());
            Ask::of(Method::POST, path, None, Show::Record)
        }
    };
    run(&args.directory, ask)
}

pub(crate) fn accounts(args: &AccountsArgs) -> u8 {
    let ask = match &args.command {
        AccountsCommand::Create { id, name, plan, teams, live_max } => {
            let name = name.as_ref().unwrap_or(id);
            let mut body = json!({ "id": id, "name": name, "plan": plan });
            put(&mut body, "teams", (!teams.is_empty()).then(|| json!(teams)));
            put(&mut body, "live_max", live_max.map(|max| json!(max)));
            Ask::of(Method::POST, "/accounts".to_owned(), Some(body), Show::Record)
        }
        AccountsCommand::Import { file, from } => {
            return import::run(&args.directory, file.as_deref(), from.as_deref());
        }
        AccountsCommand::List => Ask::get(
            "/accounts".to_owned(),
            Show::List(&["id", "name", "plan", "teams", "live_max"]),
        ),
        AccountsCommand::Show { id } => {
            Ask::get(format!("/accounts/{}", escaped(id)), Show::Record)
        }
        AccountsCommand::Alter { id, name, plan, teams, live_max } => {
            let mut body = json!({});
            put(&mut body, "name", name.as_ref().map(|name| json!(name)));
            put(&mut body, "plan", plan.as_ref().map(|plan| json!(plan)));
            put(&mut body, "teams", (!teams.is_empty()).then(|| json!(teams)));
            put(&mut body, "live_max", live_max.map(|max| json!(max)));
            Ask::of(Method::PATCH, format!("/accounts/{}", escaped(id)), Some(body), Show::Record)
        }
    };
    run(&args.directory, ask)
}

pub(crate) fn users(args: &UsersArgs) -> u8 {
    let ask = match &args.command {
        UsersCommand::Put { id, account, email, active, inactive: _ } => {
            let mut body = json!({ "active": active });
            put(&mut body, "email", email.as_ref().map(|email| json!(email)));
            let path = format!("/accounts/{}/users/{}", escaped(account), escaped(id));
            Ask::of(Method::PUT, path, Some(body), Show::Record)
        }
        UsersCommand::List { account } => {
            let path = format!("/accounts/{}/users", escaped(account));
            Ask::get(path, Show::List(&["id", "email", "active"]))
        }
    };
    run(&args.directory, ask)
}

fn new_key(key: &NewKeyArgs) -> Value {
    let mut body = json!({ "name": key.name, "scopes": key.scopes });
    put(&mut body, "data_scope", key.data_scope.as_ref().map(|scope| json!(scope)));
    put(&mut body, "user", key.user.as_ref().map(|user| json!(user)));
    put(&mut body, "teams", (!key.teams.is_empty()).then(|| json!(key.teams)));
    put(&mut body, "expires_at", key.expires_at.as_ref().map(|at| json!(at)));
    put(&mut body, "allowed_ips", (!key.allowed_ips.is_empty()).then(|| json!(key.allowed_ips)));
    body
}

fn put(body: &mut Value, member: &str, value: Option<Value>) {
    if let (Some(value), Some(body)) = (value, body.as_object_mut()) {
        body.insert(member.to_owned(), value);
    }
}

/// An id as one segment of a path, or a value of a query.
fn escaped(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn run(directory: &DirectoryArgs, ask: Ask) -> u8 {
    let asked = Api::open(directory.admin.as_deref(), &directory.config.path())
        .and_then(|api| answer(&api, &ask));
    match asked {
        Ok(answer) if (200..300).contains(&answer.status) => {
            print(&answer.body, &ask.show, directory.format);
            exit::OK
        }
        Ok(answer) => {
            refused(&answer);
            exit::FAILED
        }
        Err((code, lines)) => {
            lines.iter().for_each(|line| eprintln!("{}", terminal::body(line)));
            code
        }
    }
}

/// The answer; of a list, all of its pages as one.
fn answer(api: &Api, ask: &Ask) -> Result<Answer, Failed> {
    if !matches!(ask.show, Show::List(_)) {
        return api.call(ask.method.clone(), &ask.path, ask.body.as_ref());
    }
    let mut items = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let join = if ask.path.contains('?') { '&' } else { '?' };
        let mut path = format!("{}{join}limit={PAGE}", ask.path);
        if let Some(cursor) = &cursor {
            path.push_str(&format!("&cursor={}", escaped(cursor)));
        }
        let mut answer = api.call(Method::GET, &path, None)?;
        if answer.status != 200 {
            return Ok(answer);
        }
        items.extend(answer.body["items"].as_array_mut().map(std::mem::take).unwrap_or_default());
        cursor = answer.body["next"].as_str().map(str::to_owned);
        if cursor.is_none() {
            break;
        }
    }
    Ok(Answer { status: 200, body: json!({ "items": items }) })
}

fn refused(answer: &Answer) {
    let text = |member: &str| answer.body[member].as_str();
    let detail = text("detail").unwrap_or("the admin API refused without a reason");
    eprintln!("error: {}", terminal::line(detail));
    for fault in answer.body["errors"].as_array().into_iter().flatten() {
        let (at, what) = (fault["pointer"].as_str(), fault["detail"].as_str());
        let line = format!("{}: {}", at.unwrap_or_default(), what.unwrap_or_default());
        eprintln!("  {}", terminal::line(&line));
    }
    let code = text("code").unwrap_or("no code");
    eprintln!("  {} {}", answer.status, terminal::line(code));
}

fn print(body: &Value, show: &Show, format: Format) {
    if format == Format::Json {
        println!("{}", terminal::body(&body.to_string()));
        return;
    }
    match show {
        Show::List(columns) => table(body["items"].as_array().map_or(&[], Vec::as_slice), columns),
        Show::Record => members(body.as_object()),
        Show::NewKey => {
            if let Some(key) = body["key"].as_str() {
                println!("{key}\n");
                eprintln!("This is the only time that the key is shown. Keep it in a vault.\n");
            }
            let rest = body.as_object().map(|members| {
                let rest = members.iter().filter(|(name, _)| *name != "key");
                rest.map(|(name, value)| (name.clone(), value.clone())).collect()
            });
            members(rest.as_ref());
        }
    }
}

fn members(members: Option<&Map<String, Value>>) {
    for (name, value) in members.into_iter().flatten() {
        println!("  {name:<14} {}", terminal::line(&plain(value)));
    }
}

fn table(rows: &[Value], columns: &[&str]) {
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| columns.iter().map(|column| terminal::line(&plain(&row[*column]))).collect())
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let widest = cells.iter().map(|row: &Vec<String>| row[at].chars().count()).max();
            widest.unwrap_or(0).max(column.len())
        })
        .collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        println!("{}", padded.collect::<Vec<_>>().join("  ").trim_end());
    };
    line(columns.to_vec());
    cells.iter().for_each(|row| line(row.iter().map(String::as_str).collect()));
}

/// A value as people read it.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.iter().all(|item| item.is_string() || item.is_number()) => {
            items.iter().map(plain).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}
