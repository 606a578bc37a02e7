//! `config/examples/avoca.yaml` and its directory against the operations that are served.
//!
//! Read as text: whether they are valid configuration is `colonnade check`'s to say.

#![allow(clippy::unwrap_used)]

use colonnade_upstream::{ASSISTANTS, OPERATIONS, Service};
use sha2::{Digest, Sha256};

const CONFIGURATION: &str = include_str!("../../../config/examples/avoca.yaml");
const DIRECTORY: &str = include_str!("../../../config/examples/avoca-directory.yaml");

/// Key id and the key itself. Published, so worth nothing: for tests and trials only.
const EXAMPLE_KEYS: &[(&str, &str)] = &[
    ("key_all", "avoca_9e43ae98e7ecbe7ff0df3acbd994e009adf48e086e823176b78fe24f3a53d1ba"),
    ("key_bi", "avoca_9f0d791b16b2b493120820317ecb87ad48494875a1c255eadecb8cae73c0f6a2"),
    ("key_ann", "avoca_f1a472b214da3bf169d6285bdf77079d325a195a7a25eb52c00f0dcd8c6dc936"),
    ("key_bob", "avoca_aaa425fe612fa07d6ce010bc1de49ff60abdbfa8e7299c1669eb162393106010"),
    ("key_retired", "avoca_4f86925329bd7900cf63d22b7113f0f820358ca12faca21fc27a22d08d5cf3c2"),
    ("key_borealis", "avoca_87df78aeaac889db9d48ee2b1aa63153d774003a8006aac49132da9d09b3f4fc"),
];

/// The text of each route: its line, and the indented lines of one written over several.
fn routes() -> Vec<String> {
    let section = CONFIGURATION.split_once("\nroutes:\n").unwrap().1;
    let section = section.split_once("\nerrors:").unwrap().0;
    let route = |piece: &str| format!("{} ", piece.replace(['\n', '{', '}', '"'], " "));
    section.split("match:").skip(1).map(route).collect()
}

/// S2, E1 to E9: every published operation has one route, on its service, under its permission.
#[test]
fn every_operation_has_one_route_to_its_service_under_its_permission() {
    let routes = routes();
    assert_eq!(routes.len(), OPERATIONS.len());
    for &(method, pattern, permission, service) in OPERATIONS {
        let path = pattern.replace(['{', '}'], " ");
        let of_this = |route: &&String| {
            let plain = route.replace(":uuid ", " ").replace(":int ", " ");
            let found = plain.trim_start().strip_prefix(method).unwrap_or_default().trim_start();
            let (found, _) = found.split_once("upstream:").unwrap();
            let found: String = found.split_whitespace().collect();
            let path: String = path.split_whitespace().collect();
            found.trim_end_matches(',') == path
        };
        let found: Vec<&String> = routes.iter().filter(of_this).collect();
        let [route] = found[..] else { panic!("{pattern} has {} routes", found.len()) };
        let upstream = match service {
            Service::Calls => "upstream: calls",
            Service::Coach => "upstream: coach",
            Service::Leads => "upstream: leads",
        };
        assert!(route.contains(upstream), "{pattern}: {route}");
        assert!(route.contains(&format!("scope: {permission}")), "{pattern}: {route}");
        assert!(CONFIGURATION.contains(&format!("\n  {permission}: ")), "{permission}");
    }
}

/// K5, K7: digests and masked forms belong to the published keys, and no key is in a file.
#[test]
fn the_directory_holds_digests_and_masks_of_the_published_keys_and_no_key() {
    for (id, key) in EXAMPLE_KEYS {
        let record = DIRECTORY.split_once(&format!("      {id}:\n")).unwrap().1;
        let digest: String = Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect();
        let display = format!("display: {}\u{2026}{}\n", &key[..10], &key[66..]);
        let lines: Vec<&str> = record.lines().take(3).collect();
        assert_eq!(lines[1].trim(), format!("digest: \"sha256:{digest}\""), "{id}");
        assert_eq!(format!("{}\n", lines[2].trim()), display, "{id}");
        assert!(!DIRECTORY.contains(key) && !CONFIGURATION.contains(key), "{id}");
    }
}

/// M1, M4: the ids that the services send are the ids that the directory names.
#[test]
fn the_directory_names_the_assistants_of_the_data() {
    for (id, name) in ASSISTANTS {
        let plain = format!("        {id}: {name}\n");
        let quoted = format!("        {id}: {}\n", serde_json::to_string(name).unwrap());
        assert!(DIRECTORY.contains(&plain) || DIRECTORY.contains(&quoted), "{id}");
    }
}
