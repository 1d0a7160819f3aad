# The practice fleet as deploy-rs takes it, for benches/deploy.sh: beside the fleet's own files, with
# deploy-rs' `activate` and the addresses of the hosts.
{
  outputs =
    { self }:
    let
      fleet = import ./fleet.nix;
      addresses = builtins.fromJSON (builtins.readFile ./addresses.json);
      profile =
        toplevel:
        derivation {
          name = "profile";
          system = toplevel.system;
          builder = "/bin/sh";
          PATH = "/usr/bin:/bin";
          activate = ./activate;
          inherit toplevel;
          args = [
            "-e"
            "-c"
            ''
              mkdir $out
              for entry in $toplevel/*; do ln -s $entry $out/; done
              cp $activate $out/activate-rs
              printf '#!/bin/sh\nexec %s/bin/switch-to-configuration switch\n' $toplevel >$out/deploy-rs-activate
              chmod +x $out/activate-rs $out/deploy-rs-activate
            ''
          ];
        };
    in
    {
      deploy = {
        sshUser = "root";
        user = "root";
        nodes = builtins.mapAttrs (name: hostname: {
          inherit hostname;
          profiles.system.path = profile fleet.toplevels.${name};
        }) addresses;
      };
    };
}
