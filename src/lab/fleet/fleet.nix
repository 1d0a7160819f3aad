# What the flake and a plain `nix-build` share: the toplevel of every host, and the packages that a public cache would hold.
let
  shared = builtins.fromJSON (builtins.readFile ./versions.json);
  packages = import ./packages.nix;
  # Every host has a file.
  names = map (builtins.replaceStrings [ ".json" ] [ "" ]) (
    builtins.attrNames (builtins.readDir ./hosts)
  );

  # A host's own file may override shared versions, add packages, and ask for one of the breaks.
  settings =
    name:
    let
      own = builtins.fromJSON (builtins.readFile (./hosts + "/${name}.json"));
    in
    own
    // {
      inherit name;
      system = shared.system;
      nixos = own.nixos or shared.nixos;
      versions = shared.versions // own.versions;
    };

  build = import ./build.nix;
in
{
  toplevels = builtins.listToAttrs (
    map (name: {
      inherit name;
      value = (build { inherit packages; host = settings name; }).toplevel;
    }) names
  );

  upstream = builtins.concatMap (
    name: (build { inherit packages; host = settings name; }).upstream
  ) names;
}
