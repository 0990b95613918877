"""exec, attach, portforward, log and proxy: what upstream answers when there is no kubelet to connect to (spec B.12).

A pod without a node refuses a connection and has an empty log; a node that is not there, or has no address, is named. This server connects
to no kubelet, and says so where a real one would dial.
"""

from __future__ import annotations

from collections.abc import Sequence

from resource_api.errors import (
    Object,
    StatusError,
    bad_request,
    forbidden_field,
    internal_error,
    invalid,
    invalid_object,
    method_not_allowed,
    service_unavailable,
)
from resource_api.http.messages import Answer, Request, Response
from resource_api.http.request import RequestInfo, parse_integer
from resource_api.registry.api import Api
from resource_api.registry.resource import Resource

CONNECT_SUBRESOURCES = frozenset({"exec", "attach", "portforward", "log", "proxy"})

CONTAINER_LISTS = ("containers", "initContainers", "ephemeralContainers")


LOG_NUMBERS = {
    "tailLines": (0, "must be greater than or equal to 0"),
    "limitBytes": (1, "must be greater than 0"),
    "sinceSeconds": (1, "must be greater than 0"),
}
"""Options of a log: the least, and what is said of less."""


class Connections:
    """Answers the subresources that would be streams to a node."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def __call__(self, request: Request, info: RequestInfo, resource: Resource) -> Answer:
        """Raises StatusError; a log may be empty."""
        subresource = info.subresource
        if subresource == "log" and request.method != "GET" or subresource != "proxy" and request.method not in ("GET", "POST"):
            raise method_not_allowed("")
        if subresource == "log":
            _check_log_options(request, info.name)
        if info.resource == "services":
            return await self._service(info, resource)
        name = info.name.split(":")[-2] if subresource == "proxy" and ":" in info.name else info.name
        obj = (await resource.reader.get(info.namespace, name)).object()
        if info.resource == "nodes":
            raise await self._no_kubelet(obj["metadata"]["name"])
        return await self._pod(request, info, obj)

    async def _pod(self, request: Request, info: RequestInfo, pod: Object) -> Answer:
        if info.subresource == "proxy":
            if not (pod.get("status") or {}).get("podIP"):
                raise bad_request("address not allowed")
            raise internal_error("this server does not connect to pods")
        if info.subresource != "portforward":
            _check_container(pod, request.parameter("container"))
        node = pod["spec"].get("nodeName")
        if node:
            raise await self._no_kubelet(node)
        if info.subresource == "log":
            return Response(204, b"", "")
        raise bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")

    async def _service(self, info: RequestInfo, services: Resource) -> Answer:
        """A service's own port is asked for as `scheme:name:port`."""
        parts = info.name.split(":")
        name, port = (parts[1], parts[2]) if len(parts) == 3 else (parts[0], parts[1]) if len(parts) == 2 else (info.name, "")
        service = (await services.reader.get(info.namespace, name)).object()
        ports: Sequence[Object] = service["spec"].get("ports") or ()
        if port and not any(port in (str(one.get("port")), one.get("name")) for one in ports):
            raise service_unavailable(f'no service port "{port}" found for service "{name}"')
        raise service_unavailable(f'no endpoints available for service "{name}"')

    async def _no_kubelet(self, name: str) -> StatusError:
        """Why the node's kubelet is not asked. Raises StatusError 404 when there is no such node."""
        node = (await self._api.find("", "nodes").reader.get("", name)).object()
        if not (node.get("status") or {}).get("addresses"):
            return StatusError(500, "", "no preferred addresses found; known addresses: []")
        return internal_error(f"error dialing backend: this server does not connect to the kubelet of node {name}")


def _check_log_options(request: Request, name: str) -> None:
    """Before anybody looks for the pod. Raises StatusError 400 for numbers that are none, 422."""
    given = {option: parse_integer(request.parameter(option)) for option in LOG_NUMBERS if option in request.query}
    problems = []
    if "sinceTime" in request.query and given.pop("sinceSeconds", None) is not None:
        problems.append(forbidden_field("", "at most one of `sinceTime` or `sinceSeconds` may be specified"))
    for option, value in given.items():
        least, detail = LOG_NUMBERS[option]
        if value < least:
            problems.append(invalid(option, value, detail))
    if problems:
        raise invalid_object("", "PodLogOptions", name, problems)


def _check_container(pod: Object, container: str) -> None:
    """Raises StatusError 400 when it is not clear or not true which container is meant."""
    name, spec = pod["metadata"]["name"], pod["spec"]
    known = [one["name"] for field in CONTAINER_LISTS for one in spec.get(field) or ()]
    if container:
        if container not in known:
            raise bad_request(f"container {container} is not valid for pod {name}")
        return
    own = [one["name"] for one in spec.get("containers") or ()]
    if len(own) == 1:
        return
    text = f"a container name must be specified for pod {name}"
    if own:
        text += f", choose one of: [{' '.join(own)}]"
    first = [one["name"] for one in spec.get("initContainers") or ()]
    if first:
        text += f" or one of the init containers: [{' '.join(first)}]"
    raise bad_request(text)
