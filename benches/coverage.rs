//! How long it takes to ask one tier for a whole closure whose list is known; see `coverage.sh`.
//!
//! `measure URL CA-FILE LIST` asks and prints milliseconds; `delay LISTEN TARGET MS` is a road that
//! makes every round trip so many milliseconds long, the one that opens a connection too.

use nixdash::fleet::{ClosurePath, KindName, StorePath, Tier};
use nixdash::probe::{Answers, Closure, HostClosure, HttpClient, Memory, Tools, measure_coverage};
use nixdash::remote::FakeRunner;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    match args[..] {
        ["measure", url, authority, list] => runtime.block_on(measure(url, authority, list)),
        ["delay", listen, target, ms] => {
            runtime.block_on(delay(listen, target, Duration::from_millis(ms.parse()?)))
        }
        _ => {
            println!("run benches/coverage.sh");
            Ok(())
        }
    }
}

/// Asks a tier for all paths of a list, from nothing: connecting is part of it.
async fn measure(url: &str, authority: &str, list: &str) -> Result<(), Box<dyn Error>> {
    let paths: Vec<ClosurePath> = std::fs::read_to_string(list)?
        .lines()
        .map(|line| Ok(ClosurePath { path: StorePath::parse(line)?, nar_size: 1 }))
        .collect::<Result<_, nixdash::fleet::StorePathError>>()?;
    let root = paths.first().ok_or("the list is empty")?.path.clone();
    let closure = Closure { root, paths };
    let mut fleet = nixdash::config::fallback();
    let mut tier = Tier::new("bench", KindName::Http, url);
    tier.access.ca_file = Some(PathBuf::from(authority)).filter(|_| url.starts_with("https"));
    fleet.tiers = vec![tier];
    let (web, memory, runner) = (HttpClient::new()?, Memory::default(), FakeRunner::unreachable());
    let tools = Tools { web: &web, runner: &runner, fleet: &fleet, memory: &memory };
    let answers = Mutex::new(Answers::default());
    let asked = [HostClosure { host: "bench", closure: &closure }];
    let began = Instant::now();
    let found = measure_coverage(tools, &asked, &answers).await;
    let took = began.elapsed();
    let share = found["bench"].tiers.get("bench").ok_or("the tier did not answer for all")?.paths;
    println!("{} ms, {} of {} paths", took.as_millis(), share.have, share.total);
    Ok(())
}

/// Carries connections, each piece half a round trip later.
async fn delay(listen: &str, target: &str, round: Duration) -> Result<(), Box<dyn Error>> {
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (near, _) = listener.accept().await?;
        let target = target.to_owned();
        tokio::spawn(async move {
            tokio::time::sleep(round).await;
            let far = TcpStream::connect(target).await?;
            near.set_nodelay(true)?;
            far.set_nodelay(true)?;
            let (near_in, near_out) = near.into_split();
            let (far_in, far_out) = far.into_split();
            let there = carry(near_in, far_out, round / 2);
            let back = carry(far_in, near_out, round / 2);
            tokio::try_join!(there, back).map(|_| ())
        });
    }
}

/// Carries one way; what came later may leave while what came earlier is still on its way.
async fn carry(
    mut from: impl AsyncRead + Unpin + Send + 'static,
    mut to: impl AsyncWrite + Unpin,
    time: Duration,
) -> std::io::Result<()> {
    let (sender, mut road) = mpsc::channel::<(tokio::time::Instant, Vec<u8>)>(4096);
    let reading = async move {
        loop {
            let mut piece = vec![0; 16 * 1024];
            let count = from.read(&mut piece).await?;
            piece.truncate(count);
            let arrives = tokio::time::Instant::now() + time;
            if count == 0 || sender.send((arrives, piece)).await.is_err() {
                return Ok::<(), std::io::Error>(());
            }
        }
    };
    let writing = async {
        while let Some((arrives, piece)) = road.recv().await {
            tokio::time::sleep_until(arrives).await;
            to.write_all(&piece).await?;
        }
        to.shutdown().await
    };
    tokio::try_join!(reading, writing).map(|_| ())
}
