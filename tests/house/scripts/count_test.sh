#!/usr/bin/env bash
# tools/count_tests.sh on made-up results: cases, crashes, tests that could not start, skips.
set -u
counter=$1/tools/count_tests.sh
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
results=$work/test-results
mkdir "$results"

# entry NAME STATUS [MESSAGE]: one entry as ctest writes it.
entry() {
  printf '\t<testcase name="%s" classname="%s" time="1" status="%s">\n' "$1" "$1" "$2"
  [ -z "${3:-}" ] || printf '\t\t<skipped message="%s"/>\n' "$3"
  printf '\t\t<system-out>said &lt;testcase name="no" status="run"\n</system-out>\n\t</testcase>\n'
}
# cases FILE TESTS FAILURES SKIPPED UNREFERENCED: results as GoogleTest writes them.
cases() {
  local i
  {
    printf '<testsuites tests="%s" failures="%s" disabled="0" errors="0" name="AllTests">\n' "$2" "$3"
    for ((i = 0; i < $4; ++i)); do
      printf '    <testcase name="s" status="run" result="skipped" time="0">\n'
      printf '      <skipped message="a.cpp:1&#x0A;no &quot;device&quot;"><![CDATA[x]]></skipped>\n'
    done
    for ((i = 0; i < $5; ++i)); do
      printf '    <testcase name="r" status="run" result="skipped" time="0">\n'
      printf '      <skipped message="a.cpp:2&#x0A;SKIP: reference data not found; set X"><![CDATA[\n'
      printf 'SKIP: reference data not found]]></skipped>\n'
    done
    printf '    <testcase name="p" status="run" result="completed" time="0" />\n'
  } >"$results/$1.xml"
}
expect() {
  local got
  got=$("$counter" "$work")
  [ "$got" = "$1" ] || { printf '%s: expected "%s", got "%s"\n' "$2" "$1" "$got"; exit 1; }
}

expect "0 0 0 0" "no results at all"

cases good 10 0 2 1
cases bad 5 2 0 0
cases leaks 4 0 0 0
{
  entry good run
  entry bad fail
  entry leaks fail
  entry crashed fail
  entry absent notrun "Unable to find executable"
  entry elsewhere notrun "SKIP_RETURN_CODE=77"
  entry script run
  printf '\t<testcase name="tool" classname="tool" time="1" status="notrun">\n'
  printf '\t\t<skipped message="SKIP_RETURN_CODE=77"/>\n'
  printf '\t\t<system-out>SKIP: no tool\n</system-out>\n\t</testcase>\n'
} >"$results/ctest.junit"
# passed: 7 + 3 + 4 + the script; failed: 2 + the leak + the crash + the absent; skipped: 3 + 2
expect "15 5 5 1" "mixed results"

reasons=$("$counter" --skips "$work")
expected='   1 skipped: SKIP: no tool
   1 skipped: SKIP: reference data not found; set X
   2 skipped: no "device"'
[ "$reasons" = "$expected" ] || { printf 'reasons:\n%s\n' "$reasons"; exit 1; }
