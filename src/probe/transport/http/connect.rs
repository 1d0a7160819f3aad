//! Times how long connecting takes, TLS included, apart from the request that it was made for.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tower_layer::Layer;
use tower_service::Service;

tokio::task_local! {
    /// Where the connection that the running request makes is timed.
    static STOPWATCH: Stopwatch;
}

/// The time that one request spent on connecting.
#[derive(Clone, Default)]
struct Stopwatch(Arc<Mutex<Option<Duration>>>);

/// Runs a request; returns what it returns, and how long it took to connect when it had to.
pub(super) async fn timed<F: Future>(request: F) -> (F::Output, Option<Duration>) {
    let stopwatch = Stopwatch::default();
    let output = STOPWATCH.scope(stopwatch.clone(), request).await;
    let time = *stopwatch.0.lock().unwrap_or_else(PoisonError::into_inner);
    (output, time)
}

/// Puts the stopwatch around a connector.
#[derive(Clone, Copy)]
pub(super) struct TimingLayer;

/// A connector with a stopwatch around it.
#[derive(Clone)]
pub(super) struct Timing<S> {
    inner: S,
}

impl<S> Layer<S> for TimingLayer {
    type Service = Timing<S>;

    fn layer(&self, inner: S) -> Timing<S> {
        Timing { inner }
    }
}

impl<S, R> Service<R> for Timing<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
    S::Response: 'static,
    S::Error: 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, target: R) -> Self::Future {
        let connecting = self.inner.call(target);
        let stopwatch = STOPWATCH.try_with(Clone::clone).ok();
        Box::pin(async move {
            let began = Instant::now();
            let connected = connecting.await;
            if let Some(Stopwatch(time)) = stopwatch {
                *time.lock().unwrap_or_else(PoisonError::into_inner) = Some(began.elapsed());
            }
            connected
        })
    }
}
