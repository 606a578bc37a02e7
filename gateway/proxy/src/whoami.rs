//! `GET /api/key`: what a key may do, told to its bearer. Never the key.

use gateway_policy::{KeyEntry, Quotas, Rules, TeamReach, rfc3339};
use serde_json::{Map, Value, json};

/// The body of the answer; `quotas` are those in force.
pub(crate) fn body(key: &KeyEntry, quotas: &Quotas, rules: &Rules) -> Vec<u8> {
    let teams: Value = match &key.teams {
        TeamReach::Any => json!("all"),
        TeamReach::Only(teams) => teams.iter().map(|team| json!(team.as_str())).collect(),
    };
    let expires_at = key.expires_at.map(rfc3339);
    json!({
        "name": &*key.name,
        "account": key.account.id.as_str(),
        "teams": teams,
        "scopes": rules.scopes.names(&key.scopes),
        "data_scope": key.data_scope.as_str(),
        "limits": limits(quotas),
        "expires_at": expires_at,
        "columns": columns(key, rules),
    })
    .to_string()
    .into_bytes()
}

fn limits(quotas: &Quotas) -> Map<String, Value> {
    quotas
        .iter()
        .map(|quota| {
            let limit = json!({ "requests": quota.requests, "window_seconds": quota.window_ms.div_ceil(1_000) });
            (quota.name.to_string(), limit)
        })
        .collect()
}

/// By resource, the columns that this key sees; `"all"` where everything passes.
fn columns(key: &KeyEntry, rules: &Rules) -> Map<String, Value> {
    let anchor = key.teams.anchor();
    rules
        .resources
        .iter()
        .enumerate()
        .filter_map(|(index, resource)| {
            let id = gateway_policy::ResourceId(u16::try_from(index).ok()?);
            let shown = key.shown(id, anchor)?;
            let list = if resource.catalogue.is_all() {
                json!("all")
            } else {
                let visible = resource.catalogue.columns().filter(|(id, _)| shown.contains(*id));
                visible.map(|(_, path)| json!(path)).collect()
            };
            Some((resource.name.to_string(), list))
        })
        .collect()
}
