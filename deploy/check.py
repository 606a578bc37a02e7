"""What no schema knows of deploy/: names that are meant to meet, times that must fit into one another, and
privileges that nothing needs. deploy/check.sh runs it.

    check.py [MANIFESTS]     MANIFESTS: what kustomize built of deploy/kubernetes
"""

import pathlib
import re
import sys

import yaml

HERE = pathlib.Path(__file__).parent
FLUSH_S = 3  # what usage may take after a drain
faults, looked = [], 0


def hold(condition, fault):
    global looked
    looked += 1
    if not condition:
        faults.append(fault)


def seconds(span):
    number, unit = re.fullmatch(r"(\d+)(ms|s|m)", span).groups()
    return int(number) * {"ms": 0.001, "s": 1, "m": 60}[unit]


def stop_s(gateway):
    """How long the gateway may take from SIGTERM to its end, by its configuration."""
    drain = {"delay": "5s", "grace": "20s"} | gateway.get("drain", {})
    return seconds(drain["delay"]) + seconds(drain["grace"]) + FLUSH_S


def secret_paths(text):
    return re.findall(r"\$\{file:([^}]+)\}", "\n".join(line.split(" #")[0] for line in text.splitlines()))


def pinned(image):
    tag = image.split("@")[0].rpartition("/")[2].partition(":")[2]
    return "@sha256:" in image or (tag != "" and tag != "latest")


def compose():
    file = yaml.safe_load((HERE / "compose.yaml").read_text())
    text = (HERE / "compose/gateway.yaml").read_text()
    gateway = yaml.safe_load(text)
    services = file["services"]
    gateways = [name for name in services if name.startswith("gateway-")]
    hold(len(gateways) >= 2, "compose: fewer than two gateways")
    for name, service in services.items():
        at = f"compose: {name}:"
        hold(pinned(service["image"]), f"{at} {service['image']} is not a version")
        hold(service.get("read_only") is True, f"{at} its image can be written to")
        hold(service.get("cap_drop") == ["ALL"] and "cap_add" not in service, f"{at} it keeps capabilities")
        hold("no-new-privileges:true" in service.get("security_opt", []), f"{at} it may gain privileges")
        hold(not service.get("privileged") and service.get("network_mode") != "host", f"{at} it is not confined")
        hold(str(service.get("user", "")).split(":")[0] not in ("0", "root"), f"{at} it is root")
        hold(service["deploy"]["resources"]["limits"]["memory"], f"{at} its memory has no bound")
        for port in service.get("ports", []):
            hold(str(port).startswith("127.0.0.1:"), f"{at} port {port} is open to more than this machine")
        for network in service["networks"]:
            hold(network in file["networks"], f"{at} there is no network {network}")
        for secret in service.get("secrets", []):
            hold(secret in file["secrets"], f"{at} there is no secret {secret}")
        for other in service.get("depends_on", []):
            hold(other in services, f"{at} there is no service {other}")
        for volume in service.get("volumes", []):
            if volume["type"] == "volume":
                hold(volume["source"] in file["volumes"], f"{at} there is no volume {volume['source']}")
            elif not (HERE / volume["source"]).exists():
                print(f"skipped: {at} {volume['source']} is not there")
    for name in gateways:
        service, at = services[name], f"compose: {name}:"
        grace = seconds(service["stop_grace_period"])
        hold(grace > stop_s(gateway), f"{at} is killed after {grace} s, and may drain for {stop_s(gateway)} s")
        for path in secret_paths(text):
            hold(path.startswith("/run/secrets/") and path.rpartition("/")[2] in service["secrets"], f"{at} has no {path}")
        states = [v["target"] for v in service["volumes"] if v["type"] == "volume"]
        hold(str(pathlib.Path(gateway["snapshot"]["file"]).parent) in states, f"{at} its snapshot lies on no volume")
        neighbours = {n for n, other in services.items() if set(other["networks"]) & set(service["networks"])}
        for upstream in gateway["upstreams"].values():
            for server in upstream["servers"]:
                hold(server.split(":")[0] in neighbours, f"{at} cannot reach {server}")
    scraped = yaml.safe_load((HERE / "prometheus/prometheus.yml").read_text())
    targets = {t for job in scraped["scrape_configs"] for c in job["static_configs"] for t in c["targets"]}
    for name in gateways:
        hold(f"{name}:{gateway['telemetry']['address'].rpartition(':')[2]}" in targets, f"prometheus.yml: {name} is not scraped")
        hold(set(services[name]["networks"]) & set(services["prometheus"]["networks"]), f"prometheus cannot reach {name}")


def kubernetes(built):
    objects = [o for o in yaml.safe_load_all(pathlib.Path(built).read_text()) if o]
    of = {o["kind"]: o for o in objects}
    for kind in ("Deployment", "Service", "ConfigMap", "PodDisruptionBudget", "HorizontalPodAutoscaler", "NetworkPolicy"):
        hold(kind in of, f"kubernetes: there is no {kind}")
    hold("Secret" not in of, "kubernetes: a Secret is committed")
    for o in objects:
        hold(o["kind"] == "Namespace" or o["metadata"].get("namespace"), f"kubernetes: {o['kind']} has no namespace")
    deployment = of["Deployment"]["spec"]
    template = deployment["template"]
    labels, pod = template["metadata"]["labels"], template["spec"]
    (container,) = pod["containers"]

    def selects(what, selector):
        hold(selector and selector.items() <= labels.items(), f"kubernetes: {what} does not select the pods")

    selects("the Deployment", deployment["selector"]["matchLabels"])
    selects("the Service", of["Service"]["spec"]["selector"])
    selects("the PodDisruptionBudget", of["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"])
    selects("the NetworkPolicy", of["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"])
    for spread in pod["topologySpreadConstraints"]:
        selects("a spread constraint", spread["labelSelector"]["matchLabels"])
    scaled = of["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    hold((scaled["kind"], scaled["name"]) == ("Deployment", of["Deployment"]["metadata"]["name"]), "kubernetes: the autoscaler scales another")
    hold("replicas" not in deployment, "kubernetes: `replicas` would undo the autoscaler")
    hold(pod["serviceAccountName"] == of["ServiceAccount"]["metadata"]["name"], "kubernetes: there is no such ServiceAccount")
    hold(pod["automountServiceAccountToken"] is False, "kubernetes: the pod has a token of the cluster's API")
    hold(of["ServiceAccount"]["automountServiceAccountToken"] is False, "kubernetes: the ServiceAccount gives its token out")

    # What a namespace that enforces `restricted` asks for, and a root that cannot be written to.
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        hold(not pod.get(key), f"kubernetes: {key}")
    hold(pod["securityContext"]["runAsNonRoot"] is True and pod["securityContext"]["runAsUser"] > 0, "kubernetes: it may be root")
    hold(pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, "kubernetes: no seccomp profile")
    confined = container["securityContext"]
    hold(confined["allowPrivilegeEscalation"] is False and not confined.get("privileged"), "kubernetes: it may gain privileges")
    hold(confined["readOnlyRootFilesystem"] is True, "kubernetes: its image can be written to")
    hold(confined["capabilities"] == {"drop": ["ALL"]}, "kubernetes: it keeps capabilities")
    hold(pinned(container["image"]), f"kubernetes: {container['image']} is not a version")
    hold("memory" in container["resources"]["limits"], "kubernetes: its memory has no bound")
    hold("cpu" in container["resources"]["requests"], "kubernetes: the autoscaler measures by a request that is not there")

    ports = {p["name"]: p["containerPort"] for p in container["ports"]}
    named = [p["targetPort"] for p in of["Service"]["spec"]["ports"]]
    named += [p["port"] for rule in of["NetworkPolicy"]["spec"]["ingress"] for p in rule["ports"]]
    named += [container[probe]["httpGet"]["port"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")]
    for name in named:
        hold(name in ports, f"kubernetes: the pod has no port {name}")
    hold(set(of["NetworkPolicy"]["spec"]["policyTypes"]) == {"Ingress", "Egress"}, "kubernetes: the policy leaves a direction open")

    mounts = {m["name"]: m for m in container["volumeMounts"]}
    hold(set(mounts) == {v["name"] for v in pod["volumes"]}, "kubernetes: volumes and mounts are not the same")
    source = {v["name"]: v for v in pod["volumes"]}
    made = of["ConfigMap"]["metadata"]["name"]
    hold(source["configuration"]["configMap"]["name"] == made, "kubernetes: the pods do not mount the generated ConfigMap")

    text = of["ConfigMap"]["data"]["gateway.yaml"]
    gateway = yaml.safe_load(text)
    hold(int(gateway["listeners"][0]["address"].rpartition(":")[2]) == ports["proxy"], "kubernetes: the proxy listens elsewhere")
    hold(int(gateway["telemetry"]["address"].rpartition(":")[2]) == ports["telemetry"], "kubernetes: telemetry listens elsewhere")
    hold(gateway["admin"]["address"].startswith("127.0.0.1:"), "kubernetes: the admin API is not on loopback")
    for path in secret_paths(text):
        hold(path.startswith(mounts["secrets"]["mountPath"] + "/"), f"kubernetes: {path} is in no Secret")
    hold(gateway["store"]["postgres"].startswith("${file:"), "kubernetes: the database's address is in the ConfigMap")
    state = str(pathlib.Path(gateway["snapshot"]["file"]).parent)
    hold(state == mounts["state"]["mountPath"] and not mounts["state"].get("readOnly"), "kubernetes: the snapshot lies on no volume")
    grace = pod["terminationGracePeriodSeconds"]
    hold(grace > stop_s(gateway), f"kubernetes: killed after {grace} s, and may drain for {stop_s(gateway)} s")
    ready = container["readinessProbe"]
    noticed = ready["periodSeconds"] * ready["failureThreshold"]
    hold(noticed < seconds(gateway["drain"]["delay"]), f"kubernetes: not ready is noticed after {noticed} s, when nobody listens any more")


def systemd():
    unit = (HERE / "systemd/colonnade.service").read_text()
    text = (HERE / "systemd/gateway.yaml").read_text()
    gateway = yaml.safe_load(text)
    value = dict(line.split("=", 1) for line in unit.splitlines() if re.match(r"[A-Za-z]+=", line))
    grace = seconds(value["TimeoutStopSec"])
    hold(grace > stop_s(gateway), f"systemd: killed after {grace} s, and may drain for {stop_s(gateway)} s")
    hold(gateway["store"]["sqlite"].startswith(f"/var/lib/{value['StateDirectory']}/"), "systemd: the database is not in the StateDirectory")
    hold(f"\nu {value['User']} " in (HERE / "systemd/colonnade.sysusers").read_text(), "systemd: nobody makes the user")
    hold("78" in value["RestartPreventExitStatus"].split(), "systemd: a faulty configuration is started for ever")


compose()
systemd()
if len(sys.argv) > 1:
    kubernetes(sys.argv[1])
for fault in faults:
    print(f"FAULT: {fault}")
if not faults:
    print(f"ok: {looked} relations within deploy/")
sys.exit(1 if faults else 0)
