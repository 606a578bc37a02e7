//! Keys: make, import, list, show, alter, regenerate, revoke.
//!
//! Not here: the rules of a key's life, which the store keeps inside its transactions (ten live keys
//! stay ten however many are made at once; what is revoked stays revoked).

mod body;
mod view;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use gateway_policy::{AccountRecord, Digest, KeyRecord, RaisedLimits};
use gateway_store::{AlterKey, Change, KeyStatus, Retry, StoredKey};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use utoipa::ToSchema;

pub(crate) use body::{DataScopeWord, KeyTeams, Wished};

use crate::api::Api;
use crate::auth::Permission;
use crate::guard::{Caller, random_id};
use crate::input::{At, Params, Read, Unread, bad_parameter};
use crate::limits::Limits;
use crate::node::{KeyText, NoRandomness};
use crate::problem::Problem;
use crate::scalar::{Name, Network, Span, Time, Wait};
use crate::secrecy::{holds_key, key_fault};
use crate::write::{Made, Writing};
use body::{ImportBody, NewKeyBody, networks};
use view::{ChangedKey, CreatedKey, KeyList, KeyView};

/// Longest time that a replaced key may go on beside the new one: 7 days.
const GRACE_MS_MAX: u64 = 7 * 86_400_000;
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// Makes a key. Its text is in this answer and never again.
#[utoipa::path(
    post,
    path = "/accounts/{account}/keys",
    tag = "keys",
    operation_id = "createKey",
    params(
        ("account" = String, Path, description = "Id of the account"),
        ("wait" = inline(Option<Wait>), Query, description = "Wait so long for all nodes"),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255,
            description = "The same creation sent twice makes one key; the second answer does not show it"),
    ),
    request_body = NewKeyBody,
    responses(
        (status = 201, body = CreatedKey, description = "Made"),
        (status = 200, body = ChangedKey, description = "Was made before with this Idempotency-Key"),
    )
)]
pub(crate) async fn create(
    State(api): State<Arc<Api>>,
    At(account): At<String>,
    caller: Caller,
    params: Params,
    headers: HeaderMap,
    body: Unread,
) -> Result<Response, Problem> {
    let writing = api.writing(&caller, Permission::Keys, params)?;
    let token = idempotency_key(&headers)?;
    let Read { body, json } = body.read::<NewKeyBody>(&api).await?;
    let account = api.account(&account).await?;
    let retry = token.map(|token| Retry { token, request: fingerprint(&json) });
    let new = api.node().new_key().map_err(no_randomness)?;
    let (rules, key_rules) = (api.node().rules(), api.node().key_rules());
    let judge = api.judge(&rules, &key_rules, &account);
    let id = random_id("key_").ok_or_else(|| no_randomness(NoRandomness))?;
    let key = judge.record(body.into(), id, new.digest, new.display, writing.author())?;
    let live_max = key_rules.live_max;
    let change = Change::CreateKey {
        account: account.id.clone(),
        key: Box::new(key),
        live_max: Some(live_max),
        retry,
        imported: false,
    };
    let made = writing.create(&api, change).await?;
    if made.written.is_replay {
        let mut response = changed(&api, &made).await?;
        response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
        return Ok(response);
    }
    shown_once(&api, &made, new.text, StatusCode::CREATED).await
}

/// Takes a key that exists elsewhere, by its digest. The only way to a legacy key.
#[utoipa::path(
    post,
    path = "/accounts/{account}/keys/import",
    tag = "keys",
    operation_id = "importKey",
    params(
        ("account" = String, Path, description = "Id of the account"),
        ("wait" = inline(Option<Wait>), Query, description = "Wait so long for all nodes"),
    ),
    request_body = ImportBody,
    responses((status = 201, body = ChangedKey, description = "Taken")),
)]
pub(crate) async fn import(
    State(api): State<Arc<Api>>,
    At(account): At<String>,
    caller: Caller,
    params: Params,
    body: Unread,
) -> Result<Response, Problem> {
    let writing = api.writing(&caller, Permission::Keys, params)?;
    let body = body.read::<ImportBody>(&api).await?.body;
    let account = api.account(&account).await?;
    let (rules, key_rules) = (api.node().rules(), api.node().key_rules());
    let (wished, digest, display, faults) = body.parts(&rules, &key_rules);
    let mut judge = api.judge(&rules, &key_rules, &account);
    judge.faults = faults;
    let id = random_id("key_").ok_or_else(|| no_randomness(NoRandomness))?;
    let key = judge.record(wished, id, digest, display, writing.author())?;
    let change = Change::CreateKey {
        account: account.id.clone(),
        key: Box::new(key),
        live_max: Some(key_rules.live_max),
        retry: None,
        imported: true,
    };
    let made = writing.create(&api, change).await?;
    let view = view(&api, &made.key()?).await?;
    let body = ChangedKey { view, applied: made.applied.clone() };
    Ok(made.answer(StatusCode::CREATED, body))
}

/// Keys of an account, the oldest first.
#[utoipa::path(
    get,
    path = "/accounts/{account}/keys",
    tag = "keys",
    operation_id = "listKeys",
    params(
        ("account" = String, Path, description = "Id of the account"),
        ("status" = inline(Option<StatusWord>), Query, description = "Which; without it the active ones"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 200, description = "Most items; 50 without it"),
        ("cursor" = Option<String>, Query, description = "`next` of the page before"),
    ),
    responses((status = 200, body = KeyList)),
)]
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    At(account): At<String>,
    params: Params,
) -> Result<Response, Problem> {
    let params = params.only(&["status", "limit", "cursor"])?;
    let status = status(&params)?;
    let page = params.page()?;
    let account = api.account(&account).await?;
    let listed = api.keys(&account.id, status, page).await?;
    let ids: Vec<String> = listed.items.iter().map(|key| key.record.id.clone()).collect();
    let usage = api.usage(&ids).await?;
    let (rules, now) = (api.node().rules(), api.node().now());
    let views = listed.items.iter().map(|key| {
        let usage = usage.as_ref().map(|all| all.of(&key.record.id));
        KeyView::of(key, &account, &rules, usage, now)
    });
    Ok(axum::Json(KeyList { items: views.collect(), next: listed.next }).into_response())
}

/// Which keys a list has.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = KeyStatus)]
#[allow(dead_code, reason = "what the document says `status` may be")]
pub(crate) enum StatusWord {
    Active,
    Revoked,
    Expired,
    All,
}

fn status(params: &Params) -> Result<KeyStatus, Problem> {
    match params.text("status") {
        None | Some("active") => Ok(KeyStatus::Active),
        Some("revoked") => Ok(KeyStatus::Revoked),
        Some("expired") => Ok(KeyStatus::Expired),
        Some("all") => Ok(KeyStatus::All),
        Some(_) => Err(bad_parameter("status", "is `active`, `revoked`, `expired` or `all`")),
    }
}

/// One key.
#[utoipa::path(
    get,
    path = "/keys/{key}",
    tag = "keys",
    operation_id = "showKey",
    params(("key" = String, Path, description = "Id of the key, never the key")),
    responses((status = 200, body = KeyView)),
)]
pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    At(key): At<String>,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&[])?;
    let stored = api.key(&key).await?;
    Ok(axum::Json(view(&api, &stored).await?).into_response())
}

/// What of a key may change. An absent member stays as it is; null takes it away.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AlterKeyBody {
    #[schema(value_type = Name, required = false)]
    name: Option<Name>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Time>)]
    expires_at: Option<Option<Time>>,
    /// Instead of the plan's; null: the plan's. Ends limits that were raised for a period.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Limits>)]
    limits: Option<Option<Limits>>,
    /// With `limits`: those hold up to then, and what was before comes back. Null alone ends them now.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Time>)]
    limits_until: Option<Option<Time>>,
    /// Null: from anywhere.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<Network>>, min_items = 1, max_items = 256)]
    allowed_ips: Option<Option<Vec<Network>>>,
}

/// Tells null from absent.
pub(crate) fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// Renames a key, or changes its end, limits or addresses. Nothing else of a key ever changes.
#[utoipa::path(
    patch,
    path = "/keys/{key}",
    tag = "keys",
    operation_id = "alterKey",
    params(
        ("key" = String, Path, description = "Id of the key, never the key"),
        ("wait" = inline(Option<Wait>), Query, description = "Wait so long for all nodes"),
    ),
    request_body = AlterKeyBody,
    responses((status = 200, body = ChangedKey)),
)]
pub(crate) async fn alter(
    State(api): State<Arc<Api>>,
    At(key): At<String>,
    caller: Caller,
    params: Params,
    body: Unread,
) -> Result<Response, Problem> {
    let writing = api.writing(&caller, Permission::Keys, params)?;
    let body = body.read::<AlterKeyBody>(&api).await?.body;
    let stored = api.key(&key).await?;
    let account = api.account(&stored.account).await?;
    let alter = altered(&api, &stored.record, &account, body)?;
    let made = writing.make(&api, Change::AlterKey { key, alter }).await?;
    changed(&api, &made).await
}

fn altered(
    api: &Api,
    record: &KeyRecord,
    account: &AccountRecord,
    body: AlterKeyBody,
) -> Result<AlterKey, Problem> {
    let (rules, key_rules) = (api.node().rules(), api.node().key_rules());
    let mut judge = api.judge(&rules, &key_rules, account);
    if let Some(Name(name)) = &body.name
        && (holds_key(name, &key_rules.prefix) || Digest::sha256(name.as_bytes()) == record.digest)
    {
        judge.faults.push(key_fault("/name"));
    }
    if let Some(Some(Time(end))) = body.expires_at {
        judge.end("/expires_at", end);
    }
    let limits = body.limits.map(|limits| judge.limits("/limits", limits));
    let until = body.limits_until.map(|until| until.map(|Time(until)| until));
    if let Some(Some(until)) = until {
        judge.end("/limits_until", until);
    }
    let (limits, raised) = match (limits, until) {
        (Some(Some(limits)), Some(Some(until))) => {
            (None, Some(Some(RaisedLimits { limits, until })))
        }
        (_, Some(Some(_))) => {
            judge.fault("/limits_until", "needs `limits` beside it, which hold up to then");
            (None, None)
        }
        (limits @ Some(_), _) => (limits, Some(None)),
        (None, Some(None)) => (None, Some(None)),
        (None, None) => (None, None),
    };
    if !judge.faults.is_empty() {
        return Err(Problem::invalid(judge.faults));
    }
    Ok(AlterKey {
        name: body.name.map(|name| name.0),
        expires_at: body.expires_at.map(|end| end.map(|Time(end)| end)),
        allowed_ips: body.allowed_ips.map(networks),
        limits,
        raised,
    })
}

/// How a key is replaced.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegenerateBody {
    /// How long the old one is accepted too, at most 7d and never past the key's end. Without it, not
    /// at all.
    grace: Option<Span>,
}

/// Replaces the text of a key; id, name, limits and usage stay. The new text is in this answer alone.
#[utoipa::path(
    post,
    path = "/keys/{key}/regenerate",
    tag = "keys",
    operation_id = "regenerateKey",
    params(
        ("key" = String, Path, description = "Id of the key, never the key"),
        ("wait" = inline(Option<Wait>), Query, description = "Wait so long for all nodes"),
    ),
    request_body = RegenerateBody,
    responses((status = 200, body = CreatedKey)),
)]
pub(crate) async fn regenerate(
    State(api): State<Arc<Api>>,
    At(key): At<String>,
    caller: Caller,
    params: Params,
    body: Unread,
) -> Result<Response, Problem> {
    let writing = api.writing(&caller, Permission::Keys, params)?;
    let body = body.read_or_nothing::<RegenerateBody>(&api).await?.body;
    let grace_ms = body.grace.map_or(0, |Span(ms)| ms);
    if grace_ms > GRACE_MS_MAX {
        return Err(Problem::fault("/grace", "is longer than 7d"));
    }
    let new = api.node().new_key().map_err(no_randomness)?;
    let change = Change::Regenerate { key, digest: new.digest, display: new.display, grace_ms };
    let made = writing.make(&api, change).await?;
    shown_once(&api, &made, new.text, StatusCode::OK).await
}

/// Nothing is said.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoBody {}

/// Ends a key for good, and frees its slot. Once more changes nothing.
#[utoipa::path(
    post,
    path = "/keys/{key}/revoke",
    tag = "keys",
    operation_id = "revokeKey",
    params(
        ("key" = String, Path, description = "Id of the key, never the key"),
        ("wait" = inline(Option<Wait>), Query, description = "Wait so long for all nodes"),
    ),
    request_body = NoBody,
    responses((status = 200, body = ChangedKey, description = "This node refuses it from now on")),
)]
pub(crate) async fn revoke(
    State(api): State<Arc<Api>>,
    At(key): At<String>,
    caller: Caller,
    params: Params,
    body: Unread,
) -> Result<Response, Problem> {
    let writing: Writing = api.writing(&caller, Permission::Keys, params)?;
    body.read_or_nothing::<NoBody>(&api).await?;
    let made = writing.make(&api, Change::Revoke { key }).await?;
    changed(&api, &made).await
}

/// A key as it is shown, with its usage.
async fn view(api: &Api, stored: &StoredKey) -> Result<KeyView, Problem> {
    let account = api.account(&stored.account).await?;
    let usage = api.usage(std::slice::from_ref(&stored.record.id)).await?;
    let usage = usage.map(|all| all.of(&stored.record.id));
    Ok(KeyView::of(stored, &account, &api.node().rules(), usage, api.node().now()))
}

async fn changed(api: &Api, made: &Made) -> Result<Response, Problem> {
    let view = view(api, &made.key()?).await?;
    let body = ChangedKey { view, applied: made.applied.clone() };
    Ok(made.answer(StatusCode::OK, body))
}

/// The one answer with the text of a key. Nothing may fail here any more: it would be lost.
async fn shown_once(
    api: &Api,
    made: &Made,
    text: KeyText,
    status: StatusCode,
) -> Result<Response, Problem> {
    let stored = made.key()?;
    let (rules, now) = (api.node().rules(), api.node().now());
    let usage = api.usage(std::slice::from_ref(&stored.record.id)).await.ok().flatten();
    let usage = usage.map(|all| all.of(&stored.record.id));
    let view = KeyView::of(&stored, &made.written.account, &rules, usage, now);
    let body = CreatedKey { key: text.into_answer(), view, applied: made.applied.clone() };
    Ok(made.answer(status, body))
}

fn no_randomness(error: NoRandomness) -> Problem {
    let detail = format!("No key can be made: {error}.");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_randomness", detail).retry_after(5)
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let is_good = |text: &&str| {
        (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_graphic())
    };
    match value.to_str().ok().filter(is_good).filter(|_| values.next().is_none()) {
        Some(token) => Ok(Some(token.to_owned())),
        None => Err(bad_parameter("Idempotency-Key", "is 1 to 255 visible ASCII characters, once")),
    }
}

/// SHA-256 of a body as it was understood, so that blanks make no difference.
fn fingerprint(json: &Value) -> String {
    let digest = Digest::sha256(json.to_string().as_bytes());
    digest.bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}
