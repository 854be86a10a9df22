# Sourced: what is said of tests that have run. Their results are lines of a log: 'result: FILE code=0 seconds=2 # { total: 3, pass: 3 }'.

# tell OUTPUT CODE: what failed in full; of the rest what was skipped, and why.
tell() {
  if [ "$2" != 0 ]; then sed 's/^/| /' "$1"; else grep -a -E -i '# (skip|todo)' "$1" | sed 's/^ */skipped: /' || true; fi
}

# judge NAME LOG TESTS: passes if every test of the list has run, and none failed.
judge() {
  local ran failed
  ran=$(grep -a -c '^result: ' "$2" || true)
  failed=$(grep -a '^result: ' "$2" | grep -v -c ' code=0 ' || true)
  grep -a '^result: ' "$2" | grep -v ' code=0 ' || true
  echo "$1: $ran of $(wc -l < "$3") test files ran, $failed failed; assertions: $(total pass "$2") pass, $(total fail "$2") fail, $(total skip "$2") skip"
  [ "$failed" = 0 ] && [ "$ran" = "$(wc -l < "$3")" ]
}

# total WORD LOG: the sum of what each test counted.
total() {
  { grep -a '^result: ' "$2" | grep -o "$1: [0-9]*" || true; } | awk '{ sum += $2 } END { print sum + 0 }'
}
