"""Hosts that are all this machine, behind an ssh server of their own: for idle.py.

Logins, connections and the scripts of probes are real; the server runs as the user who starts it, on the
loopback interface, with keys of its own. NIXDASH_SSHD names its program.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time

SSHD = os.environ.get("NIXDASH_SSHD", "/usr/sbin/sshd")


class LocalFleet:
    """A server, and a `hosts.toml` with so many hosts that are all behind it."""

    def __init__(self, hosts):
        self.folder = tempfile.mkdtemp()
        for key in ("host_key", "id"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.file(key)], check=True)
        shutil.copy(self.file("id.pub"), self.file("authorized_keys"))
        with open(self.file("host_key.pub"), encoding="ascii") as key:
            self.write("known_hosts", f"* {key.read()}")
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
        self.write("sshd_config", f"""Port {port}
ListenAddress 127.0.0.1
HostKey {self.file("host_key")}
AuthorizedKeysFile {self.file("authorized_keys")}
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 400
PermitRootLogin prohibit-password
""")
        self.write("ssh_config", f"""Host *
  HostName 127.0.0.1
  IdentityFile {self.file("id")}
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile {self.file("known_hosts")}
  GlobalKnownHostsFile /dev/null
  Port {port}
""")
        names = "".join(f'[hosts.h{number:03}]\naddresses = ["h{number:03}"]\n' for number in range(1, hosts + 1))
        self.write("hosts.toml", f'[fleet]\nssh_config = "{self.file("ssh_config")}"\n{names}')
        self.hosts_file = self.file("hosts.toml")
        # Where the program was built to drop its rights; only root needs it, and may make it.
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        command = [SSHD, "-D", "-E", self.file("log"), "-f", self.file("sshd_config")]
        self.server = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        wait_for(port)

    def file(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.file(name), "w", encoding="utf-8") as file:
            file.write(text)

    def end(self):
        self.server.terminate()
        self.server.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def wait_for(port):
    """Waits until something listens, 10 s at most."""
    end = time.monotonic() + 10
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
