"""Rules of Jobs and CronJobs, and the grammar of schedules.

Sources: `pkg/apis/batch/validation/validation.go`, robfig/cron's `parser.go`.
"""

from __future__ import annotations

import re
import zoneinfo

from resource_api.errors import Json, Object, invalid, not_supported, required
from resource_api.schema.times import parse_duration_s
from resource_api.schema.validation.pod import validate_template
from resource_api.schema.validation.rules import (
    Problems,
    immutable,
    label_selector,
    not_negative,
    one_of,
    part,
    selector_matches,
    structs,
)

CONTROLLER_UID = "batch.kubernetes.io/controller-uid"
JOB_NAME = "batch.kubernetes.io/job-name"
INDEXED_COMPLETIONS_MAX = 100_000
_IMMUTABLE = ("completions", "selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy")


def validate_job(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A Job."""
    if subresource == "status":
        return _status(obj)
    spec = part(obj, "spec")
    problems = _selector(obj, spec) if old is None else []
    problems += validate_job_spec(spec, "spec")
    if old is not None:
        problems += _job_change(spec, part(old, "spec"), part(old, "status"))
    return problems


def _selector(obj: Object, spec: Object) -> Problems:
    """Written by the server, or by hand and then complete."""
    selector = spec.get("selector")
    if selector is None:
        return [required("spec.selector")]
    problems = label_selector(selector, "spec.selector")
    labels = part(part(part(spec, "template"), "metadata"), "labels")
    if not spec.get("manualSelector"):
        metadata = part(obj, "metadata")
        at = "spec.template.metadata.labels"
        for key, wanted in ((CONTROLLER_UID, metadata.get("uid")), (JOB_NAME, metadata.get("name"))):
            if key not in labels:
                problems.append(required(f"{at}.{key}", "must be " + str(wanted)))
            elif labels[key] != wanted:
                problems.append(invalid(f"{at}.{key}", labels, f"must be '{wanted}'"))
        if (selector.get("matchLabels") or {}).get(CONTROLLER_UID) != metadata.get("uid"):
            problems.append(invalid("spec.selector", selector, "`selector` not auto-generated"))
    if not selector_matches(selector, labels):
        text = "`selector` does not match template `labels`"
        problems.append(invalid("spec.template.metadata.labels", labels, text))
    return problems


def validate_job_spec(spec: Object, path: str) -> Problems:
    """The spec of a Job or of a CronJob's template."""
    problems: Problems = []
    for field in ("parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished", "backoffLimitPerIndex"):
        problems += not_negative(spec.get(field), f"{path}.{field}")
    problems += _completion(spec, path)
    policy = spec.get("podReplacementPolicy")
    if policy is not None and spec.get("podFailurePolicy") is not None and policy != "Failed":
        problems.append(not_supported(f"{path}.podReplacementPolicy", policy, ["Failed"]))
    elif policy is not None and policy not in ("Failed", "TerminatingOrFailed"):
        problems.append(not_supported(f"{path}.podReplacementPolicy", policy, ("Failed", "TerminatingOrFailed")))
    problems += validate_template(part(spec, "template"), f"{path}.template")
    restart = part(part(spec, "template"), "spec").get("restartPolicy")
    if restart not in ("OnFailure", "Never"):
        problems.append(required(f"{path}.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"'))
    if spec.get("podFailurePolicy") is not None:
        problems += _failure_policy(part(spec, "podFailurePolicy"), restart, path)
    return problems


def _completion(spec: Object, path: str) -> Problems:
    mode = spec.get("completionMode")
    if mode is None:
        return []
    problems = one_of(mode, f"{path}.completionMode", ("Indexed", "NonIndexed"))
    completions = spec.get("completions")
    if mode == "Indexed":
        if completions is None:
            problems.append(required(f"{path}.completions", "when completion mode is Indexed"))
        elif completions > INDEXED_COMPLETIONS_MAX and (spec.get("parallelism") or 0) > INDEXED_COMPLETIONS_MAX:
            text = f"must be less than or equal to {INDEXED_COMPLETIONS_MAX} when completion mode is Indexed"
            problems.append(invalid(f"{path}.parallelism", spec["parallelism"], text))
    elif spec.get("backoffLimitPerIndex") is not None:
        text = "requires indexed completion mode"
        problems.append(invalid(f"{path}.backoffLimitPerIndex", spec["backoffLimitPerIndex"], text))
    return problems


def _failure_policy(policy: Object, restart: Json, path: str) -> Problems:
    problems: Problems = []
    at = f"{path}.podFailurePolicy"
    if restart != "Never":
        text = 'only "Never" is supported when podFailurePolicy is specified'
        problems.append(invalid(f"{path}.template.spec.restartPolicy", restart, text))
    for index, rule in enumerate(structs(policy, "rules")):
        where = f"{at}.rules[{index}]"
        problems += one_of(rule.get("action"), f"{where}.action", ("Count", "FailIndex", "FailJob", "Ignore"))
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes is None and not conditions:
            text = "specifying one of OnExitCodes and OnPodConditions is required"
            problems.append(invalid(where, rule, text))
        elif codes is not None and conditions:
            problems.append(invalid(where, rule, "specifying both OnExitCodes and OnPodConditions is not supported"))
    return problems


def _job_change(spec: Object, old: Object, status: Object) -> Problems:
    problems: Problems = []
    for field in _IMMUTABLE:
        if field == "completions" and spec.get("completionMode") == "Indexed":
            # An elastic Job changes both together.
            if spec.get("completions") != old.get("completions") and spec.get("completions") != spec.get("parallelism"):
                text = "can only be modified in tandem with spec.parallelism"
                problems.append(invalid("spec.completions", spec.get("completions"), text))
            continue
        problems += immutable(spec.get(field), old.get(field), f"spec.{field}")
    if _template(spec, old, status) != part(old, "template"):
        problems.append(invalid("spec.template", spec.get("template"), "field is immutable"))
    return problems


def _template(spec: Object, old: Object, status: Object) -> Object:
    """The new template as far as it may not change: of a suspended Job that never started, where its pods go may."""
    template = part(spec, "template")
    if not old.get("suspend") or status.get("startTime"):
        return template
    before = part(old, "template")
    pod = {**part(template, "spec")}
    for field in ("affinity", "nodeSelector", "tolerations", "schedulingGates"):
        pod[field] = part(before, "spec").get(field)
    metadata = {**part(template, "metadata")}
    for field in ("labels", "annotations"):
        metadata[field] = part(before, "metadata").get(field)
    return {
        **template,
        "spec": {name: value for name, value in pod.items() if value is not None},
        "metadata": {name: value for name, value in metadata.items() if value is not None},
    }


def _status(obj: Object) -> Problems:
    return [
        error for field in ("active", "succeeded", "failed") for error in not_negative(part(obj, "status").get(field), f"status.{field}")
    ]


def validate_cron_job(obj: Object, old: Object | None, subresource: str) -> Problems:
    """A CronJob."""
    if subresource == "status":
        return []
    spec = part(obj, "spec")
    problems: Problems = []
    schedule = spec.get("schedule") or ""
    if not schedule:
        problems.append(required("spec.schedule"))
    else:
        problems += _schedule(schedule, spec.get("timeZone"), old)
    problems += not_negative(spec.get("startingDeadlineSeconds"), "spec.startingDeadlineSeconds")
    if spec.get("timeZone") is not None:
        problems += _time_zone(spec["timeZone"])
    problems += one_of(spec.get("concurrencyPolicy"), "spec.concurrencyPolicy", ("Allow", "Forbid", "Replace"))
    template = part(part(spec, "jobTemplate"), "spec")
    if template.get("manualSelector"):
        problems.append(not_supported("spec.jobTemplate.spec.manualSelector", True, ["nil", "false"]))
    problems += validate_job_spec(template, "spec.jobTemplate.spec")
    for field in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        problems += not_negative(spec.get(field), f"spec.{field}")
    return problems


def _schedule(schedule: str, zone: Json, old: Object | None) -> Problems:
    at = "spec.schedule"
    why = schedule_fault(schedule)
    problems: Problems = [invalid(at, schedule, why)] if why else []
    if "TZ" in schedule and (old is None or "TZ" not in str(part(old, "spec").get("schedule") or "")):
        text = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        problems.append(invalid(at, schedule, text))
    elif "TZ" in schedule and zone is not None:
        problems.append(invalid(at, schedule, "cannot use both timeZone field and TZ or CRON_TZ in schedule"))
    return problems


def _time_zone(zone: str) -> Problems:
    if not zone:
        return [invalid("spec.timeZone", zone, "timeZone must be nil or non-empty string")]
    if zone.lower() == "local":
        return [invalid("spec.timeZone", zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones")]
    if _has_zone(zone) or not _has_zone("UTC"):
        # Without a time zone database on this machine every name is taken.
        return []
    return [invalid("spec.timeZone", zone, f"unknown time zone {zone}")]


def _has_zone(zone: str) -> bool:
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


ATOI_CHARS_MAX = 18
"""Longer numbers may not fit 64 bits."""
_DESCRIPTORS = frozenset({"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, {name: number for number, name in enumerate(_MONTHS, 1)}),
    (0, 6, {name: number for number, name in enumerate(_DAYS)}),
)


def schedule_fault(schedule: str) -> str:
    """Why it is no cron schedule, in the parser's words; empty when it is one."""
    if schedule.startswith(("TZ=", "CRON_TZ=")):
        _, _, schedule = schedule.partition(" ")
        schedule = schedule.strip()
    if schedule.startswith("@"):
        return _descriptor_fault(schedule)
    fields = schedule.split()
    if len(fields) != 5:
        return f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]"
    for text, (low, high, words) in zip(fields, _FIELDS, strict=True):
        for expression in text.split(","):
            why = _range_fault(expression, low, high, words)
            if why:
                return why
    return ""


def _descriptor_fault(schedule: str) -> str:
    if schedule in _DESCRIPTORS:
        return ""
    if schedule.startswith("@every "):
        duration = schedule[len("@every ") :]
        return "" if parse_duration_s(duration) is not None else f'failed to parse duration {schedule}: time: invalid duration "{duration}"'
    return f"unrecognized descriptor: {schedule}"


def _range_fault(expression: str, low: int, high: int, words: dict[str, int]) -> str:
    interval, *steps = expression.split("/")
    bounds = interval.split("-")
    if len(steps) > 1:
        return f"too many slashes: {expression}"
    if bounds[0] in ("*", "?"):
        start, end = low, high
        if len(bounds) > 1:
            return f"failed to parse int from {expression}"
    else:
        if len(bounds) > 2:
            return f"too many hyphens: {expression}"
        numbers = []
        for text in bounds:
            value = words.get(text.lower())
            if value is None:
                if not re.fullmatch(r"[+-]?[0-9]+", text):
                    return f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax'
                if len(text) > ATOI_CHARS_MAX:
                    return f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": value out of range'
                value = int(text)
                if value < 0:
                    return f"negative number ({value}) not allowed: {text}"
            numbers.append(value)
        start, end = numbers[0], numbers[-1]
        if steps and len(bounds) == 1:
            end = high
    if steps:
        if not re.fullmatch(r"[+-]?[0-9]+", steps[0]):
            return f'failed to parse int from {steps[0]}: strconv.Atoi: parsing "{steps[0]}": invalid syntax'
        if not steps[0].strip("+-0"):
            return f"step of range should be a positive number: {expression}"
    if start < low:
        return f"beginning of range ({start}) below minimum ({low}): {expression}"
    if end > high:
        return f"end of range ({end}) above maximum ({high}): {expression}"
    if start > end:
        return f"beginning of range ({start}) beyond end of range ({end}): {expression}"
    return ""
