//! An address as people may see it.

/// What the query of a bucket says of where it is, and by whose keys it is asked: no secrets.
const OF_BUCKETS: [&str; 4] = ["endpoint", "region", "scheme", "profile"];

/// Stands for what is hidden.
const HIDDEN: &str = "…";

/// Returns an address as people may see it: without a login, the values of its query and a fragment, any of which
/// may hold a secret. The names in the query stay, since they tell what is asked for; of the query of a bucket,
/// what says where the bucket is stays too. Of an address whose login cannot be told from the rest of it, only the
/// scheme is shown.
pub fn public_url(url: &str) -> String {
    let (address, rest) = url.split_at(url.find(['?', '#']).unwrap_or(url.len()));
    let (scheme, behind) = match address.split_once(':') {
        Some((scheme, behind)) => (format!("{scheme}:"), behind),
        None => (String::new(), address),
    };
    // Who asks it takes a backslash for a slash, and as many of them as there are.
    let slash = ['/', '\\'];
    let place = behind.trim_start_matches(slash);
    let slashes = &behind[..behind.len() - place.len()];
    // A password may hold `?` and `#` where it should not; a login ends before the first slash.
    let login = rest.split_once('@').map(|(before, _)| before);
    if !place.contains(slash) && login.is_some_and(|before| !before.contains(slash)) {
        return format!("{scheme}{slashes}{HIDDEN}");
    }
    let (server, path) = place.split_at(place.find(slash).unwrap_or(place.len()));
    let server = server.rsplit_once('@').map_or(server, |(_, server)| server);
    let query = public_query(rest, scheme == "s3:");
    format!("{scheme}{slashes}{server}{path}{query}")
}

/// Returns a query, with what stands around it, as people may see it.
fn public_query(rest: &str, is_of_bucket: bool) -> String {
    let Some(query) = rest.strip_prefix('?') else { return String::new() };
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let shown = pairs.map(|pair| match pair.split_once('=') {
        Some((name, value)) if is_of_bucket && OF_BUCKETS.contains(&name) => {
            format!("{name}={}", public_url(&wholly_decoded(value)))
        }
        Some((name, _)) if is_name(name) => format!("{name}={HIDDEN}"),
        // What has no name may be a secret itself.
        Some(_) | None => HIDDEN.to_owned(),
    });
    let shown: Vec<String> = shown.collect();
    if shown.is_empty() { String::new() } else { format!("?{}", shown.join("&")) }
}

/// Returns whether it is like the name of something that is asked for.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Decodes a value until no code is left in it: a login that is encoded twice is a login.
fn wholly_decoded(value: &str) -> String {
    let mut value = value.to_owned();
    loop {
        let decoded = percent_decoded(&value);
        // What is decoded is shorter, or as it was.
        if decoded.len() >= value.len() {
            return decoded;
        }
        value = decoded;
    }
}

/// Decodes `%31` and the like; what is no such code stays as it is.
pub fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'%').then(|| after.get(..2)).flatten();
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        if let Some(byte) = code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_may_be_a_secret() {
        for (url, shown) in [
            ("https://cache.nixos.org", "https://cache.nixos.org"),
            ("https://me:pw@cache.lan:5000/a/b?token=x#y", "https://cache.lan:5000/a/b?token=…"),
            ("https://admin.lan/api?action=drain&x", "https://admin.lan/api?action=…&…"),
            ("https://admin.lan/api?hunter2", "https://admin.lan/api?…"),
            ("https://admin.lan/api?next=/a@b", "https://admin.lan/api?next=…"),
            ("http://me@[fd00::1]/", "http://[fd00::1]/"),
            ("http://host/@scope/a@b", "http://host/@scope/a@b"),
            ("http://host/#me@there", "http://host/"),
            ("http://me:pa?ss@proxy", "http://…"),
            ("http://me:pa#ss@proxy:3128/a", "http://…"),
            ("s3://b?endpoint=https%3A%2F%2Fme%3Apw%40minio", "s3://b?endpoint=https://minio"),
            (
                "s3://b?endpoint=https%253A%252F%252Fme%253Apw%2540minio",
                "s3://b?endpoint=https://minio",
            ),
            (r"http://evil\@good.example/", r"http://evil\@good.example/"),
            ("https:me:pw@host/a", "https:host/a"),
            ("cache.lan:5000", "cache.lan:5000"),
            ("daemon", "daemon"),
            ("", ""),
            (
                "s3://nix?profile=me&endpoint=https://a:b@minio.lan&secret-key=x#z",
                "s3://nix?profile=me&endpoint=https://minio.lan&secret-key=…",
            ),
            ("s3://nix?secret-key=x", "s3://nix?secret-key=…"),
        ] {
            assert_eq!(public_url(url), shown, "{url}");
        }
    }
}
