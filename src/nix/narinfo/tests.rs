use super::*;
use crate::nix::nar::NarStart;
use crate::nix::signature::parse_public_key;
use ::base64::Engine as _;
use ::base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use proptest::prelude::*;

/// Written by Nix 2.34.8 (zstd), and by Nix 2.8.0 (xz), each with its key.
const REAL: [(&str, &str); 2] = [
    (
        "StorePath: /nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-top\n\
         URL: nar/0w25cq1id1s0jvwqknxrqcccnqik2q6nglbrr373f6m1qxfmvyw6.nar.zst\n\
         Compression: zstd\n\
         FileHash: sha256:0w25cq1id1s0jvwqknxrqcccnqik2q6nglbrr373f6m1qxfmvyw6\n\
         FileSize: 12830\n\
         NarHash: sha256:125f3rvnz67hv48c422g4j4jxn2br38f5xhldz50p21dviwvfl1i\n\
         NarSize: 189144\n\
         References: 0hy12vxk42lyxgf9i5sxmsh4syvi2zr1-b j4xb6mcrn8nw7nmgncklpxyslsdf80y6-c \
         vs1v26l79mdllhw80afx3d6ll4749kca-a\n\
         Deriver: 7w85jyaqg6p2rfnn880ymv98vp5nmpf5-top.drv\n\
         Sig: test-1:MTIqw5FNg9MHc4YMMo8e38ewhiyTd/3l8hmFMKL6UNM1yJyYplTQuO/IMMKcd9MpbbQ0XWD2ICpEqYnJsTRKAw==\n",
        "test-1:NiNfYW82Gw9o49ng/jhUKy3RmtBlesa/LQ0HuCcuSeU=",
    ),
    (
        "StorePath: /nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-a-1.0\n\
         URL: nar/0593r8argg5rycvnhxgrgl3c7b7pwk498802a4lawbkwm8hma5nn.nar.xz\n\
         Compression: xz\n\
         FileHash: sha256:0593r8argg5rycvnhxgrgl3c7b7pwk498802a4lawbkwm8hma5nn\n\
         FileSize: 124\n\
         NarHash: sha256:0p3l2z3riilylr2rxb1aq2blxdfxg55wbgp4gxkns93srbr4bwyq\n\
         NarSize: 120\n\
         References: \n\
         Deriver: m4r7f51v2ji8n3nzg4qbs5bkvyj72fav-a-1.0.drv\n\
         Sig: test-1:kSf2Du9hukyeeNYSa2bKdTH8PrXtZddli5mvfdYfaNnED+dN+qtmdEsnA9OuiKt+MwOhE5K71hLSbyqDAdWeAg==\n",
        "test-1:84lYE1B4WYBhgRnr4i3CGQuBrqMejfmimNytE5731+M=",
    ),
];

fn key(text: &str) -> PublicKey {
    parse_public_key(text).unwrap()
}

fn nix(text: &str) -> NarInfoRules {
    NarInfoRules::of_plain_nix(Version::parse(text).unwrap()).unwrap()
}

#[test]
fn signatures_of_real_caches_verify() {
    for (text, public) in REAL {
        let narinfo = NarInfo::parse(text).unwrap();
        let key = key(public);
        assert_eq!(narinfo.verdict(&key), SignatureState::Valid, "{}", narinfo.fingerprint());
        assert_eq!(narinfo.signers(), ["test-1"]);
        assert_eq!(refused_since(text), None);
        for version in ["2.8.0", "2.18.1", "2.26.3", "2.34.8", "2.35.2"] {
            let keys = std::slice::from_ref(&key);
            let found = verdict(text, &narinfo.store_path, nix(version), keys, NarSeen::Nothing);
            assert_eq!(found, Verdict::Taken, "{version}");
        }
    }
}

#[test]
fn another_key_of_the_same_name_makes_it_invalid_and_another_name_untrusted() {
    let narinfo = NarInfo::parse(REAL[0].0).unwrap();
    assert_eq!(narinfo.verdict(&key(REAL[1].1)), SignatureState::Invalid);
    let text = "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";
    assert_eq!(narinfo.verdict(&key(text)), SignatureState::Untrusted);
}

#[test]
fn a_changed_narinfo_does_not_verify() {
    for (from, to) in [("189144", "189145"), ("-top\n", "-tip\n"), ("-b j4xb", "-b k4xb")] {
        let narinfo = NarInfo::parse(&REAL[0].0.replace(from, to)).unwrap();
        assert_eq!(narinfo.verdict(&key(REAL[0].1)), SignatureState::Invalid, "{from} → {to}");
    }
}

#[test]
fn what_is_not_in_the_fingerprint_may_change() {
    let text = REAL[0].0.replace("URL: nar/", "Strange: yes\nURL: elsewhere/");
    assert_eq!(NarInfo::parse(&text).unwrap().verdict(&key(REAL[0].1)), SignatureState::Valid);
}

#[test]
fn what_is_required_must_be_there() {
    let without = |key: &str| {
        let lines = REAL[0].0.split_inclusive('\n').filter(|line| !line.starts_with(key));
        lines.collect::<String>()
    };
    for key in ["StorePath", "URL", "NarHash", "NarSize"] {
        assert_eq!(NarInfo::parse(&without(key)), Err(NarInfoError::Missing(key)));
    }
    for key in ["FileHash", "FileSize", "References", "Deriver", "Sig", "Compression"] {
        assert!(NarInfo::parse(&without(key)).is_ok(), "{key}");
    }
    assert_eq!(NarInfo::parse("No such path.\n"), Err(NarInfoError::NoColon(1)));
    assert_eq!(NarInfo::parse(&"x".repeat(SIZE_LIMIT + 1)), Err(NarInfoError::TooLong));
}

/// What the real Nix 2.26.3 and 2.34.8 refuse while they parse, as changes of a good narinfo.
#[test]
fn what_nix_refuses_while_it_parses_is_refused_here() {
    let good = REAL[0].0;
    let bad = |line, key| NarInfoError::Malformed { line, key };
    for (name, text, error) in [
        ("lines end in CRLF", good.replace('\n', "\r\n"), bad(1, "StorePath")),
        ("no final newline", good.trim_end().to_owned(), NarInfoError::NoLineEnd(10)),
        ("leading blank line", format!("\n{good}"), NarInfoError::Missing("StorePath")),
        ("two blanks", good.replace("NarSize: ", "NarSize:  "), bad(7, "NarSize")),
        ("References without blank", references(""), bad(8, "References")),
        ("empty Deriver", value("Deriver", ""), bad(9, "Deriver")),
        (
            "Deriver is a path",
            value("Deriver", "/nix/store/7w85jyaqg6p2rfnn880ymv98vp5nmpf5-x"),
            bad(9, "Deriver"),
        ),
        ("garbage Deriver", value("Deriver", "garbage"), bad(9, "Deriver")),
        ("empty FileHash", value("FileHash", ""), bad(4, "FileHash")),
        ("bad FileHash", value("FileHash", "sha256:garbage"), bad(4, "FileHash")),
        ("FileSize no number", value("FileSize", "12 kB"), bad(5, "FileSize")),
        ("empty FileSize", value("FileSize", ""), bad(5, "FileSize")),
        ("negative FileSize", value("FileSize", "-1"), bad(5, "FileSize")),
        (
            "References twice",
            good.replace("Deriver:", "References: vs1v26l79mdllhw80afx3d6ll4749kca-a\nDeriver:"),
            NarInfoError::Twice { line: 9, key: "References" },
        ),
        (
            "CA twice",
            format!("{good}CA: {CA}\nCA: {CA}\n"),
            NarInfoError::Twice { line: 12, key: "CA" },
        ),
        ("garbage CA", format!("{good}CA: garbage\n"), bad(11, "CA")),
        ("HTML", "<html><body>Log in</body></html>".to_owned(), NarInfoError::NoColon(1)),
        (
            "HTML with a style",
            "<p style=\"color: red\">\n".to_owned(),
            NarInfoError::Missing("StorePath"),
        ),
        ("empty body", String::new(), NarInfoError::Missing("StorePath")),
    ] {
        assert_eq!(NarInfo::parse(&text), Err(error.clone()), "{name}");
        let wanted = NarInfo::parse(good).unwrap().store_path;
        for version in ["2.8.0", "2.26.3", "2.34.8", "2.35.2"] {
            let found = verdict(&text, &wanted, nix(version), &[], NarSeen::Nothing);
            assert_eq!(found, Verdict::RefusedAtParse(error.clone()), "{name}, {version}");
        }
    }
}

const CA: &str = "fixed:r:sha256:0sg9f58l1jj88w6pdrfdpj5x9b1zrwszk84j81zvby36q9whhhqa";

/// Returns the first real narinfo with another value of a key.
fn value(key: &str, value: &str) -> String {
    let lines = REAL[0].0.split_inclusive('\n');
    let changed = lines.map(|line| {
        if line.starts_with(&format!("{key}: ")) {
            format!("{key}: {value}\n")
        } else {
            line.to_owned()
        }
    });
    changed.collect()
}

/// Returns the first real narinfo with whatever follows the colon of its references.
fn references(after_colon: &str) -> String {
    value("References", "x").replace("References: x", &format!("References:{after_colon}"))
}

#[test]
fn one_character_after_the_colon_is_dropped_whatever_it_is() {
    let parse = |text: &str| NarInfo::parse(text).unwrap();
    assert_eq!(parse(&REAL[1].0.replace("NarSize: ", "NarSize:")).nar_size, 20);
    assert_eq!(parse(&REAL[1].0.replace("URL: ", "URL:")).url[..4], *"ar/0");
    let tight = REAL[1].0.replace("Sig: test-1", "Sig:xtest-1");
    assert_eq!(parse(&tight).verdict(&key(REAL[1].1)), SignatureState::Valid);
    let spaced = REAL[0].0.replace("References: ", "References:   ");
    assert_eq!(parse(&spaced).references.len(), 3);
    // The path of a StorePath without its blank begins with `nix/store`, which is no path.
    let path = REAL[0].0.replace("StorePath: ", "StorePath:");
    assert_eq!(NarInfo::parse(&path), Err(NarInfoError::Malformed { line: 1, key: "StorePath" }));
}

#[test]
fn a_blank_line_hides_the_key_after_it() {
    let text = REAL[0].0.replace("Sig: ", "\nSig: ");
    assert_eq!(NarInfo::parse(&text).unwrap().signers(), Vec::<&str>::new());
    let wanted = NarInfo::parse(&text).unwrap().store_path;
    let found = verdict(&text, &wanted, nix("2.26.3"), &[key(REAL[0].1)], NarSeen::Nothing);
    assert_eq!(found, Verdict::Unsigned);
}

#[test]
fn paths_are_resolved_as_nix_resolves_them() {
    for path in [
        "/nix/store/../store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-top",
        "//nix/./store//l0znnv1nxsr0ry7gmadkh49s1d0hycgd-top/",
    ] {
        let text = value("StorePath", path);
        let narinfo = NarInfo::parse(&text).unwrap();
        assert_eq!(narinfo.verdict(&key(REAL[0].1)), SignatureState::Valid, "{path}");
    }
    for path in ["", "nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-top", "/nix/store", "/gnu/store/x"]
    {
        let text = value("StorePath", path);
        assert!(NarInfo::parse(&text).is_err(), "{path}");
    }
}

/// A narinfo that is signed here: (text without signatures, its path, the signing key, the key).
struct Signed {
    text: String,
    path: StorePath,
    secret: SigningKey,
    key: PublicKey,
}

impl Signed {
    /// Makes a narinfo with a `NarHash` of this spelling, before it is signed.
    fn with(nar_hash: &str, more: &str) -> Self {
        let path = "/nix/store/p21fy4sc5b87h3ma8y0mbiph36v5yfk7-a-1.0";
        let secret = SigningKey::from_bytes(&[7; 32]);
        let public = STANDARD.encode(secret.verifying_key().to_bytes());
        Self {
            text: format!(
                "StorePath: {path}\nURL: nar/x.nar.xz\nCompression: xz\nNarHash: {nar_hash}\n\
                 NarSize: 120\nReferences: \n{more}"
            ),
            path: StorePath::parse(path).unwrap(),
            secret,
            key: key(&format!("own-1:{public}")),
        }
    }

    /// Returns the bytes of a good signature in base 64.
    fn signature(&self) -> String {
        let fingerprint = NarInfo::parse(&self.text).unwrap().fingerprint();
        STANDARD.encode(self.secret.sign(fingerprint.as_bytes()).to_bytes())
    }

    /// Returns what a version makes of it with signature lines.
    fn verdict(&self, version: &str, signatures: &[String]) -> Verdict {
        self.verdict_on(version, signatures, NarSeen::Nothing)
    }

    fn verdict_on(&self, version: &str, signatures: &[String], nar: NarSeen<'_>) -> Verdict {
        let mut text = self.text.clone();
        for signature in signatures {
            text.push_str("Sig: ");
            text.push_str(signature);
            text.push('\n');
        }
        verdict(&text, &self.path, nix(version), std::slice::from_ref(&self.key), nar)
    }
}

const HASH: &str = "sha256:0p3l2z3riilylr2rxb1aq2blxdfxg55wbgp4gxkns93srbr4bwyq";

#[test]
fn spellings_that_other_programs_refuse_are_taken() {
    let bare = "sha256-1nTiK+ajJD5F+MtrkPqCu4dTyoVFiMCeXKvYJByW+lc";
    for nar_hash in [HASH, bare] {
        let signed = Signed::with(nar_hash, "");
        let good = signed.signature();
        let unpadded = good.trim_end_matches('=');
        let foreign = format!("other-1:{good}");
        for signatures in [
            vec![format!("own-1:{good}")],
            vec![format!("own-1:{unpadded}")],
            vec![foreign.clone(), format!("own-1:{good}")],
            vec![format!("own-1:{good}"), foreign.clone()],
        ] {
            for version in ["2.26.3", "2.34.8", "2.35.2"] {
                assert_eq!(signed.verdict(version, &signatures), Verdict::Taken, "{signatures:?}");
            }
        }
        assert_eq!(signed.verdict("2.26.3", &[foreign]), Verdict::Unsigned);
    }
}

#[test]
fn bad_signatures_are_as_bad_as_the_version_makes_them() {
    let signed = Signed::with(HASH, "");
    let good = format!("own-1:{}", signed.signature());
    let refused = |line| Verdict::RefusedAtParse(NarInfoError::Malformed { line, key: "Sig" });
    let stops = || Verdict::RefusedAtImport(ImportFault::SignatureLength("own-1".to_owned()));
    for (bad, old, new) in [
        ("no colon at all", Verdict::Taken, refused(8)),
        ("other-1:not base64!", Verdict::Taken, refused(8)),
        ("other-1:", Verdict::Taken, refused(8)),
        (":YWJj", Verdict::Taken, refused(8)),
        ("", Verdict::Taken, refused(8)),
        ("own-1:not base64!", stops(), refused(8)),
        ("own-1:YWJj", stops(), stops()),
        ("other-1:YWJj", Verdict::Taken, Verdict::Taken),
    ] {
        let signatures = [good.clone(), bad.to_owned()];
        assert_eq!(signed.verdict("2.26.3", &signatures), old, "2.26.3 {bad}");
        assert_eq!(signed.verdict("2.34.8", &signatures), new, "2.34.8 {bad}");
    }
    let text = format!("{}Sig: {good}\nSig: no colon at all\n", signed.text);
    let since = refused_since(&text).unwrap();
    assert_eq!(since.0, Version::new(2, 34, 0));
    assert_eq!(since.1.to_string(), "line 8 of the narinfo has a Sig that Nix cannot read");
}

#[test]
fn an_unknown_label_fails_later_in_older_versions() {
    let mut signed = Signed::with(HASH, "");
    let good = [format!("own-1:{}", signed.signature())];
    signed.text = signed.text.replace("Compression: xz", "Compression: snappy");
    let unknown = Verdict::RefusedAtImport(ImportFault::LabelUnknown("snappy".to_owned()));
    let refused = Verdict::RefusedAtParse(NarInfoError::Malformed { line: 3, key: "Compression" });
    for (version, expected) in [
        ("2.18.1", Verdict::Taken),
        ("2.21.0", Verdict::Taken),
        ("2.22.0", unknown.clone()),
        ("2.34.8", unknown),
        ("2.35.0", refused),
    ] {
        assert_eq!(signed.verdict(version, &good), expected, "{version}");
    }
    signed.text = signed.text.replace("Compression: snappy", "Compression: ");
    assert_eq!(signed.verdict("2.35.0", &good), Verdict::Taken);
}

#[test]
fn the_first_bytes_of_the_nar_count_where_the_label_is_applied() {
    let signed = Signed::with(HASH, "");
    let good = [format!("own-1:{}", signed.signature())];
    let differs = Verdict::RefusedAtImport(ImportFault::LabelDiffers("xz".to_owned()));
    for (start, old, new) in [
        (NarStart::Packed("xz"), Verdict::Taken, Verdict::Taken),
        (NarStart::Packed("zstd"), Verdict::Taken, differs.clone()),
        (NarStart::Plain, differs.clone(), differs.clone()),
        (NarStart::Text, differs.clone(), differs),
    ] {
        let seen = NarSeen::Start(start);
        assert_eq!(signed.verdict_on("2.18.1", &good, seen), old, "{start:?}");
        assert_eq!(signed.verdict_on("2.26.3", &good, seen), new, "{start:?}");
    }
}

#[test]
fn hash_size_and_content_address_are_compared_at_import() {
    let hash = crate::nix::hash::NixHash::parse(HASH).unwrap();
    let other = crate::nix::hash::NixHash::sha256([1; 32]);
    let start = NarStart::Packed("xz");
    let signed = Signed::with(HASH, "");
    let good = [format!("own-1:{}", signed.signature())];
    let seen = |hash, size| NarSeen::Whole { start, hash, size };
    let fault = |fault| Verdict::RefusedAtImport(fault);
    assert_eq!(signed.verdict_on("2.26.3", &good, seen(&hash, 120)), Verdict::Taken);
    assert_eq!(
        signed.verdict_on("2.26.3", &good, seen(&hash, 121)),
        fault(ImportFault::SizeDiffers(121))
    );
    assert_eq!(
        signed.verdict_on("2.26.3", &good, seen(&other, 120)),
        fault(ImportFault::HashDiffers(other.to_string()))
    );
    let sha512 = format!("sha512:{}", "0".repeat(103));
    let signed = Signed::with(&sha512, "");
    let good = [format!("own-1:{}", signed.signature())];
    assert_eq!(signed.verdict("2.34.8", &good), fault(ImportFault::HashAlgorithm("sha512")));
    let signed = Signed::with(HASH, &format!("CA: {CA}\n"));
    let good = [format!("own-1:{}", signed.signature())];
    assert_eq!(signed.verdict("2.34.8", &good), fault(ImportFault::AddressDiffers));
    assert_eq!(signed.verdict("2.34.8", &[]), Verdict::Unsigned);
}

#[test]
fn the_narinfo_of_another_path_counts_as_none() {
    let (text, public) = REAL[0];
    let wanted = StorePath::parse("/nix/store/l0znnv1nxsr0ry7gmadkh49s1d0hycgd-tip").unwrap();
    let found = verdict(text, &wanted, nix("2.26.3"), &[key(public)], NarSeen::Nothing);
    let other = "l0znnv1nxsr0ry7gmadkh49s1d0hycgd-top".to_owned();
    assert_eq!(found, Verdict::OfAnotherPath(other));
}

proptest! {
    #[test]
    fn any_text_is_survived(text in any::<String>()) {
        let _ = NarInfo::parse(&text);
        let _ = refused_since(&text);
    }

    #[test]
    fn any_change_of_a_narinfo_is_survived(at in 0_usize..800, with in "[\\PC\n:]{0,3}", cut in 0_usize..4) {
        let mut text: Vec<char> = REAL[0].0.chars().collect();
        let at = at.min(text.len());
        let end = (at + cut).min(text.len());
        text.splice(at..end, with.chars());
        let text: String = text.into_iter().collect();
        let path = NarInfo::parse(REAL[0].0).unwrap().store_path;
        for version in ["2.8.0", "2.26.3", "2.34.8", "2.35.2"] {
            let _ = verdict(&text, &path, nix(version), &[key(REAL[0].1)], NarSeen::Nothing);
        }
    }
}
