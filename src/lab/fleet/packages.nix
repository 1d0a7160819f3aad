# Every package of the fleet: size in KiB, what it refers to, and how a build of it looks (seconds and printed lines).
# `own = true` is built by the fleet itself; the rest is what a public cache would hold already.
{
  glibc = { size = 3400; };
  gcc-lib = { size = 1600; deps = [ "glibc" ]; };
  zlib = { size = 140; deps = [ "glibc" ]; };
  bzip2 = { size = 90; deps = [ "glibc" ]; };
  xz = { size = 420; deps = [ "glibc" ]; };
  zstd = { size = 700; deps = [ "glibc" ]; };
  openssl = { size = 2400; deps = [ "glibc" ]; };
  ncurses = { size = 600; deps = [ "glibc" ]; };
  readline = { size = 300; deps = [ "ncurses" ]; };
  bash = { size = 900; deps = [ "readline" ]; };
  gmp = { size = 460; deps = [ "glibc" ]; };
  pcre2 = { size = 380; deps = [ "glibc" ]; };
  expat = { size = 160; deps = [ "glibc" ]; };
  libxml2 = { size = 900; deps = [ "zlib" "xz" ]; };
  sqlite = { size = 1100; deps = [ "zlib" ]; };
  coreutils = { size = 800; deps = [ "gmp" "openssl" ]; };
  findutils = { size = 240; deps = [ "coreutils" ]; };
  gnugrep = { size = 180; deps = [ "pcre2" ]; };
  gnused = { size = 150; deps = [ "glibc" ]; };
  gawk = { size = 420; deps = [ "gmp" "readline" ]; };
  gnutar = { size = 350; deps = [ "bash" ]; };
  gzip = { size = 80; deps = [ "bash" ]; };
  util-linux = { size = 1500; deps = [ "zlib" "ncurses" ]; };
  kmod = { size = 200; deps = [ "xz" "zstd" ]; };
  pam = { size = 300; deps = [ "glibc" ]; };
  shadow = { size = 500; deps = [ "pam" ]; };
  sudo = { size = 700; deps = [ "pam" "zlib" ]; };
  dbus = { size = 500; deps = [ "expat" "util-linux" ]; };
  systemd = { size = 4200; deps = [ "util-linux" "kmod" "pam" "dbus" "zstd" "openssl" ]; };
  iproute2 = { size = 900; deps = [ "glibc" ]; };
  iptables = { size = 500; deps = [ "glibc" ]; };
  curl = { size = 700; deps = [ "openssl" "zlib" "zstd" ]; };
  openssh = { size = 900; deps = [ "openssl" "pam" "zlib" ]; };
  perl = { size = 2600; deps = [ "zlib" "bash" ]; };
  git = { size = 1900; deps = [ "curl" "perl" "pcre2" ]; };
  nix = { size = 2300; deps = [ "curl" "sqlite" "openssl" "bzip2" ]; };
  less = { size = 160; deps = [ "ncurses" ]; };
  nano = { size = 260; deps = [ "ncurses" ]; };
  man-db = { size = 400; deps = [ "gzip" ]; };
  fish = { size = 1400; deps = [ "pcre2" ]; };
  tmux = { size = 420; deps = [ "ncurses" ]; };
  ripgrep = { size = 600; deps = [ "pcre2" ]; };
  htop = { size = 220; deps = [ "ncurses" ]; };
  linux-firmware = { size = 3600; };
  linux = { size = 4200; };
  linux-modules = { size = 3600; deps = [ "linux" ]; };

  # What only some hosts carry.
  firefox = { size = 5200; deps = [ "gcc-lib" "dbus" "sqlite" ]; };
  tlp = { size = 160; deps = [ "bash" "perl" ]; };
  openrazer = { size = 240; deps = [ "dbus" ]; };
  ccache = { size = 800; deps = [ "zstd" ]; };
  postgresql = { size = 2900; deps = [ "libxml2" "openssl" "readline" ]; };

  # What the fleet builds for itself.
  fleet-lib = { size = 300; deps = [ "openssl" ]; own = true; seconds = 1; lines = 60; };
  fleet-tools = { size = 900; deps = [ "curl" ]; own = true; seconds = 2; lines = 140; };
  fleet-agent = { size = 500; deps = [ "fleet-lib" "sqlite" ]; own = true; seconds = 1; lines = 50; };
}
