#!/bin/sh
# Make flite's voices available to the tests: Debian's, where we may install them. Else those tests are skipped (tests/SKIPS.md).
command -v flite >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing flite for the tests of speech"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends flite >/dev/null && exit 0
fi
echo "flite could not be installed: the tests of its voices will be skipped" >&2
