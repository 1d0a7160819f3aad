//! Several systems of one flake evaluated by one `nix-eval-jobs`, where the machine that evaluates has it: its
//! workers share what systems have in common.
//!
//! It is a shortcut only. What it does not answer, or answers with an error, is evaluated by `nix eval`, which tells
//! why it fails.

use super::evaluator::Evaluating;
use super::place::{LIMIT, Place};
use super::{EvaluatedSystem, Step};
use crate::deploy::engine::scripts::EVALUATE;
use crate::fleet::StorePath;
use crate::nix::argv;
use crate::remote::{LineReceiver, Program, Script};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

/// How long hosts are gathered before they are evaluated together.
const GATHER: Duration = Duration::from_millis(100);

/// Pieces of an output that may wait to be read.
const PIECE_QUEUE: usize = 16;

/// A system that waits to be evaluated.
struct WaitingHost {
    attribute: String,
    answer: oneshot::Sender<EvaluatedSystem>,
}

/// The systems of one flake that wait to be evaluated in one place.
#[derive(Default)]
pub(in crate::deploy::engine) struct Batch {
    waiting: Mutex<Vec<WaitingHost>>,
    turn: tokio::sync::Mutex<()>,
}

impl Batch {
    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<WaitingHost>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A line of `nix-eval-jobs`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JobLine {
    attr_path: Vec<String>,
    drv_path: Option<String>,
    #[serde(default)]
    outputs: BTreeMap<String, Option<String>>,
}

/// Reads a line: an attribute and its system; nothing of an error or anything else.
fn read(line: &str) -> Option<(String, EvaluatedSystem)> {
    let line: JobLine = serde_json::from_str(line).ok()?;
    let attribute = line.attr_path.into_iter().next()?;
    let drv = StorePath::parse(&line.drv_path?).ok()?;
    let toplevel = StorePath::parse(line.outputs.get("out")?.as_deref()?).ok()?;
    Some((attribute, EvaluatedSystem { drv, toplevel }))
}

/// Evaluates a system together with others that wait for the same; nothing where it is to be evaluated
/// alone.
pub(super) async fn evaluate(
    step: &Step,
    evaluating: &Evaluating,
    here: bool,
    attribute: &str,
) -> Option<EvaluatedSystem> {
    let place = if here { "" } else { step.host.build_on() };
    let cell = step.shared.batches.cell((place.to_owned(), step.flake().to_owned()));
    let batch = cell.get_or_init(|| async { Batch::default() }).await;
    let (answer, mut answered) = oneshot::channel();
    batch.waiting().push(WaitingHost { attribute: attribute.to_owned(), answer });
    let turn = batch.turn.lock().await;
    match answered.try_recv() {
        Ok(found) => return Some(found),
        // Another batch took it and did not answer it.
        Err(TryRecvError::Closed) => return None,
        Err(TryRecvError::Empty) => {}
    }
    tokio::time::sleep(GATHER).await;
    let together: Vec<WaitingHost> = std::mem::take(&mut *batch.waiting());
    // One alone gains nothing.
    if together.len() > 1 {
        run(step, evaluating, here, together).await;
    }
    drop(turn);
    answered.try_recv().ok()
}

/// Evaluates systems together and keeps each answer for who asked, who takes it when all are evaluated: until then
/// the memory is theirs.
async fn run(step: &Step, evaluating: &Evaluating, here: bool, together: Vec<WaitingHost>) {
    let Ok(place) = Place::prepare(step, here).await else { return };
    let workers = evaluating.evaluator.places().min(together.len());
    let attributes: Vec<&str> = together.iter().map(|waiting| waiting.attribute.as_str()).collect();
    let memory = evaluating.evaluator.memory_each(workers);
    let Ok(args) = argv::eval_jobs(place.reference(), &attributes, workers, memory) else { return };
    let _turns = evaluating.turns.acquire_many(u32::try_from(workers).unwrap_or(1)).await;
    step.log(&format!("evaluated together with {} other hosts", together.len() - 1)).await;
    let mut open: BTreeMap<String, oneshot::Sender<EvaluatedSystem>> =
        together.into_iter().map(|waiting| (waiting.attribute, waiting.answer)).collect();
    let mut give = |line: &str| {
        if let Some((attribute, found)) = read(line)
            && let Some(answer) = open.remove(&attribute)
        {
            // Whoever asked may have been stopped.
            drop(answer.send(found));
        }
    };
    match &place {
        Place::Here(_) => {
            let ran = Program::new(&args[0], &args[1..]).limit(LIMIT).run().await;
            if let Ok(output) = &ran {
                output.stdout.lines().for_each(&mut give);
            }
        }
        Place::There { host, .. } => {
            let mut script = Script::new(EVALUATE).limit(LIMIT);
            script.args = args;
            let (sender, pieces) = mpsc::channel(PIECE_QUEUE);
            let follow = step.runner.follow(host, &script, sender);
            let hear = async {
                let mut lines = LineReceiver::new(pieces);
                while let Some(line) = lines.next().await {
                    give(&line.text());
                }
            };
            // What was not answered is evaluated alone, and tells why it fails.
            drop(tokio::join!(follow, hear));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_system_or_left_to_another_evaluation() {
        let path = "/nix/store/7w85jyaqg6p2rfnn880ymv98vp5nmpf5-top";
        let line = format!(
            "{{\"attr\":\"my.host\",\"attrPath\":[\"my.host\"],\"drvPath\":\"{path}.drv\",\"name\":\"top\",\
             \"outputs\":{{\"out\":\"{path}\"}},\"system\":\"x86_64-linux\"}}"
        );
        let (attribute, found) = read(&line).unwrap();
        assert_eq!((attribute.as_str(), found.toplevel.as_str()), ("my.host", path));
        for odd in [
            "{\"attr\":\"a\",\"attrPath\":[\"a\"],\"error\":\"attribute missing\"}",
            "{\"attr\":\"a\",\"attrPath\":[],\"drvPath\":\"x\"}",
            "warning: x",
            "",
        ] {
            assert!(read(odd).is_none(), "{odd}");
        }
        assert!(read(&line.replace(&format!("\"{path}\"}}"), "null}")).is_none(), "not known yet");
    }
}
