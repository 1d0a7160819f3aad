# Evaluates a host's system as the login user and prints its derivation and output path as JSON.
# $1 is the flake reference with its attribute, $2 the function that picks the two.
exec nix --extra-experimental-features 'nix-command flakes' eval --json "$1" --apply "$2"
