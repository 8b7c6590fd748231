"""The mutation, case by case, through the real server.

A case is a folder whose name is a sentence: request.json is the AdmissionReview that is posted, response.json the answer
(its patch decoded), object.json the object after the patch, applied by python-jsonpatch as an independent judge. Every
patched object goes through a second time and must come out unchanged, since the API server may call twice.

    pytest tests/golden --update    rewrites response.json and object.json; read the diff
"""

import base64
import json
from pathlib import Path

import jsonpatch
import pytest

HERE = Path(__file__).parent
CASES = sorted(p.parent.name for p in HERE.glob("*/request.json"))


def load(case, name):
    return json.loads((HERE / case / name).read_text())


def decoded(review):
    response = dict(review["response"])
    if "patch" in response:
        assert response.pop("patchType") == "JSONPatch"
        response["patch"] = json.loads(base64.b64decode(response["patch"], validate=True))
    return response


def store(case, name, value):
    path = HERE / case / name
    if value is None:
        path.unlink(missing_ok=True)
    else:
        path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def without_empty(value):
    """As the API server stores it: members that are empty are left out."""
    if isinstance(value, dict):
        kept = {k: without_empty(v) for k, v in value.items()}
        return {k: v for k, v in kept.items() if v is not None and v != "" and v != [] and v != {}}
    if isinstance(value, list):
        return [without_empty(v) for v in value]
    return value


@pytest.fixture(scope="session")
def update(request):
    return request.config.getoption("--update")


@pytest.mark.parametrize("case", CASES)
def test_case(case, webhook, update):
    request = load(case, "request.json")
    review = webhook.review(request)
    response = decoded(review)
    patched = None
    if "patch" in response:
        patched = jsonpatch.apply_patch(request["request"]["object"], response["patch"])
    if update:
        store(case, "response.json", response)
        store(case, "object.json", patched)

    assert review["apiVersion"] == request["apiVersion"]
    assert review["kind"] == "AdmissionReview"
    assert response["uid"] == request["request"]["uid"]
    assert response == load(case, "response.json")
    if patched is None:
        assert not (HERE / case / "object.json").exists()
        return
    assert patched == load(case, "object.json")

    for seen in (patched, without_empty(patched)):
        again = json.loads(json.dumps(request))
        again["request"]["object"] = seen
        second = decoded(webhook.review(again))
        assert second["allowed"] is True
        assert "patch" not in second


def test_every_folder_is_a_case():
    folders = {p.name for p in HERE.iterdir() if p.is_dir() and p.name != "__pycache__"}
    assert folders == set(CASES)
    assert len(CASES) >= 50
