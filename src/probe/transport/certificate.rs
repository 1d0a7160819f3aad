//! From when until when the certificate of a server is good, and whether that is why it was refused.

use crate::fleet::Validity;
use jiff::Timestamp;
use rustls::CertificateError as Bad;
use rustls::pki_types::UnixTime;
use std::error::Error;
use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::time::Time;

/// Reads a certificate in DER; nothing for one that cannot be read: whoever connects judges it.
pub(super) fn validity(der: &[u8]) -> Option<Validity> {
    let certificate = Certificate::from_der(der).ok()?;
    let validity = certificate.tbs_certificate().validity();
    Some(Validity { from: time(&validity.not_before), until: time(&validity.not_after)? })
}

/// Returns a time of a certificate.
fn time(time: &Time) -> Option<Timestamp> {
    let seconds = i64::try_from(time.to_unix_duration().as_secs()).ok()?;
    Timestamp::from_second(seconds).ok()
}

/// Says since when a certificate is not good any more, or from when on it will be, when that is why
/// no connection was made.
pub(super) fn not_good_now(error: &(dyn Error + 'static)) -> Option<String> {
    let day = |time: &UnixTime| {
        let time = Timestamp::from_second(i64::try_from(time.as_secs()).ok()?).ok()?;
        Some(time.strftime("%Y-%m-%d %H:%M UTC").to_string())
    };
    let said = |words: &str, time: &UnixTime| {
        day(time).map_or_else(|| words.to_owned(), |day| format!("{words} on {day}"))
    };
    match bad_certificate(error)? {
        Bad::Expired => Some("it expired".to_owned()),
        Bad::ExpiredContext { not_after, .. } => Some(said("it expired", not_after)),
        Bad::NotValidYet => Some("it is not valid yet".to_owned()),
        Bad::NotValidYetContext { not_before, .. } => {
            Some(said("it becomes valid only", not_before))
        }
        // A type of rustls, which may grow.
        _ => None,
    }
}

/// Returns what is wrong with a certificate, where an error is about that.
fn bad_certificate<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Bad> {
    if let Some(rustls::Error::InvalidCertificate(bad)) = error.downcast_ref::<rustls::Error>() {
        return Some(bad);
    }
    // An I/O error does not name the one that it carries as its source, and may carry another one.
    let carried = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
    let carried = carried.and_then(|carried| bad_certificate(carried));
    carried.or_else(|| bad_certificate(error.source()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    /// A certificate that openssl made for 90 days.
    const FOR_90_DAYS: &str = "MIIBhjCCASugAwIBAgIUR8/OZae/UCBE8hb06Cx5/Cr07RUwCgYIKoZIzj0EAwIwGDEWMBQGA1UEAwwNY2FjaGUuZXhhbXBsZTAeFw0yNjExMjUyMTMxMjFaFw0yNzAyMjMyMTMxMjFaMBgxFjAUBgNVBAMMDWNhY2hlLmV4YW1wbGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQb7PGUG9uT/HKU0WCtI0xX1i+Fcluf+TCc6oy/qAZmuC/NX3/brc5ZDAgEc0ZcYNdPf6a8N2L2eQD7XRATzswfo1MwUTAdBgNVHQ4EFgQUWadfaQ/zpzPEhlSNgOAMkAOhanowHwYDVR0jBBgwFoAUWadfaQ/zpzPEhlSNgOAMkAOhanowDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNJADBGAiEA+fG/6yyrtq0Q7zAMnreEv6uK+TvV58al+B0K2tQFrDwCIQCrO2fxz6XsUal6Jh7NDLS52uopY4yZgmqqpo7mwUX0Bg==";

    /// One that lasts until 2081: years from 2050 on are written in another way.
    const UNTIL_2081: &str = "MIIBhzCCAS2gAwIBAgIUChGIuDI780dXhHubhFAQSLfMBhMwCgYIKoZIzj0EAwIwGDEWMBQGA1UEAwwNY2FjaGUuZXhhbXBsZTAgFw0yNjExMjUyMTMxMjFaGA8yMDgxMDgyODIxMzEyMVowGDEWMBQGA1UEAwwNY2FjaGUuZXhhbXBsZTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABHP1KB2Ytz0QVXcSDNPUyg1ZCcQ4AM0j+K4U0iIOdPJhJDB8yyGA7QOlDhyLaj1rFfAVVE2sq/N5W1niL45gHBGjUzBRMB0GA1UdDgQWBBQ6yCih9zUxsRdfkSpGjEtR712dsjAfBgNVHSMEGDAWgBQ6yCih9zUxsRdfkSpGjEtR712dsjAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIQDvaks+PQFl9hT7Wj9Njz+2l1WyqfcZ+yPUGnVQD5RT6wIgZrJ1SE09QZGMN4IrcOWPjYoRnmDRIKmwu2qJFIg6wdQ=";

    #[test]
    fn the_times_of_a_certificate_are_read() {
        let read = |text: &str| validity(&STANDARD.decode(text).unwrap()).unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let short = read(FOR_90_DAYS);
        assert_eq!(short.from, Some(at("2026-11-25T21:31:21Z")));
        assert_eq!(short.until, at("2027-02-23T21:31:21Z"));
        assert_eq!(read(UNTIL_2081).until, at("2081-08-28T21:31:21Z"));
    }

    #[test]
    fn what_is_no_certificate_has_no_times() {
        let whole = STANDARD.decode(FOR_90_DAYS).unwrap();
        for bad in [&b""[..], b"x", &whole[..100], &whole[1..]] {
            assert_eq!(validity(bad), None);
        }
    }

    #[test]
    fn an_expired_certificate_is_told_from_any_other_trouble() {
        // As tokio-rustls and hyper-rustls wrap it, one around the other.
        let carried = |bad: Bad| {
            let inner = std::io::Error::other(rustls::Error::InvalidCertificate(bad));
            std::io::Error::other(inner)
        };
        let time = |seconds| UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds));
        let expired =
            Bad::ExpiredContext { time: time(1_795_000_000), not_after: time(1_794_000_000) };
        let why = not_good_now(&carried(expired));
        assert_eq!(why.as_deref(), Some("it expired on 2026-11-06 21:20 UTC"));
        let early = Bad::NotValidYetContext { time: time(0), not_before: time(1_794_000_000) };
        let why = not_good_now(&carried(early)).unwrap();
        assert_eq!(why, "it becomes valid only on 2026-11-06 21:20 UTC");
        assert_eq!(not_good_now(&carried(Bad::UnknownIssuer)), None);
        assert_eq!(not_good_now(&std::io::Error::other("certificate has expired")), None);
    }
}
