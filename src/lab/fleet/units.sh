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

if [ -n "$broken" ]; then
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
