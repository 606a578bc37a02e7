//! A rewriting task as a test writes it down, and the ways to run it.

use std::sync::Arc;

use gateway_rewrite::{
    Bounds, Catalogue, CatalogueSpec, ColumnSpec, ColumnsSpec, Job, Names, Reason, RewriteError,
    Rewriter, RowRule, Shape, Shown, Totals, Unmapped, VisibilitySpec,
};

/// One body's task. Columns are written as `path`, with `!` behind it for whole, `@` for an
/// assistant and a leading `-` for one that is not shown: `-customer.name`, `transcript!`.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub rows: String,
    pub beside: Vec<String>,
    pub pass_envelope: bool,
    pub columns: Vec<Column>,
    /// Every row passes whole; only the assistants among `columns` count.
    pub all: bool,
    pub visibility: VisibilitySpec,
    pub unmapped: Unmapped,
    pub names: Vec<(String, String)>,
    pub fallback: Option<String>,
    pub rule: RowRule,
    pub bounds: Bounds,
}

#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub spec: ColumnSpec,
    pub shown: bool,
}

impl Setting {
    pub(crate) fn new(rows: &str, columns: &[&str]) -> Setting {
        Setting {
            rows: rows.to_owned(),
            beside: Vec::new(),
            pass_envelope: false,
            columns: columns.iter().map(|text| column(text)).collect(),
            all: false,
            visibility: VisibilitySpec::default(),
            unmapped: Unmapped::Null,
            names: Vec::new(),
            fallback: None,
            rule: RowRule::default(),
            bounds: Bounds { depth: 64, row_bytes: 1 << 20 },
        }
    }

    pub(crate) fn beside(mut self, paths: &[&str]) -> Setting {
        self.beside = paths.iter().map(|path| (*path).to_owned()).collect();
        self
    }

    pub(crate) fn pass_envelope(mut self) -> Setting {
        self.pass_envelope = true;
        self
    }

    pub(crate) fn all(mut self) -> Setting {
        self.all = true;
        self
    }

    pub(crate) fn names(mut self, names: &[(&str, &str)], fallback: Option<&str>) -> Setting {
        self.names =
            names.iter().map(|(id, name)| ((*id).to_owned(), (*name).to_owned())).collect();
        self.fallback = fallback.map(str::to_owned);
        self
    }

    pub(crate) fn keep_unmapped(mut self) -> Setting {
        self.unmapped = Unmapped::Keep;
        self
    }

    pub(crate) fn judged_by(
        mut self,
        private: Option<&str>,
        owner: &[&str],
        team: Option<&str>,
    ) -> Setting {
        self.visibility = VisibilitySpec {
            private: private.map(str::to_owned),
            owner: owner.iter().map(|path| (*path).to_owned()).collect(),
            team: team.map(str::to_owned),
        };
        self
    }

    pub(crate) fn rule(mut self, rule: RowRule) -> Setting {
        self.rule = rule;
        self
    }

    pub(crate) fn bounds(mut self, depth: u16, row_bytes: usize) -> Setting {
        self.bounds = Bounds { depth, row_bytes };
        self
    }

    pub(crate) fn job(&self) -> Job {
        let specs = self.columns.iter().map(|column| column.spec.clone());
        let columns = if self.all {
            ColumnsSpec::All {
                assistants: specs.filter(|spec| spec.assistant).map(|spec| spec.path).collect(),
            }
        } else {
            ColumnsSpec::Listed(specs.collect())
        };
        let spec =
            CatalogueSpec { columns, visibility: self.visibility.clone(), unmapped: self.unmapped };
        let catalogue = Catalogue::compile(&spec).unwrap();
        let shown = self.columns.iter().filter(|column| column.shown);
        let shown = Shown::from_ids(
            &catalogue,
            shown.filter_map(|column| catalogue.column(&column.spec.path)),
        );
        Job {
            shown: Arc::new(shown),
            catalogue: Arc::new(catalogue),
            shape: Arc::new(Shape::compile(&self.rows, &self.beside, self.pass_envelope).unwrap()),
            names: Arc::new(Names::new(
                self.names.iter().map(|(id, name)| (id, name)),
                self.fallback.as_deref(),
            )),
            rows: Arc::new(self.rule.clone()),
            bounds: self.bounds,
        }
    }

    /// Rewrites a body given in one piece.
    pub(crate) fn run(&self, body: impl AsRef<[u8]>) -> Outcome {
        rewrite(&self.job(), [body.as_ref()])
    }

    /// The output for a body that must be accepted, as text.
    pub(crate) fn accepts(&self, body: impl AsRef<[u8]>) -> String {
        let outcome = self.run(&body);
        let error = outcome.result.err();
        assert_eq!(error, None, "{}", String::from_utf8_lossy(body.as_ref()));
        String::from_utf8(outcome.out).unwrap()
    }

    /// The reason for a body that must be refused.
    pub(crate) fn refuses(&self, body: impl AsRef<[u8]>) -> Option<Reason> {
        self.run(body).result.err().map(|error| error.reason)
    }

    pub(crate) fn totals(&self, body: impl AsRef<[u8]>) -> Totals {
        self.run(body).result.unwrap()
    }
}

pub(crate) fn column(text: &str) -> Column {
    let (text, shown) = text.strip_prefix('-').map_or((text, true), |text| (text, false));
    let (text, whole) = text.strip_suffix('!').map_or((text, false), |text| (text, true));
    let (path, assistant) = text.strip_suffix('@').map_or((text, false), |text| (text, true));
    Column { spec: ColumnSpec { path: path.to_owned(), whole, assistant }, shown }
}

/// What came of one body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub out: Vec<u8>,
    pub result: Result<Totals, RewriteError>,
}

impl Outcome {
    /// Whether it may be of the same body, cut elsewhere: the same bytes, but of a refused one the one may have
    /// written more than the other.
    pub(crate) fn agrees_with(&self, other: &Outcome) -> bool {
        let is_prefix = self.out.starts_with(&other.out) || other.out.starts_with(&self.out);
        self.result == other.result && is_prefix && (self.result.is_err() || self.out == other.out)
    }
}

pub(crate) fn rewrite<'a>(job: &Job, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut rewriter = Rewriter::new(job.clone());
    let mut out = Vec::new();
    for piece in pieces {
        if let Err(error) = rewriter.write(piece, &mut out) {
            let before = out.len();
            assert_eq!(rewriter.write(b" ", &mut out), Err(error), "an error must last");
            assert_eq!(rewriter.end(&mut out), Err(error), "an error must last");
            assert_eq!(out.len(), before, "nothing may follow an error");
            return Outcome { out, result: Err(error) };
        }
    }
    let result = rewriter.end(&mut out);
    Outcome { out, result }
}
