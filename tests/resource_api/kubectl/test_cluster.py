"""Nodes, certificates, disruption: what is asked of a cluster's administrator."""

from __future__ import annotations

from base64 import b64encode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.resource_api.kubectl.session import Cluster

pytestmark = pytest.mark.slow

CLUSTER_KINDS = (
    "persistentvolume",
    "storageclass",
    "csidriver",
    "csinode",
    "ingressclass",
    "runtimeclass",
    "priorityclass",
    "validatingwebhookconfiguration",
)

REQUEST = """
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata:
  name: {name}
spec:
  request: {request}
  signerName: example.com/signer
  usages: [client auth]
  expirationSeconds: 86400
"""


def signing_request() -> str:
    """A CSR in base64, as a manifest has it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ann")])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


def test_nodes_are_cordoned_tainted_and_drained(cluster: Cluster) -> None:
    """What kubectl does with nodes; a budget holds a drain up."""
    with cluster.session("nodes") as kubectl:
        kubectl("create -f nodes.yaml")
        kubectl("get nodes -o wide")
        kubectl("cordon alpha")
        kubectl("cordon alpha")
        kubectl("get node alpha")
        kubectl("uncordon alpha")
        kubectl("taint nodes alpha dedicated=db:NoSchedule quick:NoExecute")
        kubectl("taint nodes alpha dedicated=web:NoSchedule")
        kubectl("taint nodes alpha dedicated=web:NoSchedule --overwrite")
        kubectl("taint nodes alpha quick-")
        kubectl("get node alpha -o jsonpath='{.spec}'")
        kubectl("describe node alpha")
        kubectl.quietly("create -f pods.yaml")
        kubectl.quietly("create poddisruptionbudget web --selector=app=web --min-available=1")
        ready = '{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}'
        kubectl.quietly(f"patch pod running --subresource=status --type=merge -p '{ready}'")
        counted = '{"status":{"observedGeneration":1,"currentHealthy":1,"desiredHealthy":1,"expectedPods":1}}'
        kubectl.quietly(f"patch poddisruptionbudget web --subresource=status --type=merge -p '{counted}'")
        kubectl("drain alpha --timeout=10s")
        kubectl("drain alpha --force --timeout=4s")
        kubectl.quietly("delete poddisruptionbudget web")
        kubectl("drain alpha --force --timeout=60s --grace-period=0")
        kubectl("get pods")
        kubectl("get nodes")
        kubectl("label node beta node-role.kubernetes.io/control-plane=")
        kubectl("get node beta -o wide --show-labels")
        kubectl("delete node alpha beta")


def test_certificate_requests_are_approved_and_denied(cluster: Cluster) -> None:
    """approve and deny write conditions, and say who."""
    with cluster.session("certificates") as kubectl:
        for name in ("first", "second"):
            kubectl.quietly("create -f -", stdin=REQUEST.format(name=name, request=signing_request()))
        kubectl("get csr")
        kubectl("certificate approve first")
        kubectl("certificate deny second")
        kubectl("certificate approve second")
        kubectl("certificate approve nothing")
        kubectl("get csr")
        kubectl("get csr first -o jsonpath='{.spec.username} {.spec.groups} {.status.conditions}'")
        kubectl("describe csr second")
        kubectl("create -f -", stdin=REQUEST.format(name="third", request="bm90aGluZw=="))
        kubectl("delete csr first second")


def test_volumes_and_classes_have_their_columns(cluster: Cluster) -> None:
    """Kinds of the whole cluster in tables and descriptions."""
    with cluster.session("cluster-kinds") as kubectl:
        # The warning is ours: webhooks are kept and not called. Volumes have no finalizer `kubernetes.io/pv-protection`, for want of the
        # controller that takes it away.
        kubectl("create -f cluster-kinds.yaml")
        for kind in CLUSTER_KINDS:
            kubectl(f"get {kind} -o wide")
        kubectl("get flowschemas,prioritylevelconfigurations,apiservices,servicecidrs -o wide")
        kubectl("describe pv/disk storageclass/fast")
        kubectl("get pv disk -o yaml")
        kubectl("get validatingwebhookconfiguration checks -o yaml")
        kubectl("delete -f cluster-kinds.yaml")
