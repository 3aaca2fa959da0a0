#!/bin/bash
# tools/check-house: it finds what it is there to find, lets pass what is right, and numbers fall and never rise. Last, what it says
# of this tree is what the linker says.
set -u
top=$(cd "$(dirname "$0")/../.." && pwd)
build=${LEAT_BUILD:?where leat was built}
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

pass() {
    passed=$((passed + 1))
}
fail() {
    failed=$((failed + 1))
    echo "FAILED: $1"
    sed 's/^/    /' "$work/said"
}

# begin NAME: a tree with the tool, and nothing wrong
begin() {
    name=$1
    tree=$work/$name
    mkdir -p "$tree/tools" "$tree/lib/include/leat" "$tree/lib/ring" "$tree/lib/wide" "$tree/lib/full" "$tree/worker"
    cp -r "$top/tools/check-house" "$top/tools/house" "$tree/tools/"
    echo '# nothing' >"$tree/tools/house-limits"
    echo 'int main(void) { return 0; }' >"$tree/worker/main.c"
}
house() {
    (cd / && "$tree/tools/check-house" "$@") >"$work/said" 2>&1
}
# expect CODE WORDS...: how it ended, and lines that it said (a line that begins with ! it did not say)
expect() {
    local code=$1 is=$2 text
    shift 2
    [ "$is" = "$code" ] || { fail "$name: it ended with $is"; return; }
    for text in "$@"; do
        case $text in
        !*) ! grep -qF -- "${text#!}" "$work/said" || { fail "$name: it said: ${text#!}"; return; } ;;
        *) grep -qF -- "$text" "$work/said" || { fail "$name: it did not say: $text"; return; } ;;
        esac
    done
    pass
}

# ring N: N files, each of which refers to the next one in another way; the last to the first
ring() {
    local n next
    for n in $(seq "$1"); do
        next=$((n % $1 + 1))
        printf '/* leat_r9(); */\n#include "ring/ring.h"\nint leat_r%d(int x)\n{\n' "$n"
        case $((n % 6)) in
        0) echo "    return leat_r$next(x); // a call" ;;
        1) echo "    int (*const next)(int) = leat_r$next; return next(x);" ;;
        2) echo "    return x + RING_$next;" ;;
        3) echo "    return leat_inline_$next();" ;;
        4) echo "    return table[x](x);" ;;
        5) echo "    if (x) { return leat_r$next\\" && echo "(x); } return '\"';" ;;
        esac
        echo '}'
        [ $((n % 6)) != 4 ] || echo "static int (*const table[])(int) = {[0] = leat_r$next};"
    done | awk -v folder="$tree/lib/ring" '/leat_r9\(\)/ { n++ } { print >(folder "/r" n ".c") }'
    {
        printf '#ifndef RING_H\n#define RING_H\n'
        for n in $(seq "$1"); do
            printf 'int leat_r%d(int x);\n#define RING_%d \\\n    leat_r%d(%d)\n' "$n" "$n" "$n" "$n"
            printf 'static inline int leat_inline_%d(void)\n{\n    return RING_%d;\n}\n' "$n" "$n"
        done
        echo '#endif'
    } >"$tree/lib/ring/ring.h"
}

# wide FIELDS SEERS: a struct of so many fields, and .c files that see it, every other one by way of another header
wide() {
    local n
    {
        printf 'struct leat_lock { int held; };\nstruct leat_wide {\n    struct leat_lock lock; /* int no; */\n    int written, *lent, read[4];\n'
        printf '    union { int inner_a; struct { char inner_b, inner_c; } deep; };\n    int (*call)(struct leat_wide *self, int x), bits : 3;\n'
        printf '    enum { WIDE_A, WIDE_B } kind;\n    _Atomic bool flag LEAT_FIELD_GUARDED_BY(lock);\n'
        for n in $(seq $(($1 - 11))); do
            echo "    int field_$n;"
        done
        echo '};'
    } >"$tree/lib/wide/wide.h"
    echo '#include "wide/wide.h"' >"$tree/lib/include/leat/through.h"
    for n in $(seq "$2"); do
        if [ $((n % 2)) = 0 ]; then echo '#include <leat/through.h>'; else echo '#include "wide.h"'; fi >"$tree/lib/wide/w$n.c"
    done
    echo '/* #include "wide.h" */' >"$tree/lib/wide/blind.c"
}

begin clean
ring 5
wide 31 3
touch "$tree"/lib/full/f{1..25}.c "$tree/lib/full/README.md"
house
expect 0 $? 'house: ok' '!fault'

begin more_seers_of_less
wide 30 9
house
expect 0 $? 'house: ok' '!fault'

begin circle
ring 6
house
expect 1 $? 'a new fault: circle lib/ring 6' 'lib/ring/r1.c -leat_r2-> lib/ring/r2.c -leat_r3-> lib/ring/r3.c' '-leat_r1-> lib/ring/r1.c'

begin struct
wide 31 4
house
expect 1 $? 'a new fault: struct leat_wide 31 4' 'lib/wide/wide.h: 31 fields' '!circle'

begin folder
touch "$tree"/lib/full/f{1..26}.c
house
expect 1 $? 'a new fault: folder lib/full 26' '!circle'

# Private names are no circle: what is static, a field, a word in a text or a comment.
begin private
ring 6
cat >"$tree/lib/ring/r6.c" <<'END'
#include "ring/ring.h"
static int leat_r1(int x) { return x; }
struct own { int leat_r2; };
int leat_r6(int x)
{
    struct own own = {.leat_r2 = 2}; // leat_r3(x)
    return leat_r1(x) + own.leat_r2 + "leat_r4(x)"[0]; /* leat_r5(x)
    leat_r5(x) */
}
END
house
expect 0 $? 'house: ok'

# The ratchet.
begin ratchet
ring 6
wide 31 4
printf '# why\ncircle lib/ring 6 # one day\nstruct leat_wide 31 4\n' >"$tree/tools/house-limits"
house
expect 0 $? 'house: ok (2 old faults)' '!better'
printf '# why\ncircle lib/ring 9 7\nstruct leat_wide 40 4\nfolder lib/full 30\n' >"$tree/tools/house-limits"
house
expect 0 $? 'better: circle lib/ring 6, where tools/house-limits has 9 7' 'better: struct leat_wide 31 4' \
    'better: folder lib/full is within the rules' 'tools/check-house --lower' 'house: ok'
house --lower
expect 0 $? 'as low as the house'
printf '# why\ncircle lib/ring 6\nstruct leat_wide 31 4\n' >"$work/said"
if cmp -s "$work/said" "$tree/tools/house-limits"; then pass; else fail "ratchet: --lower wrote something else"; fi
for limits in 'circle lib/ring 5' 'struct leat_wide 30 5' 'struct leat_wide 40 3'; do
    case $limits in
    circle*) printf '%s\nstruct leat_wide 31 4\n' "$limits" ;;
    *) printf '%s\ncircle lib/ring 6\n' "$limits" ;;
    esac >"$tree/tools/house-limits"
    house
    expect 1 $? 'grew from' '!new fault'
    house --lower
    expect 1 $? 'is not lower'
    grep -qF "$limits" "$tree/tools/house-limits" && pass || fail "ratchet: --lower raised a number"
done
# Halves of a circle are no new fault; more of both are.
ring 12
for n in 6 12; do
    sed -i 's/leat_r\(7\|1\)\([(;]\)/leat_cut\2/; s/RING_\(7\|1\)$//' "$tree/lib/ring/r$n.c"
done
sed -i "s/leat_cut(x)/leat_r1(x)/" "$tree/lib/ring/r6.c"
sed -i "s/leat_cut(x)/leat_r7(x)/" "$tree/lib/ring/r12.c"
printf 'circle lib/ring 12\nstruct leat_wide 31 4\n' >"$tree/tools/house-limits"
house
expect 0 $? 'better: circle lib/ring 6 6, where tools/house-limits has 12'
printf 'circle lib/ring 6\nstruct leat_wide 31 4\n' >"$tree/tools/house-limits"
house
expect 1 $? 'circle lib/ring grew from 6 to 6 6'

# What the report says.
begin report
ring 7
wide 40 4
cat >>"$tree/lib/wide/w1.c" <<'END'
static struct leat_wide *leat_wide_of(int n);
int leat_touch(const struct leat_wide *other, struct leat_wide *wide, int n)
{
    struct leat_wide made = {.field_1 = 1, .deep = {.inner_b = 2}};
    wide->written += other->field_2 == 3;
    atomic_store(&wide->flag, true);
    leat_lock(&wide->lock);
    *wide->lent = 5;
    memset(wide->read, 0, sizeof wide->read);
    wide->read[n & wide->field_3]++;
    leat_wide_of(n)->field_4 = (*wide).field_5 = made.field_6 <= 7;
    return wide->lock.held & other->field_7;
}
END
house --report
code=$?
expect 0 $code '7 files, lib/ring' 'one way to open it' 'leat_wide, lib/wide/wide.h: 40 fields, 4 .c files see them' \
    'written in 1 files (how many of its fields): w1.c (7)'
# touched FIELD: "written lent read", as far as it is
touched() {
    awk -v field="    $1" '$0 == field { is_in = 1; next } /^    [^ ]/ { is_in = 0 } is_in { printf "%s ", $1 }' "$work/said"
}
for line in 'written written' 'flag written' 'lock lent read' 'lent read' 'read written lent' 'field_1 written' 'field_2 read' 'field_3 read' \
    'field_4 written' 'field_5 written' 'field_6 read' 'field_7 read' 'field_8' 'deep written' 'kind'; do
    # shellcheck disable=SC2046
    is=$(echo "${line%% *}" $(touched "${line%% *}"))
    [ "$is" = "$line" ] && pass || fail "report: $line is said to be: $is"
done

# This tree: no reference that the linker sees is missing, and (but for what a compiler leaves out) none is invented.
name=linker
"$top/tools/check-house" --edges | sort >"$work/edges"
(cd "$build" && find lib worker plugins -name '*.o' | xargs nm -A -P) | awk -v top="$top/" '
{
    file = $1
    sub(/\.o:$/, ".c", file)
}
$3 ~ /^[TDRBGSVC]$/ { defined[$2] = defined[$2] " " file }
$3 == "U" { wants[file, $2] = 1 }
END {
    for (want in wants) {
        split(want, part, SUBSEP)
        count = split(defined[part[2]], list, " ")
        for (n = 1; n <= count; n++)
            print part[1], list[n], part[2]
    }
}' | sort | while read -r from to symbol; do
    # A file that is gone may have left its object behind.
    [ -e "$top/$from" ] && [ -e "$top/$to" ] && echo "$from $to $symbol"
done >"$work/linked"
comm -13 "$work/edges" "$work/linked" >"$work/said"
[ -s "$work/linked" ] && [ ! -s "$work/said" ] && pass || fail "references that the linker sees and check-house does not"
comm -23 "$work/edges" "$work/linked" >"$work/said"
[ $(($(wc -l <"$work/said") * 50)) -lt "$(wc -l <"$work/edges")" ] && pass || fail "references that the linker does not see"

echo "$passed passed, $failed failed"
[ $failed = 0 ]
