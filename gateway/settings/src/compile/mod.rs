//! Settings as written → settings and rules as used. Everything that needs more than one value to
//! be judged is judged here, and every fault is reported with its place; nothing stops at the first.
//!
//! What `check` reported already is absent from the model. A name that leads to such a gap is not
//! reported again.

mod headers;
mod keys;
mod listen;
mod plan;
mod resource;
mod route;
mod traces;
mod upstream;

use std::path::Path as FilePath;

use gateway_policy::{Bounds, CredentialRules, ErrorStyle, Reserved, Rules, Target, TeamNaming};

use crate::model::{BoundsSettings, ErrorStyleSettings, GatewaySettings, ReservedSettings};
use crate::node::{Node, Path};
use crate::report::{Draft, Report, suggestion};
use crate::settings::Settings;

pub(crate) use plan::quota;

/// What every section's compiler needs.
pub(crate) struct Context<'c, 't> {
    pub(crate) root: &'c Node,
    pub(crate) report: &'c mut Report<'t>,
    /// Directory of the file, for relative paths.
    pub(crate) directory: &'c FilePath,
}

impl Context<'_, '_> {
    /// A fault of the value at `path`.
    pub(crate) fn fault(&mut self, path: &Path<'_>, message: impl Into<String>) -> &mut Draft {
        self.report.at(self.root, path, message)
    }

    /// A fault of the name at the end of `path`, or of its section as a whole.
    pub(crate) fn fault_of_key(
        &mut self,
        path: &Path<'_>,
        message: impl Into<String>,
    ) -> &mut Draft {
        self.report.at_key(self.root, path, message)
    }

    pub(crate) fn warning(&mut self, path: &Path<'_>, message: impl Into<String>) -> &mut Draft {
        self.report.at(self.root, path, message).warning()
    }

    /// The place of `name` among the members of a section, or a fault at `path`.
    fn find_name<'n>(
        &mut self,
        path: &Path<'_>,
        section: &str,
        name: &str,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Option<usize> {
        let names: Vec<&str> = names.into_iter().collect();
        let place = names.iter().position(|known| *known == name);
        if place.is_none() && !self.report.is_spoiled(&format!("{section}.{name}")) {
            let one = section.trim_end_matches('s');
            let message = format!("there is no {one} `{name}`");
            let help = suggestion(name, names);
            let help = help.unwrap_or_else(|| format!("declare it under `{section}`"));
            self.fault(path, message).help(help);
        }
        place
    }

    /// Names are shown in metrics, logs and headers, so they are plain.
    fn check_name(&mut self, path: &Path<'_>, name: &str) {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        if !(1..=64).contains(&name.len()) || !name.bytes().all(plain) {
            let help = "up to 64 letters, digits, `_`, `-` and `.`";
            self.fault_of_key(path, format!("`{name}` is no name")).help(help);
        }
    }
}

/// Compiles a checked model. `None` when the report has faults, of this or of an earlier step.
pub(crate) fn compile(
    model: GatewaySettings,
    context: &mut Context<'_, '_>,
) -> Option<(Settings, Rules)> {
    let listeners = listen::listeners(&model, context);
    let admin = listen::admin(&model.admin, context);
    let store = listen::store(&model.store, context.directory);
    let upstreams = upstream::upstreams(&model.upstreams, context);
    let pepper = keys::pepper(&model.keys, context);
    let key_form = keys::key_form(&model.keys, context);
    let plans = plan::plans(&model.plans, context);
    let scopes = keys::scopes(&model.scopes, context);
    let (resources, notes) = resource::resources(&model.resources, context);
    let reserved = reserved(&model.reserved, context);
    let teams = teams(&model, context);
    let traces = traces::traces(model.telemetry.traces.as_ref(), context);
    let tables = route::Tables { model: &model, scopes: &scopes, reserved: &reserved };
    let routes = route::routes(&tables, context)?;
    let settings = Settings {
        listeners,
        admin,
        telemetry: listen::telemetry(&model.telemetry, traces, context.directory),
        store,
        snapshot: context.directory.join(&model.snapshot.file),
        cluster_redis: model.cluster.map(|cluster| cluster.redis),
        upstreams,
        keys: key_form,
        drain: listen::drain(&model.drain),
        resources: notes,
    };
    let rules = Rules {
        credentials: CredentialRules { accept: keys::carriers(&model.keys), pepper },
        scopes,
        resources,
        plans,
        routes,
        teams,
        errors: error_style(model.errors.style),
        bounds: bounds(&model.bounds),
        reserved,
        data_scope_required: settings.keys.data_scope_required,
    };
    (!context.report.has_faults()).then_some((settings, rules))
}

fn teams(model: &GatewaySettings, context: &mut Context<'_, '_>) -> TeamNaming {
    let Some(teams) = &model.teams else { return TeamNaming::default() };
    if let Some(header) = &teams.header
        && let Some(reason) = headers::refused_upwards(header.0.as_str(), true)
    {
        let path = Path::Root;
        let path = path.key("teams");
        context
            .fault(&path.key("header"), format!("`{}` {reason}", header.0))
            .help("for example `x-team-id`");
    }
    TeamNaming {
        header: teams.header.as_ref().map(|header| header.0.clone()),
        query: teams.query.as_deref().map(Into::into),
        param: teams.param.as_deref().map(Into::into),
    }
}

fn reserved(settings: &ReservedSettings, context: &mut Context<'_, '_>) -> Reserved {
    let section = Path::Root;
    let section = section.key("reserved");
    let mut read = |name: &str, text: &str| -> Option<Box<str>> {
        if text == "off" {
            return None;
        }
        let sound = Target::parse(text.as_bytes()).is_ok_and(|target| target.query.is_none());
        if !sound || text.ends_with('/') {
            let help = "a path such as `/api/key`, without a `/` at its end, or `off`";
            context.fault(&section.key(name), format!("`{text}` is no path")).help(help);
        }
        Some(text.into())
    };
    let reserved = Reserved { key: read("key", &settings.key), docs: read("docs", &settings.docs) };
    if reserved.key.is_some() && reserved.key == reserved.docs {
        context
            .fault(&section.key("docs"), "is the same path as `reserved.key`")
            .help("move one of the two");
    }
    reserved
}

fn error_style(style: ErrorStyleSettings) -> ErrorStyle {
    match style {
        ErrorStyleSettings::Problem => ErrorStyle::Problem,
        ErrorStyleSettings::Flat => ErrorStyle::Flat,
        ErrorStyleSettings::Nested => ErrorStyle::Nested,
        ErrorStyleSettings::Detail => ErrorStyle::Detail,
    }
}

fn bounds(settings: &BoundsSettings) -> Bounds {
    // Sizes are bounded by the schema far below what any of these types hold.
    let bytes = |size: u64| usize::try_from(size).unwrap_or(usize::MAX);
    Bounds {
        connections: settings.connections.map(|connections| connections as usize),
        connections_per_address: settings.connections_per_address as usize,
        requests_in_flight: settings.requests_in_flight as usize,
        failed_authentications: settings.failed_authentications,
        target_bytes: bytes(settings.target.0),
        header_bytes: bytes(settings.header.0),
        headers: settings.headers as usize,
        header_time_ms: settings.header_time.0,
        body_time_ms: settings.body_time.0,
        write_time_ms: settings.write_time.0,
        request_body_bytes: settings.request_body.0,
        decoded_body_bytes: settings.decoded_body.0,
        depth: u16::try_from(settings.depth).unwrap_or(u16::MAX),
        row_bytes: bytes(settings.row.0),
        hold_bytes: bytes(settings.hold.0),
    }
}
