//! Why a copy over ssh failed: by its connection, or by what was copied.
//!
//! ssh says the one in words of its own and of the system, Nix the other; after a cut Nix says only that the other
//! side is gone.

/// What ssh and Nix say where a connection cannot be made or ends (`sshconnect.c`, `packet.c`, `clientloop.c` of OpenSSH;
/// `ssh.cc`, `remote-store.cc` of Nix).
const CUT: [&str; 17] = [
    "Connection refused",
    "Connection reset by",
    "Connection closed by",
    "Connection timed out",
    "Operation timed out",
    "No route to host",
    "Network is unreachable",
    "Host is down",
    "closed by remote host",
    ", server ",
    "exchange_identification:",
    "banner exchange",
    "Broken pipe",
    "failed to start SSH connection to",
    "cannot connect to '",
    "unexpected end-of-file",
    "disconnected unexpectedly",
];

/// What stands beside it where another try would fail in the same way.
const REFUSED: [&str; 9] = [
    "Permission denied",
    "Host key verification failed",
    "IDENTIFICATION HAS CHANGED",
    "protocol mismatch",
    "lacks a signature",
    "not signed by any",
    "hash mismatch",
    "No space left on device",
    "is not valid",
];

/// Returns whether only the connection of a copy failed, by what was said: it was cut, or could not be made.
pub fn is_cut(said: &str) -> bool {
    let says = |words: &[&str]| words.iter().any(|word| said.contains(word));
    says(&CUT) && !says(&REFUSED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_fails_is_told_from_what_another_try_does_not_mend() {
        for cut in [
            "ssh: connect to host p620.lan port 22: Connection refused\nerror: cannot connect to 'me@p620.lan'",
            "kex_exchange_identification: Connection closed by remote host\n\
             error: failed to start SSH connection to 'p620.lan'",
            "Timeout, server p620.lan not responding.\nerror: unexpected end-of-file",
            "error: cannot open connection to remote store 'ssh-ng://me@samsung.lan': error: failed to start SSH \
             connection to 'me@samsung.lan'",
            "client_loop: send disconnect: Broken pipe\nerror: writing to file: Broken pipe",
            "error: Nix daemon disconnected unexpectedly (maybe it crashed?)",
        ] {
            assert!(is_cut(cut), "{cut}");
        }
        for other in [
            "me@p620.lan: Permission denied (publickey).\nerror: cannot connect to 'me@p620.lan'",
            "Host key verification failed.\nerror: failed to start SSH connection to 'p620.lan'",
            "error: cannot add path '/nix/store/x' because it lacks a signature by a trusted key",
            "error: writing to file: No space left on device",
            "error: path '/nix/store/x' is not valid",
            "",
        ] {
            assert!(!is_cut(other), "{other}");
        }
    }
}
