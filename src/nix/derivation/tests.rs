//! Derivations as Nix writes them, and walks through small graphs.

use super::*;

/// Returns a store path with this name.
fn path(name: &str) -> StorePath {
    let letter = name.bytes().next().map_or('0', char::from);
    let hash = letter.to_string().repeat(32);
    StorePath::parse(&format!("/nix/store/{hash}-{name}")).unwrap()
}

/// Returns a derivation with one output, `NAME`, that needs the output `out` of others.
fn derivation(name: &str, inputs: &[&str]) -> (StorePath, Derivation) {
    let inputs = inputs.iter().map(|input| (path(&format!("{input}.drv")), vec!["out".to_owned()]));
    let outputs = [("out".to_owned(), Some(path(name)))].into();
    let read = Derivation { outputs, inputs: inputs.collect(), local: false };
    (path(&format!("{name}.drv")), read)
}

/// Walks a graph and returns the names of what must be built, sorted.
fn walked(
    graph: &[(StorePath, Derivation)],
    root: &str,
    valid: &[&str],
    held: &[&str],
) -> (Vec<String>, Walk) {
    let mut walk = Walk::new(path(&format!("{root}.drv")));
    let is_in = |names: &[&str], path: &StorePath| names.contains(&path.name());
    while !walk.is_done() {
        for drv in walk.unread().into_iter().cloned().collect::<Vec<_>>() {
            let found = graph.iter().find(|(known, _)| *known == drv);
            walk.put(drv, found.map(|(_, read)| read.clone()));
        }
        walk.step(|path| is_in(valid, path), |path| is_in(held, path));
    }
    let mut names: Vec<String> =
        walk.to_build().iter().map(|drv| drv.name().trim_end_matches(".drv").to_owned()).collect();
    names.sort();
    (names, walk)
}

#[test]
fn a_derivation_is_read_up_to_its_inputs() {
    let text = "Derive([(\"dev\",\"/nix/store/7h97s6mlwpnvm55448s9n0jz4lxih34s-a-dev\",\"\",\"\"),\
                (\"out\",\"/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-a\",\"\",\"\")],\
                [(\"/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-b.drv\",[\"dev\",\"out\"])],\
                [\"/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-source\"]";
    let read = Derivation::parse(text).unwrap();
    assert_eq!(read.outputs.len(), 2);
    assert_eq!(read.outputs["out"].as_ref().unwrap().name(), "a");
    assert_eq!(read.inputs[0].0.name(), "b.drv");
    assert_eq!(read.inputs[0].1, ["dev", "out"]);
    assert!(!read.local);
    assert!(Derivation::parse(&format!("local {text}")).unwrap().local);
    let floating = "Derive([(\"out\",\"\",\"r:sha256\",\"\")],[],[]";
    assert_eq!(Derivation::parse(floating).unwrap().outputs["out"], None);
}

#[test]
fn the_environment_of_a_builder_is_read_with_what_is_escaped_in_it() {
    let text = r#"Derive([("out","/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-a","","")],[("/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-b.drv",["out"])],[],"x86_64-linux","/bin/sh",["-e","b.sh"],[("name","a"),("buildCommand","one \"two\"\nthree")])"#;
    let found = environment(text).unwrap();
    assert_eq!(found["name"], "a");
    assert_eq!(found["buildCommand"], "one \"two\"\nthree");
    assert_eq!(environment("Derive([],[],[]"), None, "only its beginning");
}

#[test]
fn what_is_no_derivation_is_none() {
    for text in ["", "Derive(", "Derive([(\"out\",\"", "DrvWithVersion(\"xp-dyn-drv\",[],[],[]"] {
        assert_eq!(Derivation::parse(text), None, "{text}");
    }
}

#[test]
fn what_is_valid_or_held_needs_nothing() {
    let graph = [
        derivation("a-top", &["b-etc", "c-curl"]),
        derivation("b-etc", &["d-units"]),
        derivation("c-curl", &["f-stdenv"]),
        derivation("d-units", &["c-curl"]),
        derivation("f-stdenv", &[]),
    ];
    let (built, walk) = walked(&graph, "a-top", &["d-units"], &["c-curl"]);
    assert_eq!(built, ["a-top", "b-etc"]);
    let paths: Vec<&str> = walk.paths().iter().map(StorePath::name).collect();
    assert_eq!(paths, ["a-top", "b-etc", "c-curl", "d-units"], "stdenv is never looked at");
    assert_eq!(walked(&graph, "a-top", &["a-top"], &[]).0, Vec::<String>::new());
    assert_eq!(walked(&graph, "a-top", &[], &[]).0.len(), 5);
}

#[test]
fn a_derivation_that_must_not_be_substituted_is_built_though_somebody_has_it() {
    let (drv, read) = derivation("b-etc", &[]);
    let graph = [derivation("a-top", &["b-etc"]), (drv, Derivation { local: true, ..read })];
    assert_eq!(walked(&graph, "a-top", &[], &["b-etc"]).0, ["a-top", "b-etc"]);
    assert_eq!(walked(&graph, "a-top", &["b-etc"], &[]).0, ["a-top"]);
}

#[test]
fn only_the_outputs_that_are_needed_are_asked_for() {
    let (drv, mut read) = derivation("b-lib", &[]);
    read.outputs.insert("doc".to_owned(), Some(path("f-lib-doc")));
    let graph = [derivation("a-top", &["b-lib"]), (drv, read)];
    let (built, walk) = walked(&graph, "a-top", &["b-lib"], &[]);
    assert_eq!(built, ["a-top"]);
    assert!(!walk.paths().contains(&path("f-lib-doc")));
}

#[test]
fn an_output_whose_path_is_not_known_is_built_and_one_that_cannot_be_read_is_counted() {
    let (drv, mut read) = derivation("b-floating", &[]);
    read.outputs.insert("out".to_owned(), None);
    let graph = [derivation("a-top", &["b-floating", "c-gone"]), (drv, read)];
    let (built, walk) = walked(&graph, "a-top", &[], &[]);
    assert_eq!(built, ["a-top", "b-floating"]);
    assert_eq!(walk.unreadable(), 1);
}
