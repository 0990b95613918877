"""The metrics page of requests."""

from __future__ import annotations

import asyncio

from resource_api.http.counters import RequestCounters
from resource_api.http.request import RequestInfo


def pods(verb: str, name: str = "") -> RequestInfo:
    return RequestInfo(verb, "/x", True, "", "v1", "default", "pods", "", name)


def test_codes_are_counted_apart_and_durations_together():
    """Upstream's labels: a duration has no code."""
    counters = RequestCounters()
    counters.observe(pods("get", "a"), 200, 0.001, dry_run=False)
    counters.observe(pods("get", "a"), 404, 0.03, dry_run=False)
    counters.observe(pods("create"), 201, 0.001, dry_run=True)
    text = counters.text()
    labels = 'component="apiserver",group="",resource="pods",scope="resource",subresource="",verb="GET",version="v1"'
    assert f'apiserver_request_total{{code="200",dry_run="",{labels}}} 1\n' in text
    assert f'apiserver_request_total{{code="404",dry_run="",{labels}}} 1\n' in text
    assert f'apiserver_request_duration_seconds_bucket{{{labels},le="0.005"}} 1\n' in text
    assert f'apiserver_request_duration_seconds_bucket{{{labels},le="0.05"}} 2\n' in text
    assert f"apiserver_request_duration_seconds_count{{{labels}}} 2\n" in text
    assert 'dry_run="All",component="apiserver",group="",resource="pods",scope="namespace",subresource="",verb="POST"' in text


def test_page_is_made_in_slices_while_requests_end(monkeypatch):
    """The same page, whoever comes in between."""
    monkeypatch.setattr("resource_api.turns.TURN_S", 0.0)

    async def scenario():
        counters = RequestCounters()
        for number in range(20):
            counters.observe(pods("get", "a"), 200 + number, 0.001, dry_run=False)
        async with asyncio.TaskGroup() as group:
            page = group.create_task(counters.page())
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            counters.observe(pods("list"), 200, 0.001, dry_run=False)
            assert not page.done()
        assert page.result().count(b"apiserver_request_total{") == 20
        assert await counters.page() == counters.text().encode()

    asyncio.run(scenario())
