"""Rules of webhook configurations and admission policies; expressions are checked for being there, not for their meaning.

Source: `pkg/apis/admissionregistration/validation/validation.go`.
"""

from __future__ import annotations

import urllib.parse

from resource_api.errors import Json, Object, duplicate, forbidden_field, invalid, not_supported, required, too_many
from resource_api.schema import names
from resource_api.schema.validation.rules import Problems, each, label_selector, needed, one_of, part, port_number, structs

OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
REVIEW_VERSIONS = ("v1", "v1beta1")
CONDITIONS_MAX = 64


def validate_webhooks(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A Mutating- or ValidatingWebhookConfiguration."""
    mutating = obj.get("kind") == "MutatingWebhookConfiguration"
    problems: Problems = []
    seen: set[Json] = set()
    for index, hook in enumerate(structs(obj, "webhooks")):
        at = f"webhooks[{index}]"
        problems += _webhook(hook, at)
        if mutating:
            problems += one_of(hook.get("reinvocationPolicy"), f"{at}.reinvocationPolicy", ("IfNeeded", "Never"), optional=True)
        if hook.get("name") in seen:
            problems.append(duplicate(f"{at}.name", hook.get("name")))
        seen.add(hook.get("name"))
    return problems


def _webhook(hook: Object, path: str) -> Problems:
    name = hook.get("name") or ""
    problems = _qualified_by_dots(name, f"{path}.name")
    for index, rule in enumerate(structs(hook, "rules")):
        problems += _rule(rule, f"{path}.rules[{index}]")
    problems += one_of(hook.get("failurePolicy"), f"{path}.failurePolicy", ("Fail", "Ignore"), optional=True)
    problems += one_of(hook.get("matchPolicy"), f"{path}.matchPolicy", ("Equivalent", "Exact"), optional=True)
    effects = hook.get("sideEffects")
    if effects is None:
        problems.append(required(f"{path}.sideEffects", "must specify one of None, NoneOnDryRun"))
    elif effects not in ("None", "NoneOnDryRun"):
        problems.append(not_supported(f"{path}.sideEffects", effects, ("None", "NoneOnDryRun")))
    timeout_s = hook.get("timeoutSeconds")
    if timeout_s is not None and not 1 <= timeout_s <= 30:
        text = "the timeout value must be between 1 and 30 seconds"
        problems.append(invalid(f"{path}.timeoutSeconds", timeout_s, text))
    for field in ("namespaceSelector", "objectSelector"):
        problems += label_selector(hook.get(field), f"{path}.{field}")
    problems += client_config(part(hook, "clientConfig"), f"{path}.clientConfig")
    problems += _review_versions(hook.get("admissionReviewVersions") or [], f"{path}.admissionReviewVersions")
    return problems + _match_conditions(hook, path)


def _qualified_by_dots(name: str, path: str) -> Problems:
    if not name:
        return [required(path)]
    problems = each(path, name, names.dns_subdomain(name))
    if not problems and name.count(".") < 2:
        problems.append(invalid(path, name, "should be a domain with at least three segments separated by dots"))
    return problems


def _rule(rule: Object, path: str) -> Problems:
    problems: Problems = []
    for field in ("apiGroups", "apiVersions", "resources"):
        values = rule.get(field) or []
        if not values:
            problems.append(required(f"{path}.{field}"))
        if field != "resources" and len(values) > 1 and "*" in values:
            problems.append(invalid(f"{path}.{field}", values, f"if '*' is present, must not specify other {_NOUNS[field]}"))
        for index, value in enumerate(values):
            if field == "apiVersions" and not value:
                problems.append(required(f"{path}.{field}[{index}]"))
    operations = rule.get("operations") or []
    if not operations:
        problems.append(required(f"{path}.operations"))
    if len(operations) > 1 and "*" in operations:
        problems.append(invalid(f"{path}.operations", operations, "if '*' is present, must not specify other operations"))
    for index, operation in enumerate(operations):
        problems += one_of(operation, f"{path}.operations[{index}]", OPERATIONS)
    scope = rule.get("scope")
    if scope is not None and scope not in ("*", "Cluster", "Namespaced"):
        problems.append(not_supported(f"{path}.scope", scope, ("*", "Cluster", "Namespaced")))
    return problems


_NOUNS = {"apiGroups": "API groups", "apiVersions": "API versions"}


def client_config(config: Object, path: str) -> Problems:
    """How a webhook is reached: a URL or a Service, not both."""
    url, service = config.get("url"), config.get("service")
    if (url is None) == (service is None):
        return [required(path, "exactly one of url or service is required")]
    if url is not None:
        return _url(url, f"{path}.url")
    assert isinstance(service, dict)
    problems: Problems = []
    for field in ("name", "namespace"):
        problems += needed(service, field, f"{path}.service", f"service {field} is required")
    if service.get("port") is not None:
        problems += port_number(service["port"], f"{path}.service.port")
    value = service.get("path")
    if value is not None and value != "/" and not str(value).startswith("/"):
        problems.append(invalid(f"{path}.service.path", value, "must start with a '/'"))
    return problems


_FORM = "; desired format: https://host[/path]"


def _url(url: str, path: str) -> Problems:
    try:
        parsed = urllib.parse.urlsplit(url)
    except ValueError as error:
        return [required(path, f"url must be a valid URL: {error}{_FORM}")]
    problems: Problems = []
    if parsed.scheme != "https":
        text = "'https' is the only allowed URL scheme" + _FORM
        problems.append(invalid(path, parsed.scheme, text))
    if not parsed.hostname:
        problems.append(invalid(path, "", "host must be specified" + _FORM))
    if parsed.username or parsed.password:
        problems.append(invalid(path, parsed.username, "user information is not permitted in the URL"))
    if parsed.fragment:
        problems.append(invalid(path, parsed.fragment, "fragments are not permitted in the URL"))
    if parsed.query:
        problems.append(invalid(path, parsed.query, "query parameters are not permitted in the URL"))
    return problems


def _review_versions(versions: list[str], path: str) -> Problems:
    if not versions:
        return [required(path, f"must specify one of {', '.join(REVIEW_VERSIONS)}")]
    problems: Problems = []
    seen: set[str] = set()
    for index, version in enumerate(versions):
        if version in seen:
            problems.append(invalid(f"{path}[{index}]", version, "duplicate version"))
        seen.add(version)
        problems += each(f"{path}[{index}]", version, names.dns_1035_label(version))
    if not any(version in REVIEW_VERSIONS for version in versions):
        text = f"must include at least one of {', '.join(REVIEW_VERSIONS)}"
        problems.append(invalid(path, versions, text))
    return problems


def _match_conditions(holder: Object, path: str) -> Problems:
    problems: Problems = []
    conditions = structs(holder, "matchConditions")
    seen: set[Json] = set()
    for index, condition in enumerate(conditions):
        at = f"{path}.matchConditions[{index}]" if path else f"matchConditions[{index}]"
        if not str(condition.get("expression") or "").strip():
            problems.append(required(f"{at}.expression"))
        name = condition.get("name")
        problems += each(f"{at}.name", name, names.qualified_name(name)) if name else [required(f"{at}.name")]
        if name and name in seen:
            problems.append(duplicate(f"{at}.name", name))
        seen.add(name)
    if len(conditions) > CONDITIONS_MAX:
        problems.append(too_many(f"{path}.matchConditions", len(conditions), CONDITIONS_MAX))
    return problems


def validate_policy(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A Validating- or MutatingAdmissionPolicy."""
    if subresource == "status":
        return []
    spec = part(obj, "spec")
    problems = one_of(spec.get("failurePolicy"), "spec.failurePolicy", ("Fail", "Ignore"))
    kind = spec.get("paramKind")
    if isinstance(kind, dict):
        problems += needed(kind, "apiVersion", "spec.paramKind") + needed(kind, "kind", "spec.paramKind")
    constraints = spec.get("matchConstraints")
    if not isinstance(constraints, dict):
        problems.append(required("spec.matchConstraints"))
    else:
        problems += match_resources(constraints, "spec.matchConstraints")
        if not constraints.get("resourceRules"):
            problems.append(required("spec.matchConstraints.resourceRules"))
    problems += _match_conditions(spec, "spec")
    for index, variable in enumerate(structs(spec, "variables")):
        problems += needed(variable, "name", f"spec.variables[{index}]") + needed(variable, "expression", f"spec.variables[{index}]")
    if obj.get("kind") == "MutatingAdmissionPolicy":
        return problems + _mutations(spec)
    return problems + _validations(spec)


def _validations(spec: Object) -> Problems:
    validations, annotations = structs(spec, "validations"), structs(spec, "auditAnnotations")
    problems: Problems = []
    if not validations and not annotations:
        text = "validations or auditAnnotations must contain at least one item"
        problems += [required("spec.validations", text), required("spec.auditAnnotations", text)]
    for index, validation in enumerate(validations):
        at = f"spec.validations[{index}]"
        if not str(validation.get("expression") or "").strip():
            problems.append(required(f"{at}.expression", "expression is not specified"))
        message = validation.get("message")
        if message is not None and not message.strip():
            problems.append(invalid(f"{at}.message", message, "message must be non-empty if specified"))
        elif message and "\n" in message:
            problems.append(invalid(f"{at}.message", message, "message must not contain line breaks"))
        reasons = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
        problems += one_of(validation.get("reason"), f"{at}.reason", reasons, optional=True)
    for index, annotation in enumerate(annotations):
        at = f"spec.auditAnnotations[{index}]"
        problems += needed(annotation, "key", at) + needed(annotation, "valueExpression", at)
    return problems


def _mutations(spec: Object) -> Problems:
    mutations = structs(spec, "mutations")
    problems: Problems = [] if mutations else [required("spec.mutations", "mutations must contain at least one item")]
    for index, mutation in enumerate(mutations):
        at = f"spec.mutations[{index}]"
        kind = mutation.get("patchType")
        problems += one_of(kind, f"{at}.patchType", ("ApplyConfiguration", "JSONPatch"))
        field = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}.get(str(kind))
        if field and not part(mutation, field).get("expression"):
            problems.append(required(f"{at}.{field}.expression", f"must be specified when patchType is {kind}"))
    return problems + one_of(spec.get("reinvocationPolicy"), "spec.reinvocationPolicy", ("IfNeeded", "Never"))


def match_resources(match: Object, path: str) -> Problems:
    """Which requests a policy looks at."""
    problems: Problems = []
    for field in ("namespaceSelector", "objectSelector"):
        problems += label_selector(match.get(field), f"{path}.{field}")
    for field in ("resourceRules", "excludeResourceRules"):
        for index, rule in enumerate(structs(match, field)):
            problems += _rule(rule, f"{path}.{field}[{index}]")
    return problems + one_of(match.get("matchPolicy"), f"{path}.matchPolicy", ("Equivalent", "Exact"), optional=True)


def validate_policy_binding(obj: Object, old: Object | None, subresource: str) -> Problems:
    """The binding of a policy to parameters and resources."""
    spec = part(obj, "spec")
    name = spec.get("policyName")
    problems = each("spec.policyName", name, names.dns_subdomain(name)) if name else [required("spec.policyName")]
    reference = spec.get("paramRef")
    if isinstance(reference, dict):
        problems += _parameters(reference, "spec.paramRef")
    if isinstance(spec.get("matchResources"), dict):
        problems += match_resources(spec["matchResources"], "spec.matchResources")
    return problems if obj.get("kind") == "MutatingAdmissionPolicyBinding" else problems + _actions(spec.get("validationActions") or [])


def _parameters(reference: Object, path: str) -> Problems:
    problems: Problems = []
    if reference.get("name") and reference.get("selector") is not None:
        problems.append(forbidden_field(f"{path}.name", "name and selector are mutually exclusive"))
    elif not reference.get("name") and reference.get("selector") is None:
        problems.append(required(path, "one of name or selector must be specified"))
    action = reference.get("parameterNotFoundAction")
    return problems + one_of(action, f"{path}.parameterNotFoundAction", ("Allow", "Deny"))


def _actions(actions: list[str]) -> Problems:
    path = "spec.validationActions"
    if not actions:
        return [required(path, "at least one validation action is required")]
    problems: Problems = []
    seen: set[str] = set()
    for index, action in enumerate(actions):
        problems += one_of(action, f"{path}[{index}]", ("Audit", "Deny", "Warn"))
        if action in seen:
            problems.append(duplicate(f"{path}[{index}]", action))
        seen.add(action)
    if "Deny" in actions and "Warn" in actions:
        why = "repeating the same validation failure information in the API response and headers serves no purpose"
        text = f"must not contain both Deny and Warn ({why})"
        problems.append(invalid(path, actions, text))
    return problems
