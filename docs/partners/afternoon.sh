#!/bin/sh
# The afternoon of docs/partners/README.md, from the first command to the last; the tests run it.
set -eu
data="${MELDPUNT_DATA:-.meldpunt}"

# 1. meldpunt's operator adds you and hands you the folder.
meldpunt partner add ggd --name "GGD" --channel inbox

# 2. You start your system in the sandbox; here it is the example.
python -m examples.partners.inbox_partner --settings "$data/partners/ggd/sandbox.env" \
    --accept 1 --decline 0 --not-ours overig &
system=$!
trap 'kill $system' EXIT

# 3. Try it by hand: a case, and a busy meldpunt at the first try of every answer.
meldpunt partner sandbox ggd --send ordinary --fault busy --seconds 5

# 4. The conformance run; repeat it until nothing is FAIL.
meldpunt partner verify ggd --only ordinary --only busy-503 --only duplicate-delivery
