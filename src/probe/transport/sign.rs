//! Signs requests to S3 buckets with the keys of a tier (AWS Signature Version 4, in the query).

use crate::fleet::{Login, Tier, TierKind};
use crate::nix::s3_url::{self, S3Url};
use crate::probe::transport::{Method, RequestError};
use crate::remote::{Secret, aws_profile, resolve};
use jiff::Timestamp;
use reqwest::Url;

/// How long a signed request may be on its way, in seconds.
const VALID: u64 = 300;

/// The keys of a bucket, and what they sign for.
pub(super) struct Keys {
    access: Secret,
    secret: Secret,
    session: Option<Secret>,
    region: String,
}

impl Keys {
    /// Reads the keys of a tier: those of `hosts.toml`, else of the profile that its URL names;
    /// nothing when it has neither, and is asked without a signature.
    pub(super) async fn of(tier: &Tier) -> Result<Option<Self>, RequestError> {
        let failed = |error: &crate::remote::SecretError| RequestError::of_secret(&tier.url, error);
        let (region, profile) = match &tier.kind {
            TierKind::S3 => match S3Url::parse(&tier.url) {
                Ok(url) => (url.region, url.profile),
                Err((what, hint)) => return Err(RequestError::new(&tier.url, &what, &hint)),
            },
            // The gateway of SeaweedFS takes every region; no other kind has keys.
            TierKind::Seaweedfs(_)
            | TierKind::NixServe { .. }
            | TierKind::Harmonia
            | TierKind::Http
            | TierKind::Cachix { .. }
            | TierKind::Local
            | TierKind::GithubActions { .. }
            | TierKind::Attic
            | TierKind::Ncps
            | TierKind::Niks3 { .. } => (s3_url::REGION.to_owned(), None),
        };
        if let Login::Keys { access, secret } = &tier.access.login {
            let access = resolve(access).await.map_err(|error| failed(&error))?;
            let secret = resolve(secret).await.map_err(|error| failed(&error))?;
            return Ok(Some(Self { access, secret, session: None, region }));
        }
        let Some(profile) = profile else { return Ok(None) };
        let found = aws_profile(&profile).await.map_err(|error| failed(&error))?;
        let (access, secret, session) = found;
        Ok(Some(Self { access, secret, session, region }))
    }

    /// Returns the URL with a signature that holds for a few minutes.
    pub(super) fn sign(&self, method: Method, url: &Url, now: Timestamp) -> Url {
        let method = match method {
            Method::Get => rusty_s3::Method::Get,
            Method::Head => rusty_s3::Method::Head,
            Method::Post => rusty_s3::Method::Post,
        };
        let mut query: Vec<(String, String)> =
            url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
        query.sort();
        rusty_s3::signing::sign(
            &now,
            method,
            url.clone(),
            self.access.expose(),
            self.secret.expose(),
            self.session.as_ref().map(Secret::expose),
            &self.region,
            VALID,
            query.iter().map(|(key, value)| (key.as_str(), value.as_str())),
            std::iter::empty(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of AWS's documentation ("Authenticating Requests: Using Query Parameters").
    #[test]
    fn a_signature_is_what_aws_says() {
        let keys = Keys {
            access: Secret::new("AKIAIOSFODNN7EXAMPLE"),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            session: None,
            region: "us-east-1".to_owned(),
        };
        let url = Url::parse("https://examplebucket.s3.amazonaws.com/test.txt").unwrap();
        let now: Timestamp = "2013-05-24T00:00:00Z".parse().unwrap();
        let signed = keys.sign(Method::Get, &url, now);
        let query: Vec<(String, String)> = signed.query_pairs().into_owned().collect();
        let value = |name: &str| &query.iter().find(|(key, _)| key == name).unwrap().1;
        assert_eq!(
            value("X-Amz-Credential"),
            "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
        );
        assert_eq!(value("X-Amz-Signature").len(), 64);
        assert_eq!(value("X-Amz-SignedHeaders"), "host");
        let with_query = Url::parse("http://h:1/b?list-type=2&delimiter=%2F").unwrap();
        let signed = keys.sign(Method::Get, &with_query, now);
        assert!(signed.query().unwrap().contains("delimiter=%2F&list-type=2"), "{signed}");
    }
}
