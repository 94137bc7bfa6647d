#!/usr/bin/env bash
# A real Prometheus scrapes an incident that the lab serves, and both are asked for all series: what one says
# the other has to say. Needs prometheus, curl and jq; listens on loopback only and ends by itself.
#
#   tests/lab/prometheus.sh [SREK]     SREK: the program, target/debug/srek where nothing is said
#
# SEED, NUMBER and PART choose the incident; the usual one has an alert and a cause that is found.
set -euo pipefail
cd "$(dirname "$0")/../.."

srek=${1:-${CARGO_TARGET_DIR:-target}/debug/srek}
for tool in prometheus curl jq "$srek"; do
    command -v "$tool" >/dev/null || { printf 'no %s here\n' "$tool" >&2; exit 2; }
done

work=$(mktemp -d)
pids=()
end() {
    local code=$?
    if ((${#pids[@]})); then
        kill "${pids[@]}" 2>/dev/null || true
        wait "${pids[@]}" 2>/dev/null || true
    fi
    if ((code)) && [[ -s $work/prometheus.log ]]; then
        tail -n 5 "$work/prometheus.log" >&2
    fi
    rm -rf "$work"
    exit "$code"
}
trap end EXIT
trap 'exit 130' INT TERM

# Waits up to a minute until a command succeeds.
until_it() {
    local deadline=$((SECONDS + 60))
    while ((SECONDS < deadline)); do
        "$@" >/dev/null 2>&1 && return
        sleep 0.2
    done
    printf 'never came: %s\n' "$*" >&2
    return 1
}

# A port that nobody listens on now, and that another run would hardly choose.
free_port() {
    local port tries
    for ((tries = 0; tries < 100; tries++)); do
        port=$((19090 + RANDOM % 10000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { printf '%s\n' "$port"; return; }
    done
    return 1
}

"$srek" lab serve --seed "${SEED:-21}" --number "${NUMBER:-4}" --part "${PART:-test}" --step 15 \
    --speed 600 --for 240 --json --prometheus-config "$work/prometheus.yml" \
    --kubeconfig "$work/kubeconfig" >"$work/lab.json" &
pids+=($!)
# The whole line: jq 1.6 calls an empty file a success.
until_it grep -q '}$' "$work/lab.json"
lab=$(head -n 1 "$work/lab.json" | jq -er .url)
end=$(head -n 1 "$work/lab.json" | jq -er .end)
end_time=$(date -u -d "$end" +%s)

port=$(free_port)
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" \
    --web.listen-address="127.0.0.1:$port" --log.level=warn >"$work/prometheus.log" 2>&1 &
pids+=($!)
until_it curl -fsS "http://127.0.0.1:$port/-/ready"

# All series with their labels in order, from $1; the query and the rest of the request follow.
ask() {
    local url=$1 path=$2
    shift 2
    curl -fsS -G "$url/api/v1/$path" "$@" |
        jq -S '.data.result | map(.metric |= (to_entries | sort_by(.key) | from_entries))
            | sort_by(.metric | tostring)'
}

# Prometheus adds series of its own, about its scrapes, that have no namespace.
# The alert's own series has the label of the job only behind a scrape.
selector='{namespace="shop", __name__!="ALERTS"}'
same() {
    ask "$lab" "$@" >"$work/lab"
    ask "http://127.0.0.1:$port" "$@" >"$work/prometheus"
    cmp -s "$work/lab" "$work/prometheus"
}
raw=(query --data-urlencode "query=${selector}[3h]" --data-urlencode "time=$end_time")
# Never five minutes after a point to the second: that old a point still counts up to Prometheus 2, not from 3 on.
stepped=(query_range --data-urlencode "query=$selector" --data-urlencode "start=$((end_time - 7203))"
    --data-urlencode "end=$((end_time + 600))" --data-urlencode step=10)

if ! until_it same "${raw[@]}" || ! until_it same "${stepped[@]}"; then
    diff "$work/lab" "$work/prometheus" | sed -n 1,20p >&2
    exit 1
fi
ask "$lab" "${raw[@]}" >"$work/lab"
printf 'the same: %d series, %d values, as they are and in steps of 10 s\n' \
    "$(jq length "$work/lab")" "$(jq '[.[].values | length] | add' "$work/lab")"

# The same diagnosis through both, beside the lab's Kubernetes and Loki: answer, evidence and order of suspects;
# of probabilities nearly the same, as a point at the edge of a window counts in one and not in the other.
diagnosed() {
    KUBECONFIG=$work/kubeconfig "$srek" diagnose --namespace shop --since 17m \
        --until "$(date -u -d "@$end_time" +%Y-%m-%dT%H:%M:%SZ)" --prometheus "$1" --loki "$lab" --json |
        tail -n 1 | jq -S '{missing, suspects: [.ranking[].service], likeliest: .causes[0].cause,
            sure: .causes[0].probability, answer: (.answer | {service, cause, evidence, action})}'
}
diagnosed "$lab" >"$work/lab"
diagnosed "http://127.0.0.1:$port" >"$work/prometheus"
# Nearly as sure, and all else the same.
if ! jq -es '(.[0].sure - .[1].sure | fabs < 0.05) and (map(del(.sure)) | .[0] == .[1])' \
    "$work/lab" "$work/prometheus" >/dev/null; then
    diff "$work/lab" "$work/prometheus" | sed -n 1,40p >&2
    exit 1
fi
printf 'the same diagnosis: %s\n' "$(jq -c .answer "$work/prometheus")"
