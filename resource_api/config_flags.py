"""Flags of kube-apiserver (1.24 to 1.37) that this server takes and ignores: a manifest for it starts this one. Data only."""

from __future__ import annotations

_SWITCHES = """
    aggregator-reject-forwarding-redirect allow-metric-labels-manifest allow-privileged apiserver-count-lease audit-log-compress
    audit-log-truncate-enabled audit-webhook-batch-throttle-enable audit-webhook-truncate-enabled audit-log-batch-throttle-enable
    contention-profiling coordinated-leadership debug-socket delete-collection-gracefully emit-events enable-aggregator-routing
    enable-bootstrap-token-auth enable-garbage-collector enable-logs-handler enable-priority-and-fairness enable-swagger-ui
    log-text-split-stream log-json-split-stream permit-address-sharing permit-port-sharing profiling
    shutdown-send-retry-after show-enabled-metrics kubelet-https watch-cache logtostderr alsologtostderr
    one-output skip-headers skip-log-headers add-dir-header
"""

SWITCHES = frozenset(_SWITCHES.split())
"""Those that need no value. Some are older names, some are other components'; they cost nothing here."""

_OTHERS = """
    admission-control admission-control-config-file apiserver-count audit-log-batch-buffer-size audit-log-batch-max-size
    audit-log-batch-max-wait audit-log-batch-throttle-burst audit-log-batch-throttle-qps audit-log-format audit-log-maxage
    audit-log-maxbackup audit-log-maxsize audit-log-mode audit-log-path audit-log-truncate-max-batch-size
    audit-log-truncate-max-event-size audit-log-version audit-policy-file audit-webhook-batch-buffer-size
    audit-webhook-batch-initial-backoff audit-webhook-batch-max-size audit-webhook-batch-max-wait audit-webhook-batch-throttle-burst
    audit-webhook-batch-throttle-qps audit-webhook-config-file audit-webhook-initial-backoff audit-webhook-mode
    audit-webhook-truncate-max-batch-size audit-webhook-truncate-max-event-size audit-webhook-version allow-metric-labels
    authentication-config authentication-token-webhook-cache-ttl authentication-token-webhook-config-file
    authentication-token-webhook-version authorization-config authorization-policy-file authorization-webhook-cache-authorized-ttl
    authorization-webhook-cache-unauthorized-ttl authorization-webhook-config-file authorization-webhook-version
    cloud-config cloud-provider cloud-provider-gce-l7lb-src-cidrs cloud-provider-gce-lb-src-cidrs cors-allowed-origins
    debug-socket-path default-not-ready-toleration-seconds default-unreachable-toleration-seconds default-watch-cache-size
    delete-collection-workers disabled-metrics disable-http2-serving egress-selector-config-file emulated-version
    emulation-forward-compatible encryption-provider-config encryption-provider-config-automatic-reload endpoint-reconciler-type
    etcd-count-metric-poll-period etcd-db-metric-poll-interval etcd-healthcheck-timeout
    etcd-readycheck-timeout etcd-servers-overrides external-hostname feature-gates goaway-chance http2-max-streams-per-connection
    identity-lease-duration-seconds identity-lease-renew-interval-seconds insecure-bind-address kubelet-certificate-authority
    kubelet-client-certificate kubelet-client-key kubelet-port kubelet-preferred-address-types kubelet-read-only-port kubelet-timeout
    kubernetes-service-node-port lease-reuse-duration-seconds livez-grace-period log-dir log-file log-file-max-size
    log-flush-frequency log-json-info-buffer-size log-text-info-buffer-size log-backtrace-at logging-format
    max-connection-bytes-per-sec max-resource-write-bytes min-compatibility-version min-request-timeout
    oidc-ca-file oidc-client-id oidc-groups-claim
    oidc-groups-prefix oidc-issuer-url oidc-required-claim oidc-signing-algs oidc-username-claim oidc-username-prefix
    peer-advertise-ip peer-advertise-port peer-ca-file proxy-client-cert-file proxy-client-key-file
    runtime-config runtime-config-emulation-forward-compatible
    service-account-jwks-uri service-account-api-audiences service-account-signing-endpoint show-hidden-metrics-for-version
    shutdown-watch-termination-grace-period stderrthreshold storage-backend storage-initialization-timeout storage-media-type
    storage-versions strict-transport-security-directives target-ram-mb tls-cipher-suites tls-curve-preferences tls-min-version
    tls-sni-cert-key tracing-config-file vmodule watch-cache-sizes
"""

TOLERATED = SWITCHES | frozenset(_OTHERS.split())
"""All of them."""
