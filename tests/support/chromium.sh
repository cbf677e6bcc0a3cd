#!/bin/sh
# Make a Chromium available to the tests: the machine's own, Debian's where we may install it, else Playwright's.
# Usage: chromium.sh [PYTHON]; without one Playwright's is not tried, as nothing is installed there yet. Where none can be
# had, the browser tests are skipped (tests/SKIPS.md).
for name in chromium chromium-browser google-chrome; do
  command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing Chromium for the browser tests: a minute"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null && exit 0
fi
[ "$#" -gt 0 ] || exit 0
"$1" -m playwright install chromium && exit 0
echo "no Chromium could be installed: the browser tests will be skipped" >&2
