//! C that comes inside a package: its name, its version and its licence, for the list of what is in the
//! binary. Faults of it are published under its own name, not the package's.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

/// C sources inside a package, and where they say their version.
#[derive(Debug)]
pub(crate) struct Bundled {
    package: &'static str,
    pub(crate) library: &'static str,
    pub(crate) licence: &'static str,
    /// In the package; no text where the licence needs none.
    pub(crate) text: Option<&'static str>,
    header: &'static str,
    version: fn(&str) -> Option<String>,
}

static BUNDLED: [Bundled; 3] = [
    Bundled {
        package: "libsqlite3-sys",
        library: "sqlite",
        licence: "blessing",
        text: None,
        header: "sqlite3/sqlite3.h",
        version: |header| Some(defined(header, "SQLITE_VERSION")?.trim_matches('"').to_owned()),
    },
    Bundled {
        package: "libmimalloc-sys",
        library: "mimalloc",
        licence: "MIT",
        text: Some("c_src/mimalloc/v3/LICENSE"),
        header: "c_src/mimalloc/v3/include/mimalloc.h",
        version: |header| packed(defined(header, "MI_MALLOC_VERSION")?),
    },
    Bundled {
        package: "zstd-sys",
        library: "zstd",
        licence: "BSD-3-Clause",
        text: Some("zstd/LICENSE"),
        header: "zstd/lib/zstd.h",
        version: |header| {
            let part = |name| defined(header, &format!("ZSTD_VERSION_{name}"));
            Some(format!("{}.{}.{}", part("MAJOR")?, part("MINOR")?, part("RELEASE")?))
        },
    },
];

/// The C inside this package and its version; a version that is not found is a fault of the table.
pub(crate) fn inside(package: &Value) -> Result<Option<(&'static Bundled, String)>> {
    let Some(bundled) = BUNDLED.iter().find(|bundled| package["name"] == bundled.package) else {
        return Ok(None);
    };
    let header = folder(package)?.join(bundled.header);
    let text = std::fs::read(&header)
        .with_context(|| format!("{} has no {}", bundled.package, bundled.header))?;
    let version = (bundled.version)(&String::from_utf8_lossy(&text))
        .with_context(|| format!("{} says no version", bundled.header))?;
    Ok(Some((bundled, version)))
}

/// The value of `#define NAME value`.
fn defined<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    header.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let found = words.next() == Some("#define") && words.next() == Some(name);
        found.then(|| words.next()).flatten()
    })
}

/// mimalloc's `30302` is 3.3.2.
fn packed(digits: &str) -> Option<String> {
    let number: u32 = digits.parse().ok()?;
    Some(format!("{}.{}.{}", number / 10_000, number / 100 % 100, number % 100))
}

/// Where a package lies.
pub(crate) fn folder(package: &Value) -> Result<PathBuf> {
    let manifest = package["manifest_path"].as_str().context("a package has no manifest")?;
    Ok(Path::new(manifest).parent().context("a manifest has no folder")?.to_path_buf())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_their_version_in_their_own_way() {
        let sqlite =
            "#define SQLITE_VERSION_NUMBER 3054001\n#define SQLITE_VERSION        \"3.54.1\"\n";
        let mimalloc = "#define MI_MALLOC_VERSION 30302   // major + 2 digits minor\n";
        let zstd = "#define ZSTD_VERSION_MAJOR    1\n#define ZSTD_VERSION_MINOR    5\n#define ZSTD_VERSION_RELEASE  7\n";
        for (at, header, version) in [
            (0, sqlite, Some("3.54.1")),
            (1, mimalloc, Some("3.3.2")),
            (2, zstd, Some("1.5.7")),
            (2, sqlite, None),
        ] {
            assert_eq!(
                (BUNDLED[at].version)(header).as_deref(),
                version,
                "{}",
                BUNDLED[at].library
            );
        }
    }
}
