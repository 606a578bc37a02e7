//! Names of things as small values: text ids are shared, table ids are indices into one snapshot.

use std::fmt;
use std::sync::Arc;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                $name(Arc::from(text))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// A key's id. Stable through rename and regenerate; never the key itself.
    KeyId
}
text_id! {
    /// A tenant's id.
    AccountId
}
text_id! {
    /// A team's id as text: `101` and `"101"` are the same team.
    TeamId
}

macro_rules! table_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub u16);

        impl $name {
            pub fn index(self) -> usize {
                usize::from(self.0)
            }
        }
    };
}

table_id! {
    /// Place of an upstream in its generation's table.
    UpstreamId
}
table_id! {
    /// Place of a resource in [`crate::Rules::resources`].
    ResourceId
}
table_id! {
    /// Place of a route in the route table, in file order.
    RouteId
}
table_id! {
    /// Place of a scope in the scope table; also its bit in a [`crate::ScopeSet`].
    ScopeId
}
