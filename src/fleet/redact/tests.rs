//! Secrets that are hidden, and lines that stay.

use super::*;
use proptest::prelude::*;

/// Lines that have a secret in every way that was seen, with `§` in its place.
const LINES: [&str; 40] = [
    "AWS_SECRET_ACCESS_KEY=§",
    "export AWS_SECRET_ACCESS_KEY='§' AWS_REGION=eu-1",
    "aws_access_key_id = §",
    "token: §",
    "Token:§",
    "token = \"§\"",
    "{\"token\":\"§\",\"url\":\"https://x\"}",
    "{\"access_token\": \"§\"}",
    "{\"message\":\"{\\\"token\\\":\\\"§\\\"}\"}",
    "{'password': '§'}",
    "Authorization:Bearer §",
    "Authorization: Bearer §",
    "authorization: Basic §",
    "> Authorization: AWS4-HMAC-SHA256 Credential=a/b, Signature=§",
    "-H 'Authorization: token §' https://api.github.com",
    "curl -H \"Authorization: Bearer §\" https://x",
    "Proxy-Authorization: Basic §",
    "Cookie: session=§; other=§",
    "curl -u user:§ https://x",
    "curl -u 'user:§' https://x",
    "curl --user user:§ https://x",
    "curl --proxy-user me:§ https://x",
    "cachix --auth-token § push me",
    "mysql --password=§ -u root",
    "restic --password §",
    "sshpass -p § ssh x",
    "MYSQL_PWD=§ mysql",
    "SMTP_PASS=§",
    "machine attic.example login me password §",
    "  password §",
    "https://me:§@git.example/x.git",
    "https://§@github.com/me/x",
    "git+https://user:§@git.example/x?ref=main",
    "ssh://nix:§@host",
    "could not fetch 'https://me:§@host/nix-cache-info': 401",
    "https://x/n?X-Amz-Security-Token=§&X-Amz-Signature=§&b=1",
    "https://x/n?private_token=§",
    "ATTIC_TOKEN: §,",
    "{\"env\":{\"GH_PAT\":\"§\"}}",
    "client_secret=§&grant_type=x",
];

/// Lines that are as they should be.
const ORDINARY: [&str; 22] = [
    "copying path '/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-auth-token' to 'ssh-ng://nix@host'",
    "ssh-ng://nix@p620.lan:22?compress=true",
    "/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-token: No such file or directory",
    "building '/nix/store/4xa9xjwdxbpaf7ls3r2c8qvz8221bw0a-password-store-1.7.4.drv'...",
    "error: builder for '/nix/store/x-secret-service.drv' failed with exit code 1",
    "Starting Dispatch Password Requests to Console Directory Watch...",
    "[  OK  ] Reached target Basic System.",
    "PasswordAuthentication=no",
    "git clone ssh://git@example.org/nixos.git",
    "http://p620:5000/x.narinfo",
    "https://cache.nixos.org/nar/1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3.nar.xz",
    "Sig: cache.nixos.org-1:GrGV/Ls10TzoOaCnrcAqmPbKXFLLSBDeGNh5EQGKyuGA4K1wv1LcRVb6",
    "signature: cache.nixos.org-1 does not verify",
    "docker run -u 1000:100 x",
    "http://[fd00::510]:5000",
    "http://localhost:8080",
    "unpacking source archive (3 of 7): 42 % done",
    "token = { env = \"CACHIX_AUTH_TOKEN\" }",
    "trusted-public-keys = cache.nixos.org-1:6NCHDdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=",
    "secret-key-files = /var/lib/key",
    "PWD=/build",
    "the secretary: a novel",
];

#[test]
fn every_way_in_which_a_secret_was_seen_is_hidden() {
    for line in LINES {
        let text = line.replace('§', "hunter2-Ab9");
        let shown = redact(&text).into_owned();
        assert!(!shown.contains("hunter2"), "{line}: {shown}");
        assert_eq!(redact(&shown), shown, "twice is as good as once");
    }
}

#[test]
fn a_line_of_nothing_but_signs_of_secrets_grows_little() {
    for part in [
        "cookie:",
        "password ",
        " -p",
        "http://a:x/",
        "://",
        "token=",
        "\\\"token\\\":\\\"",
        "= ",
        "a:b@",
        "Bearer ",
        "--token ",
        "'",
        "eyJ",
        "ghp_",
    ] {
        let line = part.repeat(200_000 / part.len());
        assert!(redact(&line).len() <= 2 * line.len() + 200_000, "{part}");
    }
}

#[test]
fn ordinary_lines_stay_as_they_are() {
    for line in ORDINARY {
        assert_eq!(redact(line), line);
    }
}

#[test]
fn what_is_around_a_secret_stays() {
    for (text, shown) in [
        ("AWS_SECRET_ACCESS_KEY=abc next", "AWS_SECRET_ACCESS_KEY=[secret] next"),
        (
            "http://x/health?token=abc: the connection was refused",
            "http://x/health?token=[secret]: the connection was refused",
        ),
        ("{\"token\":\"x\",\"a\":1}", "{\"token\":\"[secret]\",\"a\":1}"),
        ("curl -u user:pw https://x", "curl -u user:[secret] https://x"),
        ("https://me:pw@x/y", "https://[secret]@x/y"),
        ("machine x login me password pw", "machine x login me password [secret]"),
        ("a ghp_0123456789abcdefghijklmnopqrstuvwxyz b", "a [secret] b"),
    ] {
        assert_eq!(redact(text), shown);
    }
}

proptest! {
    #[test]
    fn no_secret_survives(
        secret in "[A-Za-z0-9][A-Za-z0-9_.~+-]{7,40}",
        line in 0..LINES.len(),
        before in "[a-z ]{0,20}",
    ) {
        let secret = format!("Zq7{secret}");
        let glue = if before.is_empty() || LINES[line].starts_with(' ') { "" } else { " | " };
        let text = format!("{}{glue}{}", before.trim(), LINES[line].replace('§', &secret));
        let netrc = LINES[line].starts_with("  password");
        let text = if netrc { LINES[line].replace('§', &secret) } else { text };
        let shown = redact(&text).into_owned();
        prop_assert!(!shown.contains(&secret), "{} -> {}", text, shown);
        prop_assert_eq!(redact(&shown).into_owned(), shown);
    }

    #[test]
    fn any_text_is_taken(text in any::<String>()) {
        let _ = redact(&text);
    }

    #[test]
    fn words_without_a_sign_stay(text in "[a-zA-Z0-9 /.,-]{0,200}") {
        prop_assume!(!text.contains("earer") && !text.contains("password")
            && !text.contains("-u") && !text.contains("-U") && !text.contains("--"));
        prop_assume!(!SHAPES.iter().any(|shape| text.contains(shape)));
        let shown = redact(&text).into_owned();
        prop_assert_eq!(shown, text);
    }
}
