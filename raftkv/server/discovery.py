"""Before a first start: what the other members say of the cluster that is to be formed or joined.

Asks their peer ports before anything is written. Source of the rules and texts: etcd's bootstrap (spec
etcd-behaviour.md §2.4).
"""

from __future__ import annotations

import logging

from raftkv.errors import ConfigError
from raftkv.pb import peer
from raftkv.server.bootstrap import Founders, Platform, founders_of, own_member, was_started
from raftkv.server.hello import REPLACE
from raftkv.server.peers import parse_peer_url
from raftkv.server.settings import MemberSettings
from raftkv.state.membership import Member
from raftkv.transport.channel import Channel, RpcError

log = logging.getLogger("raftkv.server")

INFO_PATH = "/raftkv.Peer/Info"
ASK_TIMEOUT_S = 1.0


async def check_cluster(settings: MemberSettings, platform: Platform) -> Founders | None:
    """The members a first start begins with; None when the data directory was started before.

    Raises ConfigError.
    """
    if was_started(settings, platform):
        # etcd warns because the flags of the cluster are ignored now; a member inside a program, without peers, was given none.
        level = logging.WARNING if settings.listen_peer_urls else logging.INFO
        log.log(level, "server has already been initialized as member before, starting as etcd member...")
        return None
    described = founders_of(settings)
    own = own_member(settings, described)
    others = [url for member in described.members if member.id != own.id for url in member.peer_urls]
    answers = [info for url in others if (info := await _ask(url)) is not None]
    if settings.initial_cluster_state == "existing":
        return _joined(settings, described, answers, others)
    for info in answers:
        for member in info.members:
            if member.id == own.id and member.client_urls:
                raise ConfigError(f"member {own.id:x} has already been bootstrapped: {REPLACE}")
    return described


async def _ask(url: str) -> peer.ClusterInfo | None:
    """What a member says, or None when it does not answer."""
    host, port = parse_peer_url(url)
    channel = Channel((host, port))
    try:
        await channel.connect(ASK_TIMEOUT_S)
        return peer.ClusterInfo.FromString(await channel.call(INFO_PATH, b"", timeout_s=ASK_TIMEOUT_S))
    except (OSError, RpcError):
        return None
    finally:
        channel.close()


def _joined(settings: MemberSettings, described: Founders, answers: list[peer.ClusterInfo], asked: list[str]) -> Founders:
    if not answers:
        raise ConfigError(
            "cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs "
            f"({', '.join(asked) or 'none given'})"
        )
    info = answers[0]
    if len(info.members) != len(described.members):
        raise ConfigError(
            "error validating peerURLs: member count is unequal: "
            f"--initial-cluster has {len(described.members)}, the cluster {len(info.members)}"
        )
    members = tuple(Member(m.id, m.name, tuple(m.peer_urls), tuple(m.client_urls), m.is_learner) for m in info.members)
    for member in described.members:
        if not any(set(member.peer_urls) == set(known.peer_urls) for known in members):
            raise ConfigError(f"error validating peerURLs: PeerURLs: no match found for existing member ({', '.join(member.peer_urls)})")
    return Founders(info.cluster_id, tuple(sorted(members)), joining=True)
