//! Next systems on a host whose answers are made up: what is valid, and what derivations say.

use super::*;
use crate::fleet::{KindName, Share};
use crate::probe::memory::Memory;
use crate::probe::server::{Server, narinfo_of};
use crate::probe::transport::http::HttpClient;
use crate::remote::FakeRunner;

const TOP: &str = "/nix/store/7h97s6mlwpnvm55448s9n0jz4lxih34s-top";
const TOP_DRV: &str = "/nix/store/7w85jyaqg6p2rfnn880ymv98vp5nmpf5-top.drv";
const ETC: &str = "/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-etc";
const ETC_DRV: &str = "/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0b-etc.drv";
const CURL: &str = "/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-curl";
const CURL_DRV: &str = "/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk8-curl.drv";

/// Returns a derivation's beginning, as the script prints it.
fn derivation(drv: &str, out: &str, inputs: &[&str]) -> String {
    let inputs: Vec<String> =
        inputs.iter().map(|input| format!("(\"{input}\",[\"out\"])")).collect();
    format!("{drv}\nDerive([(\"out\",\"{out}\",\"\",\"\")],[{}],[]\n", inputs.join(","))
}

/// The runner of a builder that asks one cache, on which only these paths are valid.
fn builder(url: &str, valid: &'static [&'static str]) -> FakeRunner {
    let settings = format!("curl\tyes\n---\nsubstituters = {url}\nsubstitute = true\n");
    FakeRunner::new(move |_, script| {
        let asked = String::from_utf8_lossy(&script.stdin).into_owned();
        let stdout = if script.body == INVALID {
            let invalid: Vec<&str> = asked.lines().filter(|path| !valid.contains(path)).collect();
            invalid.join("\n")
        } else if script.body == DERIVATIONS {
            let graph = [
                derivation(TOP_DRV, TOP, &[ETC_DRV, CURL_DRV]),
                derivation(ETC_DRV, ETC, &[CURL_DRV]),
                derivation(CURL_DRV, CURL, &[]),
            ];
            let is_asked =
                |text: &&String| text.lines().next().is_some_and(|drv| asked.contains(drv));
            graph.iter().filter(is_asked).cloned().collect()
        } else if script.body.contains("--recursive") {
            format!("root\t{TOP}\n{TOP}\t216\n{ETC}\t100\n")
        } else {
            settings.clone()
        };
        Ok(Output { stdout, ..Output::default() })
    })
}

/// Lets a server hold the path with a hash.
fn serve(server: &Server, hash: &str) {
    let path = [CURL, ETC, TOP].into_iter().find(|path| path.contains(hash)).unwrap();
    server.set(&format!("/{hash}.narinfo"), 200, &narinfo_of(path));
}

/// Measures samsung's next system on such a builder.
async fn measured(server: &Server, valid: &'static [&'static str]) -> NextFacts {
    let mut fleet = crate::config::fallback();
    fleet.tiers = vec![Tier::new("static", KindName::Http, &server.url)];
    let (web, memory) = (HttpClient::new().unwrap(), Memory::default());
    let runner = builder(&server.url, valid);
    let tools = Tools { web: &web, runner: &runner, fleet: &fleet, memory: &memory };
    let wanted = NextSystem {
        host: "samsung".to_owned(),
        build_on: "p620".to_owned(),
        toplevel: StorePath::parse(TOP).unwrap(),
        drv: StorePath::parse(TOP_DRV).ok(),
        known_at: "2026-11-21T08:00:00Z".parse().unwrap(),
    };
    let running = Closure {
        root: StorePath::parse(ETC).unwrap(),
        paths: vec![without_size(&StorePath::parse(ETC).unwrap())],
    };
    let answers = Mutex::new(Answers::default());
    measure_next(tools, &wanted, Some(&running), &answers, |_| false).await.0
}

#[tokio::test]
async fn what_is_not_built_is_walked_and_marked_partial() {
    let server = Server::start(&[]).await;
    serve(&server, "p21fy4sc5b87h3ma8y0mbiph36v5yfk7");
    let facts = measured(&server, &[]).await;
    assert!(facts.partial && facts.error.is_none(), "{facts:?}");
    assert_eq!((facts.to_build, facts.to_build_names), (Some(2), vec!["etc".into(), "top".into()]));
    assert_eq!(facts.tiers["static"].paths, Share { have: 1, total: 3 });
    assert_eq!((facts.tiers["static"].bytes, facts.new), (None, None));
    let facts = measured(&server, &[ETC]).await;
    assert_eq!(facts.to_build_names, ["top"]);
}

#[tokio::test]
async fn what_is_built_is_exact() {
    let server = Server::start(&[]).await;
    serve(&server, "4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a");
    let facts = measured(&server, &[TOP]).await;
    assert!(!facts.partial, "{facts:?}");
    assert_eq!(facts.to_build, Some(0));
    assert_eq!(facts.tiers["static"].bytes, Some(Share { have: 100, total: 316 }));
    assert_eq!(facts.missing["static"][0].path.as_str(), TOP);
    assert_eq!(facts.new, Some(Fetched { paths: 1, bytes: 216, timed: None }));
}

#[test]
fn only_what_was_built_for_a_host_is_read() {
    let text = format!("samsung\t{TOP}\t1795248000\tnext\nrazer\t/etc\t1\tnext\nnoise\n");
    let found = parse_built("p620", &text);
    assert_eq!(found.len(), 1);
    let BuiltSystem { system, is_of_a_run } = &found[0];
    assert_eq!((system.host.as_str(), system.build_on.as_str()), ("samsung", "p620"));
    assert_eq!((system.known_at.as_second(), *is_of_a_run), (1_795_248_000, false));
}

#[tokio::test]
async fn of_several_builds_of_a_host_the_last_one_is_next_and_one_of_a_run_is_not_deployed() {
    let text = "[fleet]\nbuilder = \"p620\"\n[hosts.p620]\n[hosts.samsung]\n";
    let fleet = crate::config::parse(text, std::path::Path::new("hosts.toml"), None).unwrap();
    let lines = |roots: &[(&str, u64, &str)]| {
        let line =
            |(path, at, kind): &(&str, u64, &str)| format!("samsung\t{path}\t{at}\t{kind}\n");
        let stdout: String = roots.iter().map(line).collect();
        FakeRunner::new(move |_, _| Ok(Output { stdout: stdout.clone(), ..Output::default() }))
    };
    for (roots, newest, deployed) in [
        // What a killed run left is older than what was built since.
        (&[(ETC, 100, "run"), (TOP, 200, "next")][..], TOP, TOP),
        // Somebody else's run is at work.
        (&[(TOP, 200, "next"), (ETC, 300, "run")][..], ETC, TOP),
        (&[(CURL, 100, "run"), (ETC, 300, "run")][..], ETC, ETC),
    ] {
        let runner = lines(roots);
        let path = |found: BTreeMap<String, Option<NextSystem>>| {
            found["samsung"].clone().unwrap().toplevel.to_string()
        };
        assert_eq!(path(built(&runner, &fleet, fleet.hosts.iter()).await), newest);
        assert_eq!(path(built_systems(&runner, &fleet, fleet.hosts.iter()).await), deployed);
    }
}

#[test]
fn the_script_tells_the_roots_of_runs_from_those_that_they_left() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().canonicalize().unwrap();
    let system = real.join("system");
    std::fs::create_dir(&system).unwrap();
    std::fs::write(real.join("system.drv"), "").unwrap();
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(real.join(target), real.join(name)).unwrap();
    };
    for name in ["samsung.run-6-ab", "samsung.next", "fetched.run-6-ab", "samsung"] {
        link("system", name);
    }
    link("system.drv", "razer.next");
    let script = NEXT.replace("/nix/var/nix/gcroots/nixdash", real.to_str().unwrap());
    let output = std::process::Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut found: Vec<(&str, &str)> = text
        .lines()
        .map(|line| (line.split('\t').next().unwrap(), line.rsplit('\t').next().unwrap()))
        .collect();
    found.sort_unstable();
    assert_eq!(found, [("samsung", "next"), ("samsung", "run")], "{text}");
}

#[tokio::test]
async fn a_builder_that_did_not_answer_says_nothing_of_its_hosts() {
    let text = "[fleet]\nbuilder = \"p620\"\n[hosts.p620]\n[hosts.samsung]\n";
    let fleet = crate::config::parse(text, std::path::Path::new("hosts.toml"), None).unwrap();
    assert!(built(&FakeRunner::unreachable(), &fleet, fleet.hosts.iter()).await.is_empty());
    let found = built(&builder("", &[]), &fleet, fleet.hosts.iter()).await;
    assert_eq!(found["samsung"], None);
}

#[tokio::test]
async fn a_derivation_that_is_gone_is_said_and_nothing_is_counted() {
    let server = Server::start(&[]).await;
    let (web, memory) = (HttpClient::new().unwrap(), Memory::default());
    let fleet = crate::config::fallback();
    let runner = builder(&server.url, &[]);
    let tools = Tools { web: &web, runner: &runner, fleet: &fleet, memory: &memory };
    let wanted = NextSystem {
        host: "samsung".to_owned(),
        build_on: "p620".to_owned(),
        toplevel: StorePath::parse(TOP).unwrap(),
        drv: StorePath::parse("/nix/store/0000000000000000000000000000000b-gone.drv").ok(),
        known_at: Timestamp::UNIX_EPOCH,
    };
    let (facts, _) = measure_next(tools, &wanted, None, &Mutex::default(), |_| false).await;
    assert_eq!((facts.to_build, facts.partial), (None, true));
    assert!(facts.error.unwrap().contains("could not be read on p620"));
}

/// Derivations as `nix-instantiate` writes them, with texts that look like what is looked for.
#[test]
fn the_script_reads_derivations_under_a_real_shell() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).unwrap();
        format!("{}\n", file.display())
    };
    let head = format!(r#"Derive([("out","{TOP}","","")],[("{ETC_DRV}",["out"])]"#);
    let sources = format!(r#",["{CURL}"]"#);
    let tail = r#","x86_64-linux","/bin/sh",["-c","echo \"],\" (\"allowSubstitutes\",\"\")"],["#;
    let asked = [
        write("plain.drv", &format!("{head}{sources}{tail}(\"name\",\"a\")])")),
        write("local.drv", &format!("{head},[]{tail}(\"allowSubstitutes\",\"\")])")),
        write(
            "structured.drv",
            &format!("{head}{sources}{tail}{})", r#"("__json","{\"allowSubstitutes\":false}")]"#),
        ),
        write("odd.drv", &format!("{head},[]{tail}(\"odd\",\"a],[\")])")),
    ];
    let mut shell = std::process::Command::new("/bin/sh")
        .args(["-c", DERIVATIONS])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut shell.stdin.take().unwrap(), asked.concat().as_bytes()).unwrap();
    let output = shell.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let [plain, local, structured, odd] = asked;
    let without = format!("{head},[]");
    let wanted = format!(
        "{plain}{head}\n{local}local {without}\n{structured}local {head}\n{odd}{without}\n"
    );
    // The last line ends as the file does.
    assert_eq!(text.trim_end(), wanted.trim_end());
    for head in [head, without] {
        assert_eq!(Derivation::parse(&head).unwrap().inputs[0].0.as_str(), ETC_DRV);
    }
}
