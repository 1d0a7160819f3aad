# The practice fleet: its hosts, no inputs, nothing to download.
{
  description = "nixdash practice fleet";

  outputs =
    { self }:
    let
      fleet = import ./fleet.nix;
    in
    {
      nixosConfigurations = builtins.mapAttrs (name: toplevel: {
        config = {
          networking.hostName = name;
          system.build.toplevel = toplevel;
          system.nixos.version = toplevel.nixosVersion;
        };
      }) fleet.toplevels;
    };
}
