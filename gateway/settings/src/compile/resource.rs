//! Resources: catalogues, and who hides rows.

use std::sync::Arc;

use gateway_policy::{Resource, RowVisibility};
use gateway_rewrite::{
    Catalogue, CatalogueError, CatalogueSpec, ColumnSpec, ColumnsSpec, Shown, Unmapped,
    VisibilitySpec,
};

use super::Context;
use crate::model::{
    ColumnSettings, ColumnsSettings, Named, ResourceSettings, UnmappedSettings, VisibilitySettings,
};
use crate::node::Path;
use crate::settings::{ColumnNotes, ResourceNotes};

type Columns = Named<Option<ColumnSettings>>;

pub(super) fn resources(
    settings: &Named<ResourceSettings>,
    context: &mut Context<'_, '_>,
) -> (Vec<Resource>, Vec<ResourceNotes>) {
    let section = Path::Root;
    let section = section.key("resources");
    let (mut resources, mut notes) = (Vec::new(), Vec::new());
    for (name, settings) in settings.iter() {
        let place = section.key(name);
        context.check_name(&place, name);
        check(settings, &place, context);
        notes.push(ResourceNotes { name: name.into(), columns: column_notes(&settings.columns) });
        if let Some(resource) = resource(name, settings, &place, context) {
            resources.push(resource);
        }
    }
    (resources, notes)
}

fn check(settings: &ResourceSettings, place: &Path<'_>, context: &mut Context<'_, '_>) {
    let columns_place = place.key("columns");
    match &settings.columns {
        ColumnsSettings::All(_) => {
            if !settings.beside.is_empty() {
                context
                    .warning(
                        &place.key("beside"),
                        "has no effect: with `columns: all` the whole envelope passes",
                    )
                    .help("remove it");
            }
        }
        ColumnsSettings::Listed(columns) => {
            if !settings.assistants.is_empty() {
                context
                    .fault(&place.key("assistants"), "is for `columns: all` only")
                    .help("write `assistant: true` on the columns instead");
            }
            for (path, column) in columns.iter() {
                check_column(column.as_ref(), &columns_place.key(path), context);
            }
        }
    }
}

fn check_column(column: Option<&ColumnSettings>, place: &Path<'_>, context: &mut Context<'_, '_>) {
    let Some(column) = column else { return };
    if column.always && column.shown == Some(false) {
        let help = "remove one of the two";
        context.fault(&place.key("shown"), "contradicts `always: true`").help(help);
    }
    if column.personal && column.shown.is_none() && !column.always {
        let help = "say `shown: false`, or `shown: true` if that is meant";
        context
            .report
            .at_key(context.root, place, "is personal and shown by default")
            .warning()
            .help(help);
    }
}

fn resource(
    name: &str,
    settings: &ResourceSettings,
    place: &Path<'_>,
    context: &mut Context<'_, '_>,
) -> Option<Resource> {
    let spec = CatalogueSpec {
        columns: columns_spec(settings),
        visibility: visibility_spec(settings.visibility.as_ref()),
        unmapped: match settings.unmapped {
            UnmappedSettings::Null => Unmapped::Null,
            UnmappedSettings::Keep => Unmapped::Keep,
        },
    };
    let catalogue = match Catalogue::compile(&spec) {
        Ok(catalogue) => Arc::new(catalogue),
        Err(errors) => {
            errors.iter().for_each(|error| report(error, &spec, place, context));
            return None;
        }
    };
    let ids = |wanted: &dyn Fn(&ColumnSettings) -> bool| -> Vec<_> {
        let ColumnsSettings::Listed(columns) = &settings.columns else { return Vec::new() };
        let default = ColumnSettings::default();
        let wanted =
            columns.iter().filter(|(_, column)| wanted(column.as_ref().unwrap_or(&default)));
        wanted.filter_map(|(path, _)| catalogue.column(path)).collect()
    };
    let defaults = match settings.columns {
        ColumnsSettings::All(_) => Shown::all(&catalogue),
        ColumnsSettings::Listed(_) => {
            Shown::from_ids(&catalogue, ids(&|column| column.always || column.shown != Some(false)))
        }
    };
    Some(Resource {
        name: name.into(),
        visibility: match settings.visibility {
            None => RowVisibility::Unstated,
            Some(VisibilitySettings::Upstream(_)) => RowVisibility::Upstream,
            Some(VisibilitySettings::Columns(_)) => RowVisibility::Columns,
        },
        defaults: Arc::new(defaults),
        always: ids(&|column| column.always),
        catalogue,
    })
}

fn columns_spec(settings: &ResourceSettings) -> ColumnsSpec {
    match &settings.columns {
        ColumnsSettings::All(_) => ColumnsSpec::All { assistants: settings.assistants.clone() },
        ColumnsSettings::Listed(columns) => {
            let spec = |(path, column): (&str, &Option<ColumnSettings>)| {
                let column = column.clone().unwrap_or_default();
                ColumnSpec { path: path.into(), whole: column.whole, assistant: column.assistant }
            };
            ColumnsSpec::Listed(columns.iter().map(spec).collect())
        }
    }
}

fn visibility_spec(settings: Option<&VisibilitySettings>) -> VisibilitySpec {
    let Some(VisibilitySettings::Columns(columns)) = settings else {
        return VisibilitySpec::default();
    };
    VisibilitySpec {
        private: columns.private.clone(),
        owner: columns.owner.as_ref().map(|owner| owner.as_slice().to_vec()).unwrap_or_default(),
        team: columns.team.clone(),
    }
}

/// Finds the place that a catalogue's fault speaks of.
fn report(
    error: &CatalogueError,
    spec: &CatalogueSpec,
    place: &Path<'_>,
    context: &mut Context<'_, '_>,
) {
    let (columns, assistants, visibility) =
        (place.key("columns"), place.key("assistants"), place.key("visibility"));
    let path = match error {
        CatalogueError::EmptyPath => "",
        CatalogueError::EmptySegment { path }
        | CatalogueError::Brackets { path }
        | CatalogueError::Duplicate { path } => path,
        CatalogueError::WholeAndMember { member, .. } => member,
        CatalogueError::TooMany { .. } => {
            context.fault_of_key(&columns, error.to_string()).help("split the resource");
            return;
        }
    };
    let help = match error {
        CatalogueError::WholeAndMember { .. } => "remove one of the two, or `whole`",
        _ => "the way from the row, for example `customer.name`",
    };
    let judged = &spec.visibility;
    let is = |column: &Option<String>| column.as_deref() == Some(path);
    match &spec.columns {
        ColumnsSpec::Listed(listed) if listed.iter().any(|column| column.path == path) => {
            context.fault_of_key(&columns.key(path), error.to_string()).help(help);
        }
        ColumnsSpec::All { assistants: listed } if listed.iter().any(|listed| listed == path) => {
            let index = listed.iter().position(|listed| listed == path).unwrap_or(0);
            context.fault(&assistants.index(index), error.to_string()).help(help);
        }
        _ => {
            let key = match () {
                () if is(&judged.private) => "private",
                () if is(&judged.team) => "team",
                () => "owner",
            };
            context.fault(&visibility.key(key), error.to_string()).help(help);
        }
    }
}

fn column_notes(columns: &ColumnsSettings) -> Vec<ColumnNotes> {
    let ColumnsSettings::Listed(columns) = columns else { return Vec::new() };
    notes(columns).collect()
}

fn notes(columns: &Columns) -> impl Iterator<Item = ColumnNotes> {
    columns.iter().map(|(path, column)| {
        let column = column.clone().unwrap_or_default();
        ColumnNotes {
            path: path.into(),
            shown_by_default: column.always || column.shown != Some(false),
            label: column.label,
            personal: column.personal,
            always: column.always,
            assistant: column.assistant,
        }
    })
}
