//! Limits as the API says them: by name, in the form of the configuration, in their order.

use gateway_limits::{Quota, QuotaKind, Quotas};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Ref, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::ordered::Ordered;
use crate::problem::BodyFault;
use crate::scalar::Span;
use crate::schema::below;
use crate::time::duration;

/// One limit.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Limit)]
pub(crate) struct LimitBody {
    /// Requests a window.
    #[schema(minimum = 1, maximum = 1048575)]
    requests: u32,
    /// Length of a window: 1s to 31d.
    #[schema(value_type = Span)]
    window: WindowText,
    /// Without it `window`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<LimitKind>,
    /// Requests that may come at once; with `gcra`, and only there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1048575)]
    burst: Option<u32>,
}

/// Read as a [`Span`], and written as one.
#[derive(Debug, Clone)]
struct WindowText(u64);

impl<'de> Deserialize<'de> for WindowText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<WindowText, D::Error> {
        Span::deserialize(deserializer).map(|Span(ms)| WindowText(ms))
    }
}

impl Serialize for WindowText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&duration(self.0))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LimitKind {
    Window,
    Sliding,
    Gcra,
}

/// One to four limits by name.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Limits(Ordered<LimitBody>);

impl Limits {
    pub(crate) fn of<'q>(quotas: impl IntoIterator<Item = &'q Quota>) -> Limits {
        let body = |quota: &Quota| {
            let (kind, burst) = match quota.kind {
                QuotaKind::Window => (None, None),
                QuotaKind::Sliding => (Some(LimitKind::Sliding), None),
                QuotaKind::Gcra { burst } => (Some(LimitKind::Gcra), Some(burst)),
            };
            let window = WindowText(quota.window_ms);
            (quota.name.to_string(), LimitBody { requests: quota.requests, window, kind, burst })
        };
        Limits(Ordered(quotas.into_iter().map(body).collect()))
    }

    /// The limits as used, or what is wrong with them.
    pub(crate) fn quotas(self, pointer: &str) -> Result<Vec<Quota>, Vec<BodyFault>> {
        let (mut quotas, mut faults) = (Vec::new(), Vec::new());
        let Limits(Ordered(limits)) = self;
        for (name, limit) in limits {
            let kind = match (limit.kind, limit.burst) {
                (Some(LimitKind::Gcra), Some(burst)) => QuotaKind::Gcra { burst },
                (Some(LimitKind::Sliding), None) => QuotaKind::Sliding,
                (None | Some(LimitKind::Window), None) => QuotaKind::Window,
                _ => {
                    let place = below(&below(pointer, &name), "burst");
                    let detail = "`kind: gcra` and `burst` belong together; write both, or neither";
                    faults.push(BodyFault::new(place, detail));
                    continue;
                }
            };
            let WindowText(window_ms) = limit.window;
            quotas.push(Quota { name: name.into(), requests: limit.requests, window_ms, kind });
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        match Quotas::new(quotas.clone()) {
            Ok(_) => Ok(quotas),
            Err(error) => {
                let place = error.name().map_or(pointer.to_owned(), |name| below(pointer, name));
                Err(vec![BodyFault::new(place, error.to_string())])
            }
        }
    }
}

impl PartialSchema for Limits {
    fn schema() -> RefOr<Schema> {
        let each = RefOr::Ref(Ref::from_schema_name("Limit"));
        let object = ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some("One to four limits by name."))
            .min_properties(Some(1))
            .max_properties(Some(4))
            .additional_properties(Some(AdditionalProperties::RefOr(each)));
        RefOr::T(Schema::Object(object.build()))
    }
}

impl ToSchema for Limits {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push(("Limit".to_owned(), LimitBody::schema()));
        LimitBody::schemas(schemas);
    }
}
