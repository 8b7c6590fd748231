"""Annotated pods on a real Kubernetes: what is stored, what starts, and what is refused."""

import hashlib
import json

import pytest
from kube import annotations, container, deployment, pod, wait_until

import hub

MODEL = "acme/tiny-llama"
MOUNT = "/raid/models/tiny"
RESTRICTED = "pod-security.kubernetes.io/enforce=restricted"
INTEGRITY, STRUCTURE = 3, 8


def commit_of(hub, repo, revision):
    return hub.store.repo("model", repo).resolve(revision).oid


@pytest.fixture
def commit(e2e_hub):
    return commit_of(e2e_hub, MODEL, "main")


@pytest.fixture
def content(e2e_hub):
    return e2e_hub.store.content("model", MODEL, "main")


def pinned(commit):
    return f"hf://{MODEL}@{commit}"


def bytes_sent(hub_log):
    """Of files, from both origins: listings and redirects do not count."""
    return sum(r["bytes"] for r in hub_log.log() if r["status"] in (200, 206) and "/api/" not in r["path"])


def init_of(found):
    return [c for c in found["spec"]["initContainers"] if c["name"] == "modelberth-init"]


def test_annotated_pod_on_an_empty_claim_downloads_and_reads_the_model_read_only(namespace, hub_log, commit, content):
    claim = namespace.claim()
    script = f"sha256sum {MOUNT}/model-00001-of-*.safetensors && ! touch {MOUNT}/x && cat {MOUNT}/config.json"
    namespace.apply(pod("server", annotations(pinned(commit)), container(script)))
    found = namespace.wait_phase("server", "Succeeded")
    shard = next(v for k, v in content.items() if k.startswith("model-00001-of-"))
    output = namespace.logs("server", "server")
    assert hashlib.sha256(shard).hexdigest() in output
    assert content["config.json"].decode().strip() in output

    mount = next(m for m in found["spec"]["containers"][0]["volumeMounts"] if m["mountPath"] == MOUNT)
    assert mount["subPath"] == MODEL
    assert mount["readOnly"] is True
    assert len(init_of(found)) == 1
    receipt = json.loads(claim.read(f"{MODEL}/.modelberth/receipt.json"))
    assert receipt["revision"] == commit
    assert claim.exists(f"{MODEL}/.download-complete")
    assert bytes_sent(hub_log) == sum(len(v) for v in content.values())


def test_a_second_pod_on_the_claim_downloads_nothing(namespace, hub_log, commit):
    namespace.claim()
    namespace.apply(pod("first", annotations(pinned(commit)), container("true")))
    namespace.wait_phase("first", "Succeeded")
    hub_log.reset()
    namespace.apply(pod("second", annotations(pinned(commit)), container("true")))
    namespace.wait_phase("second", "Succeeded")
    assert bytes_sent(hub_log) == 0


def test_two_replicas_at_once_download_once(namespace, hub_log, commit, content):
    namespace.claim()
    hub_log.settings(bytes_per_second=400_000)  # long enough for both to be there at once
    namespace.apply(deployment("server", annotations(pinned(commit)), replicas=2))
    wait_until(lambda: namespace.get("deployment", "server")["status"].get("readyReplicas") == 2, "two ready replicas", 120)
    assert bytes_sent(hub_log) == sum(len(v) for v in content.values())


def test_a_pod_as_stock_ome_makes_it_becomes_a_claim_pod_and_starts(namespace, commit):
    namespace.claim("model-storage")
    old = "/raid/models/acme/tiny"
    notes = annotations(pinned(commit), claim="model-storage", mount=None)
    notes |= {"ome.io/base-model-name": "tiny", "ome.io/base-model-format": "safetensors", "ome.io/serving-runtime": "srt"}
    server = container('cat "$MODEL_PATH/config.json" && exec sleep 3600', name="ome-container",
                       env=[{"name": "MODEL_PATH", "value": old}],
                       volumeMounts=[{"name": "tiny", "mountPath": old, "readOnly": True}])
    namespace.apply(deployment("tiny-engine", notes, server, labels={"ome.io/inferenceservice": "tiny", "component": "engine"},
                               volumes=[{"name": "tiny", "hostPath": {"path": old, "type": ""}}],
                               nodeSelector={"models.ome.io/clusterbasemodel.tiny": "Ready", "kubernetes.io/os": "linux"}))
    wait_until(lambda: namespace.get("deployment", "tiny-engine")["status"].get("readyReplicas") == 1, "a ready replica", 120)
    found = namespace.pods("app=tiny-engine")[0]["spec"]
    volume = next(v for v in found["volumes"] if v["name"] == "tiny")
    assert volume["persistentVolumeClaim"]["claimName"] == "model-storage"
    assert "hostPath" not in volume
    assert found["nodeSelector"] == {"kubernetes.io/os": "linux"}
    mount = next(m for m in found["containers"][0]["volumeMounts"] if m["name"] == "tiny")
    assert (mount["mountPath"], mount["subPath"], mount["readOnly"]) == (old, MODEL, True)
    assert {"name": "MODEL_PATH", "value": old} in found["containers"][0]["env"]


def test_a_missing_claim_name_makes_apply_fail_with_the_key(namespace):
    result = namespace.apply(pod("server", annotations(claim=None)), check=False)
    assert result.returncode != 0
    assert "denied the request: annotation ome.io/pvc-name is missing" in result.stderr


def test_a_claim_filled_by_hand_starts_after_the_structural_check_with_a_warning(namespace, content):
    namespace.claim().fill(MODEL, content)
    result = namespace.apply(pod("server", annotations(), container(f"test -s {MOUNT}/config.json")))
    assert "Warning: modelberth: no modelberth.io/source" in result.stderr
    namespace.wait_phase("server", "Succeeded")


def test_a_truncated_shard_filled_by_hand_is_refused(namespace, content):
    shard = next(k for k in content if k.endswith(".safetensors"))
    namespace.claim().fill(MODEL, {**content, shard: content[shard][:-100]})
    namespace.apply(pod("server", annotations()))
    end = namespace.wait_init_failed("server")
    assert end["exitCode"] == STRUCTURE
    assert shard in end["message"]


def test_a_wrong_subpath_ends_in_a_message_that_lists_what_is_there(namespace, content):
    namespace.claim().fill(MODEL, content)
    namespace.apply(pod("server", annotations(path="acme/tiny-lama")))
    end = namespace.wait_init_failed("server")
    assert end["exitCode"] == STRUCTURE
    assert "acme/tiny-lama" in end["message"]
    assert "tiny-llama" in end["message"].replace("tiny-lama", "")
    assert "models" in end["message"]


def test_a_corrupted_file_is_refused(namespace, commit, content):
    claim = namespace.claim()
    namespace.apply(pod("first", annotations(pinned(commit)), container("true")))
    namespace.wait_phase("first", "Succeeded")
    shard = next(k for k in content if k.endswith(".safetensors"))
    claim.flip_byte(f"{MODEL}/{shard}", len(content[shard]) // 2)
    namespace.apply(pod("second", annotations(pinned(commit), verify="full")))
    end = namespace.wait_init_failed("second")
    assert end["exitCode"] == INTEGRITY
    assert shard in end["message"]
    assert hashlib.sha256(content[shard]).hexdigest() in end["message"]


def test_a_directory_of_another_revision_is_never_touched(namespace, e2e_hub, commit):
    claim = namespace.claim()
    old = commit_of(e2e_hub, MODEL, "v1")
    namespace.apply(pod("first", annotations(pinned(old)), container("true")))
    namespace.wait_phase("first", "Succeeded")
    before = claim.read(f"{MODEL}/.modelberth/receipt.json")
    namespace.apply(pod("second", annotations(pinned(commit))))
    end = namespace.wait_init_failed("second")
    assert end["exitCode"] == INTEGRITY
    assert old in end["message"] and commit in end["message"]
    assert claim.read(f"{MODEL}/.modelberth/receipt.json") == before


def test_a_gated_model_needs_its_secret_and_the_token_stays_with_the_hub(namespace, hub_log, e2e_hub):
    namespace.claim()
    gated = "hf://acme/gated-llama@" + commit_of(e2e_hub, "acme/gated-llama", "main")
    namespace.apply(pod("without", annotations(gated, path="acme/gated-llama")))
    end = namespace.wait_init_failed("without")
    assert end["exitCode"] == 7
    assert "gated" in end["message"].lower()
    namespace.kubectl.run("-n", namespace.name, "delete", "pod", "without", "--wait=false")

    namespace.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hf-token"},
                     "stringData": {"HF_TOKEN": hub.TOKEN_FULL}})
    namespace.apply(pod("with", annotations(gated, path="acme/gated-llama", secret="hf-token"), container("true")))
    found = namespace.wait_phase("with", "Succeeded")
    assert hub.TOKEN_FULL not in json.dumps(found)
    assert hub.TOKEN_FULL not in namespace.logs("with", "modelberth-init")
    assert hub_log.cdn_authorization() == 0


def test_a_namespace_that_enforces_the_restricted_standard_accepts_the_injected_pod(namespace, commit):
    namespace.claim()
    namespace.kubectl.run("label", "namespace", namespace.name, RESTRICTED)
    context = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True,
               "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}
    namespace.apply(pod("server", annotations(pinned(commit)), container(f"cat {MOUNT}/config.json", securityContext=context)))
    found = namespace.wait_phase("server", "Succeeded")
    assert init_of(found)[0]["securityContext"]["runAsUser"] == 1000


def test_the_pods_of_a_job_get_the_model_too(namespace, commit):
    namespace.claim()
    namespace.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "bench"},
                     "spec": {"backoffLimit": 0, "template": {
                         "metadata": {"annotations": annotations(pinned(commit))},
                         "spec": {"restartPolicy": "Never", "containers": [container(f"test -s {MOUNT}/config.json")]}}}})
    wait_until(lambda: namespace.get("job", "bench")["status"].get("succeeded") == 1, "the job to succeed", 90)
