"""`modelberth-webhook inject`: the same mutation without a cluster, YAML in and YAML out."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

WEBHOOK = os.environ.get("MODELBERTH_WEBHOOK", str(Path(__file__).resolve().parents[2] / "build/modelberth-webhook"))
HERE = Path(__file__).parent

NOTES = """\
        ome.io/storage-type: "pvc"
        ome.io/pvc-name: models
        ome.io/pvc-subpath: meta/llama
        ome.io/mount-path: /raid/models/llama
"""
TEMPLATE = f"""\
  template:
    metadata:
      annotations:
{NOTES}    spec:
      containers:
      - name: server
        image: example/server:1
"""
CRON = "  jobTemplate:\n    spec:\n" + "".join("    " + line + "\n" for line in TEMPLATE.splitlines())
KINDS = {
    "Deployment": ("apps/v1", TEMPLATE), "StatefulSet": ("apps/v1", TEMPLATE), "DaemonSet": ("apps/v1", TEMPLATE),
    "ReplicaSet": ("apps/v1", TEMPLATE), "Job": ("batch/v1", TEMPLATE), "CronJob": ("batch/v1", CRON),
}
OTHERS = """\
# a comment that must stay
apiVersion: v1
kind: ConfigMap
metadata: {name:   odd, annotations: {ome.io/storage-type: "pvc"}}   # odd spacing
data:
  text: |
    --- not a separator ---
    yes
"""


def document(kind):
    version, template = KINDS[kind]
    return f"apiVersion: {version}\nkind: {kind}\nmetadata:\n  name: llama\nspec:\n{template}"


def run(text, *arguments, check=True):
    result = subprocess.run([WEBHOOK, "inject", "-f", "-", "--init-image", "modelberth-initc:test", *arguments], input=text,
                            capture_output=True, text=True, timeout=30)
    if check:
        assert result.returncode == 0, result.stderr
    return result


def template_of(value):
    spec = value["spec"]
    return spec.get("jobTemplate", value)["spec"]["template"] if value["kind"] == "CronJob" else spec["template"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_template_of_each_workload_is_injected(kind):
    template = template_of(yaml.safe_load(run(document(kind)).stdout))
    assert template["spec"]["initContainers"][0]["name"] == "modelberth-init"
    assert template["spec"]["containers"][0]["volumeMounts"][0]["mountPath"] == "/raid/models/llama"


def test_other_documents_are_passed_through_byte_for_byte():
    text = OTHERS + "---\n" + document("Deployment") + "---\n" + OTHERS + "...\n---\n# only a comment\n---\n"
    out = run(text).stdout
    assert out.startswith(OTHERS + "---\n")
    assert out.endswith("---\n" + OTHERS + "...\n---\n# only a comment\n---\n")
    assert [d["kind"] for d in yaml.safe_load_all(out) if d] == ["ConfigMap", "Deployment", "ConfigMap"]


def test_a_file_without_a_trigger_comes_out_as_it_went_in():
    text = document("Deployment").replace('"pvc"', '"hostpath"') + "---\n" + OTHERS
    assert run(text).stdout == text


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_run_changes_nothing(kind):
    once = run(document(kind) + "---\n" + OTHERS).stdout
    assert run(once).stdout == once


def test_the_offline_mutation_is_the_servers():
    case = HERE / "pinned-pod-gets-volume-mount-and-init-container"
    review = json.loads((case / "request.json").read_text())
    out = yaml.safe_load(run(yaml.safe_dump(review["request"]["object"]), "--init-image", "modelberth-initc:golden").stdout)
    assert out == json.loads((case / "object.json").read_text())


def test_the_items_of_a_list_are_injected():
    items = [yaml.safe_load(document("Deployment")), yaml.safe_load(OTHERS)]
    out = yaml.safe_load(run(yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": items})).stdout)
    assert "initContainers" in template_of(out["items"][0])["spec"]
    assert out["items"][1] == items[1]


def test_a_denied_document_fails_the_run_and_nothing_is_written(tmp_path):
    target = tmp_path / "out.yaml"
    target.write_text("before")
    text = OTHERS + "---\n" + document("Deployment").replace("ome.io/pvc-name: models", "other: x")
    result = run(text, "-o", str(target), check=False)
    assert result.returncode != 0
    assert "Deployment 'llama'" in result.stderr
    assert "ome.io/pvc-name is missing" in result.stderr
    assert f"standard input:{OTHERS.count(chr(10)) + 1}" in result.stderr
    assert target.read_text() == "before"


def test_the_output_file_is_replaced(tmp_path):
    target = tmp_path / "out.yaml"
    assert run(document("Job"), "-o", str(target)).stdout == ""
    assert "modelberth-init" in target.read_text()
    assert os.listdir(tmp_path) == ["out.yaml"]


def test_warnings_go_to_standard_error():
    result = run(document("Deployment"))
    assert "warning: Deployment 'llama': no modelberth.io/source" in result.stderr


def test_annotations_on_the_workload_itself_are_warned_about():
    text = f"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: llama\n  annotations:\n{NOTES}" \
           "spec:\n  template:\n    spec:\n      containers: [{name: a, image: b}]\n"
    result = run(text)
    assert result.stdout == text
    assert "put the annotations under /spec/template/metadata/annotations" in result.stderr


@pytest.mark.parametrize("text, part", [
    ("a: [", "standard input:"), ("a: 1\na: 2\n", "standard input:2:"), ("&a [*a]", "standard input:"),
    ("kind: Pod\napiVersion: v1\nspec: []\n", "not an object"),
])
def test_malformed_input_is_named_with_its_place(text, part):
    result = run(text, check=False)
    assert result.returncode != 0
    assert part in result.stderr
    assert result.stdout == ""


def test_a_missing_file_is_named():
    result = subprocess.run([WEBHOOK, "inject", "-f", "/nonexistent.yaml", "--init-image", "x"], capture_output=True, text=True)
    assert result.returncode != 0
    assert "/nonexistent.yaml" in result.stderr


def test_without_an_init_image_the_run_says_which_setting_is_missing():
    result = subprocess.run([WEBHOOK, "inject", "-f", "-"], input=document("Job"), capture_output=True, text=True)
    assert result.returncode != 0
    assert "init.image" in result.stderr or "--init-image" in result.stderr
