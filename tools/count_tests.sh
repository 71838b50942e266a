#!/usr/bin/env bash
# count_tests.sh BUILD_FOLDER          prints "passed failed skipped unreferenced"
# count_tests.sh --skips BUILD_FOLDER  prints why cases were skipped, one reason a line
#
# Counts single test cases after `ctest --output-junit BUILD_FOLDER/test-results/ctest.junit`: the
# cases in the XML of each GoogleTest entry, and one for each other entry. An entry that failed
# without a failed case in its XML (a crash, a leak found at exit, a hang) counts as one failure.
# "unreferenced" is how many of the skipped ones lacked the shared reference data.
set -u
export LC_ALL=C

skips=no
if [ "${1:-}" = --skips ]; then
  skips=yes
  shift
fi
results=${1:?usage: count_tests.sh [--skips] BUILD_FOLDER}/test-results

if [ "$skips" = yes ]; then
  {
    for xml in "$results"/*.xml; do
      [ -f "$xml" ] || continue
      sed -n 's/^ *<skipped message="\(.*\)"><!\[CDATA.*/\1/p' "$xml"
    done
    # Entries with an XML of their own have said theirs; ctest repeats their output here.
    awk -v folder="$results" '
      /^[ \t]*<testcase name="/ {
        name = $0; sub(/.*<testcase name="/, "", name); sub(/".*/, "", name)
        file = folder "/" name ".xml"; other = (getline line < file) < 0; close(file)
      }
      other && sub(/^(.*<system-out>)?SKIP: /, "SKIP: ")' "$results/ctest.junit"
  } | sed 's/^[^&]*&#x0A;//; s/&#x0A;/ /g; s/&quot;/"/g; s/&apos;/'"'"'/g; s/&amp;/\&/g' |
    sort | uniq -c | sed 's/^ *\([0-9]*\) /   \1 skipped: /'
  exit 0
fi

# The value of attribute $1 in the XML's first <testsuites> line, $2.
attribute() { sed -n "s/.* $1=\"\([0-9]*\)\".*/\1/p" <<<"$2"; }

passed=0
failed=0
skipped=0
unreferenced=0

count_cases() {  # of one GoogleTest XML; $1 is the file, $2 what ctest says of the entry
  local head tests bad left lacking
  head=$(grep -m 1 '^<testsuites ' "$1")
  tests=$(attribute tests "$head")
  bad=$(attribute failures "$head")
  left=$(grep -cE '^ *<testcase .* result="(skipped|suppressed)"' "$1")
  lacking=$(grep -c '^ *<skipped message=".*reference data not found' "$1")
  if [ "$2" = fail ] && [ "${bad:-0}" -eq 0 ]; then
    failed=$((failed + 1))
  fi
  passed=$((passed + ${tests:-0} - ${bad:-0} - left))
  failed=$((failed + ${bad:-0}))
  skipped=$((skipped + left))
  unreferenced=$((unreferenced + lacking))
}

# "name status" of every ctest entry; an entry that ctest could not start is a failure, one that
# said by its exit status that it does not apply here is skipped.
entries() {
  awk '/^[ \t]*<testcase name="/ {
         if (name != "") print name, status
         name = $0; sub(/.*<testcase name="/, "", name); sub(/".*/, "", name)
         status = $0; sub(/.* status="/, "", status); sub(/".*/, "", status)
         if (status == "notrun") status = "fail"
       }
       /^[ \t]*<skipped message="(SKIP_RETURN_CODE|SKIP_REGULAR_EXPRESSION)/ { status = "skip" }
       END { if (name != "") print name, status }' "$results/ctest.junit" 2>/dev/null
}

while read -r name status; do
  if [ -f "$results/$name.xml" ]; then
    count_cases "$results/$name.xml" "$status"
  else
    case $status in
      run) passed=$((passed + 1)) ;;
      skip | disabled) skipped=$((skipped + 1)) ;;
      *) failed=$((failed + 1)) ;;
    esac
  fi
done < <(entries)

printf '%s %s %s %s\n' "$passed" "$failed" "$skipped" "$unreferenced"
