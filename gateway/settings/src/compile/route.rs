//! Routes: what their words mean together with the tables they name.

mod matched;

use std::sync::Arc;

use gateway_policy::{
    Pattern, QueryRule, Reserved, ResourceId, Route, RouteId, RouteTable, ScopeError, ScopeRule,
    ScopeTable, TeamRule, UpstreamId,
};
use gateway_rewrite::{Shape, ShapeError};
use http::{HeaderName, Method};

use super::{Context, headers};
use crate::model::scalar::HeaderText;
use crate::model::{
    ColumnsSettings, GatewaySettings, ReachSettings, ResourceSettings, RouteErrorsSettings,
    RouteSettings, TeamRuleSettings, VisibilitySettings,
};
use crate::node::Path;
use crate::report::{nearest, suggestion};

/// What routes are judged by.
pub(super) struct Tables<'m> {
    pub(super) model: &'m GatewaySettings,
    pub(super) scopes: &'m ScopeTable,
    pub(super) reserved: &'m Reserved,
}

/// Compiles all routes. `None` when they cannot even be put into a table; then there are faults.
pub(super) fn routes(tables: &Tables<'_>, context: &mut Context<'_, '_>) -> Option<RouteTable> {
    let section = Path::Root;
    let section = section.key("routes");
    let mut routes = Vec::new();
    // Where in the model each compiled route stands.
    let mut places = Vec::new();
    for (index, settings) in tables.model.routes.iter().enumerate() {
        let place = section.index(index);
        let reader = Reader { tables, settings, place: &place };
        if let Some(route) = reader.read(index, context) {
            routes.push(route);
            places.push(index);
        }
    }
    if tables.model.routes.is_empty() && !context.report.is_spoiled("routes") {
        let help = "add a route, or every request is answered with 404";
        context.warning(&section, "there is no route").help(help);
    }
    let conflicts = match RouteTable::build(routes) {
        Ok(table) => return Some(table),
        Err(conflicts) => conflicts,
    };
    for conflict in conflicts {
        let (Some(first), Some(second)) = (places.get(conflict.first), places.get(conflict.second))
        else {
            continue;
        };
        let (first, second) = (section.index(*first), section.index(*second));
        let other = first.key("match").resolve(context.root);
        let message = format!(
            "answers the same {} requests as `{}` on line {}",
            conflict.method,
            other.deepest.written().unwrap_or_default(),
            other.deepest.at.line
        );
        context
            .fault(&second.key("match"), message)
            .help("a method and a pattern belong to one route");
    }
    None
}

/// One route being read. Each part reports its own faults and gives nothing then, so that all
/// parts are judged.
struct Reader<'m> {
    tables: &'m Tables<'m>,
    settings: &'m RouteSettings,
    place: &'m Path<'m>,
}

impl Reader<'_> {
    fn read(&self, index: usize, context: &mut Context<'_, '_>) -> Option<Route> {
        let matched = self.matched(context);
        let upstream = self.upstream(context);
        let scope = matched.as_ref().and_then(|(methods, _)| self.scope(methods, context));
        let resource = self.resource(context);
        let shape = resource.and_then(|(_, resource)| self.shape(resource, context));
        let query = self.query(resource.map(|(_, resource)| resource), context);
        let team = self.team(matched.as_ref().map(|(_, pattern)| pattern), context);
        let account_param =
            self.account_param(matched.as_ref().map(|(_, pattern)| pattern), context);
        let filtered = resource.is_some_and(|(_, resource)| is_filtered(resource));
        let forward_headers = self.headers(
            "forward_headers",
            &self.settings.forward_headers,
            |name| headers::refused_upwards(name, filtered),
            context,
        );
        let return_headers = self.headers(
            "return_headers",
            &self.settings.return_headers,
            |name| headers::refused_downwards(name, filtered),
            context,
        );
        let (methods, pattern) = matched?;
        Some(Route {
            id: RouteId(u16::try_from(index).unwrap_or(u16::MAX)),
            label: label(&methods, &pattern),
            methods,
            pattern,
            upstream: upstream?,
            scope: scope?,
            resource: resource?.0,
            shape: Arc::new(shape?),
            query,
            team,
            reach_account: self.settings.reach == ReachSettings::Account,
            account_param,
            errors_pass: self.settings.errors == RouteErrorsSettings::Pass,
            forward_headers,
            return_headers,
        })
    }

    fn upstream(&self, context: &mut Context<'_, '_>) -> Option<UpstreamId> {
        let name = self.settings.upstream.as_deref()?;
        let names = self.tables.model.upstreams.names();
        let index = context.find_name(&self.place.key("upstream"), "upstreams", name, names)?;
        Some(UpstreamId(u16::try_from(index).unwrap_or(u16::MAX)))
    }

    fn resource(&self, context: &mut Context<'_, '_>) -> Option<(ResourceId, &ResourceSettings)> {
        let name = self.settings.resource.as_deref()?;
        let resources = &self.tables.model.resources;
        let index =
            context.find_name(&self.place.key("resource"), "resources", name, resources.names())?;
        let (_, resource) = resources.iter().nth(index)?;
        Some((ResourceId(u16::try_from(index).unwrap_or(u16::MAX)), resource))
    }

    fn scope(&self, methods: &[Method], context: &mut Context<'_, '_>) -> Option<ScopeRule> {
        let text = self.settings.scope.as_deref()?;
        let error = match ScopeRule::compile(self.tables.scopes, text, methods) {
            Ok(rule) => {
                self.refuse_half_a_scope(text, context);
                return Some(rule);
            }
            Err(error) => error,
        };
        let spoiled = |scope: &str| context.report.is_spoiled(&format!("scopes.{scope}"));
        let known = || self.tables.scopes.iter().map(|(scope, _)| scope);
        let (spoiled, help) = match &error {
            ScopeError::Unknown { text } => (spoiled(text), suggestion(text, known())),
            ScopeError::MethodUncovered { resource, action } => {
                let resources = known().filter_map(|scope| scope.split(':').next());
                let near = nearest(resource, resources).filter(|near| *near != &**resource);
                let declare = || format!("declare `{resource}:{action}` under `scopes`");
                let help = near.map_or_else(declare, |near| format!("did you mean `{near}`?"));
                (spoiled(&format!("{resource}:{action}")), Some(help))
            }
            _ => (
                false,
                Some("for example `calls:read`, or `calls` for its read and its write".into()),
            ),
        };
        if !spoiled {
            context.fault(&self.place.key("scope"), error.to_string()).maybe_help(help);
        }
        None
    }

    /// The short form stands for a resource's `read` and its `write`: both must exist, whatever this
    /// route's methods are, so that a method added later finds what it needs. `manage` stands for
    /// neither: it is beyond them, where they exist.
    fn refuse_half_a_scope(&self, text: &str, context: &mut Context<'_, '_>) {
        let is_declared = |action: &str| {
            let scope = format!("{text}:{action}");
            self.tables.scopes.find(&scope).is_ok()
                || context.report.is_spoiled(&format!("scopes.{scope}"))
        };
        if text.contains(':') {
            return;
        }
        let Some(missing) = ["read", "write"].into_iter().find(|action| !is_declared(action))
        else {
            return;
        };
        let there = ["read", "write", "manage"].into_iter().find(|action| is_declared(action));
        let message = format!(
            "`{text}` stands for its `read` and `write`, and `{text}:{missing}` is not declared"
        );
        let help = match there {
            Some(there) => format!("declare it under `scopes`, or write `{text}:{there}`"),
            None => "declare it under `scopes`".into(),
        };
        context.fault(&self.place.key("scope"), message).help(help);
    }

    /// Where everything passes, the whole body is one row, unless the route says otherwise.
    fn shape(&self, resource: &ResourceSettings, context: &mut Context<'_, '_>) -> Option<Shape> {
        let place = self.place.key("rows");
        let all = matches!(resource.columns, ColumnsSettings::All(_));
        let rows = match self.settings.rows.as_deref() {
            Some(rows) => rows,
            None if !is_filtered(resource) => "$",
            None => {
                let help = "where the rows are: `data[]`, `data`, `[]`, `$`, `$*`, or deeper, `result.items[]`";
                context.fault(&place, "is missing").help(help);
                return None;
            }
        };
        let beside: &[String] = if all { &[] } else { &resource.beside };
        let error = match Shape::compile(rows, beside, all) {
            Ok(shape) => return Some(shape),
            Err(error) => error,
        };
        let name = self.settings.resource.as_deref().unwrap_or_default();
        let section = Path::Root;
        let section = section.key("resources");
        let resource_place = section.key(name);
        let beside_place = resource_place.key("beside");
        let of_beside = |path: &String| beside.iter().position(|known| known == path);
        let index = match &error {
            ShapeError::EmptySegment { path } | ShapeError::Bracket { path } => of_beside(path),
            ShapeError::BesideOverlap { second, .. } => of_beside(second),
            _ => None,
        };
        match index {
            // Every route of the resource would say the same.
            Some(index) => {
                let path = beside_place.index(index);
                let text = path.resolve(context.root).text;
                if !context.report.is_spoiled(&text) {
                    let help =
                        "what lies beside the rows, by dotted path: `pagination`, `meta.team_id`";
                    context.fault(&path, error.to_string()).help(help);
                    context.report.spoil(text);
                }
            }
            None => {
                let help = match &error {
                    ShapeError::RowsOverlap { .. } => {
                        "take it out of the resource's `beside`; rows pass by their columns alone"
                    }
                    _ => "for example `data[]`, `data`, `[]`, `$`, `$*` or `result.items[]`",
                };
                context.fault(&place, error.to_string()).help(help);
            }
        }
        None
    }

    fn query(
        &self,
        resource: Option<&ResourceSettings>,
        context: &mut Context<'_, '_>,
    ) -> QueryRule {
        let boxed = |names: &[String]| {
            names.iter().map(|name| name.as_str().into()).collect::<Vec<Box<str>>>()
        };
        let Some(names) = &self.settings.query else {
            let filtered = resource
                .is_some_and(|resource| matches!(resource.columns, ColumnsSettings::Listed(_)));
            let query = self.place.key("query");
            if filtered && !context.report.is_spoiled(&query.resolve(context.root).text) {
                context
                    .report
                    .at(context.root, &self.place.key("match"), "hides columns and lists no `query` parameters")
                    .warning()
                    .help("list them with `query: [limit, offset]`; without it the gateway guesses which ones name columns");
            }
            let columns =
                self.settings.query_columns.as_ref().unwrap_or(&self.tables.model.query_columns);
            return QueryRule::Guard { columns: boxed(columns) };
        };
        let place = self.place.key("query");
        for (index, name) in names.iter().enumerate() {
            // Names are compared with what was sent, byte for byte.
            let plain = |b: u8| {
                b.is_ascii_graphic() && !matches!(b, b'&' | b';' | b'=' | b'#' | b'"' | b'<' | b'>')
            };
            if name.is_empty() || !name.bytes().all(plain) {
                let help = "as it is sent: visible ASCII without `&`, `;`, `=` and `#`";
                context
                    .fault(&place.index(index), format!("`{name}` is no name of a parameter"))
                    .help(help);
            }
        }
        if self.settings.query_columns.is_some() {
            let help = "remove one of the two";
            context
                .fault(&self.place.key("query_columns"), "has no effect beside `query`")
                .help(help);
        }
        let mut names = boxed(names);
        // A route that takes a team takes the parameter that names it.
        let naming = self.tables.model.teams.as_ref().and_then(|teams| teams.query.as_deref());
        if let Some(naming) = naming
            && self.team_rule() != TeamRule::None
            && !names.iter().any(|name| **name == *naming)
        {
            names.push(naming.into());
        }
        QueryRule::Allow(names)
    }

    fn team_rule(&self) -> TeamRule {
        match (self.settings.team, &self.tables.model.teams) {
            (Some(TeamRuleSettings::Required), _) => TeamRule::Required,
            (Some(TeamRuleSettings::Optional), _) | (None, Some(_)) => TeamRule::Optional,
            (Some(TeamRuleSettings::None), _) | (None, None) => TeamRule::None,
        }
    }

    fn team(&self, pattern: Option<&Pattern>, context: &mut Context<'_, '_>) -> TeamRule {
        let rule = self.team_rule();
        let place = self.place.key("team");
        match &self.tables.model.teams {
            None if rule != TeamRule::None && !context.report.is_spoiled("teams") => {
                let help = "say where a request names its team, for example `teams: { header: x-team-id }`";
                context.fault(&place, "needs `teams`, which is not set").help(help);
            }
            Some(teams)
                if rule == TeamRule::Required
                    && teams.header.is_none()
                    && teams.query.is_none() =>
            {
                let param = teams.param.as_deref().unwrap_or_default();
                if let Some(pattern) = pattern
                    && !pattern.params().any(|known| known == param)
                {
                    let message = format!(
                        "the pattern has no `{{{param}}}`, the one place where a team may be named"
                    );
                    context
                        .fault(&place, message)
                        .help("name it in the pattern, or set `teams.header`");
                }
            }
            _ => {}
        }
        rule
    }

    fn account_param(
        &self,
        pattern: Option<&Pattern>,
        context: &mut Context<'_, '_>,
    ) -> Option<Box<str>> {
        let param = &self.settings.account.as_ref()?.param;
        if let Some(pattern) = pattern
            && !pattern.params().any(|known| known == param)
        {
            let place = self.place.key("account");
            let help = suggestion(param, pattern.params());
            let help = help
                .unwrap_or_else(|| format!("write `{{{param}}}` where the account's id stands"));
            context
                .fault(&place.key("param"), format!("the pattern has no parameter `{param}`"))
                .help(help);
        }
        Some(param.as_str().into())
    }

    fn headers(
        &self,
        key: &str,
        names: &[HeaderText],
        refused: impl Fn(&str) -> Option<&'static str>,
        context: &mut Context<'_, '_>,
    ) -> Vec<HeaderName> {
        let place = self.place.key(key);
        for (index, HeaderText(name)) in names.iter().enumerate() {
            if let Some(reason) = refused(name.as_str()) {
                context.fault(&place.index(index), format!("`{name}` {reason}")).help("remove it");
            }
        }
        names.iter().map(|HeaderText(name)| name.clone()).collect()
    }
}

/// Whether bodies of a resource are read and may be changed, for some key at least.
fn is_filtered(resource: &ResourceSettings) -> bool {
    !matches!(resource.columns, ColumnsSettings::All(_))
        || !resource.assistants.is_empty()
        || matches!(resource.visibility, Some(VisibilitySettings::Columns(_)))
}

fn label(methods: &[Method], pattern: &Pattern) -> Box<str> {
    let methods: Vec<&str> = methods.iter().map(Method::as_str).collect();
    format!("{} {}", methods.join("|"), pattern.as_str()).into()
}
