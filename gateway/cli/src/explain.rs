//! `colonnade explain`: one decision offline, step by step, and with a body its rewrite.
//!
//! Runs the code that serves, on the files as they are now. What was dropped and mapped is found
//! by comparing the body before and after, so it tells what happened, not what was meant.

use std::io::{IsTerminal, Read};

use gateway_policy::{
    Admission, Admitted, Carrier, Denial, Directory, KeyIndex, Meters, Problem, Quotas,
    RequestHead, Rules, Snapshot, Target, UnixMs, admit, admit_principal, authenticate_id, compile,
};
use gateway_proxy::Clock;
use gateway_settings::Loaded;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use crate::args::{ExplainArgs, Format};
use crate::exit;
use crate::feed;
use crate::load::{self, Surroundings};
use crate::rewritten::{BodyChange, rewritten};
use crate::terminal;

/// Largest body that is read from standard input.
const BODY_BYTES_MAX: u64 = 64 << 20;

/// Most dropped columns that are listed, and most mapped values.
const LINES_SHOWN_MAX: usize = 500;

/// Explains one request; 0 when it would be allowed, 1 when refused.
pub(crate) fn run(args: &ExplainArgs) -> u8 {
    if args.key.as_ref().is_some_and(|key| key != "-") {
        eprintln!(
            "--key takes `-` alone: the key is read from standard input, never from the command \
             line. A key that was given there is in the shell's history: replace it"
        );
        return exit::USAGE;
    }
    let snapshot = match snapshot(args) {
        Ok(snapshot) => snapshot,
        Err((code, lines)) => {
            lines.iter().for_each(|line| eprintln!("{}", terminal::body(line)));
            return code;
        }
    };
    match explained(args, &snapshot) {
        Ok(explanation) => {
            explanation.print(args.format);
            if explanation.allowed { exit::OK } else { exit::FAILED }
        }
        Err(why) => {
            eprintln!("{why}");
            exit::USAGE
        }
    }
}

fn snapshot(args: &ExplainArgs) -> Result<(Snapshot, Meters), (u8, Vec<String>)> {
    let around = Surroundings::default();
    let path = args.config.path();
    let invalid = |error: load::LoadError| (exit::INVALID_CONFIGURATION, error.lines());
    let text = load::configuration_text(&path).map_err(invalid)?;
    let loaded = load::configuration(&text, &path, &around).map_err(invalid)?;
    let meters = Meters::new();
    let keys = if let Some(directory) = load::directory_path(&loaded.settings) {
        let text = load::directory_text(directory, &text, &path)
            .map_err(|error| (exit::STORE_UNREACHABLE, error.lines()))?;
        let records =
            load::directory(&text, directory, &around, &loaded.settings.keys).map_err(invalid)?;
        let (compiled, faults) = load::keys(&records, &loaded.rules, &meters);
        // A key that is left out is unknown to what serves; here somebody wants to know why.
        faults.iter().for_each(|fault| eprintln!("{}", terminal::body(&fault.to_string())));
        compiled.keys
    } else {
        stored_keys(&loaded, &meters)?
    };
    let mut rules = loaded.rules;
    // The key of `--key` is put into this form, whatever forms clients use.
    if args.key.is_some() && !rules.credentials.accept.contains(&Carrier::Bearer) {
        rules.credentials.accept.push(Carrier::Bearer);
    }
    Ok((Snapshot { revision: 1, rules: rules.into(), keys }, meters))
}

/// The keys of a store.
fn stored_keys(loaded: &Loaded, meters: &Meters) -> Result<KeyIndex, (u8, Vec<String>)> {
    let away = |why: String| (exit::STORE_UNREACHABLE, vec![why]);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.map_err(|error| (exit::FAILED, vec![error.to_string()]))?;
    let store = feed::store(&loaded.settings, &runtime)?;
    let delta = runtime.block_on(store.load()).map_err(|error| away(error.to_string()))?;
    let directory = Directory { accounts: delta.accounts };
    let compiled = compile(&directory, &loaded.rules, meters);
    for fault in &compiled.left_out {
        eprintln!("{}", terminal::body(&format!("{}: {}", fault.path, fault.message)));
    }
    Ok(compiled.keys)
}

/// What is printed.
struct Explanation {
    allowed: bool,
    steps: Vec<(&'static str, String)>,
    body: Option<BodyChange>,
}

fn explained(
    args: &ExplainArgs,
    (snapshot, meters): &(Snapshot, Meters),
) -> Result<Explanation, String> {
    let method = Method::from_bytes(args.method.as_bytes())
        .map_err(|_| "METHOD is no HTTP method".to_owned())?;
    let mut headers = headers(&args.headers)?;
    let (key, body) = input(args.key.is_some())?;
    if let Some(key) = key {
        let value = HeaderValue::from_str(&format!("Bearer {key}"))
            .map_err(|_| "the key is malformed".to_owned())?;
        headers.append(http::header::AUTHORIZATION, value);
    }
    if let Some(id) = &args.key_id
        && !snapshot.keys.entries().any(|(_, entry)| entry.id.as_str() == id)
    {
        // What was given is not repeated: it may be a key.
        let why = "no key has this id: the directory has no such record, or it was left out";
        return Ok(Explanation {
            allowed: false,
            steps: vec![("refused", why.to_owned())],
            body: None,
        });
    }
    let head = RequestHead {
        method: &method,
        target: args.target.as_bytes(),
        headers: &headers,
        client: args.client,
        padded_credential: false,
    };
    let at = Clock::default().wall();
    let decision = match &args.key_id {
        None => admit(snapshot, meters, &head, at.into()),
        Some(id) => by_id(snapshot, meters, id, &head, at),
    };
    Ok(match decision {
        Err(denial) => refused(&snapshot.rules, &denial),
        Ok(Admitted::WhoAmI { principal, .. }) => Explanation {
            allowed: true,
            steps: vec![
                ("key", principal.key().id.to_string()),
                ("answer", "the gateway's own: who am I".to_owned()),
            ],
            body: None,
        },
        Ok(Admitted::Forward(admission)) => allowed(&snapshot.rules, &admission, body.as_deref()),
    })
}

fn by_id(
    snapshot: &Snapshot,
    meters: &Meters,
    id: &str,
    head: &RequestHead<'_>,
    at: UnixMs,
) -> Result<Admitted, Denial> {
    let target = Target::parse(head.target)?;
    let principal = authenticate_id(&snapshot.keys, id, head.client, at)?;
    admit_principal(snapshot, meters, principal, &target, head, at.into())
}

fn headers(lines: &[String]) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for line in lines {
        // What was given is not repeated: it may be a credential.
        let (name, value) = line.split_once(':').ok_or("a --header is not `Name: value`")?;
        let name = HeaderName::from_bytes(name.trim().as_bytes())
            .map_err(|_| "a --header has no name of a header")?;
        let value = HeaderValue::from_str(value.trim())
            .map_err(|_| "the value of a --header is malformed")?;
        headers.append(name, value);
    }
    Ok(headers)
}

/// The key (when it is asked for) and the body from standard input.
fn input(with_key: bool) -> Result<(Option<String>, Option<Vec<u8>>), String> {
    if !with_key && std::io::stdin().is_terminal() {
        return Ok((None, None));
    }
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().take(BODY_BYTES_MAX).read_to_end(&mut bytes);
    read.map_err(|error| format!("standard input: {error}"))?;
    if !with_key {
        return Ok((None, (!bytes.is_empty()).then_some(bytes)));
    }
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let key =
        String::from_utf8(bytes[..end].to_vec()).map_err(|_| "the key is malformed".to_owned())?;
    let body = bytes.get(end + 1..).filter(|body| !body.is_empty()).map(<[u8]>::to_vec);
    Ok((Some(key.trim_end_matches('\r').to_owned()), body))
}

fn refused(rules: &Rules, denial: &Denial) -> Explanation {
    let problem = Problem::of(denial, &rules.scopes);
    let mut steps = Vec::new();
    if let Some(key) = denial.key() {
        steps.push(("key", key.to_string()));
    }
    if let Some(paid) = &denial.paid {
        steps.push(("limit", limits(&paid.quotas)));
    }
    if let Some(route) = &denial.route {
        steps.push(("route", route.label.to_string()));
    }
    // What the refusal is about: the scope or the parameter.
    steps.extend(problem.members.iter().cloned());
    steps.push((
        "refused",
        format!("{} {}: {}", problem.status, problem.code.as_str(), denial.refusal),
    ));
    Explanation { allowed: false, steps, body: None }
}

fn allowed(rules: &Rules, admission: &Admission, body: Option<&[u8]>) -> Explanation {
    let grant = admission.grant();
    let (key, route, job) = (grant.principal().key(), grant.route(), grant.job());
    let resource =
        rules.resources.get(route.resource.index()).map_or("", |resource| &resource.name);
    let columns = |visible: bool| {
        let list = job.catalogue.columns().filter(|(id, _)| job.shown.contains(*id) == visible);
        list.map(|(_, path)| path).collect::<Vec<_>>().join(" ")
    };
    let mut steps = vec![
        ("key", format!("{} ({}) of account {}", key.id, key.name, key.account.id)),
        ("limit", limits(&admission.paid().quotas)),
        ("route", route.label.to_string()),
        ("scope", key.scopes_text.to_string()),
        ("team", grant.team().map_or("none".to_owned(), ToString::to_string)),
        ("data scope", key.data_scope.as_str().to_owned()),
        ("resource", resource.to_owned()),
    ];
    if job.is_identity() {
        steps.push(("body", "passes as it is".to_owned()));
    } else {
        steps.push((
            "shown",
            if job.catalogue.is_all() { "all columns".to_owned() } else { columns(true) },
        ));
        steps.push(("hidden", columns(false)));
    }
    let mut explanation = Explanation { allowed: true, steps, body: None };
    if let Some(body) = body {
        match rewritten(admission, body) {
            Ok(change) => explanation.body = Some(change),
            Err(why) => {
                explanation.allowed = false;
                explanation.steps.push(("refused", why));
            }
        }
    }
    explanation
}

fn limits(quotas: &Quotas) -> String {
    let each = quotas
        .iter()
        .map(|quota| format!("{} {} in {} s", quota.name, quota.requests, quota.window_ms / 1_000));
    each.collect::<Vec<_>>().join(", ")
}

/// The first of the lines, and how many there are beyond them.
fn print_some(what: &str, lines: impl ExactSizeIterator<Item = String>) {
    let more = lines.len().saturating_sub(LINES_SHOWN_MAX);
    lines.take(LINES_SHOWN_MAX).for_each(|line| println!("  {what:<11} {line}"));
    if more > 0 {
        println!("  {what:<11} and {more} more");
    }
}

impl Explanation {
    fn print(&self, format: Format) {
        if format == Format::Json {
            println!("{}", terminal::body(&self.json().to_string()));
            return;
        }
        println!("{}", if self.allowed { "allowed" } else { "refused" });
        for (step, what) in &self.steps {
            println!("  {step:<11} {}", terminal::line(what));
        }
        let Some(body) = &self.body else { return };
        let dropped =
            body.dropped.iter().map(|(path, times)| format!("{} ({times})", terminal::name(path)));
        print_some("dropped", dropped);
        let mapped = body.mapped.iter().map(|((path, old, new), times)| {
            let [path, old, new] = [path, old, new].map(|text| terminal::name(text));
            format!("{path}: {old} -> {new} ({times})")
        });
        print_some("mapped", mapped);
        println!("  {:<11} {}", "rows hidden", body.rows_hidden);
        println!("\n{}", terminal::body(&body.after));
    }

    fn json(&self) -> Value {
        let steps: serde_json::Map<String, Value> =
            self.steps.iter().map(|(step, what)| ((*step).to_owned(), json!(what))).collect();
        let mut all = json!({ "allowed": self.allowed, "steps": steps });
        if let Some(body) = &self.body {
            let mapped: Vec<Value> = body
                .mapped
                .iter()
                .map(|((path, old, new), times)| json!({ "path": path, "before": old, "after": new, "times": times }))
                .collect();
            all["body"] = json!({
                "dropped": body.dropped, "mapped": mapped, "rows_hidden": body.rows_hidden, "after": body.after,
            });
        }
        all
    }
}
