//! Where a flake is evaluated: here, or on the host that builds.

use super::failure::not_evaluated;
use super::source::{self, Arrived};
use crate::deploy::Failure;
use crate::deploy::engine::flake::locate;
use crate::deploy::engine::scripts::EVALUATE;
use crate::deploy::engine::step::Step;
use crate::fleet::StorePath;
use crate::nix::argv;
use crate::nix::flake_url::FlakeUrl;
use crate::remote::{Output, Program, Script};
use serde::Deserialize;
use std::time::Duration;

/// How long an evaluation may take.
pub(super) const LIMIT: Duration = Duration::from_secs(15 * 60);

/// Where a flake is evaluated.
pub(super) enum Place {
    /// On this machine, by the reference that Nix is given.
    Here(String),
    /// On a host, where the source has arrived, or which fetches it by itself.
    There {
        /// The host.
        host: String,
        /// The reference that Nix is given.
        reference: String,
        /// The source, where it was sent.
        arrived: Option<Arrived>,
    },
}

impl Place {
    /// Brings the source to where it is evaluated.
    pub(super) async fn prepare(step: &Step, here: bool) -> Result<Self, Failure> {
        let flake = step.flake();
        if here {
            step.log("evaluating here").await;
            return Ok(Self::Here(flake.to_owned()));
        }
        let host = step.host.build_on().to_owned();
        step.log(&format!("evaluating on {host}")).await;
        let arrived = source::source_on(step, &host, &FlakeUrl::parse(flake)).await?;
        let reference = arrived.as_ref().map_or(flake, |arrived| &arrived.reference).to_owned();
        Ok(Self::There { host, reference, arrived })
    }

    /// Returns the flake reference that Nix is given.
    pub(super) fn reference(&self) -> &str {
        match self {
            Self::Here(reference) | Self::There { reference, .. } => reference,
        }
    }

    /// Returns the place in words.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Here(_) => "on this machine".to_owned(),
            Self::There { host, .. } => format!("on {host}"),
        }
    }

    /// Runs Nix there.
    pub(super) async fn run(&self, step: &Step, args: Vec<String>) -> Result<Output, Failure> {
        match self {
            Self::Here(_) => {
                let program = Program::new(&args[0], &args[1..]).limit(LIMIT);
                program.run().await.map_err(|error| not_evaluated(step, &error))
            }
            Self::There { host, .. } => {
                let mut script = Script::new(EVALUATE).limit(LIMIT);
                script.args = args;
                step.run(host, &script).await.map_err(|failure| step.about_builder(failure))
            }
        }
    }

    /// Returns where copies of the source are, and what a person calls it: a folder, or an address.
    pub(super) async fn copies(&self, step: &Step, stderr: &str) -> Copies {
        let flake = step.flake();
        let (name, mut places) = match self {
            Self::There { arrived: Some(arrived), .. } => {
                (arrived.name.clone(), vec![arrived.source.clone()])
            }
            Self::There { arrived: None, .. } | Self::Here(_) => {
                let local = locate(&FlakeUrl::parse(flake)).and_then(Result::ok);
                let name = local
                    .map_or_else(|| flake.to_owned(), |flake| flake.root.display().to_string());
                (name, Vec::new())
            }
        };
        if stderr.contains("-source") {
            places.extend(self.in_store(step).await);
        }
        Copies { name, places }
    }

    /// Returns the source's path in the store.
    async fn in_store(&self, step: &Step) -> Option<String> {
        let output = self.run(step, argv::flake_metadata(self.reference()).ok()?).await.ok()?;
        let found: Metadata = serde_json::from_str(output.stdout.trim()).ok()?;
        StorePath::parse(&found.path).ok().map(|path| path.to_string())
    }
}

/// What is read of `nix flake metadata`.
#[derive(Deserialize)]
struct Metadata {
    path: String,
}

/// Where copies of a source are.
pub(super) struct Copies {
    /// What a person calls the source.
    name: String,
    /// The copies, in whose paths Nix speaks.
    places: Vec<String>,
}

impl Copies {
    /// Returns a text with the person's own paths instead of those of copies.
    pub(super) fn in_own_paths(&self, text: &str) -> String {
        let text = text.to_owned();
        self.places.iter().fold(text, |text, place| text.replace(place, &self.name))
    }
}
