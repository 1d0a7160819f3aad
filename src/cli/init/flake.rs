//! What a flake says of its hosts, asked of Nix on this machine: the names of `nixosConfigurations`,
//! and where deploy-rs and colmena reach theirs.
//!
//! Names and addresses are evaluated, no system. Nothing is built, and nothing is written into the flake.

use crate::nix::argv::HiveOutput;
use crate::nix::{argv, eval_error};
use crate::remote::{Output, Program};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long an evaluation may take, the download of the flake's inputs included.
const LIMIT: Duration = Duration::from_secs(300);

/// How long an evaluation may take that only looks at what is at hand.
const SHORT_LIMIT: Duration = Duration::from_secs(30);

/// Returns the names of the configurations of a flake, nothing where it has no such output; or a sentence
/// that says why they are not known and what to do.
pub(super) async fn hosts(flake: &str) -> Result<Option<Vec<String>>, String> {
    let argv = argv::eval_hosts(flake).map_err(|error| format!("{error}."))?;
    let output = evaluate(argv).await?;
    let text = of_output(flake, "nixosConfigurations", &output)?;
    text.map(|text| names(flake, text)).transpose()
}

/// Says what a flake lacks that has no `nixosConfigurations`, and what to do; a hive alone is not what is
/// built.
pub(super) fn without_configurations(flake: &str, nodes: &[HiveNode]) -> String {
    match nodes.first().map(|node| node.tool) {
        None => format!(
            "The flake {flake} has no nixosConfigurations. Name another one: `nixdash init FLAKE`."
        ),
        Some("colmena") => format!(
            "The flake {flake} has its hosts in colmena only, and nixdash builds nixosConfigurations. Add \
             to its outputs: colmenaHive = colmena.lib.makeHive self.outputs.colmena; \
             nixosConfigurations = self.colmenaHive.nodes;"
        ),
        Some(tool) => format!(
            "The flake {flake} has its hosts in {tool} only, and nixdash builds nixosConfigurations. Add \
             them to its outputs."
        ),
    }
}

/// Returns the names of the configurations of a flake from what is on this machine already, none where it
/// has no configurations; or why they are not known, as a clause.
pub(super) async fn hosts_at_hand(flake: &str) -> Result<Vec<String>, String> {
    let argv = argv::eval_hosts_at_hand(flake).map_err(|error| error.to_string())?;
    let (program, args) = argv.split_first().ok_or("there is nothing to run")?;
    let output = Program::new(program, args).limit(SHORT_LIMIT).run().await;
    names_at_hand(flake, &output.map_err(|error| error.to_string())?)
}

/// Reads them out of what Nix printed.
fn names_at_hand(flake: &str, output: &Output) -> Result<Vec<String>, String> {
    if output.is_ok() {
        return names(flake, output.stdout.trim());
    }
    let cause = eval_error::cause(&output.stderr).unwrap_or_else(|| output.complaint());
    if eval_error::lacks_attribute(&cause) {
        return Ok(Vec::new());
    }
    let cause = cause.trim_end_matches('.');
    Err(format!("Nix could not read the flake from what is on this machine: {cause}"))
}

/// A host as deploy-rs or colmena has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct HiveNode {
    pub(super) name: String,
    /// The tool that has it.
    pub(super) tool: &'static str,
    /// Where the tool reaches it.
    pub(super) target: HiveTarget,
}

/// Where a tool reaches a host; what it leaves to ssh is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct HiveTarget {
    #[serde(default)]
    pub(super) host: Option<String>,
    #[serde(default)]
    pub(super) user: Option<String>,
    #[serde(default)]
    pub(super) port: Option<u16>,
}

impl HiveTarget {
    /// Returns it as an address of `hosts.toml`; none where the tool names no host.
    pub(super) fn address(&self) -> Option<String> {
        let host = self.host.as_deref()?;
        let user = self.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let port = self.port.map(|port| format!(":{port}")).unwrap_or_default();
        Some(format!("{user}{host}{port}"))
    }
}

/// Returns the hosts of one tool in a flake, none where the flake has nothing of that tool; or a
/// sentence that says why they are not known and what to do.
pub(super) async fn nodes(flake: &str, hive: HiveOutput) -> Result<Vec<HiveNode>, String> {
    let argv = argv::eval_hive(flake, hive).map_err(|error| format!("{error}."))?;
    let output = evaluate(argv).await?;
    let mut nodes = match of_output(flake, hive.word(), &output)? {
        Some(text) => read_nodes(flake, hive, text)?,
        None => Vec::new(),
    };
    if hive == HiveOutput::DeployRs && nodes.iter().any(|node| node.target.user.is_none()) {
        let user = deploy_rs_user(flake).await?;
        for node in nodes.iter_mut().filter(|node| node.target.user.is_none()) {
            node.target.user.clone_from(&user);
        }
    }
    Ok(nodes)
}

/// Returns the user whom deploy-rs logs in as where a node names none; nothing where the flake does
/// not say so.
async fn deploy_rs_user(flake: &str) -> Result<Option<String>, String> {
    let argv = argv::eval_deploy_rs_user(flake).map_err(|error| format!("{error}."))?;
    let output = evaluate(argv).await?;
    let text = of_output(flake, "deploy.sshUser", &output)?;
    Ok(text.and_then(|text| serde_json::from_str(text).ok()))
}

/// Reads where a tool reaches its hosts.
fn read_nodes(flake: &str, hive: HiveOutput, text: &str) -> Result<Vec<HiveNode>, String> {
    let read: BTreeMap<String, HiveTarget> = serde_json::from_str(text).map_err(|error| {
        format!(
            "The hosts of {} in the flake {flake} are not known, because an address is written in \
             another way than usual: {error}. Write their addresses into hosts.toml by hand.",
            hive.tool()
        )
    })?;
    let node = |(name, target)| HiveNode { name, tool: hive.tool(), target };
    Ok(read.into_iter().map(node).collect())
}

/// Runs Nix.
async fn evaluate(argv: Vec<String>) -> Result<Output, String> {
    let (program, args) = argv.split_first().ok_or("There is nothing to run.")?;
    Program::new(program, args).limit(LIMIT).run().await.map_err(|error| {
        format!("What is in the flake is not known, because Nix did not say it: {error}.")
    })
}

/// Returns what Nix printed of an output of a flake; nothing where the flake has no such output.
fn of_output<'o>(flake: &str, name: &str, output: &'o Output) -> Result<Option<&'o str>, String> {
    if output.is_ok() {
        return Ok(Some(output.stdout.trim()));
    }
    let cause = eval_error::cause(&output.stderr).unwrap_or_else(|| output.complaint());
    if eval_error::lacks_attribute(&cause) {
        return Ok(None);
    }
    Err(format!(
        "Nix could not read {name} of the flake {flake}: {}. {}",
        cause.trim_end_matches('.'),
        what_to_do(&cause)
    ))
}

/// What Nix says when an input is to be fetched, which is not here yet, and cannot be.
const NO_NETWORK: [&str; 4] = ["unable to download", "resolve host", "connect to", "Cannot fetch"];

/// What an older Nix says of a lock file that a newer one wrote.
const OLD_NIX: [&str; 2] = ["input attribute", "lock file"];

/// Returns what a person can do about a cause.
fn what_to_do(cause: &str) -> &'static str {
    let says = |texts: &[&str]| texts.iter().any(|text| cause.contains(text));
    if says(&NO_NETWORK) {
        "Is the network there, and may you read that input? Then run `nixdash init` again."
    } else if cause.contains("unsupported") && says(&OLD_NIX) {
        "A newer Nix wrote the flake's flake.lock. Run `nixdash init` where such a Nix is."
    } else {
        "Fix the flake and run `nixdash init` again."
    }
}

/// Reads a list of names.
fn names(flake: &str, text: &str) -> Result<Vec<String>, String> {
    serde_json::from_str(text).map_err(|error| {
        format!("Nix printed no list of names for the flake {flake}: {error}. Is it another Nix?")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(code: i32, stdout: &str, stderr: &str) -> Output {
        Output { code, stdout: stdout.to_owned(), stderr: stderr.to_owned() }
    }

    #[test]
    fn names_are_what_nix_lists() {
        let printed = output(0, "[\"p620\",\"razer\"]\n", "warning: Git tree is dirty\n");
        let text = of_output("/f", "nixosConfigurations", &printed).unwrap().unwrap();
        assert_eq!(names("/f", text).unwrap(), ["p620", "razer"]);
        assert!(names("/f", "{}").unwrap_err().contains("no list of names for the flake /f"));
    }

    #[test]
    fn a_tool_says_where_it_reaches_its_hosts() {
        let text = r#"{"p620":{"host":"p620.lan","port":null,"user":"root"},
                       "pi":{"host":"fd00::7","port":2222,"user":null},
                       "razer":{"host":null,"port":null,"user":"me"}}"#;
        let nodes = read_nodes("/f", HiveOutput::DeployRs, text).unwrap();
        let shown: Vec<Option<String>> = nodes.iter().map(|node| node.target.address()).collect();
        let expected = [Some("root@p620.lan"), Some("[fd00::7]:2222"), None];
        assert_eq!(shown, expected.map(|text| text.map(str::to_owned)));
        assert_eq!(nodes[0].tool, "deploy-rs");
        let error = read_nodes("/f", HiveOutput::Colmena, "{\"p\":{\"host\":1}}").unwrap_err();
        assert!(error.contains("The hosts of colmena in the flake /f are not known"), "{error}");
    }

    #[test]
    fn a_flake_without_the_output_is_no_failure() {
        let said = "error: flake 'path:/f' does not provide attribute 'packages.x86_64-linux.deploy', \
                    'legacyPackages.x86_64-linux.deploy' or 'deploy'\n";
        assert_eq!(of_output("/f", "deploy", &output(1, "", said)), Ok(None));
    }

    #[test]
    fn what_is_at_hand_may_not_be_enough_and_says_why() {
        let said = "error: unable to download 'https://x/y.tar.gz': Could not resolve host\n";
        assert_eq!(
            names_at_hand("/f", &output(1, "", said)).unwrap_err(),
            "Nix could not read the flake from what is on this machine: unable to download \
             'https://x/y.tar.gz': Could not resolve host"
        );
        let lacks = "error: flake 'path:/f' does not provide attribute 'nixosConfigurations'\n";
        assert_eq!(names_at_hand("/f", &output(1, "", lacks)), Ok(Vec::new()));
        assert_eq!(names_at_hand("/f", &output(0, "[\"p620\"]", "")), Ok(vec!["p620".to_owned()]));
    }

    #[test]
    fn a_hive_without_configurations_is_told_what_to_add() {
        assert!(without_configurations("/f", &[]).contains("Name another one"));
        let node = |tool| HiveNode { name: "oak".to_owned(), tool, target: HiveTarget::default() };
        let told = without_configurations("/f", &[node("colmena")]);
        assert!(told.contains("nixosConfigurations = self.colmenaHive.nodes"), "{told}");
        assert!(without_configurations("/f", &[node("deploy-rs")]).contains("in deploy-rs only"));
    }

    #[test]
    fn what_to_do_fits_the_cause() {
        for (cause, advice) in [
            ("unable to download 'https://x/y.tar.gz': Could not resolve host", "Is the network"),
            ("unsupported tarball input attribute 'lastModified'", "A newer Nix wrote"),
            ("attribute 'callPackage' missing", "Fix the flake"),
        ] {
            assert!(what_to_do(cause).starts_with(advice), "{cause}");
        }
    }

    #[test]
    fn a_flake_that_cannot_be_evaluated_is_named_with_the_cause() {
        let said = "error: syntax error, unexpected end of file\n       at /f/flake.nix:9:1:\n";
        let error = of_output("/f", "nixosConfigurations", &output(1, "", said)).unwrap_err();
        assert_eq!(
            error,
            "Nix could not read nixosConfigurations of the flake /f: syntax error, unexpected end of \
             file. Fix the flake and run `nixdash init` again."
        );
    }
}
