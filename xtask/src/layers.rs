//! Who may depend on whom: a table of the rooms, held against `cargo metadata`.
//!
//! The manifests could say anything; this says what they may say. Pure rooms list every crate they
//! may use, the others what they must not. Each room is held to its direct, non-test dependencies;
//! as every room is, what is reachable through another room is held too.
//!
//! Not here: calls that a room must not make (its `clippy.toml`).
//! Source of the table: `docs/architecture.md`, "Layers".

use anyhow::{Context, Result};
use serde_json::Value;

use crate::manifest::{self, Line};
use crate::workspace::{Verdict, Workspace, count, verdict};

/// One row: a package and what it may depend on.
struct Room {
    package: &'static str,
    /// Our own packages that it may use.
    rooms: &'static [&'static str],
    crates: Crates,
}

/// Crates from outside, by the name manifests use; `x*` stands for all that begin with `x`.
enum Crates {
    Only(&'static [&'static str]),
    Without(&'static [&'static str]),
}

use Crates::{Only, Without};

static ROOMS: [Room; 10] = [
    Room {
        package: "gateway-rewrite",
        rooms: &[],
        crates: Only(&["ahash", "memchr", "thiserror"]),
    },
    Room { package: "gateway-limits", rooms: &[], crates: Only(&["parking_lot", "thiserror"]) },
    Room {
        package: "gateway-policy",
        rooms: &["gateway-rewrite", "gateway-limits"],
        crates: Only(&[
            "ahash",
            "arc-swap",
            "base64",
            "hmac",
            "http",
            "ipnet",
            "jiff",
            "sha2",
            "subtle",
            "thiserror",
        ]),
    },
    Room {
        package: "gateway-settings",
        rooms: &["gateway-policy", "gateway-rewrite", "gateway-limits"],
        crates: Without(&["pingora*", "tokio*", "hyper*", "axum*", "notify", "tempfile"]),
    },
    Room {
        package: "gateway-store",
        rooms: &["gateway-policy", "gateway-limits"],
        crates: Without(&["pingora*", "axum*", "http", "serde_yaml", "schemars"]),
    },
    Room {
        package: "gateway-proxy",
        rooms: &["gateway-policy", "gateway-rewrite", "gateway-limits"],
        crates: Without(&[
            "axum*",
            "serde_yaml",
            "schemars",
            "rusqlite",
            "tokio-postgres",
            "redis",
            "sqlx",
        ]),
    },
    Room {
        package: "gateway-admin",
        rooms: &["gateway-policy", "gateway-limits", "gateway-store"],
        crates: Without(&["pingora*", "serde_yaml", "rusqlite", "tokio-postgres", "redis", "sqlx"]),
    },
    Room {
        package: "colonnade",
        rooms: &[
            "gateway-policy",
            "gateway-rewrite",
            "gateway-limits",
            "gateway-settings",
            "gateway-store",
            "gateway-proxy",
            "gateway-admin",
            "colonnade-upstream",
        ],
        crates: Without(&[]),
    },
    Room { package: "colonnade-upstream", rooms: &[], crates: Without(&["pingora*"]) },
    Room { package: "xtask", rooms: &[], crates: Without(&["pingora*", "tokio*"]) },
];

/// Short names, as the comments of the root manifest use them.
const SHORT: [(&str, &str); 9] = [
    ("rewrite", "gateway-rewrite"),
    ("limits", "gateway-limits"),
    ("policy", "gateway-policy"),
    ("settings", "gateway-settings"),
    ("store", "gateway-store"),
    ("proxy", "gateway-proxy"),
    ("admin", "gateway-admin"),
    ("cli", "colonnade"),
    ("xtask", "xtask"),
];

/// A package of the workspace.
#[derive(Debug)]
struct Package {
    name: String,
    /// Its manifest lies under `gateway/`.
    room: bool,
    /// Names that its manifest uses for what it needs outside of tests.
    dependencies: Vec<String>,
}

/// Holds the workspace to the table, and the table's comments to the workspace.
pub(crate) fn check(workspace: &Workspace) -> Result<Verdict> {
    let packages = packages(&workspace.metadata(&["--no-deps"])?)?;
    let lines = manifest::dependency_lines(&workspace.read("Cargo.toml")?);
    let mut faults = layer_faults(&packages);
    faults.extend(manifest::comment_faults(&lines));
    faults.extend(user_faults(&packages, &lines));
    let edges = packages.iter().map(|package| package.dependencies.len()).sum();
    verdict(
        &faults,
        format!("{}, {}", count(packages.len(), "package"), count(edges, "dependency edge")),
    )
}

fn packages(metadata: &Value) -> Result<Vec<Package>> {
    let list = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    let root = metadata["workspace_root"].as_str().context("cargo metadata names no root")?;
    list.iter()
        .map(|package| {
            let name = package["name"].as_str().context("a package has no name")?;
            let manifest =
                package["manifest_path"].as_str().context("a package has no manifest")?;
            let inside = manifest.strip_prefix(root).unwrap_or(manifest);
            Ok(Package {
                name: name.to_owned(),
                room: inside.trim_start_matches('/').starts_with("gateway/"),
                dependencies: dependencies(package),
            })
        })
        .collect()
}

/// Normal and build dependencies; a build script of a pure room could do anything.
fn dependencies(package: &Value) -> Vec<String> {
    let all = package["dependencies"].as_array().map_or(&[][..], Vec::as_slice);
    let used = all.iter().filter(|dependency| dependency["kind"].as_str() != Some("dev"));
    used.filter_map(|dependency| dependency["rename"].as_str().or(dependency["name"].as_str()))
        .map(String::from)
        .collect()
}

fn layer_faults(packages: &[Package]) -> Vec<String> {
    let mut faults = Vec::new();
    for package in packages {
        let Some(room) = ROOMS.iter().find(|room| room.package == package.name) else {
            if package.room {
                faults.push(format!(
                    "{}: a room that the table of layers does not know",
                    package.name
                ));
            }
            continue;
        };
        for dependency in &package.dependencies {
            let own = packages.iter().any(|other| other.name == *dependency);
            let allowed = if own {
                room.rooms.contains(&dependency.as_str())
            } else {
                room.crates.allow(dependency)
            };
            if !allowed {
                faults.push(format!("{} must not depend on {dependency}", package.name));
            }
        }
    }
    faults
}

impl Crates {
    fn allow(&self, name: &str) -> bool {
        match self {
            Only(list) => list.contains(&name),
            Without(list) => !list.iter().any(|pattern| matches(pattern, name)),
        }
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

/// Rooms that use what the root manifest's comment keeps for others.
fn user_faults(packages: &[Package], lines: &[Line]) -> Vec<String> {
    let users = manifest::users(lines, &SHORT.map(|(short, _)| short));
    let mut faults = Vec::new();
    for package in packages {
        let Some((short, _)) = SHORT.iter().find(|(_, name)| *name == package.name) else {
            continue;
        };
        for dependency in &package.dependencies {
            if let Some(users) =
                users.get(dependency.as_str()).filter(|users| !users.contains(short))
            {
                let users = users.join(", ");
                faults.push(format!(
                    "{} depends on {dependency}, which Cargo.toml keeps for {users}: mend the manifest or the comment",
                    package.name
                ));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;

    /// What a package depends on: name and kind.
    type Edges<'a> = &'a [(&'a str, Option<&'a str>)];

    fn workspace_of(members: &[(&str, Edges<'_>)]) -> Vec<Package> {
        let packages: Vec<Value> = members
            .iter()
            .map(|(name, dependencies)| {
                let dependencies: Vec<Value> = dependencies
                    .iter()
                    .map(|(name, kind)| json!({"name": name, "kind": kind, "rename": null}))
                    .collect();
                let folder = name
                    .strip_prefix("gateway-")
                    .map_or(format!("tools/{name}"), |f| format!("gateway/{f}"));
                json!({
                    "name": name,
                    "manifest_path": format!("/src/{folder}/Cargo.toml"),
                    "dependencies": dependencies,
                })
            })
            .collect();
        super::packages(&json!({"packages": packages, "workspace_root": "/src"})).unwrap()
    }

    #[test]
    fn a_room_may_use_what_the_table_gives_it_and_nothing_else() {
        for (room, dependency, kind, faults) in [
            ("gateway-policy", "http", None, 0),
            ("gateway-policy", "tokio", None, 1),
            ("gateway-policy", "tokio", Some("dev"), 0),
            ("gateway-policy", "tokio", Some("build"), 1),
            ("gateway-policy", "gateway-limits", None, 0),
            ("gateway-policy", "gateway-settings", None, 1),
            ("gateway-rewrite", "memchr", None, 0),
            ("gateway-rewrite", "serde", None, 1),
            ("gateway-proxy", "gateway-admin", None, 1),
            ("gateway-proxy", "gateway-store", None, 1),
            ("gateway-proxy", "tokio", None, 0),
            ("gateway-admin", "gateway-store", None, 0),
            ("gateway-admin", "pingora-core", None, 1),
            ("gateway-settings", "pingora", None, 1),
            ("gateway-settings", "serde_yaml", None, 0),
            ("colonnade-upstream", "gateway-policy", None, 1),
        ] {
            let packages = workspace_of(&[
                (room, &[(dependency, kind)]),
                ("gateway-limits", &[]),
                ("gateway-policy", &[]),
                ("gateway-settings", &[]),
                ("gateway-store", &[]),
                ("gateway-admin", &[]),
            ]);
            assert_eq!(layer_faults(&packages).len(), faults, "{room} → {dependency} ({kind:?})");
        }
    }

    #[test]
    fn a_new_room_must_be_put_into_the_table() {
        let packages = workspace_of(&[("gateway-attic", &[]), ("colonnade-benches", &[])]);
        let faults = layer_faults(&packages);
        assert_eq!(faults, ["gateway-attic: a room that the table of layers does not know"]);
    }

    #[test]
    fn the_comment_in_the_root_manifest_is_held_to_its_word() {
        let root = "[workspace.dependencies]\nsubtle = \"2\" # constant time; policy\nbytes = \"1\" # buffers, anywhere\n";
        let lines = manifest::dependency_lines(root);
        for (room, dependency, faults) in [
            ("gateway-policy", "subtle", 0),
            ("gateway-admin", "subtle", 1),
            ("gateway-admin", "bytes", 0),
            ("colonnade-benches", "subtle", 0),
        ] {
            let packages = workspace_of(&[(room, &[(dependency, None)])]);
            assert_eq!(user_faults(&packages, &lines).len(), faults, "{room} → {dependency}");
        }
    }

    #[test]
    fn a_dependency_under_another_name_counts_by_the_name_it_is_used_by() {
        let metadata = json!({
            "workspace_root": "/src",
            "packages": [{
                "name": "gateway-proxy",
                "manifest_path": "/src/gateway/proxy/Cargo.toml",
                "dependencies": [{"name": "serde-saphyr", "rename": "serde_yaml", "kind": null}],
            }],
        });
        let faults = layer_faults(&super::packages(&metadata).unwrap());
        assert_eq!(faults, ["gateway-proxy must not depend on serde_yaml"]);
    }
}
