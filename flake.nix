{
  description = "Sees, proves and deploys a fleet of NixOS machines and their binary caches";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forAll = f: nixpkgs.lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      version = (nixpkgs.lib.importTOML ./Cargo.toml).package.version;
    in
    {
      packages = forAll (pkgs: {
        default = pkgs.rustPlatform.buildRustPackage {
          pname = "nixdash";
          inherit version;
          src = self;
          cargoLock.lockFile = ./Cargo.lock;
          nativeBuildInputs = [
            pkgs.installShellFiles
            pkgs.makeWrapper
          ];
          # The build sandbox has no ssh, no git and no hosts; the lab tests need root.
          nativeCheckInputs = [ pkgs.git ];
          postInstall = ''
            installShellCompletion --cmd nixdash \
              --bash <($out/bin/nixdash completions bash) \
              --zsh <($out/bin/nixdash completions zsh) \
              --fish <($out/bin/nixdash completions fish)
            $out/bin/nixdash man --dir man1
            installManPage man1/*
            wrapProgram $out/bin/nixdash --suffix PATH : ${
              pkgs.lib.makeBinPath [
                pkgs.openssh
                pkgs.git
                pkgs.gnutar
              ]
            }
          '';
          meta = {
            description = "Sees, proves and deploys a fleet of NixOS machines and their binary caches";
            license = pkgs.lib.licenses.mit;
            mainProgram = "nixdash";
            platforms = systems;
          };
        };
      });

      apps = forAll (pkgs: {
        default = {
          type = "app";
          program = "${self.packages.${pkgs.stdenv.hostPlatform.system}.default}/bin/nixdash";
        };
      });

      devShells = forAll (pkgs: {
        default = pkgs.mkShell {
          packages = [
            pkgs.cargo
            pkgs.rustc
            pkgs.clippy
            pkgs.rustfmt
            pkgs.shellcheck
            pkgs.tmux
            pkgs.cargo-deny
          ];
        };
      });
    };
}
