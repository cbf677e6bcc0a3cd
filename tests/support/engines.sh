#!/bin/sh
# Make Firefox and WebKitGTK's browser available to the tests, where Debian's may be installed. Where they can't be had,
# tests/inspect/test_engines.py is skipped (tests/SKIPS.md).
command -v WebKitWebDriver >/dev/null && command -v Xvfb >/dev/null && { command -v firefox-esr || command -v firefox; } >/dev/null && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "installing Firefox and WebKitGTK for the browser tests: a minute or two"
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends \
    firefox-esr webkit2gtk-driver xvfb xauth >/dev/null && exit 0
fi
echo "Firefox and WebKitGTK could not be installed: their tests will be skipped" >&2
