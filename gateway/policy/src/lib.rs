//! Decides whether a request may pass, what goes up with it, and what of the answer may come back.
//!
//! The product is one function, [`admit`]: credential → authenticate → limit → route → query →
//! scope → team → data scope. Everything else in this crate prepares its arguments or carries its
//! answer. Nothing here can wait: no socket, file, clock, lock or log is reachable; time is an
//! argument, and what the request does not decide was compiled before it came.
//!
//! Not here: YAML (`settings`), records at rest (`store`), sockets (`proxy`).

mod admit;
mod authenticate;
mod authorize;
mod body;
mod columns;
mod credential;
mod directory;
mod head;
mod ids;
mod index;
mod key;
mod path;
mod problem;
mod query;
mod reading;
mod resource;
mod rfc3339;
mod route;
mod scope;
mod snapshot;
mod team;
mod token;

pub use admit::{Admission, Admitted, Denial, Paid, Refusal, admit, admit_principal};
pub use authenticate::{AuthenticateError, Principal, authenticate, authenticate_id};
pub use authorize::{AuthorizeError, Grant};
pub use body::{BodyPlan, ResponseFacts, UnfilterableHead, plan_body};
pub use columns::{Account, AccountColumns};
pub use credential::{
    Carrier, CredentialError, CredentialRules, KEY_BYTES_MAX, PresentedKey, extract,
};
pub use directory::{
    AccountRecord, AssistantNames, ColumnLists, Compiled, CompiledAccount, Directory, Entries,
    KeyRecord, PreviousDigest, RaisedLimits, RecordFault, UserRecord, compile, compile_account,
    compile_key,
};
pub use head::RequestHead;
pub use ids::{AccountId, KeyId, ResourceId, RouteId, ScopeId, TeamId, UpstreamId};
pub use index::KeyIndex;
pub use key::{DataScope, KeyEntry, TeamReach, User};
pub use path::{OddPath, Target};
pub use problem::{ErrorStyle, Problem, ProblemCode, RenderedProblem};
pub use query::{QUERY_COLUMNS_DEFAULT, QueryError, QueryRule};
pub use reading::Reading;
pub use resource::{Resource, RowVisibility};
pub use rfc3339::{parse_rfc3339, rfc3339};
pub use route::{
    Found, Params, Pattern, PatternError, Route, RouteConflict, RouteError, RouteTable,
};
pub use scope::{Action, SCOPES_MAX, Scope, ScopeError, ScopeRule, ScopeSet, ScopeTable};
pub use snapshot::{Bounds, Plan, Published, Reserved, Rules, Snapshot};
pub use team::{TeamError, TeamNaming, TeamRule};
pub use token::{Digest, DigestError, DigestKind, Pepper};

pub use gateway_limits::{
    Allowance, Count, LimitState, Meters, Quota, QuotaKind, Quotas, Slot, Spent, UnixMs, Use, Used,
};
pub use gateway_rewrite::{Job, Shape, Shown};
