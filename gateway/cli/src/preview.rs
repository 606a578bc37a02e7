//! What a key would get of a body: the decision and the rewrite, for records that need not be stored.

use gateway_admin::{Preview, PreviewAsk, PreviewOf};
use gateway_policy::{
    AccountRecord, Admitted, Directory, KeyRecord, Meters, Problem, RequestHead, Route, Rules,
    Snapshot, Target, UnixMs, admit_principal, authenticate_id, compile,
};
use http::{HeaderMap, HeaderValue, Method};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use crate::rewritten::rewritten;

/// Stands for any parameter of a route that nothing else decides.
const ANY: &str = "1";
const ANY_UUID: &str = "00000000-0000-4000-8000-000000000000";

/// Runs a request of the key through the decision, and the body through the rewrite.
///
/// # Errors
/// Why the key would get nothing.
pub(crate) fn preview(rules: &Arc<Rules>, ask: &PreviewAsk, at: UnixMs) -> Result<Preview, String> {
    let route = route(rules, &ask.of)?;
    let method = route.methods.first().cloned().unwrap_or(Method::GET);
    // Neither the key's address rule nor its limits are asked about here.
    let key = KeyRecord {
        allowed_ips: Vec::new(),
        limits: None,
        raised: None,
        previous: None,
        ..ask.key.clone()
    };
    let id = key.id.clone();
    let account = AccountRecord { keys: vec![key], ..ask.account.clone() };
    let meters = Meters::new();
    let compiled = compile(&Directory { accounts: vec![account] }, rules, &meters);
    if let Some(fault) = compiled.left_out.first() {
        return Err(format!("the key would not be served: {}: {}", fault.path, fault.message));
    }
    let snapshot = Snapshot { revision: 0, rules: Arc::clone(rules), keys: compiled.keys };
    let mut headers = HeaderMap::new();
    if let (Some(team), Some(name)) = (&ask.team, &rules.teams.header) {
        let team = HeaderValue::from_str(team).map_err(|_| "the team is no id of one")?;
        headers.insert(name.clone(), team);
    }
    let path = path(route, rules, ask);
    let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let head = RequestHead {
        method: &method,
        target: path.as_bytes(),
        headers: &headers,
        client,
        padded_credential: false,
    };
    let target = Target::parse(head.target).map_err(|error| error.to_string())?;
    let principal =
        authenticate_id(&snapshot.keys, &id, client, at).map_err(|error| error.to_string())?;
    let admission = match admit_principal(&snapshot, &meters, principal, &target, &head, at.into())
    {
        Ok(Admitted::Forward(admission)) => admission,
        Ok(Admitted::WhoAmI { .. }) => return Err("the gateway answers there itself".to_owned()),
        Err(denial) => {
            let problem = Problem::of(&denial, &rules.scopes);
            return Err(format!("{} {}", problem.status, problem.code.as_str()));
        }
    };
    let change = rewritten(&admission, &ask.body)?;
    Ok(Preview {
        body: change.after.into_bytes(),
        columns_hidden: change.dropped.into_keys().collect(),
        rows_hidden: change.rows_hidden,
        mapped: change.totals.columns_mapped,
        fallback: change.totals.columns_fallback,
    })
}

fn route<'a>(rules: &'a Rules, of: &PreviewOf) -> Result<&'a Route, String> {
    let mut routes = rules.routes.routes().iter().map(|route| &**route);
    match of {
        PreviewOf::Route(label) => routes
            .find(|route| *route.label == **label)
            .ok_or_else(|| "there is no such route; write it as it is configured".to_owned()),
        PreviewOf::Resource(name) => {
            let is = |route: &&Route| {
                rules.resources.get(route.resource.index()).is_some_and(|r| *r.name == **name)
            };
            routes.find(is).ok_or_else(|| "no route has this resource".to_owned())
        }
    }
}

/// A path that the route's pattern takes.
fn path(route: &Route, rules: &Rules, ask: &PreviewAsk) -> String {
    let pattern = route.label.split_once(' ').map_or(&*route.label, |(_, pattern)| pattern);
    let segments = pattern.split('/').map(|segment| {
        let Some(parameter) = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'))
        else {
            return if segment == "**" { ANY.to_owned() } else { segment.to_owned() };
        };
        let (name, kind) = parameter.split_once(':').unwrap_or((parameter, ""));
        if route.account_param.as_deref() == Some(name) {
            return ask.account.id.clone();
        }
        if let (Some(team), true) = (&ask.team, rules.teams.param.as_deref() == Some(name)) {
            return team.clone();
        }
        if kind == "uuid" { ANY_UUID.to_owned() } else { ANY.to_owned() }
    });
    segments.collect::<Vec<_>>().join("/")
}
