//! Keys of a profile in AWS's credentials file, which Nix reads for `s3://…?profile=NAME`.

use crate::fleet::SecretSource;
use crate::remote::{Secret, SecretError, resolve};
use std::path::PathBuf;

/// Reads access key, secret key and, for temporary keys, the session token of a profile in
/// `$AWS_SHARED_CREDENTIALS_FILE`, else `~/.aws/credentials`.
pub async fn aws_profile(profile: &str) -> Result<(Secret, Secret, Option<Secret>), SecretError> {
    let file = match std::env::var_os("AWS_SHARED_CREDENTIALS_FILE") {
        Some(file) => PathBuf::from(file),
        None => std::env::home_dir().unwrap_or_default().join(".aws/credentials"),
    };
    let text = resolve(&SecretSource::File(file.clone())).await?;
    parse(text.expose(), profile)
        .ok_or_else(|| SecretError::Odd(format!("profile {profile:?} in {}", file.display())))
}

/// Finds the keys of a profile: `[NAME]`, then `key = value` lines.
fn parse(text: &str, profile: &str) -> Option<(Secret, Secret, Option<Secret>)> {
    let mut ours = false;
    let (mut access, mut secret, mut session) = (None, None, None);
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            ours = name.trim() == profile;
        } else if ours && let Some((key, value)) = line.split_once('=') {
            let value = Some(Secret::new(value.trim()));
            match key.trim() {
                "aws_access_key_id" => access = value,
                "aws_secret_access_key" => secret = value,
                "aws_session_token" => session = value,
                _ => {}
            }
        }
    }
    Some((access?, secret?, session))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_has_its_own_keys() {
        let text = "[default]\naws_access_key_id = A\naws_secret_access_key=B\n\n# nix\n[nix]\n\
            aws_access_key_id=C\naws_secret_access_key = D=\naws_session_token = E\n[half]\n\
            aws_access_key_id = F\n";
        let found = |profile| {
            let (access, secret, session) = parse(text, profile)?;
            let session = session.map(|session| session.expose().to_owned());
            Some((access.expose().to_owned(), secret.expose().to_owned(), session))
        };
        assert_eq!(found("default"), Some(("A".into(), "B".into(), None)));
        assert_eq!(found("nix"), Some(("C".into(), "D=".into(), Some("E".into()))));
        assert_eq!((found("half"), found("none")), (None, None));
    }
}
