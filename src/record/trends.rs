//! Trends from a Prometheus server, for fleets whose figures are kept there.
//!
//! It is asked for what the exporter serves; its answers are untrusted.

use crate::fleet::printable_line;
use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use serde::Deserialize;
use std::time::Duration;

/// How long a query may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Longest answer that is read, in bytes.
const BODY_LIMIT: usize = 4 << 20;

/// What can be drawn over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Series {
    /// The load average of a host.
    HostLoad(String),
    /// The latency of a tier, in milliseconds.
    TierLatency(String),
}

impl Series {
    /// Returns the query for it, in Prometheus's language.
    fn query(&self) -> String {
        let quoted = |name: &str| name.replace('\\', "\\\\").replace('"', "\\\"");
        match self {
            Self::HostLoad(host) => format!("avg(nixdash_host_load1{{host=\"{}\"}})", quoted(host)),
            Self::TierLatency(tier) => {
                format!("1000 * avg(nixdash_tier_latency_seconds{{tier=\"{}\"}})", quoted(tier))
            }
        }
    }
}

/// A Prometheus server could not be asked.
#[derive(Debug, thiserror::Error)]
#[error("could not ask {url} for trends: {cause}; is [history] prometheus right?")]
pub struct TrendError {
    url: String,
    cause: String,
}

/// A Prometheus server.
pub struct Prometheus {
    url: String,
    client: reqwest::Client,
}

/// What `/api/v1/query_range` answers.
#[derive(Deserialize)]
struct PrometheusAnswer {
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    result: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    values: Vec<(f64, String)>,
}

impl Prometheus {
    /// Makes a client of a server.
    pub fn new(url: &str) -> Result<Self, TrendError> {
        // Fails when one is installed already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        let client = reqwest::Client::builder()
            .user_agent(concat!("nixdash/", env!("CARGO_PKG_VERSION")))
            .timeout(LIMIT)
            .redirect(reqwest::redirect::Policy::none())
            .build();
        let url = url.trim_end_matches('/').to_owned();
        match client {
            Ok(client) => Ok(Self { url, client }),
            Err(error) => Err(TrendError { url: printable_line(&url), cause: error.to_string() }),
        }
    }

    /// Returns the values of a series from one time to another, oldest first.
    pub async fn values(
        &self,
        series: &Series,
        from: Timestamp,
        to: Timestamp,
        step: SignedDuration,
    ) -> Result<Vec<f64>, TrendError> {
        let failed = |cause: String| TrendError {
            url: printable_line(&self.url),
            cause: printable_line(&cause),
        };
        let mut url = Url::parse(&format!("{}/api/v1/query_range", self.url))
            .map_err(|error| failed(error.to_string()))?;
        url.query_pairs_mut()
            .append_pair("query", &series.query())
            .append_pair("start", &from.as_second().to_string())
            .append_pair("end", &to.as_second().to_string())
            .append_pair("step", &step.as_secs().max(1).to_string());
        let reply = self.client.get(url).send().await;
        let mut reply = reply.map_err(|error| failed(error.without_url().to_string()))?;
        let status = reply.status();
        let mut body = Vec::new();
        while let Some(chunk) =
            reply.chunk().await.map_err(|error| failed(error.without_url().to_string()))?
        {
            body.extend_from_slice(&chunk);
            if body.len() > BODY_LIMIT {
                return Err(failed("its answer is too long".to_owned()));
            }
        }
        parse(&body).map_err(|cause| failed(format!("{status}: {cause}")))
    }
}

/// Reads an answer; a series that is not there has no values.
fn parse(body: &[u8]) -> Result<Vec<f64>, String> {
    let answer: PrometheusAnswer =
        serde_json::from_slice(body).map_err(|_| "no answer of Prometheus")?;
    if let Some(error) = answer.error {
        return Err(error);
    }
    let lines = answer.data.ok_or("an answer without data")?.result;
    let values = lines.into_iter().flat_map(|line| line.values);
    Ok(values.filter_map(|(_, text)| text.parse().ok()).filter(|v: &f64| v.is_finite()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_and_what_is_none_is_left_out() {
        let body = br#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},
            "values":[[1795251258.9,"1.5"],[1795251268,"NaN"],[1795251278,"2"]]}]}}"#;
        assert_eq!(parse(body).unwrap(), [1.5, 2.0]);
        let none = br#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
        assert_eq!(parse(none).unwrap(), [0.0; 0]);
    }

    #[test]
    fn what_the_server_finds_wrong_is_said() {
        let body = br#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
        assert_eq!(parse(body).unwrap_err(), "parse error");
        assert_eq!(parse(b"<html>").unwrap_err(), "no answer of Prometheus");
    }

    #[test]
    fn names_cannot_leave_their_quotes() {
        let query = Series::HostLoad("a\"} or up{x=\"\\".to_owned()).query();
        assert_eq!(query, r#"avg(nixdash_host_load1{host="a\"} or up{x=\"\\"})"#);
    }
}
