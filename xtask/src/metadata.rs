//! The workspace as cargo sees it: packages, floors, dependencies, binaries. Read from
//! `cargo metadata --no-deps`, so it needs no network and no build.

use serde_json::Value;

use crate::context::{Context, Outcome, output};

/// One package of this workspace.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Package {
    /// The name with its `tern-` prefix.
    pub(crate) name: String,
    /// Its folder, relative to the root of the clone, without a trailing slash.
    pub(crate) folder: String,
    /// `[package.metadata.tern] floor`.
    pub(crate) floor: Option<u64>,
    /// Normal and build dependencies, by package name; dev-dependencies are exempt from floors.
    pub(crate) dependencies: Vec<String>,
    /// The binaries it builds.
    pub(crate) binaries: Vec<String>,
}

/// Every package of the workspace.
pub(crate) fn packages(context: &Context) -> Outcome<Vec<Package>> {
    let verb = ["metadata", "--no-deps", "--format-version", "1"];
    parse(&output(&mut context.cargo_raw(&verb))?)
}

fn parse(json: &str) -> Outcome<Vec<Package>> {
    let value: Value =
        serde_json::from_str(json).map_err(|error| format!("cargo metadata: {error}"))?;
    let root = value["workspace_root"].as_str().unwrap_or_default();
    let packages = value["packages"].as_array().map_or(&[][..], Vec::as_slice);
    Ok(packages
        .iter()
        .map(|package| parse_package(package, root))
        .collect())
}

fn parse_package(value: &Value, root: &str) -> Package {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let manifest = text(&value["manifest_path"]);
    let folder = manifest.strip_prefix(root).unwrap_or(&manifest);
    let folder = folder
        .trim_end_matches("Cargo.toml")
        .trim_matches('/')
        .to_owned();
    let dependencies = list(&value["dependencies"]);
    let dependencies = dependencies
        .iter()
        .filter(|dependency| dependency["kind"] != "dev");
    let targets = list(&value["targets"]);
    let is_binary = |target: &&Value| list(&target["kind"]).iter().any(|kind| kind == "bin");
    Package {
        name: text(&value["name"]),
        folder,
        floor: value["metadata"]["tern"]["floor"].as_u64(),
        dependencies: dependencies
            .map(|dependency| text(&dependency["name"]))
            .collect(),
        binaries: targets
            .iter()
            .filter(is_binary)
            .map(|target| text(&target["name"]))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_that_the_verbs_use_are_found() {
        let json = r#"{"workspace_root":"/w","packages":[{"name":"tern-server",
            "manifest_path":"/w/crates/server/Cargo.toml","metadata":{"tern":{"floor":8}},
            "dependencies":[{"name":"tern-imap","kind":null},{"name":"tempfile","kind":"dev"},{"name":"cc","kind":"build"}],
            "targets":[{"name":"tern","kind":["bin"]},{"name":"tern_server","kind":["lib"]}]}]}"#;
        let expected = Package {
            name: "tern-server".to_owned(),
            folder: "crates/server".to_owned(),
            floor: Some(8),
            dependencies: vec!["tern-imap".to_owned(), "cc".to_owned()],
            binaries: vec!["tern".to_owned()],
        };
        assert_eq!(parse(json), Ok(vec![expected]));
    }
}
