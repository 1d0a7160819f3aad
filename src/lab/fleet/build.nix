# One host's system: its packages, what is made from them, and the toplevel over all of it.
{ packages, host }:
let
  words = builtins.concatStringsSep " ";

  make =
    name: script: attributes:
    derivation (
      {
        inherit name;
        system = host.system;
        builder = "/bin/sh";
        args = [ "-e" "-c" script ];
        PATH = "/usr/bin:/bin";
      }
      // attributes
    );

  package = builtins.mapAttrs (
    pname: about:
    make "${pname}-${host.versions.${pname}}" (builtins.readFile ./package.sh) ({
      inherit pname;
      version = host.versions.${pname};
      size = about.size;
      seconds = about.seconds or 0;
      lines = about.lines or 6;
      deps = map (dep: package.${dep}) (about.deps or [ ]);
      failing = if pname == "fleet-tools" && host.break == "build" then "1" else "";
    }
    // (if pname == "fleet-tools" && host.break == "loud" then { loud = host.amount; } else { }))
  ) packages;

  # Every host carries everything but what is listed as somebody's own.
  special = [ "firefox" "tlp" "openrazer" "ccache" "postgresql" ];
  chosen = builtins.filter (
    pname: !(builtins.elem pname special) || builtins.elem pname host.packages
  ) (builtins.attrNames packages);

  systemPath = make "system-path" (builtins.readFile ./system-path.sh) {
    deps = map (pname: package.${pname}) chosen;
    inherit (host) nixos;
  };

  initrd = make "initrd-linux-${host.versions.linux}" (builtins.readFile ./initrd.sh) {
    modules = package.linux-modules;
    systemd = package.systemd;
    size = 1800;
  };

  broken = if host.break == null then "" else host.break;
  amount = toString (host.amount or "");

  units = make "system-units" (builtins.readFile ./units.sh) {
    agent = package.fleet-agent;
    tools = package.fleet-tools;
    hostName = host.name;
    inherit (host) nixos;
    cache = if host.name == "p620" then "1" else "";
    inherit broken amount;
  };

  etc = make "etc" (builtins.readFile ./etc.sh) {
    inherit units;
    inherit (host) nixos;
    sshdPort = if broken == "sshd-port" then "2222" else "22";
    hostName = host.name;
  };

  toplevel =
    make "nixos-system-${host.name}-${host.nixos}" (builtins.readFile ./toplevel.sh) {
      inherit etc initrd systemPath;
      inherit (host) nixos;
      hostName = host.name;
      inherit broken amount;
      kernel = package.linux;
      modules = package.linux-modules;
      firmware = package.linux-firmware;
      systemd = package.systemd;
      platform = host.system;
      activate = builtins.readFile ./activate.sh;
      dryActivate = builtins.readFile ./dry-activate.sh;
      switchToConfiguration = builtins.readFile ./switch-to-configuration.sh;
    }
    // {
      nixosVersion = host.nixos;
    };
in
{
  inherit toplevel;
  upstream = map (pname: package.${pname}) (
    builtins.filter (pname: !(packages.${pname}.own or false)) chosen
  );
}
