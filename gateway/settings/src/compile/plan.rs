//! Plans and limits.

use std::collections::HashMap;
use std::sync::Arc;

use gateway_limits::{Quota, QuotaError, QuotaKind, Quotas};
use gateway_policy::Plan;

use super::Context;
use crate::model::{LimitKind, LimitSettings, Named, PlanSettings};
use crate::node::Path;

pub(super) fn plans(
    settings: &Named<PlanSettings>,
    context: &mut Context<'_, '_>,
) -> HashMap<Box<str>, Plan> {
    let section = Path::Root;
    let section = section.key("plans");
    let mut plans = HashMap::new();
    for (name, plan) in settings.iter() {
        let place = section.key(name);
        context.check_name(&place, name);
        let limits = place.key("limits");
        let mut quotas = Vec::new();
        for (limit, settings) in plan.limits.iter() {
            let place = limits.key(limit);
            match quota(limit, settings) {
                Ok(quota) => quotas.push(quota),
                Err(BurstFault::Missing) => {
                    let help = "how many requests may come at once; 1 is evenly spread";
                    context
                        .fault(&place.key("burst"), "is missing; `kind: gcra` needs it")
                        .help(help);
                }
                Err(BurstFault::Idle) => {
                    let help = "set `kind: gcra`, or remove `burst`";
                    context
                        .fault(&place.key("burst"), "means something with `kind: gcra` only")
                        .help(help);
                }
            }
        }
        if quotas.is_empty() {
            continue; // every one of them was reported
        }
        match Quotas::new(quotas) {
            Ok(quotas) => {
                let plan = Plan { name: name.into(), quotas: Arc::new(quotas) };
                plans.insert(name.into(), plan);
            }
            Err(error) => {
                let limit = error.name().map(String::from);
                let path = limit.as_deref().map_or(limits, |limit| limits.key(limit));
                let help = match error {
                    QuotaError::NameEmpty { .. }
                    | QuotaError::NameTooLong { .. }
                    | QuotaError::NameCharacter { .. }
                    | QuotaError::NameTwice { .. } => "a short name, for example `minute`",
                    _ => "a smaller `burst`, or more `requests`",
                };
                context.fault_of_key(&path, error.to_string()).help(help);
            }
        }
    }
    plans
}

/// A burst where none belongs, or none where one does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BurstFault {
    Missing,
    Idle,
}

/// A limit as used. Its numbers are judged by [`Quotas::new`].
pub(crate) fn quota(name: &str, settings: &LimitSettings) -> Result<Quota, BurstFault> {
    let kind = match (settings.kind, settings.burst) {
        (LimitKind::Window, None) => QuotaKind::Window,
        (LimitKind::Sliding, None) => QuotaKind::Sliding,
        (LimitKind::Gcra, Some(burst)) => QuotaKind::Gcra { burst },
        (LimitKind::Gcra, None) => return Err(BurstFault::Missing),
        (_, Some(_)) => return Err(BurstFault::Idle),
    };
    Ok(Quota { name: name.into(), requests: settings.requests, window_ms: settings.window.0, kind })
}
