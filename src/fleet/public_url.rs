//! An address as people may see it.

/// What the query of a bucket says of where it is, and by whose keys it is asked: no secrets.
const OF_BUCKETS: [&str; 4] = ["endpoint", "region", "scheme", "profile"];

/// Returns an address as people may see it: without a login, a query and a fragment, any of which may hold a
/// secret. Of the query of a bucket, what says where the bucket is stays.
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
    let (server, path) = place.split_at(place.find(slash).unwrap_or(place.len()));
    let server = server.rsplit_once('@').map_or(server, |(_, server)| server);
    let query = if scheme == "s3:" { of_bucket(rest) } else { String::new() };
    format!("{scheme}{slashes}{server}{path}{query}")
}

/// Returns of the query of a bucket, with what stands around it, that which says where the bucket is.
fn of_bucket(rest: &str) -> String {
    let query = rest.strip_prefix('?').unwrap_or_default();
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let kept = pairs.filter(|(name, _)| OF_BUCKETS.contains(name));
    let kept: Vec<String> =
        kept.map(|(name, value)| format!("{name}={}", public_url(value))).collect();
    if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_shown_without_what_may_be_a_secret() {
        for (url, shown) in [
            ("https://cache.nixos.org", "https://cache.nixos.org"),
            ("https://me:pw@cache.lan:5000/a/b?token=x#y", "https://cache.lan:5000/a/b"),
            ("http://me@[fd00::1]/", "http://[fd00::1]/"),
            ("http://host/@scope/a@b", "http://host/@scope/a@b"),
            ("http://host#me@there", "http://host"),
            (r"http://evil\@good.example/", r"http://evil\@good.example/"),
            ("https:me:pw@host/a", "https:host/a"),
            ("cache.lan:5000", "cache.lan:5000"),
            ("daemon", "daemon"),
            ("", ""),
            (
                "s3://nix?profile=me&endpoint=https://a:b@minio.lan&secret-key=x#z",
                "s3://nix?profile=me&endpoint=https://minio.lan",
            ),
            ("s3://nix?secret-key=x", "s3://nix"),
        ] {
            assert_eq!(public_url(url), shown, "{url}");
        }
    }
}
