"""AdmissionReviews to post."""

import copy
import json

ANNOTATIONS = {"ome.io/storage-type": "pvc", "ome.io/pvc-name": "models", "ome.io/pvc-subpath": "meta/llama"}
UID = "705ab4f5-6393-11e8-b7cc-42010a800002"


def review(annotations=ANNOTATIONS, uid=UID, kind="Pod", name="server"):
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "annotations": copy.deepcopy(annotations)},
           "spec": {"containers": [{"name": "main", "image": "server:1"}]}}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
            "request": {"uid": uid, "kind": {"group": "", "version": "v1", "kind": kind}, "namespace": "serving",
                        "operation": "CREATE", "object": pod}}


def body(**options):
    return json.dumps(review(**options)).encode()
