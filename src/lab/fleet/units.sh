# Builds the unit files of the fleet's own services.
# shellcheck shell=sh disable=SC2154
mkdir -p "$out/multi-user.target.wants" "$out/bin"

cat >"$out/bin/nixdash-demo-start" <<END
#!/bin/sh
PATH=/usr/bin:/bin
echo "demo service of $hostName, system $nixos, $tools"
exec sleep infinity
END
cat >"$out/bin/fleet-agent-start" <<END
#!/bin/sh
PATH=/usr/bin:/bin
echo "agent of $hostName: $agent"
exec sleep infinity
END
chmod +x "$out/bin/nixdash-demo-start" "$out/bin/fleet-agent-start"

# Stopped before and started after the activation when it changed, as most NixOS services are.
cat >"$out/nixdash-demo.service" <<END
[Unit]
Description=Demo service of the practice fleet

[Service]
ExecStart=$out/bin/nixdash-demo-start
END

# Restarted in one step, after the activation.
cat >"$out/fleet-agent.service" <<END
[Unit]
Description=Fleet agent

[Service]
X-StopIfChanged=false
ExecStart=$out/bin/fleet-agent-start
END
ln -s ../nixdash-demo.service "$out/multi-user.target.wants/nixdash-demo.service"
ln -s ../fleet-agent.service "$out/multi-user.target.wants/fleet-agent.service"

if [ -n "$cache" ]; then
  cat >"$out/nix-serve.service" <<END
[Unit]
Description=nix-serve binary cache server
After=network.target

[Service]
X-Restart-Triggers=$nixos
Environment=PATH=/run/current-system/sw/bin
ExecStart=/opt/nixdash-lab/run lab serve store --listen 0.0.0.0:5000 --secret-key /etc/nix/secret-key --fault-file /etc/nixdash-lab/cache-fault
Restart=on-failure
END
  ln -s ../nix-serve.service "$out/multi-user.target.wants/nix-serve.service"
fi

# A stand-in that carries no traffic, by the name of what does on many hosts. `network-unit` changes it, and with a number of
# seconds lets it take the network down after its restart.
later=
trigger=
if [ "$broken" = network-unit ]; then
  later=$amount
  trigger=changed
fi
cat >"$out/systemd-networkd.service" <<END
[Unit]
Description=Network Configuration

[Service]
X-StopIfChanged=false
X-Restart-Triggers=$trigger
ExecStart=/usr/lib/nixdash-lab/network-later $later
END
ln -s ../systemd-networkd.service "$out/multi-user.target.wants/systemd-networkd.service"

if [ "$broken" = network-later ]; then
  cat >"$out/lan-lease.service" <<END
[Unit]
Description=Lease of the local network

[Service]
ExecStart=/usr/lib/nixdash-lab/network-later $amount
END
  ln -s ../lan-lease.service "$out/multi-user.target.wants/lan-lease.service"
fi

if [ "$broken" = unit ] || [ "$broken" = perl-snippet-unit ]; then
  cat >"$out/fleet-migrate.service" <<END
[Unit]
Description=Migration of the fleet's state

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -c 'echo "fleet-migrate: no such table: hosts" >&2; exit 1'
END
  ln -s ../fleet-migrate.service "$out/multi-user.target.wants/fleet-migrate.service"
fi
