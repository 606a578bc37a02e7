//! What is inside the binary: a CycloneDX 1.6 document, and the licences of all of it with their texts.
//!
//! Which packages those are is asked of `cargo tree`, for the gateway alone: `cargo metadata` joins the
//! features of all members, benches and tests too. It says the rest: licences, sources, edges. C that
//! comes inside a package is a component of its own, because its faults are published under its name.
//!
//! Nothing here is committed: it follows from `Cargo.lock`, and the image makes its own. Neither a time nor
//! a random number is in it, so the same tree makes the same bytes.
//!
//! Not here: known vulnerabilities (`deny`).
//! Sources: CycloneDX 1.6 JSON, package-url for `cargo`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::bundled;
use crate::licences::{self, Piece};
use crate::workspace::{Verdict, Workspace, count, text_of, verdict};

const BINARY: &str = "colonnade";

/// Name and version, as `cargo tree` writes them.
type Id = (String, String);

/// Makes both documents in memory and holds them to what is promised of them.
pub(crate) fn check(workspace: &Workspace) -> Result<Verdict> {
    // The image's binary, then the one that `cargo build` makes.
    run(workspace, None, Some("otel"))?;
    run(workspace, None, None)
}

/// Writes `colonnade.cdx.json` and `third-party-licences.txt` into `folder`, by default `target/sbom`.
/// `features`: those of the gateway that the binary is built with.
pub(crate) fn run(
    workspace: &Workspace,
    folder: Option<PathBuf>,
    features: Option<&str>,
) -> Result<Verdict> {
    let folder = match folder {
        Some(folder) => folder,
        None => workspace.target_dir()?.join("sbom"),
    };
    let target = host()?;
    let of_ours = features.map(|features| format!("{BINARY}/{features}")).unwrap_or_default();
    let metadata =
        workspace.metadata(&["--locked", "--filter-platform", &target, "--features", &of_ours])?;
    let tree = |edges| tree(workspace, &target, edges, features.unwrap_or_default());
    let inside = tree("normal,no-proc-macro")?;
    let mut around = tree("normal,build")?;
    around.retain(|id| !inside.contains(id));
    let sums = checksums(&workspace.read("Cargo.lock")?);

    let made = document(&metadata, &inside, &around, &sums, &target)?;
    let pieces = pieces(&metadata, &inside)?;
    let allowed = licences::allowed(&workspace.read("deny.toml")?);
    let mut faults = made.faults;
    faults.extend(licences::faults(&pieces, &allowed));

    std::fs::create_dir_all(&folder).context("cannot make the folder of the documents")?;
    let write = |name: &str, text: String| {
        std::fs::write(folder.join(name), text).with_context(|| format!("cannot write {name}"))
    };
    let title = format!("Third-party software in {BINARY} {} for {target}", made.version);
    write("colonnade.cdx.json", format!("{:#}\n", made.document))?;
    write("third-party-licences.txt", licences::page(&title, &pieces))?;
    let textless = pieces.iter().filter(|piece| piece.texts.is_empty()).count();
    let measure = format!(
        "{} in the binary, {textless} without a text of the licence, {} to build it",
        count(pieces.len(), "third-party piece"),
        around.len()
    );
    verdict(&faults, measure)
}

/// The platform that is built for: this one.
fn host() -> Result<String> {
    let version = text_of(Command::new("rustc").arg("-vV"))?;
    let line = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(line.context("rustc names no host")?.to_owned())
}

/// The packages that the gateway is made of, by edges of these kinds.
fn tree(workspace: &Workspace, target: &str, edges: &str, features: &str) -> Result<BTreeSet<Id>> {
    let mut cargo = workspace.cargo(&["tree", "--locked", "--package", BINARY, "--edges", edges]);
    cargo.args(["--prefix", "none", "--no-dedupe", "--format", "{p}", "--target", target]);
    cargo.args(["--features", features]);
    Ok(text_of(&mut cargo)?.lines().filter_map(id_of_line).collect())
}

/// `ring v0.17.14`, `colonnade v0.1.0 (/src/gateway/cli)`, `serde_derive v1.0.0 (proc-macro)`.
fn id_of_line(line: &str) -> Option<Id> {
    let mut words = line.split(' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    Some((name.to_owned(), version.to_owned()))
}

fn id_of(package: &Value) -> Option<Id> {
    Some((package["name"].as_str()?.to_owned(), package["version"].as_str()?.to_owned()))
}

/// SHA-256 of what the registry serves, from the lock file.
fn checksums(lock: &str) -> BTreeMap<Id, String> {
    let entries = lock.split("[[package]]").skip(1).filter_map(|entry| {
        let value = |key: &str| {
            let line = entry.lines().find_map(|line| line.strip_prefix(key));
            Some(line?.strip_prefix(" = ")?.trim_matches('"').to_owned())
        };
        Some(((value("name")?, value("version")?), value("checksum")?))
    });
    entries.collect()
}

struct Made {
    document: Value,
    version: String,
    faults: Vec<String>,
}

fn document(
    metadata: &Value,
    inside: &BTreeSet<Id>,
    around: &BTreeSet<Id>,
    sums: &BTreeMap<Id, String>,
    target: &str,
) -> Result<Made> {
    let packages = packages(metadata)?;
    let mut faults = Vec::new();
    let mut components = Vec::new();
    let mut binary = None;
    for (scope, ids) in [("required", inside), ("excluded", around)] {
        for id in ids {
            let package =
                packages.get(id).with_context(|| format!("cargo metadata has no {}", id.0))?;
            let sum = sums.get(id);
            if sum.is_none() && !package["source"].is_null() {
                faults.push(format!("{} {} has no checksum in Cargo.lock", id.0, id.1));
            }
            let component = component(package, id, scope, sum)?;
            if id.0 == BINARY { binary = Some(component) } else { components.push(component) }
        }
    }
    let mut binary = binary.with_context(|| format!("{BINARY} is not in its own tree"))?;
    binary["type"] = "application".into();
    if let Some(fields) = binary.as_object_mut() {
        fields.remove("scope");
    }
    let version = binary["version"].as_str().unwrap_or_default().to_owned();
    let document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "tools": { "components": [{ "type": "application", "name": "cargo xtask sbom" }] },
            "component": binary,
            "properties": [{ "name": "cargo:target", "value": target }],
        },
        "components": components,
        "dependencies": edges(metadata, inside, around)?,
    });
    Ok(Made { document, version, faults })
}

fn packages(metadata: &Value) -> Result<BTreeMap<Id, &Value>> {
    let all = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    Ok(all.iter().filter_map(|package| Some((id_of(package)?, package))).collect())
}

fn component(package: &Value, id: &Id, scope: &str, sum: Option<&String>) -> Result<Value> {
    let (name, version) = id;
    let mut component = json!({
        "type": "library",
        "bom-ref": reference(id),
        "name": name,
        "version": version,
        "scope": scope,
    });
    if let Some(sum) = sum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": sum }]);
    }
    if let Some(licence) = package["license"].as_str() {
        component["licenses"] = json!([{ "expression": licences::spelled(licence) }]);
    }
    // What is ours has no address: it is not in a registry.
    if !package["source"].is_null() {
        component["purl"] = purl(id).into();
        if let Some(repository) = package["repository"].as_str() {
            component["externalReferences"] = json!([{ "type": "vcs", "url": repository }]);
        }
    }
    if let Some((bundled, version)) = bundled::inside(package)? {
        component["components"] = json!([{
            "type": "library",
            "bom-ref": format!("{}#{}", reference(id), bundled.library),
            "name": bundled.library,
            "version": version,
            "scope": scope,
            "licenses": [{ "expression": bundled.licence }],
            "purl": format!("pkg:generic/{}@{version}", bundled.library),
        }]);
    }
    Ok(component)
}

fn reference((name, version): &Id) -> String {
    format!("{name}@{version}")
}

/// A `+` in a version would be read as a space.
fn purl((name, version): &Id) -> String {
    format!("pkg:cargo/{name}@{}", version.replace('+', "%2B"))
}

/// Who is made with whom, among what is listed.
fn edges(metadata: &Value, inside: &BTreeSet<Id>, around: &BTreeSet<Id>) -> Result<Vec<Value>> {
    let names: BTreeMap<&str, Id> = metadata["packages"]
        .as_array()
        .context("cargo metadata names no packages")?
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?, id_of(package)?)))
        .collect();
    let listed = |id: &Id| inside.contains(id) || around.contains(id);
    let nodes = metadata["resolve"]["nodes"].as_array().context("cargo metadata has no graph")?;
    let mut edges = BTreeMap::new();
    for node in nodes {
        let Some(from) = node["id"].as_str().and_then(|id| names.get(id)) else { continue };
        if !listed(from) {
            continue;
        }
        let to: BTreeSet<String> = node["deps"]
            .as_array()
            .map_or(&[][..], Vec::as_slice)
            .iter()
            .filter(|edge| is_made_with(edge))
            .filter_map(|edge| names.get(edge["pkg"].as_str()?))
            .filter(|id| listed(id))
            .map(reference)
            .collect();
        edges.insert(reference(from), to);
    }
    Ok(edges.into_iter().map(|(from, to)| json!({ "ref": from, "dependsOn": to })).collect())
}

/// Not by its tests alone.
fn is_made_with(edge: &Value) -> bool {
    let kinds = edge["dep_kinds"].as_array().map_or(&[][..], Vec::as_slice);
    kinds.iter().any(|kind| kind["kind"].as_str() != Some("dev"))
}

/// What of others is in the binary, with the texts that go with it.
fn pieces(metadata: &Value, inside: &BTreeSet<Id>) -> Result<Vec<Piece>> {
    let packages = packages(metadata)?;
    let mut pieces = Vec::new();
    for id in inside {
        let Some(package) = packages.get(id).filter(|package| !package["source"].is_null()) else {
            continue;
        };
        let folder = bundled::folder(package)?;
        let text_or = |key: &str| package[key].as_str().unwrap_or_default().to_owned();
        pieces.push(Piece {
            name: id.0.clone(),
            version: id.1.clone(),
            licence: licences::spelled(&text_or("license")),
            from: text_or("repository"),
            texts: licences::texts(&folder)?,
        });
        if let Some((bundled, version)) = bundled::inside(package)? {
            let text = bundled.text.map(|text| folder.join(text));
            pieces.push(Piece {
                name: bundled.library.to_owned(),
                version,
                licence: bundled.licence.to_owned(),
                from: format!("C sources inside {}", id.0),
                texts: text.map(|text| licences::text(&text)).transpose()?.into_iter().collect(),
            });
        }
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn id(name: &str, version: &str) -> Id {
        (name.to_owned(), version.to_owned())
    }

    #[test]
    fn a_line_of_the_tree_is_a_name_and_a_version() {
        for (line, expected) in [
            ("ring v0.17.14", Some(id("ring", "0.17.14"))),
            ("colonnade v0.1.0 (/src/gateway/cli)", Some(id("colonnade", "0.1.0"))),
            ("serde_derive v1.0.1 (proc-macro)", Some(id("serde_derive", "1.0.1"))),
            ("zstd-sys v2.1.2+zstd.1.5.7", Some(id("zstd-sys", "2.1.2+zstd.1.5.7"))),
            ("", None),
        ] {
            assert_eq!(id_of_line(line), expected, "{line}");
        }
    }

    #[test]
    fn the_lock_file_gives_the_checksum_of_what_comes_from_a_registry() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry\"\n\
                    checksum = \"00ff\"\n\n[[package]]\nname = \"ours\"\nversion = \"0.1.0\"\n";
        assert_eq!(checksums(lock), BTreeMap::from([(id("a", "1.0.0"), "00ff".to_owned())]));
    }

    /// The whole document of a gateway with one crate of others inside and one that only builds it.
    #[test]
    fn the_document_is_the_binary_what_is_in_it_and_what_built_it() {
        let package = |name: &str, version: &str, source: Value| {
            json!({ "id": format!("{name}#{version}"), "name": name, "version": version, "source": source,
                    "license": "MIT/Apache-2.0", "repository": "https://example.test/a", "manifest_path": "/none/Cargo.toml" })
        };
        let kind =
            |name: &str, kind: Value| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] });
        let metadata = json!({
            "packages": [
                package("colonnade", "0.1.0", Value::Null),
                package("a", "1.0.0+x.1", "registry".into()),
                package("cc", "1.2.0", "registry".into()),
                package("proptest", "1.0.0", "registry".into()),
            ],
            "resolve": { "nodes": [
                { "id": "colonnade#0.1.0", "deps": [
                    kind("a#1.0.0+x.1", Value::Null), kind("cc#1.2.0", "build".into()), kind("proptest#1.0.0", "dev".into()),
                ] },
                { "id": "a#1.0.0+x.1", "deps": [] },
                { "id": "proptest#1.0.0", "deps": [] },
            ] },
        });
        let inside = BTreeSet::from([id("colonnade", "0.1.0"), id("a", "1.0.0+x.1")]);
        let around = BTreeSet::from([id("cc", "1.2.0")]);
        let sums = BTreeMap::from([(id("a", "1.0.0+x.1"), "00ff".to_owned())]);
        let made = document(&metadata, &inside, &around, &sums, "here").unwrap();

        assert_eq!(made.faults, ["cc 1.2.0 has no checksum in Cargo.lock"]);
        assert_eq!(made.version, "0.1.0");
        let licenses = json!([{ "expression": "MIT OR Apache-2.0" }]);
        assert_eq!(
            made.document["metadata"]["component"],
            json!({ "type": "application", "bom-ref": "colonnade@0.1.0", "name": "colonnade", "version": "0.1.0", "licenses": licenses })
        );
        assert_eq!(
            made.document["components"],
            json!([
                { "type": "library", "bom-ref": "a@1.0.0+x.1", "name": "a", "version": "1.0.0+x.1", "scope": "required",
                  "hashes": [{ "alg": "SHA-256", "content": "00ff" }], "licenses": licenses, "purl": "pkg:cargo/a@1.0.0%2Bx.1",
                  "externalReferences": [{ "type": "vcs", "url": "https://example.test/a" }] },
                { "type": "library", "bom-ref": "cc@1.2.0", "name": "cc", "version": "1.2.0", "scope": "excluded",
                  "licenses": licenses, "purl": "pkg:cargo/cc@1.2.0",
                  "externalReferences": [{ "type": "vcs", "url": "https://example.test/a" }] },
            ])
        );
        assert_eq!(
            made.document["dependencies"],
            json!([
                { "ref": "a@1.0.0+x.1", "dependsOn": [] },
                { "ref": "colonnade@0.1.0", "dependsOn": ["a@1.0.0+x.1", "cc@1.2.0"] },
            ])
        );
    }
}
