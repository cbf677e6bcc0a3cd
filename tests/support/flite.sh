#!/bin/sh
# Make what training corpora are made of available to the tests: flite's voices, WordNet and a list of common words. Debian's,
# where we may install them. Else those tests are skipped (tests/SKIPS.md).
command -v flite >/dev/null && [ -e /usr/share/wordnet/data.noun ] && [ -e /usr/share/dict/american-english-small ] && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing flite, WordNet and wamerican-small for the tests of speech"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends flite wordnet-base \
    wamerican-small >/dev/null && exit 0
fi
echo "flite, WordNet or wamerican-small could not be installed: the tests that need them will be skipped" >&2
