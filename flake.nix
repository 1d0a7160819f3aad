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
          # Nix's build sandbox has no network, no home, no ssh server and no root. Tests that need one of
          # them are ignored with the reason; the others find their programs and certificates here.
          nativeCheckInputs = [
            pkgs.cacert
            pkgs.curl
            pkgs.git
            pkgs.gnutar
            pkgs.openssh
            pkgs.procps
            pkgs.util-linux
          ];
          preCheck = ''
            export HOME=$TMPDIR
            export SSL_CERT_FILE=${pkgs.cacert}/etc/ssl/certs/ca-bundle.crt
          '';
          postInstall = ''
            installShellCompletion --cmd nixdash \
              --bash <($out/bin/nixdash completions bash) \
              --zsh <($out/bin/nixdash completions zsh) \
              --fish <($out/bin/nixdash completions fish)
            $out/bin/nixdash man --dir man1
            installManPage man1/*
            # What the machine has itself comes first; certificates are for a machine that has none.
            wrapProgram $out/bin/nixdash \
              --suffix PATH : ${
                pkgs.lib.makeBinPath [
                  pkgs.openssh
                  pkgs.git
                  pkgs.gnutar
                ]
              } \
              --run 'test -e /etc/ssl/certs/ca-certificates.crt || test -e /etc/ssl/certs/ca-bundle.crt ||
                export SSL_CERT_FILE="''${SSL_CERT_FILE:-${pkgs.cacert}/etc/ssl/certs/ca-bundle.crt}"'
          '';
          meta = {
            description = "Sees, proves and deploys a fleet of NixOS machines and their binary caches";
            license = pkgs.lib.licenses.mit;
            mainProgram = "nixdash";
            platforms = systems;
          };
        };
      });

      # `nix flake check` builds it, with its tests.
      checks = forAll (pkgs: {
        default = self.packages.${pkgs.stdenv.hostPlatform.system}.default;
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
