//! What a tier wants to see before it answers.

use crate::fleet::{Login, Tier};
use crate::probe::transport::RequestError;
use crate::probe::transport::sign::Keys;
use crate::remote::{Secret, resolve};
use base64::Engine as _;
use reqwest::Url;

/// What a tier wants to see before it answers.
pub(super) enum Credentials {
    /// A value of the authorization header.
    Header(Secret),
    /// Keys that sign each request.
    Keys(Keys),
}

/// Returns what a tier wants to see: keys that sign, else the value of the authorization header.
pub(super) async fn credentials(tier: &Tier) -> Result<Option<Credentials>, RequestError> {
    if let Some(keys) = Keys::of(tier).await? {
        return Ok(Some(Credentials::Keys(keys)));
    }
    Ok(authorization(tier).await?.map(Credentials::Header))
}

/// Returns the value of the authorization header for a tier, when it needs one.
pub(super) async fn authorization(tier: &Tier) -> Result<Option<Secret>, RequestError> {
    let failed = |error: &crate::remote::SecretError| RequestError::of_secret(&tier.url, error);
    match &tier.access.login {
        // Keys sign, and are no header.
        Login::Nobody | Login::Keys { .. } => Ok(None),
        Login::Token(source) => {
            let token = resolve(source).await.map_err(|error| failed(&error))?;
            Ok(Some(Secret::new(format!("Bearer {}", token.expose()))))
        }
        Login::Password { user, password } => {
            let password = resolve(password).await.map_err(|error| failed(&error))?;
            Ok(Some(basic(user, password.expose())))
        }
        Login::Netrc(source) => {
            let netrc = resolve(source).await.map_err(|error| failed(&error))?;
            let host = Url::parse(&tier.url).ok().and_then(|url| url.host_str().map(str::to_owned));
            let found = host.and_then(|host| from_netrc(netrc.expose(), &host));
            let (user, password) = found.ok_or_else(|| {
                RequestError::setup(
                    &tier.url,
                    "its netrc has no entry for this host",
                    "add a line to it that has machine, login and password",
                )
            })?;
            Ok(Some(basic(&user, &password)))
        }
    }
}

/// Returns the header of basic authentication.
pub(super) fn basic(user: &str, password: &str) -> Secret {
    let pair = format!("{user}:{password}");
    let text = base64::engine::general_purpose::STANDARD.encode(pair);
    Secret::new(format!("Basic {text}"))
}

/// Returns login and password of a host in a netrc; `default` serves every host.
pub(super) fn from_netrc(text: &str, host: &str) -> Option<(String, String)> {
    let mut words = text.split_whitespace();
    let (mut ours, mut login, mut password) = (false, None, None);
    while let Some(word) = words.next() {
        match word {
            "machine" | "default" => {
                if ours && password.is_some() {
                    break;
                }
                (login, password) = (None, None);
                ours = word == "default" || words.next() == Some(host);
            }
            "login" if ours => login = words.next().map(str::to_owned),
            "password" if ours => password = words.next().map(str::to_owned),
            _ => {}
        }
    }
    Some((login.unwrap_or_default(), password?))
}
